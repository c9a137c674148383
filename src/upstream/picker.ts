/**
 * The picker: which endpoint of a variant gets the next request.
 *
 * Power of two choices: of two endpoints drawn at random the one with fewer requests in flight. Source: Mitzenmacher,
 * "The Power of Two Choices in Randomized Load Balancing", 2001. Per variant, so a slow pod cannot drag its version.
 * It never returns an endpoint in `tried`, and one that is down only when no other is left and `panic` allows it.
 */
import type { Endpoint } from './endpoint.ts';

/**
 * @param now clock in ms
 * @param random uniform in [0, 1)
 * @param tried endpoints that this request has been to
 * @param panic whether an endpoint that is down may be tried when all are
 */
export function pickEndpoint(
  endpoints: readonly Endpoint[],
  now: number,
  random: () => number,
  tried: readonly Endpoint[],
  panic: boolean,
): Endpoint | null {
  const count = endpoints.length;
  if (tried.length === 0) {
    const first = endpoints[count === 1 ? 0 : Math.floor(random() * count)];
    if (first === undefined) return null;
    if (first.isUp(now)) {
      if (count === 1) return first;
      let at = Math.floor(random() * (count - 1));
      if (endpoints[at] === first) at = count - 1;
      const second = endpoints[at];
      return second !== undefined && second.isUp(now) && second.inFlight < first.inFlight ? second : first;
    }
  }
  return pickAmongRest(endpoints, now, random, tried, panic);
}

/** The rare case: something is down or was tried, so look at all of them. */
function pickAmongRest(
  endpoints: readonly Endpoint[],
  now: number,
  random: () => number,
  tried: readonly Endpoint[],
  panic: boolean,
): Endpoint | null {
  const rest = endpoints.filter((endpoint) => !tried.includes(endpoint));
  const up = rest.filter((endpoint) => endpoint.isUp(now));
  const candidates = up.length > 0 ? up : panic ? rest : [];
  if (candidates.length === 0) return null;
  const first = candidates[Math.floor(random() * candidates.length)];
  const second = candidates[Math.floor(random() * candidates.length)];
  if (first === undefined || second === undefined) return null;
  return second.inFlight < first.inFlight ? second : first;
}

/** Whether a request can be sent to the variant now, without resort to an endpoint that is down. */
export function hasEndpointUp(endpoints: readonly Endpoint[], now: number): boolean {
  for (const endpoint of endpoints) {
    if (endpoint.isUp(now)) return true;
  }
  return false;
}
