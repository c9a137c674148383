/**
 * The life of a request, from top to bottom:
 *
 *   head → service → facts → decision → endpoint → forward → answer → observe
 *
 * An exchange belongs to a client connection only while a request runs on it, and is lent to the next one after that; nothing is
 * allocated per request that it can hold. It keeps the order: which phase the request is in (`phases.ts`), and what happens in it. What
 * comes after its end is for the connection, which reads `ending`.
 *
 * Promises: one request sees one routing; whatever fails is answered by an error response or by a visible truncation; a request is never
 * delivered twice unless it may be; an upstream connection is used again only when both messages on it are complete.
 */
import { IDEMPOTENT } from '../../http1/methods.ts';
import { PROTOCOL_ERRORS } from '../../http1/protocol-errors.ts';
import type { UpstreamHandler } from '../../upstream/connection.ts';
import { endpointKeepAlive } from './answer-head.ts';
import { BodyDrain } from './body-drain.ts';
import { ClientAnswer } from './client-answer.ts';
import { NO_DEADLINE } from '../connection/client-side.ts';
import { Delivery } from './delivery.ts';
import { ExchangePace } from './exchange-pace.ts';
import { ExchangeRecord } from './exchange-record.ts';
import { upstreamRequestHead } from './forward-headers.ts';
import { STREAM_REFUSED } from '../../http2/edge-socket.ts';
import { joinRequest } from '../../http2/joined-streams.ts';
import { nextPhase, PHASES, type RequestPhase } from './phases.ts';
import type { Standing } from './recovery.ts';
import { RequestBody } from './request-body.ts';
import { RequestContext } from './request-context.ts';
import { ERROR_RESPONSES, invalidResponse, type ErrorCode } from './error-responses.ts';
import { ResponseRelay } from './response-relay.ts';
import { routeRequest, type EndsHere } from './route-request.ts';
import type { Routing } from '../routing.ts';
import { warnOfResponse } from './warn-of.ts';
import { Upgrade } from './upgrade.ts';
import type { WorkerContext } from '../worker-context.ts';

/** What nginx calls the outcome of a request whose client left. */
const CLIENT_LEFT_STATUS = 499;

/**
 * What becomes of the client connection after an exchange. `next`: it serves on. `close`: it ends in order. `cut`: it ends when what was
 * written is sent, in the middle of an answer. `reset`: at once, so that the client can't take a part for the whole. `refuse`: the client
 * is told that nobody processed its request (HTTP/2).
 */
export type Ending = 'next' | 'close' | 'cut' | 'reset' | 'refuse';

export class Exchange implements UpstreamHandler {
  readonly request: RequestContext;
  readonly delivery: Delivery;
  readonly pace: ExchangePace;
  /** A request runs: what the connection reads belongs to its body. */
  active = false;
  /** Set when the exchange ends, for the connection to act on and to take away; null before, and where the client left. */
  ending: Ending | null = null;
  /** Clock value (ms) at which it ended. */
  endedAt = 0;
  /** Clock value (ms) at which the exchange is cut, because its variant is no longer to be used. */
  cutAt = NO_DEADLINE;
  readonly #context: WorkerContext;
  readonly #body: RequestBody;

  readonly #answer: ClientAnswer;
  readonly #relay: ResponseRelay;
  readonly #drain: BodyDrain;
  readonly #upgrade: Upgrade;
  readonly #record: ExchangeRecord;
  #routing: Routing;

  constructor(context: WorkerContext) {
    const request = new RequestContext(context);
    this.request = request;
    this.#context = context;
    this.#routing = context.routing;
    this.#record = new ExchangeRecord(context, request);
    this.#body = new RequestBody(request);
    this.delivery = new Delivery(context, request, this.#body, this);
    const { attempts } = this.delivery;
    this.#answer = new ClientAnswer(context, request, this.#body, attempts, this.#record);
    this.#relay = new ResponseRelay(this.#answer);
    this.pace = new ExchangePace(context, request, attempts, this.#relay.reader);
    this.#drain = new BodyDrain(context, request, this.#body);
    this.#upgrade = new Upgrade(context, request, attempts, (now) => {
      this.#observe(101, now);
      this.#end('cut', now);
    });
  }

  #enter(phase: RequestPhase): void {
    const { request } = this;
    request.phase = nextPhase(request.phase, phase);
    this.active = phase !== 'idle';
  }

  // ── 1. head, 2. service, 3. facts, 4. decision ─────────────────────────────────────────────────────────

  /** Begins with the request whose head was just read. */
  begin(): void {
    const context = this.#context;
    const { request } = this;
    const { head, reader } = request;
    this.#record.begin();
    const now = this.#record.startedAt;
    if (context.stale(now)) context.serveStable();
    this.#routing = context.routing;
    this.ending = null;
    this.cutAt = NO_DEADLINE;
    this.pace.begin();
    this.delivery.reset();
    // HTTP/2 can tell that a request was not processed, whatever its method.
    this.#body.begin(IDEMPOTENT.has(head.method) || request.side.downstream.http2);
    this.#answer.begin();
    request.begin(reader.body.done);
    this.#relay.reset(head.method, head.versionMinor === 0, request.upgrade);
    // From here on the exchange is active, so that a failure below is answered like any other.
    this.#enter('deciding');
    const end = routeRequest(request, this.#routing, context);
    if (end === null) this.#carryOn(this.delivery.begin(request.route!, now), now);
    else this.#endHere(end);
  }

  #endHere(why: EndsHere): void {
    if (why === 'options') {
      this.#finish(this.#answer.options(), this.#context.monotonicNow());
      return;
    }
    if (why === 'overloaded' && this.#context.admission.short) this.#answer.closes = true;
    this.#answerError(why);
  }

  // ── 5. endpoint ────────────────────────────────────────────────────────────────────────────────────────

  #carryOn(standing: Standing, now = this.#context.monotonicNow()): void {
    switch (standing) {
      case 'ready':
        this.#send(now);
        return;
      case 'connecting':
        this.#enter('connecting');
        this.request.side.setDeadline(now + this.request.route!.settings.connectTimeout);
        return;
      case 'refuse':
        this.#observe(ERROR_RESPONSES.upstream_reset.status, now);
        this.#end('refuse', now);
        return;
      case 'answer':
        this.#answerError(this.delivery.attempts.failure);
        return;
    }
  }

  upstreamConnected(): void {
    this.delivery.attempts.connected();
    this.#send(this.#context.monotonicNow());
    this.request.side.advance();
  }

  upstreamClosed(error: NodeJS.ErrnoException | null): void {
    if (this.request.phase === 'connecting')
      this.#carryOn(this.delivery.notConnected(error?.code ?? 'closed'));
    else {
      // With TLS 1.3 an endpoint that refuses our certificate says so only after it has our request.
      const code = error?.code?.startsWith('ERR_SSL_') === true ? 'tls_failed' : 'upstream_reset';
      this.#lostUpstream(code, error?.code === STREAM_REFUSED);
    }
    this.request.side.advance();
  }

  #lostUpstream(code: 'upstream_reset' | 'tls_failed', unprocessed: boolean): void {
    if (this.request.phase !== 'answering') {
      this.#carryOn(this.delivery.lost(code, unprocessed));
      return;
    }
    this.delivery.attempts.drop('reset');
    this.#truncate();
  }

  // ── 6. forward ─────────────────────────────────────────────────────────────────────────────────────────

  #send(now: number): void {
    const { request } = this;
    const route = request.route!;
    const { head, reader } = request;
    const { done } = reader.body;
    this.#enter('waiting');
    this.pace.sending(route.settings, now);
    const { writer } = this.delivery.attempts.up!;
    joinRequest(request.side.socket, writer.socket, route.guard.allowsTrailer);
    writer.write(upstreamRequestHead(head, request));
    // What was taken for an endpoint that is gone.
    if (this.#body.replay.length > 0) this.#body.replay.sendTo(writer);
    if (route.mirror !== null && this.delivery.attempts.count === 1)
      this.#body.copy = route.mirror.take(request, done, route, this.#routing.messageLimits);
  }

  /** Takes what belongs to the request's body from `bytes[start..end)`; returns how much, 0 when nothing can be taken now. */
  requestBytes(bytes: Buffer, start: number, end: number): number {
    const { phase, reader } = this.request;
    if (reader.body.done) return 0;
    if (phase === 'draining') return this.#drainBytes(bytes, start, end);
    const { up } = this.delivery.attempts;
    if (up === null || (phase !== 'waiting' && phase !== 'answering')) return 0;
    const used = this.#body.take(bytes, start, end, up.writer);
    if (used >= 0) {
      this.pace.sent(used);
      return used;
    }
    this.#refuseBody(used);
    return end - start;
  }

  /** The rest of a body is invalid: the endpoint sees the request cut, the client a refusal where it still can. */
  #refuseBody(refused: number): void {
    const index = -refused - 1;
    const refusal = PROTOCOL_ERRORS[index]!;
    this.#context.counters.refused(index);
    this.delivery.attempts.drop('client_gone');
    if (this.request.phase === 'answering') {
      this.#truncate();
      return;
    }
    this.#answer.refusal(refusal);
    this.#finish(true, this.#context.monotonicNow());
  }

  #drainBytes(bytes: Buffer, start: number, end: number): number {
    const used = this.#drain.take(bytes, start, end);
    if (this.request.reader.body.done) {
      const now = this.#context.monotonicNow();
      this.#drain.end(now);
      this.#end('next', now);
    }
    return used;
  }

  upstreamStalled(): void {
    this.pace.endpointStalled();
  }

  upstreamDrained(): void {
    this.pace.endpointDrained();
    this.request.side.advance();
  }

  // ── 7. answer ──────────────────────────────────────────────────────────────────────────────────────────

  upstreamBytes(bytes: Buffer, start: number, end: number): void {
    const relay = this.#relay;
    this.delivery.heard = true;
    switch (relay.push(bytes, start, end, this.#routing.messageLimits)) {
      case 'more':
        if (relay.long) this.delivery.attempts.up!.writer.readLong();
        if (relay.reader.begun) this.#answerGoesOn();
        return;
      case 'complete':
        this.#complete(relay.stoppedAt < end);
        break;
      case 'upgraded':
        this.#enter('tunnel');
        this.#upgrade.open(relay.reader.head, bytes, relay.stoppedAt, end);
        break;
      case 'invalid':
        this.#invalidAnswer(relay.refusal);
        break;
    }
    this.request.side.advance();
  }

  upstreamEnded(): void {
    if (this.#relay.reader.endsByClose()) this.#complete(false);
    else this.#lostUpstream('upstream_reset', false);
    this.request.side.advance();
  }

  /** The client has the head of the answer, and more of it is to come. */
  #answerGoesOn(): void {
    this.delivery.attempts.answered();
    if (this.request.phase === 'answering') {
      this.pace.answerGoesOn();
      return;
    }
    this.#enter('answering');
    this.pace.answerBegins(this.#body.withheld);
  }

  /** The answer is complete. `leftover`: the endpoint sent more than it should have. */
  #complete(leftover: boolean): void {
    const up = this.delivery.attempts.up!;
    const { pace, request } = this;
    const complete = request.reader.body.done;
    const { status, closes } = this.#answer;
    up.writer.readShort(request.side.writer.blocked);
    // Where little of the body is to come, the endpoint may have it; a request that is cut is its connection's last.
    const drains = !complete && !closes && this.#answer.mayDrain;
    const { head, reusable } = this.#relay.reader;
    const now = this.#context.monotonicNow();
    this.delivery.attempts.complete(status, now);
    this.delivery.attempts.up = null;
    if (leftover || !reusable || !(complete || (drains && !pace.endpointBlocked))) up.destroy();
    else {
      const keepAlive = endpointKeepAlive(head, request.route!.settings.upstreamKeepAlive);
      if (pace.clientBlocked) up.socket.resume();
      if (complete) this.delivery.attempts.giveBack(up, now + keepAlive);
      else this.#drain.use(up, keepAlive);
    }
    this.#finish(!complete && !drains, now);
  }

  /** `code`: the number of the refusal; 0 for an interim answer that nothing asked for. */
  #invalidAnswer(code: number): void {
    const reason = code < 0 ? PROTOCOL_ERRORS[-code - 1]!.code : 'unexpected_interim';
    warnOfResponse(this.#context, this.request, this.delivery.attempts.endpointName, reason);
    this.delivery.attempts.drop('bad_response');
    if (this.#relay.reader.begun) this.#truncate();
    else this.#answerError(invalidResponse(reason));
  }

  // ── 8. observe, and what ends an exchange before its time ──────────────────────────────────────────────

  /** The deadline that the exchange has set has come, or its variant is no longer to be used. */
  onDeadline(now: number): void {
    if (now >= this.cutAt) {
      this.#cut();
      return;
    }
    switch (PHASES[this.request.phase].deadline) {
      case 'endpoint':
        this.#carryOn(this.delivery.notConnected('timeout'));
        return;
      case 'answer':
        if (this.pace.endpointLate) this.#carryOn(this.delivery.timedOut());
        else this.#clientLate(now);
        return;
      case 'client':
        this.#clientLate(now);
        return;
      case 'drain':
        if (this.#drain.isOver(now)) this.#end('close', now);
        return;
      case 'tunnel':
        this.#upgrade.close(false);
        return;
      case null:
        return;
    }
  }

  #clientLate(now: number): void {
    const why = this.pace.slowClient(now);
    if (why === null) return;
    this.request.route!.counters.slowClient(why);
    if (this.request.phase === 'answering') {
      this.clientLeft();
      this.ending = 'reset';
      return;
    }
    this.delivery.attempts.drop('client_gone');
    this.#answerError(why === 'body_slow' ? 'request_body_too_slow' : 'request_body_timeout', true);
  }

  /** The variant is no longer to be used: what still runs on it ends. */
  #cut(): void {
    this.cutAt = NO_DEADLINE;
    const { phase } = this.request;
    if (phase === 'draining') this.#drain.letGo();
    else if (phase === 'tunnel') this.#upgrade.close(false);
    else {
      this.delivery.attempts.drop('ok');
      if (phase === 'answering') this.#truncate();
      else this.#answerError('no_endpoint');
    }
  }

  /** The client closed. Whatever runs for it is cancelled. */
  clientLeft(): void {
    if (!this.active) return;
    const { phase } = this.request;
    if (phase === 'tunnel') {
      this.#upgrade.close(false);
      return;
    }
    if (phase === 'draining') this.#drain.letGo();
    else {
      this.#context.counters.clientAborted();
      this.#record.errorType = 'client_gone';
      this.delivery.attempts.drop('client_gone');
      this.#observe(CLIENT_LEFT_STATUS, this.#context.monotonicNow());
    }
    this.#enter('idle');
  }

  #answerError(code: ErrorCode, bodyStopped = false): void {
    this.#finish(this.#answer.error(code, bodyStopped), this.#context.monotonicNow());
  }

  /** The client must not take what it has for the whole. */
  #truncate(): void {
    const now = this.#context.monotonicNow();
    this.#record.errorType = 'truncated';
    this.#observe(this.#answer.status, now);
    // Without a length or chunks only a reset tells that something is missing.
    const untold = this.#relay.reader.body.framing === 'close' || this.request.head.versionMinor === 0;
    this.#end(untold ? 'reset' : 'cut', now);
  }

  /** The client has all of its answer. */
  #finish(mustClose: boolean, now: number): void {
    this.#observe(this.#answer.status, now);
    if (this.#answer.closes || mustClose) this.#end('close', now);
    else if (this.request.reader.body.done) this.#end('next', now);
    else {
      this.#enter('draining');
      this.pace.endpointBlocked = false;
      this.#drain.begin(now);
    }
  }

  #observe(status: number, now: number): void {
    const { begun, body } = this.#relay.reader;
    this.#body.end();
    this.#record.end(this.delivery.attempts.endpointName, status, begun ? body.size : this.#answer.size, now);
  }

  #end(ending: Ending, now: number): void {
    this.#enter('idle');
    this.ending = ending;
    this.endedAt = now;
  }
}
