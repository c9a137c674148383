/** What one worker counts apart from services: a block of counters as `counters.ts` says. */
import { slotsOf, WORKER_OVERLOADS, type WorkerOverload } from './counters.ts';

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
