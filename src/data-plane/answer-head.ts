/**
 * The head of an answer: the endpoint's, with our cookies where they may stand and the caching that the service wants.
 *
 * Cookies are never set on 304 or on an answer that a shared cache may store for others; the decision gives none for a preflight.
 */
import { F } from '../http1/fields.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { Decision } from '../policy/decide.ts';
import { clientResponseHead, sharedCacheable } from './forward-headers.ts';
import type { ServiceRoute } from './routing.ts';

const PLAIN = { setCookies: '', cache: 'preserve', close: false, chunked: false, upgraded: false } as const;

/** Of an interim (1xx) answer. */
export function interimHead(head: ResponseHead): string {
  return clientResponseHead(head, PLAIN);
}

/** Of a 101. */
export function upgradedHead(head: ResponseHead): string {
  return clientResponseHead(head, { ...PLAIN, upgraded: true });
}

/** Of a final answer. `close`: the connection ends with it; `chunked`: the body goes out in chunks. */
export function finalHead(
  head: ResponseHead,
  request: RequestHead,
  route: ServiceRoute,
  decision: Decision,
  close: boolean,
  chunked: boolean,
): string {
  let { setCookies } = decision;
  let cache: 'preserve' | 'private' | 'vary' = 'preserve';
  if ((setCookies !== '' || route.rollingOut) && mayBeShared(head, request)) {
    if (route.rollingOut) {
      ({ cache } = route.snapshot);
      if (cache !== 'private') route.counters.sharedCacheable();
    }
    if (cache !== 'private') setCookies = '';
  }
  if (head.status === 304) setCookies = '';
  return clientResponseHead(head, { setCookies, cache, close, chunked, upgraded: false });
}

function mayBeShared(head: ResponseHead, { method }: RequestHead): boolean {
  if (!head.seen(F.CACHE_CONTROL) && !head.seen(F.EXPIRES)) return false;
  return (method === 'GET' || method === 'HEAD') && sharedCacheable(head);
}

/** How long the endpoint keeps the connection, in ms: our own limit, or a second less than the endpoint says. */
export function endpointKeepAlive(head: ResponseHead, own: number): number {
  if (!head.seen(F.KEEP_ALIVE)) return own;
  const seconds = /(?:^|[\s,])timeout=(\d{1,6})/i.exec(head.header('keep-alive') ?? '')?.[1];
  return seconds === undefined ? own : Math.min(own, Number(seconds) * 1000 - 1000);
}
