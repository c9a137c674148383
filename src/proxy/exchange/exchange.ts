/**
 * The life of a request, from top to bottom:
 *
 *   head → service → facts → decision → endpoint → forward → answer → observe
 *
 * One exchange object belongs to a client connection and is used again for each of its requests; nothing is
 * allocated per request that it can hold. Promises: one request sees one routing; whatever fails is answered by the
 * error responses or by a visible truncation; a request is never delivered twice unless it may be; an upstream
 * connection is used again only when both messages on it are complete.
 */
import { IDEMPOTENT } from '../../http1/methods.ts';
import { REFUSALS } from '../../http1/refusal.ts';
import type { RequestHead } from '../../http1/request-head.ts';
import type { ResponseFraming, ResponseHead } from '../../http1/response-head.ts';
import { UNKNOWN_SERVICE } from '../../policy/service-match.ts';
import type { Variant } from '../../policy/rollout.ts';
import type { UpstreamHandler } from '../../upstream/connection.ts';
import type { SocketWriter } from '../../net/socket-writer.ts';
import { endpointKeepAlive, finalHead, interimHead, upgradedHead } from './answer-head.ts';
import { Attempts, type ConnectFailure } from './attempts.ts';
import { BodyDrain, DRAIN_LIMIT } from './body-drain.ts';
import { NO_DEADLINE, type ClientSide } from '../connection/client-side.ts';
import { decideRequest, mayFallBack } from './decide-request.ts';
import { endOfWay, type EndOfWay } from './hop-limits.ts';
import { ExchangeRecord, variantIndex } from './exchange-record.ts';
import { upstreamRequestHead } from './forward-headers.ts';
import { breakerRefuses } from './breaker-gate.ts';
import { STREAM_REFUSED } from '../../http2/edge-socket.ts';
import { joinAnswer, joinRequest } from '../../http2/joined-streams.ts';
import { RequestBody } from './request-body.ts';
import { RequestContext } from './request-context.ts';
import {
  invalidResponse,
  optionsResponse,
  refusalResponse,
  errorResponse,
  ERROR_RESPONSES,
  type ErrorCode,
} from './error-responses.ts';
import { LONG_BODY, ResponseRelay, type ResponseSink } from './response-relay.ts';
import type { Routing, ServiceRoute } from '../routing.ts';
import { Tunnel, type TunnelOwner } from '../connection/tunnel.ts';
import { warnOfFailure, warnOfResponse } from './warn-of.ts';
import { ExchangeTimeouts } from './exchange-timeouts.ts';
import type { WorkerContext } from '../worker-context.ts';
import { isShortage } from '../../runtime/faults.ts';

/**
 * `connecting`: an endpoint was picked, nothing was sent. `waiting`: the request is being sent or was sent, no final answer yet.
 * `answering`: the client has the head of the answer. `draining`: it has all of the answer, and what is left of its body is read, so
 * that the connection can serve on.
 */
type Phase = 'none' | 'connecting' | 'waiting' | 'answering' | 'draining' | 'tunnel';

/** What nginx calls the outcome of a request whose client left. */
const CLIENT_LEFT_STATUS = 499;

export class Exchange implements UpstreamHandler, ResponseSink, TunnelOwner {
  /** Clock value (ms) at which the exchange is cut, because its variant is no longer to be used. */
  cutAt = NO_DEADLINE;
  #side!: ClientSide;
  readonly #context: WorkerContext;
  readonly #view: RequestContext;
  readonly #attempts: Attempts;
  readonly #body = new RequestBody();
  readonly #relay: ResponseRelay;
  #routing: Routing;
  #route: ServiceRoute | null = null;
  #phase: Phase = 'none';
  #clientBlocked = false;
  #closeAfter = false;
  #status = 0;
  readonly #timeouts: ExchangeTimeouts;
  readonly #drain: BodyDrain;
  readonly #record: ExchangeRecord;

  constructor(context: WorkerContext) {
    this.#context = context;
    this.#routing = context.routing;
    this.#view = new RequestContext(context);
    this.#attempts = new Attempts(this, context);
    this.#relay = new ResponseRelay(this);
    this.#timeouts = new ExchangeTimeouts(context);
    this.#record = new ExchangeRecord(context, this.#view);
    this.#drain = new BodyDrain(context, this.#body);
  }

  /** Whose requests it serves from now on; before the first of them. */
  attach(side: ClientSide): void {
    this.#side = side;
    this.#view.attach(side);
    this.#timeouts.attach(side);
    this.#drain.attach(side);
  }

  // ── 1. head ────────────────────────────────────────────────────────────────────────────────────────────

  /** The parser fills it before `begin`. */
  get head(): RequestHead {
    return this.#view.head;
  }

  /** Begins with the request whose head stands in `head`. */
  begin(): void {
    const { head } = this;
    const context = this.#context;
    this.#record.begin();
    if (context.stale(this.#record.startedAt)) context.serveStable();
    const { routing } = context;
    this.#routing = routing;
    this.#route = null;
    this.#closeAfter = !head.keepAlive || head.versionMinor === 0;
    this.#clientBlocked = false;
    this.cutAt = NO_DEADLINE;
    this.#attempts.reset();
    this.#body.begin(head, routing.bodyLimits);
    // HTTP/2 can tell that a request was not processed, whatever its method.
    if (!this.#body.done && (IDEMPOTENT.has(head.method) || this.#side.downstream.http2)) this.#body.keep();
    this.#relay.reset();
    this.#view.begin(this.#body.done);
    // From here on the exchange is active, so that a failure below is answered like any other.
    this.#phase = 'connecting';
    if (this.#context.admission.begin()) this.#findService(routing);
    else this.#turnAway();
  }

  /** Too much is going on: an answer before any work is done. It counts for no variant, because none was decided. */
  #turnAway(): void {
    if (this.#context.admission.short) this.#closeAfter = true;
    this.#answerError('overloaded');
  }

  // ── 2. service, and 3. facts: what the policy may ask about the request ────────────────────────────────

  #findService(routing: Routing): void {
    const end = endOfWay(this.head, routing.via);
    if (end !== null) {
      this.#endHere(end);
      return;
    }
    const index = routing.matcher.find(this.head.host, this.head.path);
    const route = routing.services[index];
    if (route === undefined || route.policy.rules?.isAmbiguous(this.head.path) === true) {
      this.#context.counters.unmatchedHost();
      this.#answerError(index === UNKNOWN_SERVICE ? 'no_service' : 'ambiguous_path');
      return;
    }
    if (route.admission.admits(this.#view.upgrade)) {
      this.#route = route;
      this.#view.guard = route.guard;
      this.#body.guard = route.guard;
      this.#view.findClient(routing);
      this.#decide(route);
    } else this.#turnAway();
  }

  #endHere(end: EndOfWay): void {
    if (end === 'loop_detected') this.#context.counters.loopDetected();
    if (end !== 'options') this.#answerError(end);
    else {
      const close = this.#closeAfter || !this.#body.done;
      this.writer.write(optionsResponse(close, this.#context.dateLine));
      this.#finish(204, close, this.#context.now());
    }
  }

  // ── 4. decision ────────────────────────────────────────────────────────────────────────────────────────

  #decide(route: ServiceRoute): void {
    const { decision } = this.#view;
    const unavailable = decideRequest(this.#view, route, this.#context);
    if (unavailable !== null) {
      this.#answerError(unavailable);
      return;
    }
    if (decision.fallback) this.#attempts.fallBack(variantIndex(decision.assigned));
    if (decision.variant === 'canary' && breakerRefuses(route, decision, this.#context.random))
      this.#fallBack(route, this.#record.startedAt);
    else this.#attempt(route, this.#record.startedAt);
  }

  get variant(): Variant {
    return this.#view.decision.variant;
  }

  // ── 5. endpoint ────────────────────────────────────────────────────────────────────────────────────────

  #attempt(route: ServiceRoute, now: number): void {
    switch (this.#attempts.next(route, variantIndex(this.variant), now)) {
      case 'ready':
        this.#send(now);
        return;
      case 'connecting':
        this.#phase = 'connecting';
        this.#side.setDeadline(now + route.settings.connectTimeout);
        return;
      case 'none':
        this.#fallBack(route, now);
        return;
    }
  }

  /** No endpoint of the variant is left: the other variant takes the request where that is allowed. */
  #fallBack(route: ServiceRoute, now: number): void {
    const { decision } = this.#view;
    if (!mayFallBack(route, decision)) {
      this.#answerError(this.#attempts.failure);
      return;
    }
    this.#attempts.fallBack(variantIndex(decision.variant));
    decision.variant = decision.variant === 'canary' ? 'stable' : 'canary';
    decision.fallback = true;
    this.#attempt(route, now);
  }

  upstreamConnected(): void {
    this.#attempts.connected();
    this.#send(this.#context.now());
  }

  // ── 6. forward ─────────────────────────────────────────────────────────────────────────────────────────

  #send(now: number): void {
    const { settings, mirror } = this.#route!;
    this.#phase = 'waiting';
    this.#timeouts.begin(this.head, settings, this.#body.done, now);
    const { writer } = this.#attempts.up!;
    joinRequest(this.#side.socket, writer.socket, this.#route!.guard.allowsTrailer);
    writer.write(upstreamRequestHead(this.head, this.#view));
    this.#body.sendKept(writer);
    if (mirror !== null && this.#attempts.count === 1)
      this.#body.copy = mirror.take(this.#view, this.#body.done, this.#route!, this.#routing.responseLimits);
    if (!this.#body.done) this.#side.resume();
  }

  /** Takes what belongs to the request's body from `bytes[start..end)`; returns how much, 0 when nothing can be taken now. */
  requestBytes(bytes: Buffer, start: number, end: number): number {
    const { up } = this.#attempts;
    const body = this.#body;
    if (body.done || this.#phase === 'connecting') return 0;
    if (this.#phase === 'draining') return this.#drainBytes(bytes, start, end);
    if (up === null) return 0;
    const used = body.take(bytes, start, end, up.writer);
    if (used < 0) {
      this.#refuseBody(used);
      return end - start;
    }
    if (body.done) this.writer.readShort(up.writer.blocked);
    else if (used > LONG_BODY) this.writer.readLong();
    if (this.#phase === 'waiting') {
      if (body.done) this.#attempts.sent(this.#timeouts.forHead(true));
      else this.#timeouts.forBody(used);
    } else if (!this.#clientBlocked) this.#timeouts.stillAsked(body.done, used);
    return used;
  }

  /** The rest of a body is invalid: the endpoint sees the request cut, the client a refusal where it still can. */
  #refuseBody(refused: number): void {
    const index = -refused - 1;
    const refusal = REFUSALS[index];
    this.#context.counters.refused(index);
    this.#attempts.drop('client_gone');
    if (this.#phase === 'waiting' && refusal !== undefined) {
      this.#record.errorType = refusal.code;
      this.writer.write(refusalResponse(refusal, this.requestMethod === 'HEAD', this.#context.dateLine));
      this.#finish(refusal.status, true, this.#context.now());
      return;
    }
    this.#truncate();
  }

  /** The client should not send more of the body now. */
  get awaitsBody(): boolean {
    return this.#phase === 'connecting' && !this.#body.done;
  }

  get readingBlocked(): boolean {
    return this.active && this.#body.blocked;
  }

  upstreamStalled(): void {
    if (this.#body.done) return;
    if (!this.#body.blocked && !this.#clientBlocked)
      this.#timeouts.endpointStalled(this.#phase === 'answering');
    this.#body.blocked = true;
    this.#side.pauseReading();
  }

  upstreamDrained(): void {
    if (!this.#body.blocked) return;
    this.#body.blocked = false;
    if (!this.#clientBlocked) this.#timeouts.endpointDrained();
    this.#side.resume();
  }

  // ── 7. answer ──────────────────────────────────────────────────────────────────────────────────────────

  upstreamBytes(bytes: Buffer, start: number, end: number): void {
    this.#relay.push(bytes, start, end, this.#routing.responseLimits);
    if (this.#phase !== 'answering') return;
    this.#attempts.answered();
    if (!this.#body.done && !this.#body.blocked && !this.#clientBlocked) this.#timeouts.forMore(false);
  }

  get writer(): SocketWriter {
    return this.#side.writer;
  }

  get requestMethod(): string {
    return this.head.method;
  }

  get plainClient(): boolean {
    return this.head.versionMinor === 0;
  }

  interimHead(head: ResponseHead): string {
    if (head.status === 100) this.#body.continued();
    return this.plainClient ? '' : interimHead(head);
  }

  finalHead(head: ResponseHead, framing: ResponseFraming): string {
    this.#phase = 'answering';
    this.#status = head.status;
    const chunked = framing === 'chunked';
    if (framing === 'close' || this.#lastOfDrain || (chunked && this.plainClient)) this.#closeAfter = true;
    // A stream of HTTP/2 has an end of its own.
    if (!this.#body.done && !this.#mayDrain && !this.#side.downstream.http2) this.#closeAfter = true;
    this.#timeouts.forMore(this.#body.done || this.#body.withheld, this.#body.blocked);
    this.#body.settle();
    if (this.#side.downstream.http2) joinAnswer(this.#attempts.up!.socket, this.#side.socket);
    const { decision } = this.#view;
    const { dateLine } = this.#context;
    const inChunks = chunked && !this.plainClient;
    return finalHead(head, this.head, this.#route!, decision, this.#closeAfter, inChunks, dateLine);
  }

  /** The worker drains, and no further request is here already that would be dropped after a `Connection: close`. */
  get #lastOfDrain(): boolean {
    return this.#context.draining && !(this.#body.done && this.#side.moreWaits);
  }

  /** Whether so little of the body is to come that it can be read for nothing, and certainly comes. */
  get #mayDrain(): boolean {
    return this.#body.rest <= DRAIN_LIMIT && !this.#body.withheld && !this.#side.downstream.http2;
  }

  /** The client reads slowly: nothing more is read for it. */
  clientStalled(): void {
    if (this.#clientBlocked || this.#phase !== 'answering') return;
    this.#clientBlocked = true;
    this.#attempts.up?.socket.pause();
    this.#timeouts.forReader();
  }

  clientDrained(): void {
    if (!this.#clientBlocked) return;
    this.#clientBlocked = false;
    if (!this.active) return;
    this.#timeouts.forMore(this.#body.done, this.#body.blocked);
    this.#attempts.up?.socket.resume();
  }

  longBody(): void {
    this.#attempts.up?.writer.readLong();
  }

  responseComplete(leftover: boolean): void {
    const up = this.#attempts.up!;
    up.writer.readShort(this.writer.blocked);
    const complete = this.#body.done;
    // Where little of the body is to come, the endpoint may have it; a request that is cut is its connection's last.
    const drains = !complete && !this.#closeAfter && this.#mayDrain;
    const { head, framing } = this.#relay;
    const now = this.#context.now();
    this.#attempts.complete(this.#status, now);
    this.#attempts.up = null;
    const reusable = !leftover && head.keepAlive && framing !== 'close';
    if (reusable && (complete || (drains && !this.#body.blocked))) {
      const { upstreamKeepAlive } = this.#route!.settings;
      if (this.#clientBlocked) up.socket.resume();
      if (complete) this.#attempts.giveBack(up, now + endpointKeepAlive(head, upstreamKeepAlive));
      else this.#drain.use(up, head, upstreamKeepAlive);
    } else {
      up.destroy();
    }
    this.#finish(this.#status, !complete && !drains, now);
  }

  #drainBytes(bytes: Buffer, start: number, end: number): number {
    const used = this.#drain.take(bytes, start, end);
    if (!this.#body.done) return used;
    const now = this.#context.now();
    this.#drain.end(now);
    this.#phase = 'none';
    this.#side.nextRequest(now);
    return used;
  }

  /** The client has its answer, and some of its body is to come. */
  get draining(): boolean {
    return this.#phase === 'draining';
  }

  responseInvalid(code: number, begun: boolean): void {
    const reason = code < 0 ? REFUSALS[-code - 1]!.code : 'unexpected_interim';
    warnOfResponse(this.#context, this.#view, this.#route, this.#attempts.endpointName, reason);
    this.#attempts.drop('bad_response');
    if (begun) this.#truncate();
    else this.#answerError(invalidResponse(reason));
  }

  upgraded(head: ResponseHead, bytes: Buffer, start: number, end: number): void {
    if (!this.#view.upgrade) {
      this.responseInvalid(0, false);
      return;
    }
    this.writer.write(upgradedHead(head));
    this.#phase = 'tunnel';
    this.#context.counters.tunnelOpened();
    this.#route!.counters.tunnelOpened();
    const tunnel = new Tunnel(this.writer, this.#attempts.up!, this);
    if (start < end) tunnel.upstreamBytes(bytes, start, end);
    this.#side.resumeTunnel(tunnel);
  }

  tunnelMoved(): void {
    this.#side.setDeadline(this.#context.now() + this.#route!.settings.tunnelIdleTimeout);
  }

  tunnelOver(inOrder: boolean): void {
    this.#context.counters.tunnelClosed();
    this.#route!.counters.tunnelClosed();
    const { up } = this.#attempts;
    // The life of a tunnel is no latency.
    this.#attempts.end('ok', false);
    this.#attempts.up = null;
    if (inOrder) up?.destroyWhenSent();
    else up?.destroy();
    this.#observe(101, this.#context.now());
    this.#phase = 'none';
    this.#side.cutWhenSent();
  }

  upstreamEnded(): void {
    if (this.#relay.endsByClose()) this.responseComplete(false);
    else this.#lostUpstream();
  }

  upstreamClosed(error: NodeJS.ErrnoException | null): void {
    if (this.#phase === 'connecting') {
      const reached = this.#attempts.up?.reached === true;
      this.#connectFailed(error?.code ?? 'closed', reached ? 'tls_failed' : 'connect_failed');
    } else {
      // With TLS 1.3 an endpoint that refuses our certificate says so only after it has our request.
      const code = error?.code?.startsWith('ERR_SSL_') === true ? 'tls_failed' : 'upstream_reset';
      this.#lostUpstream(error?.code === STREAM_REFUSED, code);
    }
  }

  /** The endpoint went away in the middle: again, if that is safe, else an error, else a truncated answer. */
  #lostUpstream(refused = false, code: 'upstream_reset' | 'tls_failed' = 'upstream_reset'): void {
    if (this.#phase === 'answering') {
      this.#attempts.drop('reset');
      this.#truncate();
      return;
    }
    this.#attempts.broken(code, refused);
    if (this.#mayRepeat(refused)) this.#again(true);
    else if (refused && this.#side.refuseStream()) {
      this.#observe(ERROR_RESPONSES.upstream_reset.status, this.#context.now());
      this.#phase = 'none';
    } else this.#again(false);
  }

  /** Whether the request, which an endpoint may have seen, may be delivered once more. `refused`: it has not processed it. */
  #mayRepeat(refused = false): boolean {
    return !this.#relay.heard && this.#body.repeatable && (refused || IDEMPOTENT.has(this.requestMethod));
  }

  /** Nothing was sent, so whatever the method is, another endpoint may be tried. */
  #connectFailed(reason: string, code: ConnectFailure): void {
    this.#attempts.refused(code, reason);
    // What this process lacks, it lacks for every endpoint.
    this.#again(!isShortage(reason));
  }

  #again(safe: boolean): void {
    const route = this.#route!;
    if (!safe) this.#answerError(this.#attempts.failure);
    else if (this.#attempts.mayRetry(route.settings.maxRetries)) this.#attempt(route, this.#context.now());
    // What may be sent again may as well be sent to the other variant.
    else this.#fallBack(route, this.#context.now());
  }

  // ── 8. observe, and what ends an exchange before its time ──────────────────────────────────────────────

  get active(): boolean {
    return this.#phase !== 'none';
  }

  /** What waits for the endpoint to read it, or is kept for another one. */
  get bufferedBytes(): number {
    return (this.#attempts.up?.writer.heldBytes ?? 0) + this.#body.keptBytes;
  }

  /** The service that a running exchange is for, or null. */
  get route(): ServiceRoute | null {
    return this.active ? this.#route : null;
  }

  onDeadline(now: number): void {
    if (now >= this.cutAt) {
      this.#cut();
      return;
    }
    switch (this.#phase) {
      case 'connecting':
        this.#connectFailed('timeout', 'connect_timeout');
        return;
      case 'waiting':
        // A body that does not go on is the endpoint's fault where it has stopped reading, else the client's.
        if (this.#body.done || this.#body.blocked || this.#timeouts.call) {
          this.#attempts.timedOut();
          this.#again(this.#mayRepeat());
        } else {
          this.#attempts.drop('client_gone');
          const why = this.#timeouts.slowSender(now);
          this.#route!.counters.slowClient(why);
          this.#answerError(why === 'body_slow' ? 'request_body_too_slow' : 'request_body_timeout');
        }
        return;
      case 'answering': {
        const why = this.#clientBlocked ? this.#timeouts.slowReader() : this.#timeouts.slowSender(now);
        if (why === null) return;
        this.#route!.counters.slowClient(why);
        this.clientLeft();
        this.#side.abort(true);
        return;
      }
      case 'draining':
        if (!this.#drain.isOver(now)) return;
        this.#phase = 'none';
        this.#side.closeGracefully();
        return;
      case 'tunnel':
        this.tunnelOver(false);
        return;
      case 'none':
        return;
    }
  }

  /** The variant is no longer to be used: what still runs on it ends. */
  #cut(): void {
    this.cutAt = NO_DEADLINE;
    if (this.#phase === 'draining') this.#drain.letGo();
    else if (this.#phase === 'tunnel') this.tunnelOver(false);
    else {
      this.#attempts.drop('ok');
      if (this.#phase === 'answering') this.#truncate();
      else this.#answerError('no_endpoint');
    }
  }

  /** The client closed. Whatever runs for it is cancelled. */
  clientLeft(): void {
    if (!this.active) return;
    if (this.#phase === 'tunnel') this.tunnelOver(false);
    else if (this.#phase === 'draining') this.#drain.letGo();
    else {
      this.#context.counters.clientAborted();
      this.#record.errorType = 'client_gone';
      this.#attempts.drop('client_gone');
      this.#observe(CLIENT_LEFT_STATUS, this.#context.now());
    }
    this.#phase = 'none';
  }

  #answerError(code: ErrorCode): void {
    const { status } = ERROR_RESPONSES[code];
    this.#record.errorType = code;
    const stopped = code === 'request_body_timeout' || code === 'request_body_too_slow';
    const incomplete = !this.#body.done && (stopped || !this.#mayDrain);
    if (this.#lastOfDrain) this.#closeAfter = true;
    const close = this.#closeAfter || incomplete;
    this.writer.write(errorResponse(code, close, this.requestMethod === 'HEAD', this.#context.dateLine));
    if (status >= 500) warnOfFailure(this.#context, this.#view, this.#route, code, status);
    this.#finish(status, incomplete, this.#context.now());
  }

  /** The client must not take what it has for the whole. */
  #truncate(): void {
    this.#record.errorType = 'truncated';
    this.#observe(this.#status, this.#context.now());
    this.#phase = 'none';
    // Without a length or chunks only a reset tells that something is missing.
    if (this.#relay.framing === 'close' || this.plainClient) this.#side.abort(true);
    else this.#side.cutWhenSent();
  }

  #finish(status: number, mustClose: boolean, now: number): void {
    this.#observe(status, now);
    this.#phase = 'none';
    if (this.#closeAfter || mustClose) this.#side.closeGracefully();
    else if (this.#body.done) this.#side.nextRequest(now);
    else {
      this.#phase = 'draining';
      this.#drain.begin(now);
    }
  }

  #observe(status: number, now: number): void {
    this.#body.end();
    this.#record.end(this.#route, this.#attempts.endpointName, status, now);
  }
}
