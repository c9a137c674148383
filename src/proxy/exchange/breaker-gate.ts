/**
 * The breaker's gate: whether it keeps a canary request from the canary.
 *
 * It keeps nobody from anything where stable could not serve instead, nor whoever asks for the canary by a token.
 */
import type { Decision } from '../../policy/decision.ts';
import { GATE_OPEN } from '../../upstream/shared-blocks.ts';
import type { ServiceRoute } from '../routing.ts';

/** For a decision for the canary. The lowest buckets come in first. */
export function breakerRefuses(route: ServiceRoute, decision: Decision, random: () => number): boolean {
  const gate = route.gate[0]!;
  if (gate >= GATE_OPEN) return false;
  const { reason, bucket, fallback } = decision;
  if (reason === 'override' || fallback) return false;
  if (!route.settings.fallbackToStable || !route.upstreams[0].usable) return false;
  // Without a bucket (a promoted rollout, a followed caller) chance has to do.
  return (bucket < 0 ? random() * GATE_OPEN : bucket) >= gate;
}
