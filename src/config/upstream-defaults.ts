/**
 * What holds for a service's endpoints where its definition says nothing. Times are milliseconds, shares lie between 0 and 1.
 */
import type { EndpointSnapshot, EndpointTls, VariantSnapshot } from '../contract/snapshot.ts';
import type {
  BreakerSettings,
  CircuitSettings,
  HealthCheckSettings,
  UpstreamSettings,
} from '../contract/upstream-settings.ts';
import { sourceName } from './endpoint-source.ts';
import { milliseconds } from '../schema/duration.ts';
import { parseEndpoint } from '../net/host-port.ts';
import type { ServiceDefinition } from './schema.ts';
import type { EndpointDefinition, VariantDefinition } from './upstream-schema.ts';

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

const DEFAULT_HEALTH_CHECK: Omit<HealthCheckSettings, 'path'> = {
  interval: 10_000,
  timeout: 2000,
  healthyThreshold: 2,
  unhealthyThreshold: 3,
  expectedStatus: [],
};

const NO_LIMITS: CircuitSettings = { maxConnections: 0, maxPending: 0, maxRequests: 0 };

const DEFAULT_WEIGHT = 1;

const DEFAULT_PROTOCOL = 'http1';

export function upstreamSettings({
  balance = {},
  outlier = {},
  retryBudget = {},
  breaker = {},
}: ServiceDefinition): UpstreamSettings & { readonly breaker: BreakerSettings } {
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

/** A variant as the workers see it: with its listed endpoints, or with `endpoints` where these were discovered. */
export function variantSnapshot(
  variant: ServiceDefinition['canary'] = {},
  tls: EndpointTls | null = null,
  endpoints: readonly EndpointSnapshot[] = listedEndpoints(variant),
): VariantSnapshot {
  const { protocol = DEFAULT_PROTOCOL, circuit, healthCheck } = variant;
  return {
    protocol,
    endpoints,
    source: sourceName(variant),
    circuit: { ...NO_LIMITS, ...circuit },
    healthCheck:
      healthCheck === undefined
        ? null
        : {
            path: healthCheck.path,
            interval: milliseconds(healthCheck.interval, DEFAULT_HEALTH_CHECK.interval),
            timeout: checkTimeout(healthCheck),
            healthyThreshold: healthCheck.healthyThreshold ?? DEFAULT_HEALTH_CHECK.healthyThreshold,
            unhealthyThreshold: healthCheck.unhealthyThreshold ?? DEFAULT_HEALTH_CHECK.unhealthyThreshold,
            expectedStatus: healthCheck.expectedStatus ?? DEFAULT_HEALTH_CHECK.expectedStatus,
          },
    tls,
  };
}

type HealthCheck = NonNullable<NonNullable<ServiceDefinition['canary']>['healthCheck']>;

/** Where nothing is said, a check is over before the next one begins. */
function checkTimeout({ interval, timeout }: HealthCheck): number {
  const most = milliseconds(interval, DEFAULT_HEALTH_CHECK.interval);
  return milliseconds(timeout, Math.min(most, DEFAULT_HEALTH_CHECK.timeout));
}

/** The endpoints that a definition lists. They must have been checked. */
export function listedEndpoints({ endpoints = [] }: VariantDefinition): readonly EndpointSnapshot[] {
  return endpoints.map(endpointSnapshot);
}

function endpointSnapshot(definition: EndpointDefinition): EndpointSnapshot {
  const parsed = parseEndpoint(endpointAddress(definition));
  // The definition's checks have been through it.
  if (typeof parsed === 'string') throw new Error(parsed);
  return { ...parsed, weight: endpointWeight(definition) };
}

/** The address of an endpoint as the definition writes it. */
export function endpointAddress(definition: EndpointDefinition): string {
  return typeof definition === 'string' ? definition : definition.address;
}

function endpointWeight(definition: EndpointDefinition): number {
  return typeof definition === 'string' ? DEFAULT_WEIGHT : (definition.weight ?? DEFAULT_WEIGHT);
}

function share(percentage: number | undefined, otherwise: number): number {
  return percentage === undefined ? otherwise : percentage / 100;
}
