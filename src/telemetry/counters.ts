/**
 * Counters in shared memory: what a worker counts while it serves requests.
 *
 * Each block (one per worker, and one per worker and service) has exactly one writer, the worker, which uses plain
 * stores: 2 ns, where an Atomics add costs 18. Any thread may read at any time; each slot is an aligned double, so a read
 * gives an old or a new value, never a mixture, and counts stay exact up to 2^53. Slots are independent: what must agree
 * (a histogram's count and its buckets) is derived from the same slots by the reader.
 *
 * A worker's replacement gets the same blocks, so that counters never fall; it calls `adopt()` first, because whatever
 * its predecessor had open is gone. The predecessor must have ended by then: two writers would lose counts.
 * Nothing here allocates, throws or waits after construction.
 */
/** How an attempt to get an answer from an endpoint ended, by index. */
export const OUTCOMES = [
  'ok',
  'connect_failed',
  'connect_timeout',
  'tls_failed',
  'reset',
  'response_timeout',
  'bad_response',
  /** A complete answer of 502, 503 or 504, where the service takes these for failures. */
  'gateway_error',
  'client_gone',
  /** This process had no descriptor or memory for it: the endpoint was not asked. */
  'shortage',
] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** What a service may limit at its endpoints, by index. */
export const CIRCUIT_LIMITS = ['connections', 'pending', 'requests'] as const;
export type CircuitLimit = (typeof CIRCUIT_LIMITS)[number];

/** Why the process turned a connection or a request away, by index. */
export const WORKER_OVERLOADS = ['connections', 'requests', 'memory'] as const;
export type WorkerOverload = (typeof WORKER_OVERLOADS)[number];

/** Which limit of a service a request was turned away for, by index. */
export const SERVICE_OVERLOADS = ['requests', 'tunnels'] as const;
export type ServiceOverload = (typeof SERVICE_OVERLOADS)[number];

/**
 * What a client was cut for, by index: it stopped sending its request's body, or sent it too slowly; it read nothing of its answer, or
 * read it too slowly.
 */
export const SLOW_CLIENTS = ['body_silent', 'body_slow', 'answer_unread', 'answer_slow'] as const;
export type SlowClient = (typeof SLOW_CLIENTS)[number];

/** How a mirrored request ended, by index. The last three were not sent: too many, no endpoint, no body that can be copied. */
export const MIRROR_OUTCOMES = [
  'answered',
  'connect_failed',
  'timeout',
  'reset',
  'bad_response',
  'busy',
  'no_endpoint',
  'body',
] as const;
export type MirrorOutcome = (typeof MIRROR_OUTCOMES)[number];

/** 0 is stable, 1 is canary. */
export type VariantIndex = 0 | 1;

/** The slots of a block of `count`. Throws RangeError where the block has another size. */
export function slotsOf(buffer: SharedArrayBuffer, count: number): Float64Array {
  const bytes = count * Float64Array.BYTES_PER_ELEMENT;
  if (buffer.byteLength !== bytes) {
    throw new RangeError(`a counter block has ${bytes} bytes, not ${buffer.byteLength}`);
  }
  return new Float64Array(buffer);
}
