/**
 * The life of a rollout as a pure function: state and command in, next state or refusal out.
 *
 *   (none), idle, rolledBack ── put, restore ──▶ running ⇄ paused          (pause, resume)
 *   running, paused          ── promote ───────▶ promoted ── finish ─▶ idle
 *   running, paused, promoted ─ rollback ──────▶ rolledBack
 *
 * It promises: epochs only rise, a rollout's id, seed and fingerprint key never change while it lives, nobody loses the
 * canary without `allowDecrease` or a rollback, and a command whose end is already reached changes nothing. It reads no
 * clock and makes no randomness of its own.
 */
import { isDeepStrictEqual } from 'node:util';
import { DocumentError } from '../schema/faults.ts';
import type { Phase, RolloutState } from '../policy/rollout.ts';
import type { RolloutDocument } from '../policy/schema.ts';
import { nearest } from '../schema/nearest.ts';
import { type Decrease, decreasesBetween } from './exposure.ts';
import type { Refusal, RefusalCode } from './refusal.ts';
import { nextStep, reachedStep } from './steps.ts';

export type RolloutCommand =
  /** A whole new policy; a merge patch is merged by the caller first. */
  | { readonly kind: 'put'; readonly document: RolloutDocument; readonly allowDecrease: boolean }
  /** The policy of an earlier revision, as if put anew. */
  | { readonly kind: 'restore'; readonly document: RolloutDocument; readonly allowDecrease: boolean }
  | {
      readonly kind: 'percentage';
      readonly rule: string;
      readonly percentage: number;
      readonly allowDecrease: boolean;
    }
  /** `from` is the percentage that the caller saw, or null where a request id keeps a retry from stepping twice. */
  | { readonly kind: 'step'; readonly from: number | null }
  | { readonly kind: 'promote' | 'finish'; readonly guard: GuardVerdict }
  | { readonly kind: 'rollback' | 'pause' | 'resume' };

/** What a guard says about a write; `figures` and `detail` explain a refusal. */
export type GuardVerdict =
  | { readonly ok: true }
  | { readonly ok: false; readonly detail: string; readonly figures: Refusal['figures'] };

/** What a new rollout is made of; asked for only when one starts. */
export interface NewRollout {
  readonly id: string;
  readonly seed: string;
  readonly fingerprintKey: string;
  readonly startedAt: string;
}

export type Outcome =
  | { readonly kind: 'changed'; readonly rollout: RolloutState; readonly decreases: readonly Decrease[] }
  /** The command's end was reached already: nothing to write. */
  | { readonly kind: 'unchanged'; readonly rollout: RolloutState }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

/** Phases in which a rollout's rules decide. */
export function isUnderWay(phase: Phase): boolean {
  return phase === 'running' || phase === 'paused';
}

/** Phases in which some users have the canary, or may come to have it. */
export function isActive(phase: Phase): boolean {
  return isUnderWay(phase) || phase === 'promoted';
}

/** Applies `command`. Throws a DocumentError (`unknown_rule`) for a rule that the policy does not have. */
export function advance(
  current: RolloutState | null,
  command: RolloutCommand,
  fresh: () => NewRollout,
): Outcome {
  if (command.kind === 'put' || command.kind === 'restore') return replace(current, command, fresh);
  if (current === null) {
    return refuse('no_rollout', 'The service has no rollout yet. Start one with PUT of a rollout document.', {
      phase: null,
    });
  }
  switch (command.kind) {
    case 'percentage':
      return setPercentage(current, command);
    case 'step':
      return takeStep(current, command.from);
    case 'promote':
      if (isUnderWay(current.phase) && !command.guard.ok) {
        const { detail, figures } = command.guard;
        return refuse('canary_not_ready', detail, figures);
      }
      return move(current, command.kind, ['running', 'paused'], 'promoted');
    case 'finish':
      if (current.phase === 'promoted' && !command.guard.ok) {
        const { detail, figures } = command.guard;
        return refuse('stable_not_ready', detail, figures);
      }
      return move(current, command.kind, ['promoted'], 'idle');
    case 'rollback':
      return move(current, command.kind, ['running', 'paused', 'promoted'], 'rolledBack');
    case 'pause':
      return move(current, command.kind, ['running'], 'paused');
    case 'resume':
      return move(current, command.kind, ['paused'], 'running');
  }
}

function replace(
  current: RolloutState | null,
  { document, allowDecrease }: { readonly document: RolloutDocument; readonly allowDecrease: boolean },
  fresh: () => NewRollout,
): Outcome {
  if (current === null || current.phase === 'idle' || current.phase === 'rolledBack') {
    const rollout: RolloutState = {
      ...fresh(),
      epoch: (current?.epoch ?? 0) + 1,
      bucketAlgorithm: 'xxh64-1',
      phase: 'running',
      document,
      step: reachedStep(document),
    };
    return { kind: 'changed', rollout, decreases: [] };
  }
  if (current.phase === 'promoted') {
    return refuse(
      'wrong_phase',
      'The rollout is promoted: everyone has the canary, and its rules no longer decide. Finish it or roll it back before a new policy.',
      { phase: current.phase, epoch: current.epoch },
    );
  }
  return withDocument(current, document, allowDecrease);
}

function setPercentage(
  current: RolloutState,
  command: Extract<RolloutCommand, { readonly kind: 'percentage' }>,
): Outcome {
  const { document, phase } = current;
  const index = document.rules.findIndex((rule) => rule.name === command.rule);
  const rule = document.rules[index];
  if (rule === undefined) throw unknownRule(command.rule, document);
  const figures = { phase, rule: rule.name, percentage: rule.percentage, asked: command.percentage };
  if (!isUnderWay(phase)) {
    return refuse(
      'wrong_phase',
      `The rollout is ${phase}: percentages can be set while it is running.`,
      figures,
    );
  }
  if (command.percentage === rule.percentage) return { kind: 'unchanged', rollout: current };
  if (phase === 'paused' && command.percentage > rule.percentage) {
    return refuse(
      'rollout_paused',
      `The rollout is paused with rule "${rule.name}" at ${rule.percentage} %. Resume it before raising to ${command.percentage} %.`,
      figures,
    );
  }
  const rules = document.rules.with(index, { ...rule, percentage: command.percentage });
  return withDocument(current, { ...document, rules }, command.allowDecrease);
}

function takeStep(current: RolloutState, seen: number | null): Outcome {
  const { phase, document } = current;
  if (!isUnderWay(phase)) {
    return refuse('wrong_phase', `The rollout is ${phase}: steps are taken while it is running.`, { phase });
  }
  const next = nextStep(document);
  if (next === null) {
    const steps = document.steps?.length ?? 0;
    const detail =
      steps === 0
        ? 'The policy has no steps. Give it some, or set a percentage.'
        : `All ${steps} steps are taken. Promote the rollout, or set a percentage.`;
    return refuse('no_next_step', detail, { phase, steps });
  }
  const figures = { phase, rule: next.rule, percentage: next.from, next: next.to };
  if (seen !== null && seen !== next.from) {
    return refuse(
      'step_moved',
      `Rule "${next.rule}" is at ${next.from} %, not at ${seen} % any more. Read the rollout again.`,
      { ...figures, from: seen },
    );
  }
  if (phase === 'paused') {
    return refuse(
      'rollout_paused',
      `The rollout is paused with rule "${next.rule}" at ${next.from} %. Resume it before the step to ${next.to} %.`,
      figures,
    );
  }
  const rules = document.rules.map((rule) =>
    rule.name === next.rule ? { ...rule, percentage: next.to } : rule,
  );
  return withDocument(current, { ...document, rules }, false);
}

/** Decreases that a refusal names; its figures count all. */
const MOST_REASONS = 100;

function withDocument(current: RolloutState, document: RolloutDocument, allowDecrease: boolean): Outcome {
  if (isDeepStrictEqual(document, current.document)) return { kind: 'unchanged', rollout: current };
  const decreases = decreasesBetween(current.document, document);
  if (decreases.length > 0 && !allowDecrease) {
    return refuse(
      'decrease_not_allowed',
      'This can take the canary from users who have it. Ask for it with allowDecrease, or keep the rules as they are.',
      { phase: current.phase, decreases: decreases.length },
      decreases.slice(0, MOST_REASONS).map(({ detail }) => detail),
    );
  }
  return { kind: 'changed', rollout: { ...current, document, step: reachedStep(document) }, decreases };
}

function move(current: RolloutState, action: string, from: readonly Phase[], to: Phase): Outcome {
  if (current.phase === to) return { kind: 'unchanged', rollout: current };
  if (from.includes(current.phase)) {
    return { kind: 'changed', rollout: { ...current, phase: to }, decreases: [] };
  }
  const allowed = from.length === 1 ? from[0] : `${from.slice(0, -1).join(', ')} or ${from.at(-1)}`;
  return refuse('wrong_phase', `The rollout is ${current.phase}; ${action} needs one that is ${allowed}.`, {
    phase: current.phase,
    epoch: current.epoch,
  });
}

function refuse(
  code: RefusalCode,
  detail: string,
  figures: Refusal['figures'],
  reasons?: readonly string[],
): Outcome {
  return {
    kind: 'refused',
    refusal: { code, detail, figures, ...(reasons === undefined ? {} : { reasons }) },
  };
}

function unknownRule(name: string, document: RolloutDocument): DocumentError {
  const names = document.rules.map((rule) => rule.name);
  const meant = nearest(name, names);
  const known = names
    .slice(0, 20)
    .map((one) => `"${one}"`)
    .join(', ');
  const detail = `no rule is named "${name}"; ${meant === undefined ? `the policy has ${known}` : `did you mean "${meant}"?`}`;
  return new DocumentError('unknown_rule', 'The policy has no such rule.', [{ pointer: '/rule', detail }]);
}
