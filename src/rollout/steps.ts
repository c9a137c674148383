/**
 * The ramp: which step a policy has reached, and which is next.
 *
 * A step counts as taken when its rule has at least its percentage, however it came there: so an explicit percentage
 * beyond a step skips it, and no step ever lowers a percentage.
 */
import type { RolloutDocument, Step } from '../policy/schema.ts';

/** The rule that steps and percentages mean when they name none. */
const EVERYONE = 'everyone';

function ruleOfStep(step: Step): string {
  return step.rule ?? EVERYONE;
}

/** Index of the last step up to which all are reached; -1 when the first is not. */
export function reachedStep(document: RolloutDocument): number {
  const percentages = new Map(document.rules.map((rule) => [rule.name, rule.percentage]));
  const steps = document.steps ?? [];
  const next = steps.findIndex((step) => (percentages.get(ruleOfStep(step)) ?? 0) < step.percentage);
  return (next === -1 ? steps.length : next) - 1;
}

export interface NextStep {
  readonly index: number;
  readonly rule: string;
  /** Percentages of the rule now and after the step. */
  readonly from: number;
  readonly to: number;
}

/** The first step that would raise its rule, or null when all are reached. */
export function nextStep(document: RolloutDocument): NextStep | null {
  const index = reachedStep(document) + 1;
  const step = document.steps?.[index];
  if (step === undefined) return null;
  const rule = ruleOfStep(step);
  const from = document.rules.find((one) => one.name === rule)?.percentage ?? 0;
  return { index, rule, from, to: step.percentage };
}
