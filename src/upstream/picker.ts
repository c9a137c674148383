/**
 * The picker: which endpoint of a variant gets the next request.
 *
 * Power of two choices: two different endpoints are drawn by weight, and the second takes the request where its cost
 * (latency × requests in flight by weight) is clearly below the first one's. Costs nearly alike are noise: then the draw stands, so
 * that shares follow the weights also when nothing is in flight, and no endpoint takes all for being a hair faster.
 * Sources: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001; Finagle's PeakEwma for the cost.
 *
 * It picks from a picture of the moment that is swapped whole when an endpoint comes, goes, fails or returns, so that a
 * pick looks at no state but the two costs.
 */
import type { Endpoint } from './endpoint.ts';

/** The endpoints that may be picked now. Immutable. */
export interface Picture {
  readonly endpoints: readonly Endpoint[];
  /** Running sums of their weights; null where all weigh the same. */
  readonly sums: Float64Array | null;
}

export const EMPTY_PICTURE: Picture = { endpoints: [], sums: null };

/** The second one drawn must be cheaper by this factor. */
const CLEARLY = 1.25;
/** What an endpoint gets of its weight at the very beginning of its slow start. */
const LEAST_RAMP = 0.1;

/**
 * Makes the picture of `endpoints`, each with its weight, less while its slow start lasts (`slowStart` in ms), and tells each
 * what a request in flight counts. `settled`: no weight will change by itself.
 */
export function makePicture(
  endpoints: readonly Endpoint[],
  now: number,
  slowStart: number,
): { picture: Picture; settled: boolean } {
  const weights = new Float64Array(endpoints.length);
  let total = 0;
  let alike = true;
  let settled = true;
  for (const [index, endpoint] of endpoints.entries()) {
    const ramp = rampOf(endpoint, now, slowStart);
    if (ramp < 1) settled = false;
    const weight = endpoint.weight * ramp;
    weights[index] = weight;
    total += weight;
    if (weight !== weights[0]) alike = false;
  }
  const mean = total / endpoints.length;
  let sum = 0;
  for (const [index, endpoint] of endpoints.entries()) {
    endpoint.loadFactor = mean / weights[index]!;
    sum += weights[index]!;
    weights[index] = sum;
  }
  return { picture: { endpoints, sums: alike ? null : weights }, settled };
}

/** From LEAST_RAMP to 1, linear over the slow start. */
function rampOf(endpoint: Endpoint, now: number, slowStart: number): number {
  const age = now - endpoint.usedSince;
  return age >= slowStart ? 1 : Math.max(LEAST_RAMP, age / slowStart);
}

/** Picks an endpoint of the picture, or null from an empty one. `random` is uniform in [0, 1). */
export function pick({ endpoints, sums }: Picture, random: () => number): Endpoint | null {
  const count = endpoints.length;
  if (count < 2) return count === 0 ? null : endpoints[0]!;
  let at: number;
  let other: number;
  if (sums === null) {
    at = Math.floor(random() * count);
    other = Math.floor(random() * (count - 1));
    if (other >= at) other += 1;
  } else {
    const total = sums[count - 1]!;
    at = find(sums, random() * total);
    // Among the others: the first one's stretch is left out. Where rounding leads back into it, the first one stays.
    const from = at === 0 ? 0 : sums[at - 1]!;
    const length = sums[at]! - from;
    const point = random() * (total - length);
    other = find(sums, point < from ? point : point + length);
  }
  const first = endpoints[at]!;
  const second = endpoints[other]!;
  return second.cost * CLEARLY < first.cost ? second : first;
}

/** The first index whose running sum is above `point`; the last one where rounding left none. */
function find(sums: Float64Array, point: number): number {
  let low = 0;
  let high = sums.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sums[middle]! > point) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Picks among those that are not in `tried`: the rare case, so it may look at all of them. */
export function pickUntried(
  endpoints: readonly Endpoint[],
  tried: readonly Endpoint[],
  random: () => number,
): Endpoint | null {
  const rest = endpoints.filter((endpoint) => !tried.includes(endpoint));
  return pick({ endpoints: rest, sums: null }, random);
}
