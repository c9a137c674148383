/**
 * What the threads of one replica tell each other about a service's endpoints, as blocks of shared memory.
 *
 * Every slot has one writer: the main thread writes the gate and the health, each worker its own loads (and its own
 * circuit slots, see `circuit.ts`). Readers look four times a second, but for the gate, which is one load per canary request.
 * A block that depends on the list of endpoints is made anew when that list changes; the others last as long as the service.
 */
import { BUCKETS } from '../policy/bucket.ts';
import { circuitBytes } from './circuit.ts';

export interface UpstreamBlocks {
  /** One Int32: canary users with a bucket below it get the canary. */
  readonly gate: SharedArrayBuffer;
  readonly circuit: SharedArrayBuffer;
  /** One byte for each endpoint, stable's first: its place in HEALTH. */
  readonly health: SharedArrayBuffer;
  /** The worker's own: LOAD_FIELDS doubles for each endpoint, stable's first. */
  readonly loads: SharedArrayBuffer;
}

/** The gate while the breaker is closed: no bucket is as high. */
export const GATE_OPEN = BUCKETS;

export const HEALTH = ['unknown', 'healthy', 'unhealthy'] as const;

/** What a worker tells of an endpoint. */
export const LOAD = {
  inFlight: 0,
  connections: 1,
  /** In ms; -1 while none was observed. */
  latency: 2,
  /** 1 while it is left out because it did not accept a connection. */
  down: 3,
  /** Milliseconds for which it is still ejected; 0: it is not. */
  ejectedFor: 4,
} as const;
export const LOAD_FIELDS = 5;

/** The blocks of one service that all workers share, and one `loads` for each. */
export interface ReplicaBlocks {
  readonly gate: SharedArrayBuffer;
  readonly circuit: SharedArrayBuffer;
  readonly health: SharedArrayBuffer;
  readonly loads: readonly SharedArrayBuffer[];
}

/** New blocks for `endpoints` endpoints; gate and circuit are those of `before`, if there were any. */
export function replicaBlocks(
  endpoints: number,
  workers: number,
  before: ReplicaBlocks | null,
): ReplicaBlocks {
  const gate = before?.gate ?? new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  if (before === null) new Int32Array(gate)[0] = GATE_OPEN;
  return {
    gate,
    circuit: before?.circuit ?? new SharedArrayBuffer(circuitBytes(workers)),
    health: new SharedArrayBuffer(endpoints),
    loads: Array.from(
      { length: workers },
      () => new SharedArrayBuffer(endpoints * LOAD_FIELDS * Float64Array.BYTES_PER_ELEMENT),
    ),
  };
}

/** The blocks that worker `index` gets. */
export function blocksOf({ gate, circuit, health, loads }: ReplicaBlocks, index: number): UpstreamBlocks {
  return { gate, circuit, health, loads: loads[index]! };
}
