/**
 * What can be set about a service's endpoints, as plain data. Times are milliseconds, shares lie between 0 and 1.
 *
 * The defaults are in `config/upstream.ts` and `config/variant.ts`.
 */

export interface BalanceSettings {
  /** How long an endpoint that is new, or back, gets less than its share; 0: at once its whole share. */
  readonly slowStart: number;
  /** How fast a bad latency is forgotten: the time constant of the moving average. */
  readonly latencyDecay: number;
}

export interface OutlierSettings {
  /** Failures in a row after which an endpoint is ejected; 0: never for that. */
  readonly consecutiveFailures: number;
  /** Share of failures in a window above which it is ejected; 1: never for that. */
  readonly failureRatio: number;
  /** Attempts in a window below which its share of failures says nothing. */
  readonly minRequests: number;
  readonly window: number;
  /** The n-th ejection in a row lasts n times this, at most `maxEjectionTime`. */
  readonly ejectionTime: number;
  readonly maxEjectionTime: number;
  /** Share of a variant's endpoints that may be ejected at a time; one always may, unless this is 0. */
  readonly maxEjected: number;
  /** Share of stable's endpoints in good standing below which all of them are used; 0: only when none is left. */
  readonly panicBelow: number;
  /** Answers of 502, 503 and 504 are failures too. */
  readonly gatewayStatuses: boolean;
}

export interface BreakerSettings {
  /** Share of failures in the window above which canary traffic goes to stable; 1: never. */
  readonly failureRatio: number;
  readonly minRequests: number;
  readonly window: number;
  /** How long it stays open before the lowest buckets probe. */
  readonly openTime: number;
  /** From the first probing users to all of them. */
  readonly recoveryTime: number;
}

export interface RetryBudgetSettings {
  /** Retries as a share of the requests of the last ten seconds. */
  readonly share: number;
  /** Retries a second that are allowed on top, so that low traffic can retry. */
  readonly minPerSecond: number;
}

/** What one replica may have under way at the endpoints of one variant; 0: no limit. */
export interface CircuitSettings {
  readonly maxConnections: number;
  /** Requests that wait for a connection to open. */
  readonly maxPending: number;
  readonly maxRequests: number;
}

export interface HealthCheckSettings {
  readonly path: string;
  readonly interval: number;
  readonly timeout: number;
  /** Good answers in a row after which an unhealthy endpoint is healthy again. */
  readonly healthyThreshold: number;
  /** Bad answers in a row after which a healthy endpoint is unhealthy. */
  readonly unhealthyThreshold: number;
  /** The statuses of good answers; empty: any 2xx. */
  readonly expectedStatus: readonly number[];
}

/** All that a worker needs to know about the endpoints of one variant. */
export interface UpstreamSettings {
  readonly balance: BalanceSettings;
  readonly outlier: OutlierSettings;
  readonly retryBudget: RetryBudgetSettings;
}
