/**
 * The mirror of one service in one worker: a part of stable's requests is also sent to the canary, and the answers are
 * measured and thrown away.
 *
 * Promises: the user's own request is written first and waits for nothing here; nothing of a mirrored answer reaches
 * anybody; what is too much is dropped, never queued; connections, limits, endpoint standings, decisions, latches, retries, breakers and
 * flips of the request path neither see nor feel it. It reads which endpoints the canary has, and no more.
 */
import type { MirrorOutcome } from '../../telemetry/counters.ts';
import type { ServiceCounters } from '../../telemetry/service-counters.ts';
import type { Endpoint } from '../../upstream/endpoint.ts';
import { type ForwardFacts, upstreamRequestHead } from '../exchange/forward-headers.ts';
import { MirrorConnection, type MirroredRequest, type MirrorOwner } from './mirror-connection.ts';
import type { RequestHead } from '../../http1/request-head.ts';
import type { MessageLimits } from '../../http1/request-reader.ts';
import type { Decision } from '../../policy/decision.ts';
import type { MirrorSettings } from '../../contract/snapshot.ts';

/** A body is copied up to this many bytes; a request with more, or without a length, is not mirrored. */
const BODY_LIMIT = 64 * 1024;

/** How long an idle connection is kept, in ms. */
const IDLE_TIME = 15_000;

/** What the mirror has of its worker. */
export interface MirrorContext {
  /** Monotonic, in ms. */
  readonly monotonicNow: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Memory is short: nothing is done that need not be. */
  readonly short: () => boolean;
  /** Runs `task` after what was written in this turn of the event loop has gone out. */
  readonly later: (task: () => void) => void;
}

/** A request that stable gets, as far as the mirror looks at it. */
export interface MirrorableRequest extends ForwardFacts {
  readonly head: RequestHead;
  readonly decision: Pick<Decision, 'assigned' | 'variant' | 'reason'>;
}

/** The service that the request is for. */
export interface MirroredService {
  readonly settings: { readonly mirror: MirrorSettings | null };
  /** Stable's and the canary's. */
  readonly upstreams: readonly [
    unknown,
    { pick(besides: readonly Endpoint[], random: () => number): Endpoint | null },
  ];
}

/** A request whose body is still being copied. */
export interface MirrorCopy {
  add(bytes: Buffer, start: number, end: number): void;
  /** The body is complete. */
  send(): void;
  /** The request came to nothing before its body was complete. */
  abandon(): void;
}

export class Mirror implements MirrorOwner {
  readonly #all: readonly ServiceCounters[];
  readonly #own: ServiceCounters;
  readonly #context: MirrorContext;
  readonly #connections = new Set<MirrorConnection>();
  #closed = false;

  /** `own` is among `all`, the service's counters of all workers. */
  constructor(own: ServiceCounters, all: readonly ServiceCounters[], context: MirrorContext) {
    this.#own = own;
    this.#all = all;
    this.#context = context;
  }

  /**
   * Considers a request that has just been sent to stable. Gives what its body is to be copied to, or null: there is
   * nothing to copy, or it is not mirrored.
   */
  take(
    view: MirrorableRequest,
    bodiless: boolean,
    route: MirroredService,
    limits: MessageLimits,
  ): MirrorCopy | null {
    const settings = route.settings.mirror;
    if (settings === null || !isWanted(view, settings)) return null;
    if (this.#context.random() * 100 >= settings.percentage) return null;
    const { head } = view;
    if (!bodiless && (head.chunked || head.expectContinue || head.contentLength > BODY_LIMIT))
      return this.#drop('body');
    if (this.#context.short() || this.#inFlight() >= settings.maxConcurrent) return this.#drop('busy');
    this.#own.mirrorInFlight(1);
    const text = mirroredHead(view);
    const { method } = head;
    const body: Buffer[] = [];
    const send = (): void => {
      this.#context.later(() => {
        const startedAt = this.#context.monotonicNow();
        const deadline = startedAt + settings.timeout;
        this.#send({ method, head: text, body, startedAt, deadline, limits }, route);
      });
    };
    if (bodiless) {
      send();
      return null;
    }
    return {
      add: (bytes, start, end) => body.push(Buffer.from(bytes.subarray(start, end))),
      send,
      abandon: () => this.#own.mirrorInFlight(-1),
    };
  }

  /** Gives up what takes too long, and closes what was idle for long. Call it a few times a second. */
  tick(now: number): void {
    for (const connection of this.#connections) {
      const { request } = connection;
      if (request !== null) {
        if (now >= request.deadline) connection.giveUp();
      } else if (now >= connection.idleUntil || connection.endpoint.retired) connection.destroy();
    }
  }

  /** Drops everything: the mirror is no longer wanted. */
  close(): void {
    this.#closed = true;
    for (const connection of this.#connections) {
      if (connection.request !== null) this.#own.mirrorInFlight(-1);
      connection.destroy();
    }
  }

  ended(
    connection: MirrorConnection,
    request: MirroredRequest,
    outcome: MirrorOutcome,
    status: number,
  ): void {
    connection.idleUntil = this.#context.monotonicNow() + IDLE_TIME;
    this.#own.mirrorInFlight(-1);
    this.#own.mirrored(outcome, status, (this.#context.monotonicNow() - request.startedAt) / 1000);
  }

  stale(connection: MirrorConnection, request: MirroredRequest): void {
    this.#open(connection.endpoint, request);
  }

  closed(connection: MirrorConnection): void {
    this.#connections.delete(connection);
  }

  #send(request: MirroredRequest, route: MirroredService): void {
    const endpoint = this.#closed ? null : route.upstreams[1].pick([], this.#context.random);
    if (endpoint === null) {
      this.#own.mirrorInFlight(-1);
      this.#drop('no_endpoint');
      return;
    }
    for (const connection of this.#connections) {
      if (connection.request === null && connection.endpoint === endpoint) {
        connection.send(request);
        return;
      }
    }
    this.#open(endpoint, request);
  }

  #open(endpoint: Endpoint, request: MirroredRequest): void {
    const connection = new MirrorConnection(endpoint, this);
    this.#connections.add(connection);
    connection.send(request);
  }

  #drop(outcome: MirrorOutcome): null {
    this.#own.mirrored(outcome, 0, -1);
    return null;
  }

  /** In all workers. */
  #inFlight(): number {
    let count = 0;
    for (const counters of this.#all) count += counters.mirrorsInFlight;
    return count;
  }
}

/** Who was given stable by an exclude rule or by their own wish is not shown to the canary at all. */
function isWanted({ decision, head, upgrade }: MirrorableRequest, { methods }: MirrorSettings): boolean {
  const { assigned, variant, reason } = decision;
  if (assigned !== 'stable' || variant !== 'stable' || reason === 'exclude' || reason === 'override')
    return false;
  return !upgrade && methods.includes(head.method);
}

/** The head as the canary would have got it, and a field that says that nobody waits for the answer. */
function mirroredHead(view: MirrorableRequest): string {
  const { downstream, peerTrusted, secure, requestId, stripCookie, guard, via } = view;
  const facts = {
    downstream,
    peerTrusted,
    secure,
    requestId,
    stripCookie,
    guard,
    via,
    forwarded: (lowerName: string) => view.forwarded(lowerName),
    variant: 'canary',
    upgrade: false,
  } as const;
  return `${upstreamRequestHead(view.head, facts).slice(0, -2)}X-Serin-Mirror: 1\r\n\r\n`;
}
