/**
 * What stands in the way of users who are given the canary: no endpoint of it that may be picked, as far as this replica knows now.
 *
 * Nothing is asked over the network: discovered endpoints are those of the moment, and of each counts what requests and health checks
 * have shown. One that nobody has tried yet counts as usable.
 */
import type { EndpointView } from './api.ts';
import { sourceName } from '../config/endpoint-source.ts';
import { formatHostPort } from '../net/host-port.ts';
import type { ServiceDefinition } from '../config/service.ts';
import type { Discovery } from '../discovery/discovery.ts';
import type { Refusal } from '../rollout/refusal.ts';

export interface CanaryFault {
  /** As the middle of a sentence. */
  readonly detail: string;
  readonly figures: Refusal['figures'];
}

export interface CanarySources {
  readonly discovery: Pick<Discovery, 'endpoints'>;
  readonly endpoints: () => readonly EndpointView[];
  /** How the breaker of a service's canary stands. */
  readonly breaker?: (service: string) => string;
}

/** Why no request can reach the canary now; null where one can. Never throws. */
export type CanaryGuard = (service: string, definition: ServiceDefinition) => CanaryFault | null;

/** Without `breaker` breakers count as closed. */
export function createCanaryGuard({
  discovery,
  endpoints: views,
  breaker: breakerOf,
}: CanarySources): CanaryGuard {
  return (service, { canary }) => {
    const known = canary === undefined ? [] : discovery.endpoints(canary);
    if (canary === undefined || known.length === 0) {
      const source = canary === undefined ? 'it has no canary' : sourceName(canary);
      return {
        detail: `no endpoint of the canary of "${service}" is known (${source})`,
        figures: { usable: 0, endpoints: 0 },
      };
    }
    const standings = new Map(
      views()
        .filter((view) => view.service === service && view.variant === 'canary')
        .map((view) => [view.address, view.standing]),
    );
    const bad = known.flatMap((endpoint) => {
      const address = formatHostPort(endpoint);
      const standing = standings.get(address) ?? 'good';
      return standing === 'good' ? [] : [`${address} is ${standing}`];
    });
    if (bad.length < known.length) {
      if (breakerOf?.(service) !== 'open') return null;
      return {
        detail: `the breaker of the canary of "${service}" is open, because too many requests to it fail`,
        figures: { usable: 0, endpoints: known.length },
      };
    }
    return {
      detail: `none of the ${known.length} endpoints of the canary of "${service}" is usable (${bad[0]})`,
      figures: { usable: 0, endpoints: known.length },
    };
  };
}
