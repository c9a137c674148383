/**
 * A connection for mirrored requests: sends one at a time, reads its answer and throws it away.
 *
 * It belongs to no pool of the request path, and counts in none of its limits. It promises to tell its owner once how each
 * request ended, and never after `destroy`.
 */
import type { Socket } from 'node:net';
import type { MessageLimits } from '../../http1/request-reader.ts';
import type { MirrorOutcome } from '../../telemetry/counters.ts';
import type { Endpoint } from '../../upstream/endpoint.ts';
import { DiscardedAnswer } from './discarded-answer.ts';

/** A request as it is sent to the canary as well. */
export interface MirroredRequest {
  readonly method: string;
  /** The head, as latin1 text. */
  readonly head: string;
  readonly body: readonly Buffer[];
  /** Clock values (ms): when it began, and when it is given up. */
  readonly startedAt: number;
  readonly deadline: number;
  readonly limits: MessageLimits;
}

export interface MirrorOwner {
  /** `status` is 0 where no answer came. */
  ended(connection: MirrorConnection, request: MirroredRequest, outcome: MirrorOutcome, status: number): void;
  /** An idle connection had gone stale: nothing was heard on it. */
  stale(connection: MirrorConnection, request: MirroredRequest): void;
  closed(connection: MirrorConnection): void;
}

export class MirrorConnection {
  readonly endpoint: Endpoint;
  /** The request under way, or null while it is idle. */
  request: MirroredRequest | null = null;
  /** Clock value (ms) after which an idle connection is closed. */
  idleUntil = 0;
  readonly #socket: Socket;
  readonly #owner: MirrorOwner;
  readonly #answer = new DiscardedAnswer();
  #ready = false;
  #reused = false;
  #closed = false;

  constructor(endpoint: Endpoint, owner: MirrorOwner) {
    this.endpoint = endpoint;
    this.#owner = owner;
    this.#socket = endpoint.transport.open(
      endpoint,
      () => {
        this.#ready = true;
        if (this.request !== null) this.#write(this.request);
      },
      (bytes, length) => this.#received(bytes, length),
    );
    this.#socket.on('error', () => {
      // 'close' follows.
    });
    this.#socket.on('end', () => this.#ended());
    this.#socket.on('close', () => this.#lost());
  }

  send(request: MirroredRequest): void {
    this.request = request;
    this.#answer.reset(request.method);
    if (this.#ready) this.#write(request);
  }

  /** Closes at once and tells nobody how its request ended. */
  destroy(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.request = null;
    this.#socket.destroy();
    this.#owner.closed(this);
  }

  #write({ head, body }: MirroredRequest): void {
    this.#socket.cork();
    this.#socket.write(head, 'latin1');
    for (const piece of body) this.#socket.write(piece);
    this.#socket.uncork();
  }

  #received(bytes: Buffer, length: number): void {
    const { request } = this;
    if (request === null) {
      this.destroy();
      return;
    }
    switch (this.#answer.push(bytes, 0, length, request.limits)) {
      case 'more':
        return;
      case 'bad':
        this.#finish('bad_response', 0, false);
        return;
      case 'complete':
        this.#finish('answered', this.#answer.status, this.#answer.reusable);
        return;
    }
  }

  #ended(): void {
    if (this.request !== null && this.#answer.endsByClose())
      this.#finish('answered', this.#answer.status, false);
    else this.#lost();
  }

  /** The connection is gone. */
  #lost(): void {
    const { request } = this;
    if (request === null) this.destroy();
    else if (this.#reused && !this.#answer.heard) {
      this.destroy();
      this.#owner.stale(this, request);
    } else this.#finish(this.#ready ? 'reset' : 'connect_failed', 0, false);
  }

  /** Ends the request; `keep`: the connection may serve another one. */
  #finish(outcome: MirrorOutcome, status: number, keep: boolean): void {
    const request = this.request!;
    this.request = null;
    this.#reused = true;
    if (!keep) this.destroy();
    this.#owner.ended(this, request, outcome, status);
  }

  /** The request took too long. */
  giveUp(): void {
    if (this.request !== null) this.#finish('timeout', this.#answer.status, false);
  }
}
