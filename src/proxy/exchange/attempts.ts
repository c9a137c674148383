/**
 * The attempts of one request: which endpoint is asked, over which connection, how it ended, and whether there may be another.
 *
 * Promise: an endpoint that failed this request is not asked again; load, limits and results are counted once for each
 * attempt. It knows nothing of HTTP.
 */
import {
  CIRCUIT_LIMITS,
  type CircuitLimit,
  OUTCOMES,
  type Outcome,
  type VariantIndex,
} from '../../telemetry/counters.ts';
import type { UpstreamConnection, UpstreamHandler } from '../../upstream/connection.ts';
import type { Endpoint } from '../../upstream/endpoint.ts';
import type { VariantUpstream } from '../../upstream/variant-upstream.ts';
import type { ErrorCode } from './error-responses.ts';
import type { ServiceRoute } from '../routing.ts';
import type { WorkerContext } from '../worker-context.ts';
import { isShortage } from '../../runtime/faults.ts';

/** Why a connection could not be used: nothing of the request was sent. */
type ConnectFailure = 'connect_failed' | 'connect_timeout' | 'tls_failed';

/** `ready`: a connection stands open. `connecting`: the handler will hear. `none`: no endpoint is left, or a limit is reached. */
export type AttemptStart = 'ready' | 'connecting' | 'none';

export class Attempts {
  /** The connection of the attempt under way. */
  up: UpstreamConnection | null = null;
  /** How many were made. */
  count = 0;
  /** How the last one failed: the answer when no other is left. */
  failure: ErrorCode = 'no_endpoint';
  /** The endpoint that was asked last, for logs. */
  endpointName = '';
  readonly #handler: UpstreamHandler;
  readonly #context: WorkerContext;
  readonly #tried: Endpoint[] = [];
  #endpoint: Endpoint | null = null;
  #route: ServiceRoute | null = null;
  #upstream: VariantUpstream | null = null;
  #variant: VariantIndex = 0;
  #startedAt = 0;
  /** When the endpoint had the whole request; its latency counts from here. */
  #sentAt = 0;
  /** When the head of the answer came, where the answer was not complete then; 0 otherwise. */
  #answeredAt = 0;
  /** This attempt is counted against the limit of requests, of pending connections. */
  #counted = false;
  #pending = false;
  /** The next one opens a connection: the idle ones may all be stale. */
  #fresh = false;
  /** The next one is a retry that was taken from the budget. */
  #retrying = false;
  /** The next one is the first at the other variant: the one that the request left; -1: it is not. */
  #leaves: VariantIndex | -1 = -1;

  constructor(handler: UpstreamHandler, context: WorkerContext) {
    this.#handler = handler;
    this.#context = context;
  }

  reset(): void {
    this.count = 0;
    this.failure = 'no_endpoint';
    this.endpointName = '';
    this.#fresh = false;
    this.#leaves = -1;
    this.#forgetTried();
  }

  /** The endpoints of the other variant than `from` are asked next. */
  fallBack(from: VariantIndex): void {
    this.#leaves = from;
    this.#forgetTried();
  }

  #forgetTried(): void {
    if (this.#tried.length > 0) this.#tried.length = 0;
  }

  /** Makes the next attempt at `now`. */
  next(route: ServiceRoute, variant: VariantIndex, now: number): AttemptStart {
    const upstream = route.upstreams[variant];
    let endpoint = upstream.pick(this.#tried, this.#context.random);
    if (endpoint === null) {
      this.#noRetry();
      return 'none';
    }
    this.#route = route;
    this.#variant = variant;
    this.#upstream = upstream;
    if (upstream.limitsRequests) {
      if (!upstream.circuit.takeRequest(upstream.limits)) return this.#limited('requests');
      this.#counted = true;
    }
    let up = this.#fresh ? null : endpoint.takeIdle(this.#handler, now + this.#context.slept);
    let start: AttemptStart = 'ready';
    if (up === null) {
      const limit = this.#openingLimit(upstream);
      if (limit === null) {
        up = endpoint.open(this.#handler);
        start = 'connecting';
      } else {
        const other = this.#idleElsewhere(upstream, now);
        if (other === null) return this.#limited(limit);
        [endpoint, up] = other;
      }
    }
    this.up = up;
    if (this.count === 0) upstream.budget.requests += 1;
    this.count += 1;
    this.#startedAt = now;
    this.#sentAt = now;
    this.#answeredAt = 0;
    this.#endpoint = endpoint;
    this.endpointName = endpoint.name;
    endpoint.inFlight += 1;
    route.counters.inFlight(variant, 1);
    if (this.#retrying || this.#leaves !== -1) this.#countMade(route);
    return start;
  }

  /** Counts what was meant to be, now that it is. */
  #countMade({ counters }: ServiceRoute): void {
    if (this.#retrying) counters.retry(this.#variant);
    if (this.#leaves !== -1) counters.fallback(this.#leaves);
    this.#retrying = false;
    this.#leaves = -1;
  }

  /** The retry that was to be made is not. */
  #noRetry(): void {
    if (this.#retrying) this.#upstream?.budget.putBack();
    this.#retrying = false;
  }

  /** Counts the connection that is to be opened; the limit that forbids it, or null. */
  #openingLimit(upstream: VariantUpstream): CircuitLimit | null {
    const { circuit, limits } = upstream;
    if (upstream.limitsPending) {
      if (!circuit.takePending(limits)) return 'pending';
      this.#pending = true;
    }
    if (circuit.takeConnection(limits)) return null;
    this.#pendingOver();
    return 'connections';
  }

  /** No connection may be opened: one that another endpoint has to spare is as good. */
  #idleElsewhere(upstream: VariantUpstream, now: number): [Endpoint, UpstreamConnection] | null {
    if (this.#fresh) return null;
    for (const endpoint of upstream.picture.endpoints) {
      const idle = this.#tried.includes(endpoint)
        ? null
        : endpoint.takeIdle(this.#handler, now + this.#context.slept);
      if (idle !== null) return [endpoint, idle];
    }
    return null;
  }

  #limited(limit: CircuitLimit): 'none' {
    this.#requestOver();
    this.#noRetry();
    this.failure = 'circuit_limit';
    this.#route?.counters.circuitRefused(this.#variant, CIRCUIT_LIMITS.indexOf(limit));
    return 'none';
  }

  #requestOver(): void {
    if (!this.#counted) return;
    this.#counted = false;
    this.#upstream?.circuit.requestOver();
  }

  #pendingOver(): void {
    if (!this.#pending) return;
    this.#pending = false;
    this.#upstream?.circuit.pendingOver();
  }

  connected(): void {
    this.#pendingOver();
    const endpoint = this.#endpoint;
    if (endpoint !== null) this.#upstream?.connected(endpoint, this.#context.monotonicNow());
  }

  /** The endpoint has the whole request at `now`. */
  sent(now: number): void {
    this.#sentAt = now;
  }

  /** The head of the answer is here, and the answer goes on. */
  answered(): void {
    if (this.#answeredAt === 0) this.#answeredAt = this.#context.monotonicNow();
  }

  /** Nothing could be sent: the endpoint is left alone for a while. */
  refused(code: ConnectFailure, reason: string): void {
    if (isShortage(reason)) {
      this.#lacking(reason);
      return;
    }
    const endpoint = this.#endpoint!;
    this.#upstream?.refused(endpoint, this.#context.monotonicNow());
    this.#context.warn(
      { 'error.type': reason, 'server.address': endpoint.name, 'serin.service': this.#route?.name },
      'an endpoint did not accept a connection',
    );
    this.failure = code;
    this.drop(code);
    this.#tried.push(endpoint);
  }

  /** This process lacks what a connection takes: no endpoint is to blame. */
  #lacking(reason: string): void {
    this.#context.warn(
      { 'error.type': reason, 'serin.service': this.#route?.name },
      'this process has no descriptors or no memory for a connection to an endpoint',
    );
    this.failure = 'overloaded';
    this.drop('shortage', false, false);
  }

  /** The connection broke. A stale idle one says nothing against its endpoint; a fresh one does. */
  broken(code: ErrorCode, unread = false): void {
    const stale = unread || this.up?.reused === true;
    const endpoint = this.#endpoint;
    this.failure = code;
    this.drop('reset', true, !stale);
    if (stale) this.#fresh = true;
    else if (endpoint !== null) this.#tried.push(endpoint);
  }

  /** The endpoint has the request and says nothing. */
  timedOut(): void {
    const endpoint = this.#endpoint;
    this.failure = 'response_timeout';
    this.drop('response_timeout');
    if (endpoint !== null) this.#tried.push(endpoint);
  }

  /** Whether there may be another attempt, of `most` after the first and within the budget; if so, it is taken from that. */
  mayRetry(most: number): boolean {
    const upstream = this.#upstream;
    if (this.count > most || upstream === null || !upstream.hasOther(this.#tried)) return false;
    if (upstream.budget.take(upstream.settings.retryBudget)) {
      this.#retrying = true;
      return true;
    }
    this.#route?.counters.retryRefused(this.#variant);
    return false;
  }

  /** The endpoint's answer is complete: 502, 503 and 504 are failures where the service takes them for such. */
  complete(status: number, now: number): void {
    const failed =
      status >= 502 && status <= 504 && this.#upstream?.settings.outlier.gatewayStatuses === true;
    this.end(failed ? 'gateway_error' : 'ok', true, true, now);
  }

  /** Counts the end of the attempt. `timed`: its time is a latency. `blamed`: a failure is the endpoint's. */
  end(outcome: Outcome, timed = true, blamed = true, now = this.#context.monotonicNow()): void {
    const endpoint = this.#endpoint;
    const route = this.#route;
    if (endpoint === null || route === null) return;
    this.#endpoint = null;
    endpoint.inFlight -= 1;
    route.counters.inFlight(this.#variant, -1);
    if (this.#counted) this.#requestOver();
    if (this.#pending) this.#pendingOver();
    const seconds = timed ? (now - this.#startedAt) / 1000 : -1;
    route.counters.upstreamResult(this.#variant, OUTCOMES.indexOf(outcome), seconds);
    this.#judge(endpoint, outcome, timed, blamed, now);
  }

  /** What the end of the attempt says of its endpoint. */
  #judge(endpoint: Endpoint, outcome: Outcome, timed: boolean, blamed: boolean, now: number): void {
    const upstream = this.#upstream!;
    if (outcome === 'shortage') return;
    const latency = (this.#answeredAt === 0 ? now : this.#answeredAt) - this.#sentAt;
    if (outcome === 'ok') {
      endpoint.outlier.success();
      if (timed) endpoint.observeLatency(latency, now, upstream.settings.balance.latencyDecay);
      return;
    }
    // Whoever left had waited so long: a hung endpoint must not look fast because nobody stays for its answers.
    endpoint.observeAtLeast(latency, now);
    if (outcome === 'client_gone' || !blamed || !upstream.failed(endpoint, now)) return;
    this.#route?.counters.ejected(this.#variant, 1);
    this.#context.warn(
      {
        'error.type': outcome,
        'server.address': endpoint.name,
        'serin.service': this.#route?.name,
        'serin.delay_ms': Math.round(endpoint.outlier.ejectedUntil - now),
      },
      'an endpoint keeps failing and is ejected',
    );
  }

  /** Ends the attempt and its connection. */
  drop(outcome: Outcome, timed = true, blamed = true): void {
    this.end(outcome, timed, blamed);
    const { up } = this;
    this.up = null;
    up?.destroy();
  }

  /** Both messages are complete: the connection may serve another request until `idleUntil`, if it is still open. */
  giveBack(up: UpstreamConnection, idleUntil: number): void {
    // Its other end has not slept.
    up.endpoint.release(up, idleUntil + this.#context.slept);
  }
}
