/**
 * The head of an answer: the endpoint's, with our cookies where they may stand and the caching that the service wants.
 *
 * Cookies are never set on 304 or on an answer that a shared cache may store for others; the decision gives none for a preflight.
 */
import { F } from '../../http1/fields.ts';
import type { RequestHead } from '../../http1/request-head.ts';
import type { ResponseHead } from '../../http1/response-head.ts';
import { ASKED_HINTS } from '../../policy/client-hints.ts';
import type { Decision } from '../../policy/decision.ts';
import {
  heuristicallyCacheable,
  otherTargetedFields,
  sharedCacheable,
  type AnswerCaching,
} from './answer-caching.ts';
import { clientResponseHead } from './forward-headers.ts';
import type { ServiceRoute } from '../routing.ts';

const PLAIN = {
  setCookies: '',
  cache: 'preserve',
  close: false,
  chunked: false,
  upgraded: false,
  date: '',
} as const;

/** Browsers over TLS send what it names with the next requests; others ignore it. Nothing an endpoint says of its own is lost. */
const ACCEPT_CH = `Accept-CH: ${ASKED_HINTS}\r\n`;

/** Of an interim (1xx) answer. */
export function interimHead(head: ResponseHead): string {
  return clientResponseHead(head, PLAIN);
}

/** Of a 101. */
export function upgradedHead(head: ResponseHead): string {
  return clientResponseHead(head, { ...PLAIN, upgraded: true });
}

/** Of a final answer. `close`: the connection ends with it; `chunked`: the body goes out in chunks; `date`: the Date line of now. */
export function finalHead(
  head: ResponseHead,
  request: RequestHead,
  route: ServiceRoute,
  decision: Decision,
  close: boolean,
  chunked: boolean,
  date: string,
): string {
  let { setCookies } = decision;
  const cache = route.rollingOut ? cachingOf(route, decision) : 'preserve';
  if (cache === 'private' || cache === 'varyPrivately') leaveOutTargeted(head);
  else if (cache === 'preserve' && (setCookies !== '' || route.rollingOut)) {
    const shared = isReadMethod(request) && sharedCacheable(head);
    if (route.rollingOut && (shared || (isReadMethod(request) && heuristicallyCacheable(head))))
      route.counters.sharedCacheable();
    if (shared) setCookies = '';
  }
  if (head.status === 304) setCookies = '';
  if (route.snapshot.clientHints) setCookies += ACCEPT_CH;
  return clientResponseHead(head, { setCookies, cache, close, chunked, upgraded: false, date });
}

/**
 * What is done about caches during a rollout. `vary` shares an answer among requests with the same cookies. Users who are known by
 * something else, or not yet, may have another variant with the same cookies, so theirs are private; so is an answer that sets cookies.
 */
function cachingOf({ snapshot }: ServiceRoute, { tier, setCookies }: Decision): AnswerCaching {
  if (snapshot.cache !== 'vary') return snapshot.cache;
  return setCookies === '' && (tier === 'minted' || tier === 'cookie') ? 'vary' : 'varyPrivately';
}

/** Fields for some caches that have no number go as well: they are treated as if Connection nominated them. */
function leaveOutTargeted(head: ResponseHead): void {
  const targeted = otherTargetedFields(head);
  if (targeted !== null) head.connectionNominates = [...(head.connectionNominates ?? []), ...targeted];
}

function isReadMethod({ method }: RequestHead): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** How long the endpoint keeps the connection, in ms: our own limit, or a second less than the endpoint says. */
export function endpointKeepAlive(head: ResponseHead, own: number): number {
  if (!head.seen(F.KEEP_ALIVE)) return own;
  const seconds = /(?:^|[\s,])timeout=(\d{1,6})/i.exec(head.header('keep-alive') ?? '')?.[1];
  return seconds === undefined ? own : Math.min(own, Number(seconds) * 1000 - 1000);
}
