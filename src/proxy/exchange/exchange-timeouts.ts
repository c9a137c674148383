/**
 * How long an exchange waits: for the next piece of a body, for the answer's head, for either side of a two-way stream.
 *
 * A stream of HTTP/2 may be answered while it is still asked, so each side may be waiting for the other. A server of gRPC sends
 * the head of its answer with its first message, so the head of a stream may be long in coming: what bounds it is what the
 * client says, or how long a stream may be silent. Source: "gRPC over HTTP2", Request-Headers. Times are in ms.
 *
 * A body holds an endpoint's connection, so a client may not send it at any pace: it has the time that it may be silent to begin
 * with, each byte earns a little more, and never more than that time lies before it. While the endpoint reads nothing, the
 * client's time stands still.
 */
import { F } from '../../http1/fields.ts';
import type { RequestHead } from '../../http1/request-head.ts';
import type { SlowClient } from '../../telemetry/counters.ts';
import { NO_DEADLINE, type ClientSide } from '../connection/client-side.ts';
import type { ServiceSettings } from '../../contract/snapshot.ts';
import { unsentBytes } from '../../net/unsent-bytes.ts';
import type { WorkerContext } from '../worker-context.ts';

/** The client's own deadline comes first, and is its own to report. */
const SLACK = 1000;

const UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** What is asked of the client connection here. */
type TimedClient = Pick<ClientSide, 'socket' | 'downstream' | 'setDeadline'>;

export class ExchangeTimeouts {
  readonly #request: { readonly side: TimedClient };
  readonly #context: WorkerContext;
  /** For a gRPC call: how long its answer may take to begin; 0: it is none. */
  #call = 0;
  #settings: ServiceSettings | null = null;
  /** Until when the client has time for its next bytes, and when the last ones came. */
  #clientUntil = 0;
  #cameAt = 0;
  /** What was left of the client's time when the endpoint stopped reading. */
  #left = 0;
  /** What the kernel had not taken of the answer when a slow reader was last looked at. */
  #unsent = 0;

  /** `request` is whose client waits, or is waited for. */
  constructor(context: WorkerContext, request: { readonly side: TimedClient }) {
    this.#context = context;
    this.#request = request;
  }

  /** It is a gRPC call. */
  get call(): boolean {
    return this.#call > 0;
  }

  /** The request with this head is being sent. */
  begin(head: RequestHead, settings: ServiceSettings, bodyDone: boolean, now: number): void {
    this.#settings = settings;
    this.#call =
      this.#request.side.downstream.http2 && isCall(head)
        ? (callTime(head) ?? settings.tunnelIdleTimeout)
        : 0;
    this.#clientUntil = now + settings.requestBodyIdleTimeout;
    this.#cameAt = now;
    this.forHead(bodyDone, now);
  }

  /** For the head of the answer, or while the body is still coming, for its next piece. Gives the time that it is now. */
  forHead(bodyDone: boolean, now = this.#context.monotonicNow()): number {
    const { responseHeadTimeout, requestBodyIdleTimeout } = this.#settings!;
    this.#request.side.setDeadline(
      now + (this.#call || (bodyDone ? responseHeadTimeout : requestBodyIdleTimeout)),
    );
    return now;
  }

  /** For the next piece of the body, after one of `bytes` bytes. Gives the time that it is now. */
  forBody(bytes: number): number {
    const now = this.#context.monotonicNow();
    const { requestBodyIdleTimeout: most, clientRate } = this.#settings!;
    const earned = clientRate === 0 ? most : (bytes * 1000) / clientRate;
    this.#cameAt = now;
    this.#clientUntil = Math.min(now + most, this.#clientUntil + earned);
    this.#request.side.setDeadline(this.#call > 0 ? now + this.#call : this.#clientUntil);
    return now;
  }

  /** What the client, whose time for its body is up, did wrong. */
  slowSender(now: number): SlowClient {
    return now - this.#cameAt < this.#settings!.requestBodyIdleTimeout ? 'body_slow' : 'body_silent';
  }

  /** The client reads slowly: for some of its answer to leave. */
  forReader(): void {
    this.#unsent = unsentBytes(this.#request.side.socket);
    this.#request.side.setDeadline(this.#context.monotonicNow() + this.#settings!.responseIdleTimeout);
  }

  /** What the client, whose time to read is up, did wrong; null where it read enough: it has as much time again. */
  slowReader(): SlowClient | null {
    const { clientRate, responseIdleTimeout } = this.#settings!;
    const read = this.#unsent - unsentBytes(this.#request.side.socket);
    if (read <= 0) return 'answer_unread';
    if (read * 1000 < clientRate * responseIdleTimeout) return 'answer_slow';
    this.forReader();
    return null;
  }

  /** The endpoint reads nothing more of the body for now. `answering`: it has begun to answer. */
  endpointStalled(answering: boolean): void {
    const now = this.#context.monotonicNow();
    this.#left = this.#clientUntil - now;
    if (answering) this.forMore(false, true);
    else if (this.#call === 0) this.#request.side.setDeadline(now + this.#settings!.requestBodyIdleTimeout);
  }

  /** The endpoint reads on. */
  endpointDrained(): void {
    const now = this.#context.monotonicNow();
    this.#cameAt = now;
    this.#clientUntil = now + this.#left;
    if (this.#call === 0) this.#request.side.setDeadline(this.#clientUntil);
  }

  /**
   * While the answer goes on: as long as the client likes, where nothing more is expected of it. `stalled`: the endpoint reads nothing
   * more of the body for now.
   */
  forMore(bodyDone: boolean, stalled = false): void {
    const { http2 } = this.#request.side.downstream;
    if (bodyDone || (stalled && !http2)) {
      this.#request.side.setDeadline(NO_DEADLINE);
      return;
    }
    const { tunnelIdleTimeout, requestBodyIdleTimeout } = this.#settings!;
    const wait = http2 ? tunnelIdleTimeout : requestBodyIdleTimeout;
    this.#clientUntil = this.#context.monotonicNow() + wait;
    this.#request.side.setDeadline(this.#clientUntil);
  }

  /** So many bytes of the body came while the answer goes on. A two-way stream of HTTP/2 is as slow as it likes. */
  stillAsked(bodyDone: boolean, bytes: number): void {
    if (bodyDone || this.#request.side.downstream.http2) this.forMore(bodyDone);
    else this.forBody(bytes);
  }
}

function isCall(head: RequestHead): boolean {
  if (!head.seen(F.CONTENT_TYPE)) return false;
  return head.header('content-type')?.toLowerCase().startsWith('application/grpc') === true;
}

/** The time that the client gives the call; undefined where it gives none. */
function callTime(head: RequestHead): number | undefined {
  const timeout = /^(\d{1,8})([HMSmun])$/.exec(head.header('grpc-timeout') ?? '');
  return timeout === null ? undefined : Number(timeout[1]) * UNITS[timeout[2]!]! + SLACK;
}
