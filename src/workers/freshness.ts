/**
 * For how long the workers may give the canary by what they know, also where the main thread, which would tell them otherwise, sleeps.
 *
 * A process that was stopped for longer than a rollback may go unnoticed wakes up with all its threads at once, and a request that lay
 * waiting may be read before the main thread has looked at a clock. So the moment up to which what is known counts stands in shared
 * memory, by a clock that all threads share and that goes on while the process is stopped; each request compares it.
 */
import type { Snapshot } from '../contract/snapshot.ts';

/** Monotonic, in ms, and the same on all threads; `performance.now()` has another beginning on each. */
export function sharedNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Shared memory that says: without end. */
export function freshnessMemory(): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT);
  new Float64Array(memory)[0] = Number.POSITIVE_INFINITY;
  return memory;
}

/** What is known counts up to `until`, on the shared clock. */
export function setFreshUntil(memory: SharedArrayBuffer, until: number): void {
  new Float64Array(memory)[0] = until;
}

/** Whether what is known no longer counts at `at`, on a clock that shows `apart` less than the shared one does. */
export function freshness(memory: SharedArrayBuffer, apart: number): (at: number) => boolean {
  const until = new Float64Array(memory);
  return (at) => at + apart > until[0]!;
}

/** As if every rollout under way were rolled back. */
export function withoutCanary(snapshot: Snapshot): Snapshot {
  return {
    ...snapshot,
    services: snapshot.services.map((service) => {
      const { rollout } = service;
      const underWay = rollout !== null && rollout.phase !== 'idle' && rollout.phase !== 'rolledBack';
      return underWay ? { ...service, rollout: { ...rollout, phase: 'rolledBack' as const } } : service;
    }),
  };
}
