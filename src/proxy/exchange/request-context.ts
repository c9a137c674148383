/**
 * A request as policy and forwarding see it: its head, what is known of the peer it came from, and what was decided about it.
 *
 * Used again for one request after another, of whichever connection; nothing here is derived before somebody asks.
 */
import { F } from '../../http1/fields.ts';
import { RequestReader } from '../../http1/request-reader.ts';
import { UNKNOWN_ADDRESS, type ClientAddress } from '../../ip/address.ts';
import { believedHops, clientAddress, elementOfHop } from '../../ip/forwarded-for.ts';
import { OVERRIDE_COOKIE } from '../../policy/cookies.ts';
import { newDecision } from '../../policy/decision.ts';
import type { RequestFacts } from '../../policy/facts.ts';
import type { Variant } from '../../policy/rollout.ts';
import type { DownstreamInfo } from '../connection/downstream-info.ts';
import type { ClientSide } from '../connection/client-side.ts';
import { OWN_FIELDS, type FieldGuard } from './field-guard.ts';
import type { ForwardFacts } from './forward-headers.ts';
import type { RequestPhase } from './phases.ts';
import type { Routing, ServiceRoute } from '../routing.ts';
import type { Via } from './via.ts';
import type { WorkerContext } from '../worker-context.ts';

export class RequestContext implements RequestFacts, ForwardFacts {
  /** Reads the requests of the connection that this serves. */
  readonly reader = new RequestReader();
  readonly head = this.reader.head;
  readonly decision = newDecision();
  /** The client's address as the policy sees it. */
  client: ClientAddress = UNKNOWN_ADDRESS;
  secure = false;
  peerTrusted = false;
  /** Where the request stands; only its exchange moves it on. */
  phase: RequestPhase = 'idle';
  /** The service that the request is for; null before that is known, and where there is none. */
  route: ServiceRoute | null = null;
  /** The client connection that the request came by. */
  side!: ClientSide;
  guard: FieldGuard = OWN_FIELDS;
  via!: Via;
  /** The request asks for another protocol and may have it. */
  upgrade = false;
  #requestId = '';
  #trustedProxies!: Routing['trustedProxies'];
  readonly #context: WorkerContext;

  constructor(context: WorkerContext) {
    this.#context = context;
  }

  /** A new head stands in `head`. `bodiless`: the request has no body. */
  begin(bodiless: boolean): void {
    this.#requestId = '';
    this.client = UNKNOWN_ADDRESS;
    this.upgrade = this.head.upgrade && bodiless && isTunnelled(this.head.header('upgrade') ?? '');
  }

  /** Finds out who the client is. */
  findClient(routing: Routing): void {
    const { head, side } = this;
    this.via = routing.via;
    this.#trustedProxies = routing.trustedProxies;
    this.peerTrusted = side.trusted;
    if (!this.peerTrusted) {
      this.client = side.downstream.peer;
      this.secure = side.downstream.secure;
      return;
    }
    const chain = head.seen(F.X_FORWARDED_FOR) ? head.header('x-forwarded-for') : undefined;
    this.client = clientAddress(side.downstream.peer, chain, routing.trustedProxies, this.#context.addresses);
    this.secure = head.seen(F.X_FORWARDED_PROTO)
      ? isSecure(this.forwarded('x-forwarded-proto'))
      : side.downstream.secure;
  }

  /** The client should not send more of the body now: no endpoint can take it. */
  get awaitsBody(): boolean {
    return this.phase === 'connecting' && !this.reader.body.done;
  }

  /** What a trusted peer's field says of the client's own hop; undefined where it says nothing. */
  forwarded(lowerName: string): string | undefined {
    const list = this.head.header(lowerName);
    if (list === undefined || !list.includes(',')) return list === '' ? undefined : list;
    const chain = this.head.header('x-forwarded-for');
    return elementOfHop(list, believedHops(chain, this.#trustedProxies, this.#context.addresses));
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
    return this.side.downstream.peer;
  }

  header(lowerName: string): string | undefined {
    return this.head.header(lowerName);
  }

  cookie(name: string): string | undefined {
    return this.head.cookie(name);
  }

  otherCookies(name: string): readonly string[] {
    return this.head.otherCookies(name);
  }

  get downstream(): DownstreamInfo {
    return this.side.downstream;
  }

  get variant(): Variant {
    return this.decision.variant;
  }

  get stripCookie(): string {
    return this.decision.stripCookie ? OVERRIDE_COOKIE : '';
  }

  get requestId(): string {
    if (this.#requestId === '') this.#requestId = this.#context.mintRequestId();
    return this.#requestId;
  }
}

/** Schemes are in any case; for an upgrade some proxies say what becomes of the connection. */
function isSecure(scheme: string | undefined): boolean {
  return scheme !== undefined && /^(?:https|wss)$/i.test(scheme);
}

/** Whether an upgrade leads to a protocol that is passed on unread: not to HTTP/2 or TLS, which the proxy would have to speak. */
function isTunnelled(protocols: string): boolean {
  return !/(?:^|,)\s*(?:h2c?|tls|http)(?:\/[^,]*)?\s*(?:,|$)/i.test(protocols);
}
