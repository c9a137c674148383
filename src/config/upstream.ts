/**
 * A service's `balance`, `outlier`, `breaker` and `retryBudget`: how requests are divided among endpoints, and what becomes of endpoints in
 * trouble. Their schema, defaults and checks. Times are milliseconds, shares lie between 0 and 1.
 */
import { Type, type Static } from 'typebox';
import type { BreakerSettings, UpstreamSettings } from '../contract/upstream-settings.ts';
import { milliseconds, parseDuration } from '../schema/duration.ts';
import type { Fault } from '../schema/faults.ts';
import { closed, count, duration, percent } from './schema-parts.ts';

export const BalanceDefinition = Type.Object(
  {
    slowStart: duration('how long an endpoint that joins others or comes back gets less than its share'),
    latencyDecay: duration('how fast a bad latency is forgotten'),
  },
  { ...closed, description: 'how requests are divided among the endpoints of a variant' },
);

export const OutlierDefinition = Type.Object(
  {
    consecutiveFailures: count('failures in a row that eject an endpoint; 0: never for that', 0, 1000),
    failurePercentage: percent(
      'failures in a window above which an endpoint is ejected; 100: never for that',
    ),
    minRequests: count('attempts in a window below which the percentage says nothing', 1, 1_000_000),
    window: duration('over which failures are counted'),
    ejection: duration('how long the first ejection lasts; the n-th in a row lasts n times as long'),
    maxEjection: duration('how long an ejection lasts at most'),
    maxEjectedPercentage: percent(
      'endpoints of a variant that may be ejected at a time, one at least; 0: none ever is',
    ),
    panicPercentage: percent("stable's endpoints in good standing below which all of them are used"),
    gatewayStatuses: Type.Optional(
      Type.Boolean({ description: 'answers of 502, 503 and 504 are failures too' }),
    ),
  },
  { ...closed, description: 'when an endpoint that keeps failing is left out, and for how long' },
);

export const BreakerDefinition = Type.Object(
  {
    failurePercentage: percent('failures in the window above which canary users get stable; 100: never'),
    minRequests: count('attempts in the window below which the percentage says nothing', 1, 1_000_000),
    window: duration('over which failures are counted'),
    open: duration('how long all canary users get stable'),
    recovery: duration('from the first users who probe the canary to all of them'),
  },
  { ...closed, description: 'when canary users get stable because the canary fails' },
);

export const RetryBudgetDefinition = Type.Object(
  {
    percentage: percent('retries, of the requests of the last ten seconds'),
    minPerSecond: count('retries a second that are allowed on top', 0, 100_000),
  },
  { ...closed, description: 'how many retries a variant may see, in each worker' },
);

/** What a service says of them. */
interface UpstreamDefinition {
  readonly balance?: Static<typeof BalanceDefinition>;
  readonly outlier?: Static<typeof OutlierDefinition>;
  readonly breaker?: Static<typeof BreakerDefinition>;
  readonly retryBudget?: Static<typeof RetryBudgetDefinition>;
}

const DEFAULT_UPSTREAM: UpstreamSettings = {
  balance: { slowStart: 10_000, latencyDecay: 10_000 },
  outlier: {
    consecutiveFailures: 5,
    failureRatio: 0.5,
    minRequests: 20,
    window: 10_000,
    ejectionTime: 30_000,
    maxEjectionTime: 300_000,
    maxEjected: 0.5,
    panicBelow: 0.5,
    gatewayStatuses: false,
  },
  retryBudget: { share: 0.2, minPerSecond: 10 },
};

const DEFAULT_BREAKER: BreakerSettings = {
  failureRatio: 0.5,
  minRequests: 20,
  window: 10_000,
  openTime: 10_000,
  recoveryTime: 10_000,
};

export function upstreamSettings({
  balance = {},
  outlier = {},
  retryBudget = {},
  breaker = {},
}: UpstreamDefinition): UpstreamSettings & { readonly breaker: BreakerSettings } {
  const defaults = DEFAULT_UPSTREAM.outlier;
  const ejectionTime = milliseconds(outlier.ejection, defaults.ejectionTime);
  return {
    balance: {
      slowStart: milliseconds(balance.slowStart, DEFAULT_UPSTREAM.balance.slowStart),
      latencyDecay: milliseconds(balance.latencyDecay, DEFAULT_UPSTREAM.balance.latencyDecay),
    },
    outlier: {
      consecutiveFailures: outlier.consecutiveFailures ?? defaults.consecutiveFailures,
      failureRatio: share(outlier.failurePercentage, defaults.failureRatio),
      minRequests: outlier.minRequests ?? defaults.minRequests,
      window: milliseconds(outlier.window, defaults.window),
      ejectionTime,
      maxEjectionTime: milliseconds(outlier.maxEjection, Math.max(ejectionTime, defaults.maxEjectionTime)),
      maxEjected: share(outlier.maxEjectedPercentage, defaults.maxEjected),
      panicBelow: share(outlier.panicPercentage, defaults.panicBelow),
      gatewayStatuses: outlier.gatewayStatuses ?? defaults.gatewayStatuses,
    },
    retryBudget: {
      share: share(retryBudget.percentage, DEFAULT_UPSTREAM.retryBudget.share),
      minPerSecond: retryBudget.minPerSecond ?? DEFAULT_UPSTREAM.retryBudget.minPerSecond,
    },
    breaker: {
      failureRatio: share(breaker.failurePercentage, DEFAULT_BREAKER.failureRatio),
      minRequests: breaker.minRequests ?? DEFAULT_BREAKER.minRequests,
      window: milliseconds(breaker.window, DEFAULT_BREAKER.window),
      openTime: milliseconds(breaker.open, DEFAULT_BREAKER.openTime),
      recoveryTime: milliseconds(breaker.recovery, DEFAULT_BREAKER.recoveryTime),
    },
  };
}

function share(percentage: number | undefined, otherwise: number): number {
  return percentage === undefined ? otherwise : percentage / 100;
}

/** Times that have to be longer than nothing, each with what it would do otherwise. */
const POSITIVE = [
  ['balance', 'latencyDecay', 'latencies would be forgotten at once'],
  ['outlier', 'window', 'nothing would be counted'],
  ['outlier', 'ejection', 'an ejection would be over at once'],
  ['breaker', 'window', 'nothing would be counted'],
] as const;

/** Times that do not fit together. Pointers begin at the service. */
export function upstreamFaults(service: UpstreamDefinition): Fault[] {
  const faults: Fault[] = [];
  for (const [part, field, otherwise] of POSITIVE) {
    const text = (service[part] as { readonly [name: string]: unknown } | undefined)?.[field];
    if (typeof text === 'string' && parseDuration(text) === 0) {
      faults.push({
        pointer: `/${part}/${field}`,
        detail: `with ${text} ${otherwise}; expected a duration above 0, such as 10s`,
      });
    }
  }
  const { outlier } = upstreamSettings(service);
  if (outlier.maxEjectionTime < outlier.ejectionTime) {
    faults.push({
      pointer: '/outlier/maxEjection',
      detail: `the longest ejection of ${service.outlier?.maxEjection} is shorter than the first one; expected at least ${outlier.ejectionTime} ms`,
    });
  }
  return faults;
}
