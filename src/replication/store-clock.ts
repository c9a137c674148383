/**
 * What the store's clock says now, by round trips and this machine's monotonic clock. The wall clock plays no part.
 *
 * A round trip tells for sure that the store's clock stood at `time` at some moment between sending and receiving, so the
 * distance between the two clocks lies in an interval as wide as the trip took (Cristian, "Probabilistic clock
 * synchronization", 1989). Intervals of several trips are intersected (Marzullo 1984, as in NTP's clock selection), which
 * keeps what the fastest trips told; between trips the interval grows by the most that the two clocks can drift apart.
 * A trip whose interval has nothing in common with it means that the store's clock jumped, as it does when another
 * server takes over: then that trip alone counts.
 *
 * Promise: while the store's clock runs, the error is at most `errorBound()`. A jump is noticed as soon as it is longer than the
 * interval, and until then puts `now()` wrong by no more than the next trip took.
 */

/** How far the two clocks can drift apart, as a share of the time that passes: both may be slewed by 500 ppm. */
const DRIFT = 0.001;
/** What is cut off the store's time: it comes in whole milliseconds. */
const RESOLUTION = 1;

export interface RoundTrip {
  /** The monotonic clock before the request and after the answer, in ms. */
  readonly sentAt: number;
  readonly receivedAt: number;
  /** The store's clock in between, in whole ms since 1970. */
  readonly time: number;
}

export interface StoreClock {
  /** Takes a round trip. One that makes no sense is left out of account. */
  sample(trip: RoundTrip): void;
  /** The store's clock, in ms since 1970; null before the first round trip. It may go back by up to the error. */
  now(): number | null;
  /** How wrong `now()` can be, in ms; Infinity before the first round trip. */
  errorBound(): number;
  /** How often the store's clock jumped. */
  readonly jumps: number;
}

/** `monotonic` gives ms from any moment on and never goes back. */
export function createStoreClock(monotonic: () => number): StoreClock {
  /** The distance of the clocks at `at`, by the monotonic clock, is between the two. */
  let low = -Infinity;
  let high = Infinity;
  let at = 0;
  let jumps = 0;
  const grown = (now: number): number => Math.max(0, now - at) * DRIFT;
  return {
    sample({ sentAt, receivedAt, time }) {
      if (!Number.isFinite(time) || !(receivedAt >= sentAt)) return;
      const drift = grown(receivedAt);
      // While the trip lasts the clocks drift as well.
      const slack = (receivedAt - sentAt) * DRIFT;
      const lowest = time - receivedAt - slack;
      const highest = time + RESOLUTION - sentAt + slack;
      low = Math.max(low - drift, lowest);
      high = Math.min(high + drift, highest);
      if (low > high) {
        jumps++;
        low = lowest;
        high = highest;
      }
      at = Math.max(at, receivedAt);
    },
    now: () => (high === Infinity ? null : monotonic() + (low + high) / 2),
    errorBound: () => (high - low) / 2 + grown(monotonic()),
    get jumps() {
      return jumps;
    },
  };
}
