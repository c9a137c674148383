/**
 * What must hold of a service's endpoint settings beyond its schema: times that fit together, and paths that can be asked for.
 */
import type { Fault } from '../schema/faults.ts';
import { parseDuration } from '../schema/duration.ts';
import type { ServiceDefinition } from './schema.ts';
import { upstreamSettings, variantSnapshot } from './upstream-defaults.ts';

/** Times that have to be longer than nothing, each with what it would do otherwise. */
const POSITIVE = [
  ['balance', 'latencyDecay', 'latencies would be forgotten at once'],
  ['outlier', 'window', 'nothing would be counted'],
  ['outlier', 'ejection', 'an ejection would be over at once'],
  ['breaker', 'window', 'nothing would be counted'],
] as const;

/** The faults of a definition that its schema admits. */
export function upstreamFaults(service: ServiceDefinition): Fault[] {
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
  for (const variant of ['stable', 'canary'] as const) faults.push(...checkFaults(service, variant));
  return faults;
}

function checkFaults(service: ServiceDefinition, variant: 'stable' | 'canary'): Fault[] {
  const check = service[variant]?.healthCheck;
  if (check === undefined) return [];
  const pointer = `/${variant}/healthCheck`;
  if (service[variant]?.protocol === 'h2c') {
    const detail =
      'health checks speak HTTP/1.1, which endpoints of protocol h2c do not; leave it out, and endpoints are judged by requests';
    return [{ pointer, detail }];
  }
  const { healthCheck } = variantSnapshot({ healthCheck: check });
  const { interval, timeout } = healthCheck!;
  if (interval < 100) {
    return [
      {
        pointer: `${pointer}/interval`,
        detail: `a check every ${check.interval} is a load of its own; expected 100ms or more`,
      },
    ];
  }
  if (timeout === 0) {
    return [
      {
        pointer: `${pointer}/timeout`,
        detail: 'with 0s no answer would come in time; expected a duration above 0, such as 2s',
      },
    ];
  }
  if (timeout <= interval) return [];
  return [
    {
      pointer: `${pointer}/timeout`,
      detail: `a timeout of ${check.timeout} is longer than the interval of ${interval} ms, so checks of an endpoint would overlap; expected at most the interval`,
    },
  ];
}
