/**
 * The decision about a request, and what follows from it apart from the request itself: its counts, and the memory of a new latch.
 *
 * It says whether an endpoint may be asked, and asks none.
 */
import { CANARY_USABLE, decide, STABLE_USABLE } from '../../policy/decide.ts';
import { type Decision } from '../../policy/decision.ts';
import { REASONS, TIERS } from '../../policy/rollout.ts';
import type { RequestContext } from './request-context.ts';
import type { ErrorCode } from './error-responses.ts';
import type { ServiceRoute } from '../routing.ts';
import type { WorkerContext } from '../worker-context.ts';

/** Fills the request's decision. Gives the answer where no endpoint may be asked, else null. */
export function decideRequest(
  request: RequestContext,
  route: ServiceRoute,
  context: WorkerContext,
): ErrorCode | null {
  const { decision } = request;
  let usable = 0;
  // Stable with every endpoint down is still tried: there is nothing better to fall back to.
  if (route.stable.length > 0) usable |= STABLE_USABLE;
  if (route.upstreams[1].usable) usable |= CANARY_USABLE;
  decide(route.policy, request, usable, context.wallSeconds(), context.mintIdentity, decision);
  if (decision.remember !== '') context.latches.add(route, decision);
  const { counters } = route;
  counters.decision(REASONS.indexOf(decision.reason), TIERS.indexOf(decision.tier));
  if (decision.unavailable) return decision.reason === 'override' ? 'override_unavailable' : 'no_endpoint';
  if (route.rollingOut && route.flips.observe(decision)) counters.flip();
  return null;
}

/** Whether the other variant may serve a request for which no endpoint of its own is left. */
export function mayFallBack({ settings, stable, canary }: ServiceRoute, decision: Decision): boolean {
  if (decision.fallback || decision.reason === 'override') return false;
  return decision.variant === 'canary'
    ? settings.fallbackToStable && stable.length > 0
    : settings.fallbackToCanary && canary.length > 0;
}
