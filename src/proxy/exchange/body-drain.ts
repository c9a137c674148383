/**
 * What is left of a request's body when its answer is complete: read to its end, so that the connection can serve the next request.
 *
 * The endpoint gets it for a short time if it keeps its connection, which then serves on too; else it goes nowhere. Only for bodies of
 * a known length. An endpoint's connection whose request stays incomplete is closed.
 */
import type { UpstreamConnection, UpstreamHandler } from '../../upstream/connection.ts';
import type { RequestBody } from './request-body.ts';
import type { RequestContext } from './request-context.ts';
import type { WorkerContext } from '../worker-context.ts';

/** Of how much, in bytes, it may be the rest: more costs more than a new connection. */
export const DRAIN_LIMIT = 256 * 1024;

/** How long the rest may take on its way to the endpoint, and how long it may be silent after that, in ms. */
const ENDPOINT_TIME = 2000;
const SILENCE = 10_000;

export class BodyDrain implements UpstreamHandler {
  readonly #context: WorkerContext;
  readonly #request: RequestContext;
  readonly #body: RequestBody;
  #up: UpstreamConnection | null = null;
  /** How long the endpoint keeps its connection, in ms. */
  #keepAlive = 0;

  constructor(context: WorkerContext, request: RequestContext, body: RequestBody) {
    this.#context = context;
    this.#request = request;
    this.#body = body;
  }

  /** Before `begin`: the connection of the endpoint that answered. It keeps it for `keepAlive` ms. */
  use(up: UpstreamConnection, keepAlive: number): void {
    this.#up = up;
    this.#keepAlive = keepAlive;
    up.handler = this;
  }

  begin(now: number): void {
    this.#request.side.setDeadline(now + (this.#up === null ? SILENCE : ENDPOINT_TIME));
  }

  /** Takes what belongs to the body from `bytes[start..end)`; returns how much. */
  take(bytes: Buffer, start: number, end: number): number {
    const up = this.#up;
    if (up !== null) return this.#body.take(bytes, start, end, up.writer);
    this.#request.side.setDeadline(this.#context.monotonicNow() + SILENCE);
    return this.#body.skip(bytes, start, end);
  }

  /** The body is complete: the endpoint's connection may serve on. */
  end(now: number): void {
    const up = this.#up;
    this.#up = null;
    this.#request.side.writer.readShort(up?.writer.blocked === true);
    if (up !== null) up.endpoint.release(up, now + this.#keepAlive);
  }

  /** The deadline has come. True: there is no more waiting. */
  isOver(now: number): boolean {
    if (this.#up === null) return true;
    // What is left is no reason to hold the endpoint's connection.
    this.letGo();
    this.#request.side.setDeadline(now + SILENCE);
    return false;
  }

  /** Closes the endpoint's connection. */
  letGo(): void {
    const up = this.#up;
    this.#up = null;
    up?.destroy();
  }

  upstreamConnected(): void {
    // It was before.
  }

  upstreamBytes(): void {
    this.letGo();
  }

  upstreamStalled(): void {
    this.letGo();
  }

  upstreamDrained(): void {
    // Nothing waits for it.
  }

  upstreamEnded(): void {
    this.letGo();
  }

  upstreamClosed(): void {
    this.#up = null;
  }
}
