/**
 * What the families of service metrics are made of: a reading of a service, and the shapes that most of them have.
 */
import type { RolloutState } from '../policy/rollout.ts';
import { SERVICE_SLOTS, type ServiceCounters } from './service-counters.ts';
import type { MetricFamily, Sample } from './metric-family.ts';
import type { ServiceSource, UpstreamSource } from './metrics-source.ts';

/** One service, its counters summed over the workers. */
export interface ServiceReading {
  readonly name: string;
  readonly slots: Float64Array;
  readonly rollout: RolloutState | null;
  readonly upstream: UpstreamSource;
}

export function readService({ name, blocks, rollout, upstream }: ServiceSource): ServiceReading {
  return { name, slots: sumOf(blocks), rollout, upstream };
}

export const VARIANTS = ['stable', 'canary'] as const;

export type Family = MetricFamily<readonly ServiceReading[]>;

export function family(
  type: Family['type'],
  name: string,
  help: string,
  labels: readonly string[],
  samples: (service: ServiceReading) => Sample[],
): Family {
  return { name, help, type, labels, collect: (services) => services.flatMap(samples) };
}

export function gaugePair(name: string, help: string, slot: number): Family {
  return family('gauge', name, help, ['service', 'variant'], (service) =>
    pair(service.name, service.slots, slot),
  );
}

export function single(name: string, help: string, slot: number): Family {
  return family('counter', name, help, ['service'], (service) => [
    { labels: { service: service.name }, value: service.slots[slot]! },
  ]);
}

export function pair(service: string, slots: Float64Array, slot: number): Sample[] {
  return byVariant((variant, index) => [{ labels: { service, variant }, value: slots[slot + index]! }]);
}

export function byVariant(samples: (variant: (typeof VARIANTS)[number], index: 0 | 1) => Sample[]): Sample[] {
  return [...samples('stable', 0), ...samples('canary', 1)];
}

function sumOf(blocks: readonly ServiceCounters[]): Float64Array {
  const sum = new Float64Array(SERVICE_SLOTS);
  for (const { slots } of blocks) {
    for (let slot = 0; slot < SERVICE_SLOTS; slot++) sum[slot]! += slots[slot]!;
  }
  return sum;
}
