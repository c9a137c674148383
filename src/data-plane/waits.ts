/**
 * How long an exchange waits: for the next piece of a body, for the answer's head, for either side of a two-way stream.
 *
 * A stream of HTTP/2 may be answered while it is still asked, so each side may be waiting for the other. A server of gRPC sends
 * the head of its answer with its first message, so the head of a stream may be long in coming: what bounds it is what the
 * client says, or how long a stream may be silent. Source: "gRPC over HTTP2", Request-Headers. Times are in ms.
 */
import { F } from '../http1/fields.ts';
import type { RequestHead } from '../http1/request-head.ts';
import { NO_DEADLINE, type ClientSide } from './client-side.ts';
import type { ServiceSettings } from './snapshot.ts';
import type { WorkerContext } from './worker-context.ts';

/** The client's own deadline comes first, and is its own to report. */
const SLACK = 1000;

const UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

export class Waits {
  #side!: ClientSide;
  readonly #context: WorkerContext;
  /** For a gRPC call: how long its answer may take to begin; 0: it is none. */
  #call = 0;
  #settings: ServiceSettings | null = null;

  constructor(context: WorkerContext) {
    this.#context = context;
  }

  attach(side: ClientSide): void {
    this.#side = side;
    this.#call = 0;
  }

  /** It is a gRPC call. */
  get call(): boolean {
    return this.#call > 0;
  }

  /** The request with this head is being sent. */
  begin(head: RequestHead, settings: ServiceSettings, bodyDone: boolean, now: number): void {
    this.#settings = settings;
    if (this.#side.arrival.http2)
      this.#call = isCall(head) ? (callTime(head) ?? settings.tunnelIdleTimeout) : 0;
    this.forHead(bodyDone, now);
  }

  /** For the head of the answer, or while the body is still coming, for its next piece. Gives the time that it is now. */
  forHead(bodyDone: boolean, now = this.#context.now()): number {
    const { responseHeadTimeout, requestBodyIdleTimeout } = this.#settings!;
    this.#side.setDeadline(now + (this.#call || (bodyDone ? responseHeadTimeout : requestBodyIdleTimeout)));
    return now;
  }

  /** While the answer goes on: as long as the client likes, where nothing more is expected of it. */
  forMore(bodyDone: boolean): void {
    if (bodyDone) {
      this.#side.setDeadline(NO_DEADLINE);
      return;
    }
    const { tunnelIdleTimeout, requestBodyIdleTimeout } = this.#settings!;
    const wait = this.#side.arrival.http2 ? tunnelIdleTimeout : requestBodyIdleTimeout;
    this.#side.setDeadline(this.#context.now() + wait);
  }

  /** Bytes of one direction came while the other goes on. `bounded`: something else bounds the wait. */
  stillOpen(bodyDone: boolean, bounded: boolean): void {
    if (this.#side.arrival.http2 && !bounded) this.forMore(bodyDone);
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
