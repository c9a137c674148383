/**
 * The life of a request, from top to bottom:
 *
 *   head → service → facts → decision → endpoint → forward → answer → observe
 *
 * One exchange object belongs to a client connection and is used again for each of its requests; nothing is
 * allocated per request that it can hold. Promises: one request sees one routing; whatever fails is answered by the
 * rescue table or by a visible truncation; a request is never delivered twice unless it may be; an upstream
 * connection is used again only when both messages on it are complete.
 */
import type { Socket } from 'node:net';
import { F } from '../http1/fields.ts';
import { REFUSALS } from '../http1/refusal.ts';
import { RequestHead } from '../http1/request-head.ts';
import type { ResponseFraming, ResponseHead } from '../http1/response-head.ts';
import { clientAddress, UNKNOWN_ADDRESS, type ClientAddress } from '../policy/address.ts';
import { CANARY_USABLE, decide, newDecision, STABLE_USABLE } from '../policy/decide.ts';
import type { RequestFacts } from '../policy/facts.ts';
import { REASONS, TIERS, type Variant } from '../policy/rollout.ts';
import { OVERRIDE_COOKIE } from '../policy/cookies.ts';
import { OUTCOMES, type Outcome, type VariantIndex } from '../telemetry/counters.ts';
import type { UpstreamConnection, UpstreamHandler } from '../upstream/connection.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import { hasEndpointUp, pickEndpoint } from '../upstream/picker.ts';
import { NO_DEADLINE, type ClientConnection } from './client-connection.ts';
import {
  clientResponseHead,
  sharedCacheable,
  upstreamRequestHead,
  type ForwardFacts,
} from './forward-headers.ts';
import { RequestBody } from './request-body.ts';
import { problemAnswer, rescueAnswer, RESCUES, type RescueCode } from './rescue.ts';
import { ResponseRelay, type ResponseSink } from './response-relay.ts';
import type { Routing, ServiceRoute } from './routing.ts';
import { Tunnel } from './tunnel.ts';
import { unsentBytes } from './unsent-bytes.ts';
import type { WorkerContext } from './worker-context.ts';

/**
 * `connecting`: an endpoint was picked, nothing was sent. `waiting`: the request is being sent or was sent, no final answer yet.
 * `answering`: the client has the head of the answer.
 */
type Phase = 'none' | 'connecting' | 'waiting' | 'answering' | 'tunnel';

/** Methods that may be delivered twice (RFC 9110, 9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);

/** What nginx calls the outcome of a request whose client left. */
const CLIENT_LEFT_STATUS = 499;

export class Exchange implements RequestFacts, ForwardFacts, UpstreamHandler, ResponseSink {
  readonly head = new RequestHead();
  readonly decision = newDecision();
  /** The client's address as the policy sees it. */
  client: ClientAddress = UNKNOWN_ADDRESS;
  secure = false;
  peerTrusted = false;
  /** The request asks for another protocol and may have it. */
  upgrade = false;
  /** Clock value (ms) at which the exchange is cut, because its variant is no longer to be used. */
  cutAt = NO_DEADLINE;
  readonly #connection: ClientConnection;
  readonly #context: WorkerContext;
  readonly #body = new RequestBody();
  readonly #relay: ResponseRelay;
  #routing: Routing;
  #route: ServiceRoute | null = null;
  #phase: Phase = 'none';
  #up: UpstreamConnection | null = null;
  #endpoint: Endpoint | null = null;
  #tunnel: Tunnel | null = null;
  readonly #tried: Endpoint[] = [];
  #attempts = 0;
  /** How the last attempt failed: the answer when no other attempt is left. */
  #failure: RescueCode = 'no_endpoint';
  /** The next attempt opens a connection: the idle ones may all be stale. */
  #fresh = false;
  #corked = false;
  #clientBlocked = false;
  #closeAfter = false;
  #requestId = '';
  #status = 0;
  #startedAt = 0;
  #attemptAt = 0;
  /** This request goes to the access log. */
  #logged = false;
  /** Why the request failed, for the log; '' while all is well. */
  #errorType = '';
  /** The endpoint that was asked last, for the log. */
  #endpointName = '';
  /** What the kernel had not taken of the answer when a slow client was last looked at. */
  #unsent = 0;

  constructor(connection: ClientConnection, context: WorkerContext) {
    this.#connection = connection;
    this.#context = context;
    this.#routing = context.routing;
    this.#relay = new ResponseRelay(this);
  }

  // ── 1. head ────────────────────────────────────────────────────────────────────────────────────────────

  /** Begins with the request whose head stands in `head`. */
  begin(): void {
    const { head } = this;
    const routing = this.#context.routing;
    this.#routing = routing;
    this.#startedAt = this.#context.now();
    this.#route = null;
    this.#closeAfter = !head.keepAlive || head.versionMinor === 0 || this.#context.draining;
    this.#requestId = '';
    this.#attempts = 0;
    this.#failure = 'no_endpoint';
    this.#fresh = false;
    this.#clientBlocked = false;
    this.#logged = this.#context.accessLog?.wanted() === true;
    this.#errorType = '';
    this.#endpointName = '';
    this.cutAt = NO_DEADLINE;
    if (this.#tried.length > 0) this.#tried.length = 0;
    this.#body.begin(head, routing.bodyLimits);
    this.#relay.reset();
    this.upgrade = head.upgrade && this.#body.done && isTunnelled(head.header('upgrade') ?? '');
    // From here on the exchange is active, so that a failure below is answered like any other.
    this.#phase = 'connecting';
    this.#findService(routing);
  }

  // ── 2. service ─────────────────────────────────────────────────────────────────────────────────────────

  #findService(routing: Routing): void {
    const index = routing.matcher.find(this.head.host, this.head.path);
    const route = routing.services[index];
    if (route === undefined) {
      this.#context.counters.unmatchedHost();
      this.#rescue(index === -2 ? 'ambiguous_path' : 'no_service');
      return;
    }
    this.#route = route;
    this.#gatherFacts(routing);
    this.#decide(route);
  }

  // ── 3. facts: what the policy may ask about the request ────────────────────────────────────────────────

  #gatherFacts(routing: Routing): void {
    const { head } = this;
    const connection = this.#connection;
    this.peerTrusted = connection.trusted;
    if (this.peerTrusted) {
      this.client = clientAddress(
        connection.peer,
        head.header('x-forwarded-for'),
        routing.trustedProxies,
        this.#context.addresses,
      );
      this.secure = head.header('x-forwarded-proto') === 'https';
    } else {
      this.client = connection.peer;
      this.secure = false;
    }
  }

  get method(): string {
    return this.head.method;
  }

  get path(): string {
    return this.head.path;
  }

  get query(): string {
    return this.head.query;
  }

  get peer(): ClientAddress {
    return this.#connection.peer;
  }

  header(lowerName: string): string | undefined {
    return this.head.header(lowerName);
  }

  cookie(name: string): string | undefined {
    return this.head.cookie(name);
  }

  // ── 4. decision ────────────────────────────────────────────────────────────────────────────────────────

  #decide(route: ServiceRoute): void {
    const { decision } = this;
    const now = this.#startedAt;
    let usable = 0;
    // Stable with every endpoint down is still tried: there is nothing better to fall back to.
    if (route.stable.length > 0) usable |= STABLE_USABLE;
    if (hasEndpointUp(route.canary, now)) usable |= CANARY_USABLE;
    decide(route.policy, this, usable, this.#context.wallSeconds(), this.#context.mintIdentity, decision);
    const { counters } = route;
    counters.decision(REASONS.indexOf(decision.reason), TIERS.indexOf(decision.tier));
    if (decision.fallback) counters.fallback(variantIndex(decision.assigned));
    if (decision.unavailable) {
      this.#rescue(decision.reason === 'override' ? 'override_unavailable' : 'no_endpoint');
      return;
    }
    if (route.rollingOut && route.flips.observe(decision)) counters.flip();
    this.#attempt(route);
  }

  get variant(): Variant {
    return this.decision.variant;
  }

  get #variantIndex(): VariantIndex {
    return variantIndex(this.decision.variant);
  }

  // ── 5. endpoint ────────────────────────────────────────────────────────────────────────────────────────

  #attempt(route: ServiceRoute): void {
    const now = this.#context.now();
    const endpoints = this.decision.variant === 'canary' ? route.canary : route.stable;
    const panic = this.decision.variant === 'stable';
    const endpoint = pickEndpoint(endpoints, now, this.#context.random, this.#tried, panic);
    if (endpoint === null) {
      this.#fallBack(route);
      return;
    }
    this.#attempts += 1;
    this.#attemptAt = now;
    this.#endpoint = endpoint;
    this.#endpointName = endpoint.name;
    endpoint.inFlight += 1;
    route.counters.inFlight(this.#variantIndex, 1);
    const idle = this.#fresh ? null : endpoint.takeIdle(this, now);
    if (idle !== null) {
      this.#up = idle;
      this.#send(idle, now);
      this.#connection.continueBody();
      return;
    }
    this.#phase = 'connecting';
    this.#connection.setDeadline(now + route.settings.connectTimeout);
    this.#up = endpoint.open(this);
  }

  /** No endpoint of the variant is left: the other variant takes the request where that is allowed. */
  #fallBack(route: ServiceRoute): void {
    const { decision } = this;
    const from = decision.variant;
    const allowed = from === 'canary' ? route.settings.fallbackToStable : route.settings.fallbackToCanary;
    const others = from === 'canary' ? route.stable : route.canary;
    if (!allowed || decision.fallback || decision.reason === 'override' || others.length === 0) {
      this.#rescue(this.#failure);
      return;
    }
    decision.variant = from === 'canary' ? 'stable' : 'canary';
    decision.fallback = true;
    route.counters.fallback(variantIndex(from));
    this.#tried.length = 0;
    this.#attempt(route);
  }

  upstreamConnected(): void {
    const up = this.#up;
    if (up === null) return;
    this.#endpoint?.markUp();
    this.#send(up, this.#context.now());
    this.#connection.continueBody();
  }

  // ── 6. forward ─────────────────────────────────────────────────────────────────────────────────────────

  #send(up: UpstreamConnection, now: number): void {
    const { settings } = this.#route!;
    this.#phase = 'waiting';
    const text = upstreamRequestHead(this.head, this);
    if (this.#body.done) {
      this.#connection.setDeadline(now + settings.responseHeadTimeout);
    } else {
      // What is here of the body goes out together with the head.
      up.socket.cork();
      this.#corked = true;
      this.#connection.setDeadline(now + settings.requestBodyIdleTimeout);
    }
    up.socket.write(text, 'latin1');
  }

  /** Writes what was held back to go out together. */
  flush(): void {
    if (!this.#corked) return;
    this.#corked = false;
    this.#up?.socket.uncork();
  }

  /** Takes what belongs to the request's body from `bytes[start..end)`; returns how much, 0 when nothing can be taken now. */
  requestBytes(bytes: Buffer, start: number, end: number): number {
    const up = this.#up;
    const body = this.#body;
    if (body.done || up === null || this.#phase === 'connecting') return 0;
    const used = body.take(bytes, start, end, up.socket);
    if (used < 0) {
      this.#refuseBody(used);
      return end - start;
    }
    if (body.blocked) this.#connection.pauseReading();
    this.#afterRequestBytes();
    return used;
  }

  #afterRequestBytes(): void {
    if (this.#phase !== 'waiting') return;
    const { settings } = this.#route!;
    const wait = this.#body.done ? settings.responseHeadTimeout : settings.requestBodyIdleTimeout;
    this.#connection.setDeadline(this.#context.now() + wait);
  }

  /** The rest of a body is invalid: the endpoint sees the request cut, the client a refusal where it still can. */
  #refuseBody(refused: number): void {
    const index = -refused - 1;
    const refusal = REFUSALS[index];
    this.#context.counters.refused(index);
    this.#dropUpstream('client_gone');
    if (this.#phase === 'waiting' && refusal !== undefined) {
      const { status, title, code, detail } = refusal;
      this.#errorType = code;
      this.#connection.socket.write(
        problemAnswer(status, title, code, detail, true, this.head.method === 'HEAD'),
        'latin1',
      );
      this.#finish(status, true);
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

  upstreamDrained(): void {
    if (this.#tunnel !== null) {
      this.#tunnel.upstreamDrained();
      return;
    }
    if (!this.#body.blocked) return;
    this.#body.blocked = false;
    this.#connection.resume();
  }

  get peerText(): string {
    return this.#connection.peer.text;
  }

  get listenPort(): number {
    return this.#context.listenPort;
  }

  get stripCookie(): string {
    return this.decision.stripCookie ? OVERRIDE_COOKIE : '';
  }

  get requestId(): string {
    if (this.#requestId === '') this.#requestId = this.#context.mintRequestId();
    return this.#requestId;
  }

  // ── 7. answer ──────────────────────────────────────────────────────────────────────────────────────────

  upstreamBytes(bytes: Buffer, start: number, end: number): void {
    if (this.#tunnel !== null) this.#tunnel.fromUpstream(bytes, start, end);
    else this.#relay.push(bytes, start, end, this.#routing.responseLimits);
  }

  get socket(): Socket {
    return this.#connection.socket;
  }

  get requestMethod(): string {
    return this.head.method;
  }

  get plainClient(): boolean {
    return this.head.versionMinor === 0;
  }

  interimHead(head: ResponseHead): string {
    if (this.plainClient) return '';
    return clientResponseHead(head, {
      setCookies: '',
      cache: 'preserve',
      close: false,
      chunked: false,
      upgraded: false,
    });
  }

  finalHead(head: ResponseHead, framing: ResponseFraming): string {
    this.#phase = 'answering';
    this.#status = head.status;
    const route = this.#route!;
    const { decision } = this;
    if (framing === 'close' || this.#context.draining) this.#closeAfter = true;
    if (framing === 'chunked' && this.plainClient) this.#closeAfter = true;
    // The client's pace is now the only limit; a stream may be silent for as long as it likes.
    this.#connection.setDeadline(
      this.#body.done ? NO_DEADLINE : this.#context.now() + route.settings.requestBodyIdleTimeout,
    );
    let { setCookies } = decision;
    let cache: 'preserve' | 'private' | 'vary' = 'preserve';
    if (setCookies !== '' || route.rollingOut) {
      if (this.#mayBeShared(head)) {
        if (route.rollingOut) {
          ({ cache } = route.snapshot);
          if (cache !== 'private') route.counters.sharedCacheable();
        }
        if (cache !== 'private') setCookies = '';
      }
      if (setCookies !== '' && (head.status === 304 || this.#isPreflight())) setCookies = '';
    }
    return clientResponseHead(head, {
      setCookies,
      cache,
      close: this.#closeAfter,
      chunked: framing === 'chunked' && !this.plainClient,
      upgraded: false,
    });
  }

  #mayBeShared(head: ResponseHead): boolean {
    if (!head.seen(F.CACHE_CONTROL) && !head.seen(F.EXPIRES)) return false;
    const { method } = this.head;
    return (method === 'GET' || method === 'HEAD') && sharedCacheable(head);
  }

  #isPreflight(): boolean {
    return this.head.method === 'OPTIONS' && this.head.header('access-control-request-method') !== undefined;
  }

  clientBlocked(): void {
    if (this.#clientBlocked) return;
    this.#clientBlocked = true;
    this.#up?.socket.pause();
    this.#watchSlowClient();
  }

  #watchSlowClient(): void {
    this.#unsent = unsentBytes(this.socket);
    this.#connection.setDeadline(this.#context.now() + this.#route!.settings.responseIdleTimeout);
  }

  clientDrained(): void {
    if (this.#tunnel !== null) {
      this.#tunnel.clientDrained();
      return;
    }
    if (!this.#clientBlocked) return;
    this.#clientBlocked = false;
    if (!this.active) return;
    this.#connection.setDeadline(NO_DEADLINE);
    this.#up?.socket.resume();
  }

  upgraded(head: ResponseHead, bytes: Buffer, start: number, end: number): void {
    const up = this.#up!;
    if (!this.upgrade) {
      this.responseInvalid(0, false);
      return;
    }
    this.socket.write(
      clientResponseHead(head, {
        setCookies: '',
        cache: 'preserve',
        close: false,
        chunked: false,
        upgraded: true,
      }),
      'latin1',
    );
    this.#status = 101;
    this.#phase = 'tunnel';
    this.#context.counters.tunnelOpened();
    this.#tunnel = new Tunnel(this.socket, up.socket, () => {
      this.#connection.setDeadline(this.#context.now() + this.#route!.settings.tunnelIdleTimeout);
    });
    if (start < end) this.#tunnel.fromUpstream(bytes, start, end);
    this.#connection.resumeTunnel();
  }

  get tunnelling(): boolean {
    return this.#tunnel !== null;
  }

  tunnelBytes(chunk: Buffer): void {
    this.#tunnel?.fromClient(chunk);
  }

  tunnelClientEnded(): void {
    if (this.#tunnel?.clientEnded() === true) this.#endTunnel(true);
  }

  /** `inOrder`: both sides said that they were done, so what is still on its way arrives. */
  #endTunnel(inOrder = false): void {
    this.#tunnel = null;
    this.#context.counters.tunnelClosed();
    if (inOrder) {
      this.#endAttempt('ok');
      this.#up?.destroyWhenSent();
      this.#up = null;
    } else {
      this.#dropUpstream('ok');
    }
    this.#observe(101);
    this.#phase = 'none';
    this.#connection.cutWhenSent();
  }

  responseComplete(leftover: boolean): void {
    const up = this.#up!;
    const complete = this.#body.done;
    const { head } = this.#relay;
    const reusable = !leftover && complete && head.keepAlive && this.#relay.framing !== 'close';
    this.#endAttempt('ok');
    this.#up = null;
    if (reusable) {
      if (this.#clientBlocked) up.socket.resume();
      up.endpoint.release(up, this.#context.now() + this.#upstreamKeepAlive(head));
    } else {
      up.destroy();
    }
    this.#finish(this.#status, !complete);
  }

  /** How long the connection may idle: our own limit, or a second less than the endpoint says. */
  #upstreamKeepAlive(head: ResponseHead): number {
    const own = this.#route!.settings.upstreamKeepAlive;
    if (!head.seen(F.KEEP_ALIVE)) return own;
    const seconds = /(?:^|[\s,])timeout=(\d{1,6})/i.exec(head.header('keep-alive') ?? '')?.[1];
    return seconds === undefined ? own : Math.min(own, Number(seconds) * 1000 - 1000);
  }

  responseInvalid(code: number, begun: boolean): void {
    const reason = code < 0 ? REFUSALS[-code - 1]?.code : 'unexpected_interim';
    this.#context.warn(
      {
        'error.type': reason,
        'server.address': this.#endpoint?.name,
        'serin.service': this.#route?.name,
        'serin.variant': this.decision.variant,
      },
      'invalid response from an endpoint',
    );
    this.#dropUpstream('bad_response');
    if (begun) this.#truncate();
    else this.#rescue('bad_response');
  }

  upstreamEnded(): void {
    if (this.#tunnel !== null) {
      if (this.#tunnel.upstreamEnded()) this.#endTunnel(true);
      return;
    }
    if (this.#relay.endsByClose()) this.responseComplete(false);
    else this.#lostUpstream('upstream_reset');
  }

  upstreamClosed(error: NodeJS.ErrnoException | null): void {
    if (this.#tunnel !== null) {
      this.#endTunnel();
      return;
    }
    if (this.#phase === 'connecting') this.#connectFailed(error?.code ?? 'closed', 'connect_failed');
    else this.#lostUpstream('upstream_reset');
  }

  /** The endpoint went away in the middle: again, if that is safe, else an error, else a truncated answer. */
  #lostUpstream(code: RescueCode): void {
    const up = this.#up;
    const route = this.#route!;
    const stale = up?.reused === true;
    const endpoint = this.#endpoint;
    this.#failure = code;
    this.#dropUpstream('reset');
    if (this.#phase === 'answering') {
      this.#truncate();
      return;
    }
    const again =
      !this.#relay.heard &&
      this.#body.untouched &&
      this.#body.done &&
      IDEMPOTENT.has(this.head.method) &&
      this.#attempts <= route.settings.maxRetries;
    if (!again) {
      this.#rescue(code);
      return;
    }
    // A stale idle connection says nothing against its endpoint; a fresh one that broke does.
    if (stale) this.#fresh = true;
    else if (endpoint !== null) this.#tried.push(endpoint);
    route.counters.retry(this.#variantIndex);
    this.#attempt(route);
  }

  /** Nothing was sent, so whatever the method is, another endpoint may be tried. */
  #connectFailed(reason: string, code: 'connect_failed' | 'connect_timeout'): void {
    const route = this.#route!;
    const endpoint = this.#endpoint!;
    endpoint.markDown(this.#context.now());
    this.#context.warn(
      { 'error.type': reason, 'server.address': endpoint.name, 'serin.service': route.name },
      'an endpoint did not accept a connection',
    );
    this.#failure = code;
    this.#dropUpstream(code);
    this.#tried.push(endpoint);
    if (this.#attempts > route.settings.maxRetries) {
      this.#rescue(code);
      return;
    }
    route.counters.retry(this.#variantIndex);
    this.#attempt(route);
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
        if (this.#body.done || this.#body.blocked) {
          this.#dropUpstream('response_timeout');
          this.#rescue('response_timeout');
        } else {
          this.#dropUpstream('client_gone');
          this.#rescue('request_body_timeout');
        }
        return;
      case 'answering':
        if (this.#clientBlocked && unsentBytes(this.socket) !== this.#unsent) {
          this.#watchSlowClient();
          return;
        }
        this.clientLeft();
        this.#connection.abort(true);
        return;
      case 'tunnel':
        this.#endTunnel();
        return;
      case 'none':
        return;
    }
  }

  /** The variant is no longer to be used: what still runs on it ends. */
  #cut(): void {
    this.cutAt = NO_DEADLINE;
    if (this.#phase === 'tunnel') {
      this.#endTunnel();
      return;
    }
    this.#dropUpstream('ok');
    if (this.#phase === 'answering') this.#truncate();
    else this.#rescue('no_endpoint');
  }

  // ── 8. observe ─────────────────────────────────────────────────────────────────────────────────────────

  get active(): boolean {
    return this.#phase !== 'none';
  }

  /** The service and the variant that a running exchange uses, or null. */
  get route(): ServiceRoute | null {
    return this.active ? this.#route : null;
  }

  /** The client closed. Whatever runs for it is cancelled. */
  clientLeft(): void {
    if (!this.active) return;
    if (this.#tunnel !== null) {
      this.#endTunnel();
      return;
    }
    this.#context.counters.clientAborted();
    this.#errorType = 'client_gone';
    this.#dropUpstream('client_gone');
    this.#observe(CLIENT_LEFT_STATUS);
    this.#phase = 'none';
  }

  #endAttempt(outcome: Outcome): void {
    const endpoint = this.#endpoint;
    const route = this.#route;
    if (endpoint === null || route === null) return;
    this.#endpoint = null;
    endpoint.inFlight -= 1;
    const variant = this.#variantIndex;
    route.counters.inFlight(variant, -1);
    // The life of a tunnel is no latency.
    const seconds = this.#phase === 'tunnel' ? -1 : (this.#context.now() - this.#attemptAt) / 1000;
    route.counters.upstreamResult(variant, OUTCOMES.indexOf(outcome), seconds);
  }

  #dropUpstream(outcome: Outcome): void {
    this.#endAttempt(outcome);
    const up = this.#up;
    this.#up = null;
    this.#corked = false;
    up?.destroy();
  }

  #rescue(code: RescueCode): void {
    const { status } = RESCUES[code];
    this.#errorType = code;
    const incomplete = !this.#body.done;
    this.socket.write(
      rescueAnswer(code, this.#closeAfter || incomplete, this.head.method === 'HEAD'),
      'latin1',
    );
    if (status >= 500) {
      this.#context.warn(
        {
          'error.type': code,
          'http.response.status_code': status,
          'serin.service': this.#route?.name,
          'serin.variant': this.decision.variant,
        },
        'request failed',
      );
    }
    this.#finish(status, incomplete);
  }

  /** The client must not take what it has for the whole. */
  #truncate(): void {
    this.#errorType = 'truncated';
    this.#observe(this.#status);
    this.#phase = 'none';
    // Without a length or chunks only a reset tells that something is missing.
    if (this.#relay.framing === 'close' || this.plainClient) this.#connection.abort(true);
    else this.#connection.cutWhenSent();
  }

  #finish(status: number, mustClose: boolean): void {
    this.#observe(status);
    this.#phase = 'none';
    if (this.#closeAfter || mustClose) this.#connection.closeGracefully();
    else this.#connection.nextRequest();
  }

  #observe(status: number): void {
    const route = this.#route;
    const seconds = (this.#context.now() - this.#startedAt) / 1000;
    route?.counters.request(this.#variantIndex, status, seconds);
    if (this.#logged) this.#log(status, seconds);
  }

  #log(status: number, durationSeconds: number): void {
    const { head, decision } = this;
    this.#context.accessLog?.record({
      time: this.#context.wallMilliseconds() - durationSeconds * 1000,
      durationSeconds,
      method: head.method,
      path: head.path,
      query: head.query,
      host: head.host,
      versionMinor: head.versionMinor === 0 ? 0 : 1,
      status,
      clientAddress: this.client.text,
      userAgent: head.header('user-agent') ?? '',
      requestId: head.header('x-request-id') ?? this.requestId,
      service: this.#route?.name ?? '',
      variant: this.#route === null ? '' : decision.variant,
      reason: this.#route === null ? '' : decision.reason,
      rule: this.#route === null ? '' : decision.rule,
      endpoint: this.#endpointName,
      requestBytes: -1,
      responseBytes: -1,
      errorType: this.#errorType,
    });
  }
}

/** Whether an upgrade leads to a protocol that is passed on unread: not to HTTP/2 or TLS, which the proxy would have to speak. */
function isTunnelled(protocols: string): boolean {
  return !/(?:^|,)\s*(?:h2c?|tls|http)(?:\/[^,]*)?\s*(?:,|$)/i.test(protocols);
}

function variantIndex(variant: Variant): VariantIndex {
  return variant === 'canary' ? 1 : 0;
}
