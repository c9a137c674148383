/**
 * Says which parts of a changed policy can take the canary away from users who have it now.
 *
 * It errs on the side of asking: whatever is not surely harmless is listed. It never decides whether a decrease is
 * allowed; `lifecycle.ts` does.
 */
import { widens, type Match } from '../policy/conditions/match.ts';
import type { RolloutDocument, Rule } from '../policy/schema.ts';

/** One change of a policy that can move users from the canary back to stable. */
export interface Decrease {
  readonly kind:
    | 'percentageLowered'
    | 'ruleRemoved'
    | 'conditionsChanged'
    | 'excludeAdded'
    | 'excludeChanged';
  /** The name of the rule or of the exclude rule. */
  readonly rule: string;
  /** Percentages before and after; null for an exclude rule. */
  readonly from: number | null;
  readonly to: number | null;
  /** The same as a sentence. */
  readonly detail: string;
}

/** What `after` can take from users who have the canary by `before`; `[]` when nobody can lose it. */
export function decreasesBetween(before: RolloutDocument, after: RolloutDocument): Decrease[] {
  return [...ruleDecreases(before, after), ...excludeDecreases(before, after)];
}

function ruleDecreases(before: RolloutDocument, after: RolloutDocument): Decrease[] {
  // A rule for everyone at 100 % admits every bucket, whatever became of the others. Nothing less will do: a latch
  // may hold the bucket of an identity that its user no longer has, and is worth only as much as its own rule.
  if (after.rules.some((rule) => rule.match === undefined && rule.percentage === 100)) return [];
  const remaining = new Map(after.rules.map((rule) => [rule.name, rule]));
  const found: Decrease[] = [];
  for (const rule of before.rules) {
    if (rule.percentage === 0) continue;
    const decrease = ruleDecrease(rule, remaining.get(rule.name));
    if (decrease !== null) found.push(decrease);
  }
  return found;
}

function ruleDecrease(rule: Rule, now: Rule | undefined): Decrease | null {
  const { name, percentage: from } = rule;
  if (now === undefined) {
    const detail = `rule "${name}" (${from} %) is removed`;
    return { kind: 'ruleRemoved', rule: name, from, to: 0, detail };
  }
  if (now.percentage < from) {
    const detail = `rule "${name}" goes from ${from} % down to ${now.percentage} %`;
    return { kind: 'percentageLowered', rule: name, from, to: now.percentage, detail };
  }
  if (widens(rule.match, now.match)) return null;
  const detail = `rule "${name}" (${from} %) has other conditions, which fewer users may meet`;
  return { kind: 'conditionsChanged', rule: name, from, to: now.percentage, detail };
}

/** Values that excludes are compared with beyond those of their namesakes; what is left is listed, which errs on the side of asking. */
const MOST_COMPARED = 100_000;

function excludeDecreases(before: RolloutDocument, after: RolloutDocument): Decrease[] {
  const former = before.exclude ?? [];
  const byName = new Map(former.map((one) => [one.name, one]));
  const sizes = former.map((one) => sizeOf(one.match));
  const found: Decrease[] = [];
  let compared = 0;
  for (const { name, match } of after.exclude ?? []) {
    // An exclude is harmless when one as wide was there before, under whatever name: most often its own.
    const namesake = byName.get(name);
    if (namesake !== undefined && widens(match, namesake.match)) continue;
    const asWide = former.some((one, index) => {
      if (compared > MOST_COMPARED) return false;
      compared += sizes[index]!;
      return widens(match, one.match);
    });
    if (asWide) continue;
    const kind = namesake === undefined ? 'excludeAdded' : 'excludeChanged';
    const what = kind === 'excludeAdded' ? 'is added' : 'has other conditions, which more users may meet';
    found.push({ kind, rule: name, from: null, to: null, detail: `exclude rule "${name}" ${what}` });
  }
  return found;
}

/** How many values a match has, roughly: what a comparison with it costs. */
function sizeOf(match: Match): number {
  return Object.values(match).reduce<number>(
    (sum, part) => sum + (typeof part === 'string' ? 1 : Object.keys(part).length),
    1,
  );
}
