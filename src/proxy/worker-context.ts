/**
 * What all connections of one worker share. Time and chance come through here, so that tests can hold them.
 */
import type { Logger } from '../telemetry/log.ts';
import type { AccessLog } from '../telemetry/access-log.ts';
import type { WorkerCounters } from '../telemetry/worker-counters.ts';
import type { AddressCache } from '../ip/address.ts';
import type { Admission } from './admission.ts';
import type { LatchOutbox } from '../latches/latch-outbox.ts';
import type { Warn } from '../telemetry/warnings.ts';
import type { DownstreamInfo } from './connection/downstream-info.ts';
import type { Routing } from './routing.ts';
import type { OpenSocket } from '../http2/watched-socket.ts';

export interface Http2Listener {
  /** Takes a connection over; `open` gives it, and all of its bytes from the preface on. */
  accept(open: OpenSocket, downstream: DownstreamInfo): void;
}

export interface WorkerContext {
  /** Swapped whole; a request reads it once, when it begins. */
  routing: Routing;
  /** Whether what this worker knows no longer counts at `now`: then it is to `serveStable`. */
  readonly stale: (now: number) => boolean;
  /** Everybody gets stable, by `routing`, until more is known. Nothing happens where that is so already. */
  readonly serveStable: () => void;
  /** Set when the worker drains: answers say `Connection: close`. */
  draining: boolean;
  /** How long a client connection may be idle, in ms, where that is less than `keepAliveTimeout`: set when the worker drains. */
  idleLimit: number;
  readonly counters: WorkerCounters;
  readonly admission: Admission;
  /** What the other replicas have to know of. */
  readonly latches: Pick<LatchOutbox, 'add'>;
  readonly accessLog: AccessLog | null;
  readonly log: Logger;
  /** Warnings about requests, a bounded number each second. */
  readonly warn: Warn;
  /** Warnings of what anybody on the network can cause: once a minute each. */
  readonly notice: Warn;
  readonly addresses: AddressCache;
  /** An awake clock, in ms with fractions: time for which this thread was stopped is no time-out of anybody's. */
  readonly monotonicNow: () => number;
  /** What is to be added to it for real time: others went on while this thread was stopped. In ms. */
  readonly slept: number;
  /** Wall clock in whole seconds since 1970. */
  readonly wallSeconds: () => number;
  readonly wallNow: () => number;
  /** The Date field of answers, as a complete line; renewed every second. */
  dateLine: string;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** A new random identity, unguessable. */
  readonly mintIdentity: () => string;
  /** A new request id, unique over replicas for practical purposes. */
  readonly mintRequestId: () => string;
  /** Where a connection goes on that turns out to speak HTTP/2; set by the listener. */
  http2: Http2Listener | null;
}
