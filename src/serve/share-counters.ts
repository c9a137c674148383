/**
 * Wires what the workers count to the comparison of stable and canary over all replicas.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { performance } from 'node:perf_hooks';
import { type CounterExchange, createCounterExchange } from '../comparison/counter-exchange.ts';
import { totalsOf } from '../comparison/totals.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';
import type { FleetParts } from './join-fleet.ts';

/** `fleet` is null for a replica that is alone. */
export function shareCounters(
  pool: Pick<WorkerPool, 'snapshot' | 'serviceCounters'>,
  fleet: Pick<FleetParts, 'name' | 'boot' | 'exchangeCounters'> | null,
): CounterExchange {
  return createCounterExchange({
    boot: fleet?.boot ?? randomBytes(8).toString('hex'),
    name: fleet?.name ?? hostname(),
    totals: () =>
      new Map(pool.snapshot?.services.map(({ name }) => [name, totalsOf(pool.serviceCounters(name))])),
    exchange: fleet === null ? null : (report) => fleet.exchangeCounters(report),
    monotonicNow: () => performance.now(),
  });
}
