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
import { REASONS, TIERS } from '../policy/rollout.ts';
import { HISTOGRAM_SLOTS, observe } from './duration-buckets.ts';
import { STATUS_LABELS, statusSlot } from './status-codes.ts';

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

/** Room for reasons of refusal; an index beyond it counts in the last slot. */
export const REFUSAL_SLOTS = 64;

/** Room for reasons why TLS handshakes fail and why PROXY headers are refused; an index beyond it counts in the last slot. */
const ENTRANCE_SLOTS = 16;

const FIRST_GAUGE = 19 + REFUSAL_SLOTS + 2 * ENTRANCE_SLOTS;

/** Slots of a worker's block: counters first, then gauges. */
export const WORKER_SLOT = {
  accepted: 0,
  tunnels: 1,
  unmatchedHost: 2,
  clientAborted: 3,
  logWritten: 4,
  logDropped: 5,
  cpuSeconds: 6,
  activeSeconds: 7,
  /** One for each of WORKER_OVERLOADS. */
  overloaded: 8,
  http2Streams: 11,
  http2Resets: 12,
  http2Refused: 13,
  refused: 14,
  handshakes: 14 + REFUSAL_SLOTS,
  handshakesResumed: 15 + REFUSAL_SLOTS,
  handshakesFailed: 16 + REFUSAL_SLOTS,
  proxyHeadersRefused: 16 + REFUSAL_SLOTS + ENTRANCE_SLOTS,
  faults: 16 + REFUSAL_SLOTS + 2 * ENTRANCE_SLOTS,
  sleptSeconds: 17 + REFUSAL_SLOTS + 2 * ENTRANCE_SLOTS,
  loopsDetected: 18 + REFUSAL_SLOTS + 2 * ENTRANCE_SLOTS,
  /** From here on gauges, which `adopt` clears. */
  gauges: FIRST_GAUGE,
  connections: FIRST_GAUGE,
  tunnelsOpen: FIRST_GAUGE + 1,
  heartbeat: FIRST_GAUGE + 2,
  revision: FIRST_GAUGE + 3,
  loopDelay: FIRST_GAUGE + 4,
  heapBytes: FIRST_GAUGE + 5,
  requests: FIRST_GAUGE + 6,
  bufferedBytes: FIRST_GAUGE + 7,
  http2SessionsOpen: FIRST_GAUGE + 8,
  http2StreamsOpen: FIRST_GAUGE + 9,
  pendingHandshakes: FIRST_GAUGE + 10,
} as const;

const WORKER_SLOTS = WORKER_SLOT.pendingHandshakes + 1;
export const WORKER_COUNTER_BYTES = WORKER_SLOTS * Float64Array.BYTES_PER_ELEMENT;

const CODES = STATUS_LABELS.length;
const DECISIONS = REASONS.length * TIERS.length;

/** Slots of a service's block, each the start of an array: by variant, then by index. Gauges come last. */
export const SERVICE_SLOT = (() => {
  const codes = 0;
  const duration = codes + 2 * CODES;
  const upstreamDuration = duration + 2 * HISTOGRAM_SLOTS;
  const outcomes = upstreamDuration + 2 * HISTOGRAM_SLOTS;
  const decisions = outcomes + 2 * OUTCOMES.length;
  const retries = decisions + DECISIONS;
  const fallbacks = retries + 2;
  const flips = fallbacks + 2;
  const sharedCacheable = flips + 1;
  const ejections = sharedCacheable + 1;
  const circuitRefusals = ejections + 2;
  const retriesRefused = circuitRefusals + 2 * CIRCUIT_LIMITS.length;
  const overloaded = retriesRefused + 2;
  const mirrorOutcomes = overloaded + SERVICE_OVERLOADS.length;
  const mirrorCodes = mirrorOutcomes + MIRROR_OUTCOMES.length;
  const mirrorDuration = mirrorCodes + CODES;
  const slowClients = mirrorDuration + HISTOGRAM_SLOTS;
  const inFlight = slowClients + SLOW_CLIENTS.length;
  const upstreamConnections = inFlight + 2;
  const tunnelsOpen = upstreamConnections + 2;
  const mirrorsInFlight = tunnelsOpen + 1;
  const end = mirrorsInFlight + 1;
  return {
    codes,
    duration,
    upstreamDuration,
    outcomes,
    decisions,
    retries,
    fallbacks,
    flips,
    sharedCacheable,
    ejections,
    circuitRefusals,
    retriesRefused,
    overloaded,
    mirrorOutcomes,
    mirrorCodes,
    mirrorDuration,
    slowClients,
    /** From here on gauges, which `adopt` clears. */
    gauges: inFlight,
    inFlight,
    upstreamConnections,
    tunnelsOpen,
    mirrorsInFlight,
    end,
  } as const;
})();

export const SERVICE_SLOTS = SERVICE_SLOT.end;
export const SERVICE_COUNTER_BYTES = SERVICE_SLOTS * Float64Array.BYTES_PER_ELEMENT;

// Constants of the hot methods, so that none of them reads an object's property.
const AT_DURATION = SERVICE_SLOT.duration;
const AT_UPSTREAM_DURATION = SERVICE_SLOT.upstreamDuration;
const AT_OUTCOMES = SERVICE_SLOT.outcomes;
const AT_DECISIONS = SERVICE_SLOT.decisions;
const SWITCHING_PROTOCOLS = 101;
const OUTCOME_COUNT = OUTCOMES.length;
const TIER_COUNT = TIERS.length;

/** What one worker counts apart from services. */
export class WorkerCounters {
  readonly slots: Float64Array;

  /** `buffer` holds WORKER_COUNTER_BYTES bytes; RangeError otherwise. */
  constructor(buffer: SharedArrayBuffer) {
    this.slots = slotsOf(buffer, WORKER_SLOTS);
  }

  /** Called once by a worker before it serves: what a predecessor had open is no longer open. */
  adopt(): void {
    this.slots.fill(0, WORKER_SLOT.gauges);
  }

  /** A client connection was accepted (a counter; `connectionOpened` is the gauge). */
  accepted(): void {
    this.slots[WORKER_SLOT.accepted]!++;
  }

  connectionOpened(): void {
    this.slots[WORKER_SLOT.connections]!++;
  }

  connectionClosed(): void {
    this.slots[WORKER_SLOT.connections]!--;
  }

  /** A request was refused by the codec. `reasonIndex` is the index in its list of refusals. */
  refused(reasonIndex: number): void {
    const index = reasonIndex < REFUSAL_SLOTS ? reasonIndex : REFUSAL_SLOTS - 1;
    this.slots[WORKER_SLOT.refused + index]!++;
  }

  /** A TLS handshake with a client is complete; `resumed`: by a session of an earlier one. */
  handshake(resumed: boolean): void {
    this.slots[WORKER_SLOT.handshakes]!++;
    if (resumed) this.slots[WORKER_SLOT.handshakesResumed]!++;
  }

  /** A TLS handshake with a client failed. `reasonIndex` is the index in the listener's list of failures. */
  handshakeFailed(reasonIndex: number): void {
    this.slots[WORKER_SLOT.handshakesFailed + Math.min(reasonIndex, ENTRANCE_SLOTS - 1)]!++;
  }

  /** A connection was closed for its PROXY header. `reasonIndex` is the index in the list of faults. */
  proxyHeaderRefused(reasonIndex: number): void {
    this.slots[WORKER_SLOT.proxyHeadersRefused + Math.min(reasonIndex, ENTRANCE_SLOTS - 1)]!++;
  }

  /** Connections that owe a PROXY header or a TLS handshake now. */
  pendingHandshakes(count: number): void {
    this.slots[WORKER_SLOT.pendingHandshakes] = count;
  }

  /** A request for a host that no service has. */
  unmatchedHost(): void {
    this.slots[WORKER_SLOT.unmatchedHost]!++;
  }

  /** A request came by again and again. */
  loopDetected(): void {
    this.slots[WORKER_SLOT.loopsDetected]!++;
  }

  /** A connection or a request was turned away: a limit was reached, or memory is short. */
  overloaded(why: WorkerOverload): void {
    this.slots[WORKER_SLOT.overloaded + WORKER_OVERLOADS.indexOf(why)]!++;
  }

  requestBegan(): void {
    this.slots[WORKER_SLOT.requests]!++;
  }

  requestEnded(): void {
    this.slots[WORKER_SLOT.requests]!--;
  }

  /** Requests between their complete head and the end of their answer. */
  get requestsOpen(): number {
    return this.slots[WORKER_SLOT.requests]!;
  }

  get connectionsOpen(): number {
    return this.slots[WORKER_SLOT.connections]!;
  }

  /** What waits in buffers of this process for a client, an endpoint or its turn. */
  get bufferedBytes(): number {
    return this.slots[WORKER_SLOT.bufferedBytes]!;
  }

  set bufferedBytes(bytes: number) {
    this.slots[WORKER_SLOT.bufferedBytes] = bytes;
  }

  /** A client left before its answer was complete. */
  clientAborted(): void {
    this.slots[WORKER_SLOT.clientAborted]!++;
  }

  tunnelOpened(): void {
    this.slots[WORKER_SLOT.tunnels]!++;
    this.slots[WORKER_SLOT.tunnelsOpen]!++;
  }

  tunnelClosed(): void {
    this.slots[WORKER_SLOT.tunnelsOpen]!--;
  }

  http2SessionOpened(): void {
    this.slots[WORKER_SLOT.http2SessionsOpen]!++;
  }

  http2SessionClosed(): void {
    this.slots[WORKER_SLOT.http2SessionsOpen]!--;
  }

  /** A session was ended because of what the client did with it. */
  http2SessionRefused(): void {
    this.slots[WORKER_SLOT.http2Refused]!++;
  }

  http2StreamOpened(): void {
    this.slots[WORKER_SLOT.http2Streams]!++;
    this.slots[WORKER_SLOT.http2StreamsOpen]!++;
  }

  http2StreamClosed(): void {
    this.slots[WORKER_SLOT.http2StreamsOpen]!--;
  }

  /** A client reset a stream before it was answered. */
  http2StreamReset(): void {
    this.slots[WORKER_SLOT.http2Resets]!++;
  }

  /** An access-log record was taken for writing. */
  logWritten(): void {
    this.slots[WORKER_SLOT.logWritten]!++;
  }

  /** Access-log records were dropped because their destination was slow or gone. */
  logDropped(records: number): void {
    this.slots[WORKER_SLOT.logDropped]! += records;
  }

  /** A fault of the surroundings was survived. */
  faultSurvived(): void {
    this.slots[WORKER_SLOT.faults]!++;
  }

  /** The worker was stopped, or held up, for so many ms. */
  slept(ms: number): void {
    this.slots[WORKER_SLOT.sleptSeconds]! += ms / 1000;
  }

  /** The worker is alive at `ms`, on a clock that all threads share (`Date.now()`, not `performance.now()`). */
  heartbeat(ms: number): void {
    this.slots[WORKER_SLOT.heartbeat] = ms;
  }

  /** The last heartbeat in ms; 0 before the first. */
  get lastHeartbeat(): number {
    return this.slots[WORKER_SLOT.heartbeat]!;
  }

  /** The revision that the worker decides by; 0 before the first. */
  get revision(): number {
    return this.slots[WORKER_SLOT.revision]!;
  }

  set revision(revision: number) {
    this.slots[WORKER_SLOT.revision] = revision;
  }

  /** CPU time and busy event-loop time since the last call, recent worst event-loop delay (seconds), heap in use (bytes). */
  usage(cpuSeconds: number, activeSeconds: number, loopDelaySeconds: number, heapBytes: number): void {
    this.slots[WORKER_SLOT.cpuSeconds]! += cpuSeconds;
    this.slots[WORKER_SLOT.activeSeconds]! += activeSeconds;
    this.slots[WORKER_SLOT.loopDelay] = loopDelaySeconds;
    this.slots[WORKER_SLOT.heapBytes] = heapBytes;
  }
}

/** What one worker counts for one service. */
export class ServiceCounters {
  readonly slots: Float64Array;

  /** `buffer` holds SERVICE_COUNTER_BYTES bytes; RangeError otherwise. */
  constructor(buffer: SharedArrayBuffer) {
    this.slots = slotsOf(buffer, SERVICE_SLOTS);
  }

  /** Called once by a worker before it serves: what a predecessor had open is no longer open. */
  adopt(): void {
    this.slots.fill(0, SERVICE_SLOT.gauges);
  }

  /** A request was answered by `variant` with `status`; its answer ended `seconds` after its head was complete. */
  request(variant: VariantIndex, status: number, seconds: number): void {
    this.slots[variant * CODES + statusSlot(status)]!++;
    // A tunnel's life is no latency.
    if (status !== SWITCHING_PROTOCOLS) observe(this.slots, AT_DURATION + variant * HISTOGRAM_SLOTS, seconds);
  }

  /** A decision was made; indices in REASONS and TIERS. */
  decision(reasonIndex: number, tierIndex: number): void {
    this.slots[AT_DECISIONS + reasonIndex * TIER_COUNT + tierIndex]!++;
  }

  /** An attempt at an endpoint ended; `outcomeIndex` in OUTCOMES. Negative `seconds` (a tunnel's) are no duration. */
  upstreamResult(variant: VariantIndex, outcomeIndex: number, seconds: number): void {
    this.slots[AT_OUTCOMES + variant * OUTCOME_COUNT + outcomeIndex]!++;
    observe(this.slots, AT_UPSTREAM_DURATION + variant * HISTOGRAM_SLOTS, seconds);
  }

  retry(variant: VariantIndex): void {
    this.slots[SERVICE_SLOT.retries + variant]!++;
  }

  /** A retry would have been safe, but the budget had none left. */
  retryRefused(variant: VariantIndex): void {
    this.slots[SERVICE_SLOT.retriesRefused + variant]!++;
  }

  /** Endpoints were ejected because they kept failing. */
  ejected(variant: VariantIndex, endpoints: number): void {
    this.slots[SERVICE_SLOT.ejections + variant]! += endpoints;
  }

  /** An attempt was not made because a limit is reached; `limitIndex` in CIRCUIT_LIMITS. */
  circuitRefused(variant: VariantIndex, limitIndex: number): void {
    this.slots[SERVICE_SLOT.circuitRefusals + variant * CIRCUIT_LIMITS.length + limitIndex]!++;
  }

  /** A request left its assigned variant `from` for the other one, which had usable endpoints. */
  fallback(from: VariantIndex): void {
    this.slots[SERVICE_SLOT.fallbacks + from]!++;
  }

  /** A user of the canary got stable in the same rollout with no write and no fallback between: must stay 0. */
  flip(): void {
    this.slots[SERVICE_SLOT.flips]!++;
  }

  /** During a rollout, an answer was sent that a shared cache may store. */
  sharedCacheable(): void {
    this.slots[SERVICE_SLOT.sharedCacheable]!++;
  }

  /** `delta` is 1 or -1. */
  inFlight(variant: VariantIndex, delta: number): void {
    this.slots[SERVICE_SLOT.inFlight + variant]! += delta;
  }

  /** A request was turned away before it was decided, because the service has as many as it may have. */
  overloaded(why: ServiceOverload): void {
    this.slots[SERVICE_SLOT.overloaded + SERVICE_OVERLOADS.indexOf(why)]!++;
  }

  /** A client was cut because it kept an endpoint's connection busy. */
  slowClient(why: SlowClient): void {
    this.slots[SERVICE_SLOT.slowClients + SLOW_CLIENTS.indexOf(why)]!++;
  }

  /** A mirrored request ended, or was not sent. `status` and `seconds` count where there was an answer and where it was sent. */
  mirrored(outcome: MirrorOutcome, status: number, seconds: number): void {
    this.slots[SERVICE_SLOT.mirrorOutcomes + MIRROR_OUTCOMES.indexOf(outcome)]!++;
    if (outcome === 'answered') this.slots[SERVICE_SLOT.mirrorCodes + statusSlot(status)]!++;
    if (seconds >= 0) observe(this.slots, SERVICE_SLOT.mirrorDuration, seconds);
  }

  /** `delta` is 1 or -1. */
  mirrorInFlight(delta: number): void {
    this.slots[SERVICE_SLOT.mirrorsInFlight]! += delta;
  }

  get mirrorsInFlight(): number {
    return this.slots[SERVICE_SLOT.mirrorsInFlight]!;
  }

  /** Of both variants, tunnels included. */
  get requestsInFlight(): number {
    return this.slots[SERVICE_SLOT.inFlight]! + this.slots[SERVICE_SLOT.inFlight + 1]!;
  }

  tunnelOpened(): void {
    this.slots[SERVICE_SLOT.tunnelsOpen]!++;
  }

  tunnelClosed(): void {
    this.slots[SERVICE_SLOT.tunnelsOpen]!--;
  }

  get tunnelsOpen(): number {
    return this.slots[SERVICE_SLOT.tunnelsOpen]!;
  }

  /** `delta` is 1 or -1. */
  upstreamConnections(variant: VariantIndex, delta: number): void {
    this.slots[SERVICE_SLOT.upstreamConnections + variant]! += delta;
  }
}

/** Where a variant's histogram starts within a service's block. */
export function histogramSlot(start: number, variant: VariantIndex): number {
  return start + variant * HISTOGRAM_SLOTS;
}

function slotsOf(buffer: SharedArrayBuffer, count: number): Float64Array {
  const bytes = count * Float64Array.BYTES_PER_ELEMENT;
  if (buffer.byteLength !== bytes) {
    throw new RangeError(`a counter block has ${bytes} bytes, not ${buffer.byteLength}`);
  }
  return new Float64Array(buffer);
}
