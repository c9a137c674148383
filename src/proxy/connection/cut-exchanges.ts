/**
 * What becomes of running exchanges when a rollout ends: they get a grace, then they are cut.
 *
 * After a rollback those on the canary, after a finish those on the old stable. Each gets its own moment in the second half of
 * the grace, so that clients do not all come back at once. Short requests are long done by then; tunnels and streams are meant.
 */
import type { ClientConnection } from './client-connection.ts';
import type { Routing, ServiceRoute } from '../routing.ts';
import type { Variant } from '../../policy/rollout.ts';

export function cutExchanges(
  connections: Iterable<ClientConnection>,
  before: Routing,
  after: Routing,
  now: number,
  random: () => number,
): void {
  const ended = new Map<string, { variant: Variant; grace: number }>();
  const former = new Map(before.services.map((route) => [route.name, route]));
  for (const route of after.services) {
    const variant = endedVariant(former.get(route.name), route);
    if (variant !== null) ended.set(route.name, { variant, grace: route.settings.streamGrace });
  }
  if (ended.size === 0) return;
  for (const { exchange } of connections) {
    const { route, decision } = exchange.request;
    const end = !exchange.active || route === null ? undefined : ended.get(route.name);
    if (end !== undefined && decision.variant === end.variant) {
      exchange.cutAt = Math.min(exchange.cutAt, now + end.grace * (0.5 + random() / 2));
    }
  }
}

/** The variant that is no longer to be used from `after` on, if any. */
function endedVariant(before: ServiceRoute | undefined, after: ServiceRoute): Variant | null {
  if (before === undefined) return null;
  const from = before.snapshot.rollout;
  const to = after.snapshot.rollout;
  if (from === null || to === null || from.id !== to.id || from.phase === to.phase) return null;
  if (to.phase === 'rolledBack') return 'canary';
  if (to.phase === 'idle' && from.phase === 'promoted') return 'stable';
  return null;
}
