/**
 * Says whether a write can give the canary to users who do not have it. It errs on the side of saying so.
 */
import { isDeepStrictEqual } from 'node:util';
import type { RolloutState } from '../policy/rollout.ts';
import { isActive } from './lifecycle.ts';

/** Whether `after` may give anybody the canary who has it not by `before`. */
export function raises(before: RolloutState | null, after: RolloutState): boolean {
  if (!isActive(after.phase)) return false;
  if (before === null || before.id !== after.id) return true;
  if (before.phase !== after.phase) return after.phase !== 'paused';
  const former = new Map(before.document.rules.map((rule) => [rule.name, rule]));
  const grown = after.document.rules.some((rule) => {
    const old = former.get(rule.name);
    return old === undefined || rule.percentage > old.percentage || !isDeepStrictEqual(rule.match, old.match);
  });
  return grown || !isDeepStrictEqual(before.document.exclude, after.document.exclude);
}
