/**
 * The attempts of one request: which endpoint is asked, over which connection, how it ended, and whether there may be another.
 *
 * Promise: an endpoint that failed this request is not asked again; load and results are counted once for each attempt.
 * It knows nothing of HTTP.
 */
import { OUTCOMES, type Outcome, type VariantIndex } from '../telemetry/counters.ts';
import type { UpstreamConnection, UpstreamHandler } from '../upstream/connection.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import { pickEndpoint } from '../upstream/picker.ts';
import type { RescueCode } from './rescue.ts';
import type { ServiceRoute } from './routing.ts';
import type { WorkerContext } from './worker-context.ts';

/** `ready`: a connection stands open. `connecting`: the handler will hear. `none`: no endpoint is left. */
export type AttemptStart = 'ready' | 'connecting' | 'none';

export class Attempts {
  /** The connection of the attempt under way. */
  up: UpstreamConnection | null = null;
  /** How many were made. */
  count = 0;
  /** How the last one failed: the answer when no other is left. */
  failure: RescueCode = 'no_endpoint';
  /** The endpoint that was asked last, for logs. */
  endpointName = '';
  readonly #handler: UpstreamHandler;
  readonly #context: WorkerContext;
  readonly #tried: Endpoint[] = [];
  #endpoint: Endpoint | null = null;
  #route: ServiceRoute | null = null;
  #variant: VariantIndex = 0;
  #startedAt = 0;
  /** The next one opens a connection: the idle ones may all be stale. */
  #fresh = false;

  constructor(handler: UpstreamHandler, context: WorkerContext) {
    this.#handler = handler;
    this.#context = context;
  }

  reset(): void {
    this.count = 0;
    this.failure = 'no_endpoint';
    this.endpointName = '';
    this.#fresh = false;
    this.forgetTried();
  }

  /** Before the other variant's endpoints are asked. */
  forgetTried(): void {
    if (this.#tried.length > 0) this.#tried.length = 0;
  }

  /** Makes the next attempt. */
  next(route: ServiceRoute, variant: VariantIndex): AttemptStart {
    const now = this.#context.now();
    const endpoints = variant === 1 ? route.canary : route.stable;
    // Only stable is tried when all of it is down: the canary falls back to it, stable has nothing better.
    const endpoint = pickEndpoint(endpoints, now, this.#context.random, this.#tried, variant === 0);
    if (endpoint === null) return 'none';
    this.count += 1;
    this.#startedAt = now;
    this.#route = route;
    this.#variant = variant;
    this.#endpoint = endpoint;
    this.endpointName = endpoint.name;
    endpoint.inFlight += 1;
    route.counters.inFlight(variant, 1);
    const idle = this.#fresh ? null : endpoint.takeIdle(this.#handler, now);
    this.up = idle ?? endpoint.open(this.#handler);
    return idle === null ? 'connecting' : 'ready';
  }

  connected(): void {
    this.#endpoint?.markUp();
  }

  /** Nothing could be sent: the endpoint is left alone for a while. */
  refused(code: 'connect_failed' | 'connect_timeout', reason: string): void {
    const endpoint = this.#endpoint!;
    endpoint.markDown(this.#context.now());
    this.#context.warn(
      { 'error.type': reason, 'server.address': endpoint.name, 'serin.service': this.#route?.name },
      'an endpoint did not accept a connection',
    );
    this.failure = code;
    this.drop(code);
    this.#tried.push(endpoint);
  }

  /** The connection broke. A stale idle one says nothing against its endpoint; a fresh one does. */
  broken(code: RescueCode): void {
    const stale = this.up?.reused === true;
    const endpoint = this.#endpoint;
    this.failure = code;
    this.drop('reset');
    if (stale) this.#fresh = true;
    else if (endpoint !== null) this.#tried.push(endpoint);
  }

  /** Counts the end of the attempt. `timed`: its time is a latency. */
  end(outcome: Outcome, timed = true): void {
    const endpoint = this.#endpoint;
    const route = this.#route;
    if (endpoint === null || route === null) return;
    this.#endpoint = null;
    endpoint.inFlight -= 1;
    route.counters.inFlight(this.#variant, -1);
    const seconds = timed ? (this.#context.now() - this.#startedAt) / 1000 : -1;
    route.counters.upstreamResult(this.#variant, OUTCOMES.indexOf(outcome), seconds);
  }

  /** Ends the attempt and its connection. */
  drop(outcome: Outcome, timed = true): void {
    this.end(outcome, timed);
    const { up } = this;
    this.up = null;
    up?.destroy();
  }

  /** Both messages are complete: the connection may serve another request for `keepAlive` ms, if it is still open. */
  giveBack(up: UpstreamConnection, keepAlive: number): void {
    up.endpoint.release(up, this.#context.now() + keepAlive);
  }
}
