/**
 * Which rollouts a newly minted id is bound to: those that decide at this moment, of all services that share a host with the one that
 * mints.
 *
 * An id is shared by the services of its host. A browser's first requests may reach several of them at once, and each decides by the
 * fingerprint; whichever answer's cookie the browser keeps must go on saying so to all of them.
 */
import { MOST_BOUND } from './identity-chain.ts';
import { tagOf } from '../latch/latch.ts';
import type { RolloutState } from '../rollout.ts';
import type { IdentityTier } from './identity-tier.ts';

export interface BindableService {
  readonly name: string;
  readonly hosts: readonly string[];
  readonly identity: readonly IdentityTier[];
  readonly rollout: RolloutState | null;
}

export interface BoundRollouts {
  /** Tags, one after the other, that of the service's own rollout first; '' where there is none. */
  readonly tags: string;
  /** The id of the key that the fingerprint is made with; '' where there is no tag. */
  readonly fingerprintKey: string;
}

export const UNBOUND: BoundRollouts = { tags: '', fingerprintKey: '' };

/** By the name of the service that mints. Rollouts that began under another key of the ring are left out. */
export function boundRollouts(services: readonly BindableService[]): ReadonlyMap<string, BoundRollouts> {
  const deciding = services.filter(decidesByFingerprint);
  return new Map(services.map((service) => [service.name, boundTo(service, deciding)]));
}

function boundTo(service: BindableService, deciding: readonly BindableService[]): BoundRollouts {
  const siblings = deciding.filter((other) => other !== service && shareHost(service, other));
  const rollouts = [...(deciding.includes(service) ? [service] : []), ...siblings].map(
    ({ rollout }) => rollout!,
  );
  const [first] = rollouts;
  if (first === undefined) return UNBOUND;
  const { fingerprintKey } = first;
  const bound = rollouts.filter((rollout) => rollout.fingerprintKey === fingerprintKey).slice(0, MOST_BOUND);
  return { tags: bound.map(({ id }) => tagOf(id)).join(''), fingerprintKey };
}

/** Whether requests without any other identity are decided by their fingerprint now. */
export function decidesByFingerprint({
  identity,
  rollout,
}: Pick<BindableService, 'identity' | 'rollout'>): boolean {
  const decides = rollout !== null && (rollout.phase === 'running' || rollout.phase === 'paused');
  return decides && identity.some((tier) => 'fingerprint' in tier);
}

function shareHost(a: BindableService, b: BindableService): boolean {
  return a.hosts.some((one) => b.hosts.some((other) => meets(one, other) || meets(other, one)));
}

/** Whether `pattern` (`*`, `*.example.com`, a name) stands for `host` or for hosts that `host` stands for. */
function meets(pattern: string, host: string): boolean {
  return pattern === '*' || pattern === host || (pattern.startsWith('*.') && host.endsWith(pattern.slice(1)));
}
