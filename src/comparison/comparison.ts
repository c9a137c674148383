/**
 * Stable and canary side by side, as the API shows it: what was counted, and nothing that follows from it.
 */
import { DURATION_BOUNDS, DURATION_BUCKETS } from '../telemetry/duration-buckets.ts';
import {
  AT_DURATIONS,
  AT_FAILURES,
  AT_FALLBACKS,
  STATUS_CLASSES,
  type ServiceTotals,
  type Totals,
} from './totals.ts';
import type { ReplicaHeard } from './traffic-window.ts';

/** A percentile, interpolated within the histogram's bucket that holds it; `to` is null in the one without an upper bound. */
export interface PercentileView {
  readonly ms: number | null;
  readonly from: number;
  readonly to: number | null;
}

export interface VariantView {
  readonly requests: number;
  readonly requestsPerSecond: number;
  /** Of the requests of both variants, 0 to 1; null where there are none. */
  readonly share: number | null;
  readonly statusClasses: { readonly [name in (typeof STATUS_CLASSES)[number]]: number };
  /** Answers of 5xx among all, 0 to 1; null where there are none. */
  readonly errorRatio: number | null;
  /** Attempts at endpoints that brought no answer, retried ones included. */
  readonly transportFailures: number;
  /** Requests that were assigned to this variant and served by the other. */
  readonly fallbacks: number;
  /** Null where there are no requests. */
  readonly latency: { readonly [name in 'p50' | 'p95' | 'p99']: PercentileView } | null;
}

export interface ComparisonView {
  readonly service: string;
  readonly windowSeconds: number;
  /** What of the window this replica has watched. */
  readonly coveredSeconds: number;
  readonly stable: VariantView;
  readonly canary: VariantView;
  /** The replicas that it is about. */
  readonly replicas: readonly { readonly name: string; readonly reportedSecondsAgo: number }[];
  /** Names of those whose newest numbers are not in it: they have stopped, or are out of reach. */
  readonly missing: readonly string[];
  readonly note: string;
}

/** A replica that has said nothing for so long is missing, in ms. */
const MISSING_AFTER = 15_000;

const NOTE =
  'What was counted, by the variant that answered. Not a verdict: users of the canary are not a random sample of all users, and a few of them may make many requests.';

export function compare(
  service: string,
  window: number,
  { totals: [stable, canary], covered }: { readonly totals: ServiceTotals; readonly covered: number },
  replicas: readonly ReplicaHeard[],
): ComparisonView {
  const all = requestsOf(stable) + requestsOf(canary);
  const seconds = Math.max(covered, 1000) / 1000;
  return {
    service,
    windowSeconds: window / 1000,
    coveredSeconds: Math.round(covered / 1000),
    stable: viewOf(stable, all, seconds),
    canary: viewOf(canary, all, seconds),
    replicas: replicas.map(({ name, age }) => ({ name, reportedSecondsAgo: Math.round(age / 1000) })),
    missing: replicas.filter(({ age }) => age > MISSING_AFTER).map(({ name }) => name),
    note: NOTE,
  };
}

function viewOf(totals: Totals, all: number, seconds: number): VariantView {
  const requests = requestsOf(totals);
  const statusClasses = Object.fromEntries(
    STATUS_CLASSES.map((name, place) => [name, totals[place]!]),
  ) as VariantView['statusClasses'];
  const timed = totals.slice(AT_DURATIONS);
  return {
    requests,
    requestsPerSecond: rounded(requests / seconds, 3),
    share: all === 0 ? null : rounded(requests / all, 6),
    statusClasses,
    errorRatio: requests === 0 ? null : rounded(statusClasses['5xx'] / requests, 6),
    transportFailures: totals[AT_FAILURES]!,
    fallbacks: totals[AT_FALLBACKS]!,
    latency: timed.every((count) => count === 0)
      ? null
      : { p50: percentile(timed, 0.5), p95: percentile(timed, 0.95), p99: percentile(timed, 0.99) },
  };
}

function requestsOf(totals: Totals): number {
  return totals.slice(0, STATUS_CLASSES.length).reduce((sum, count) => sum + count, 0);
}

function percentile(buckets: readonly number[], share: number): PercentileView {
  const rank = share * buckets.reduce((sum, count) => sum + count, 0);
  let before = 0;
  for (let bucket = 0; bucket < DURATION_BUCKETS; bucket++) {
    const count = buckets[bucket]!;
    if (count > 0 && before + count >= rank) {
      const from = bucket === 0 ? 0 : DURATION_BOUNDS[bucket - 1]! * 1000;
      const bound = DURATION_BOUNDS[bucket];
      if (bound === undefined) return { ms: null, from, to: null };
      const to = bound * 1000;
      const ms = rounded(from + ((to - from) * Math.max(0, rank - before)) / count, 3);
      return { ms, from: rounded(from, 3), to: rounded(to, 3) };
    }
    before += count;
  }
  return { ms: null, from: 0, to: null };
}

function rounded(value: number, digits: number): number {
  return Math.round(value * 10 ** digits) / 10 ** digits;
}
