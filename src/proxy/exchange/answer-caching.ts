/**
 * What caches between the users and the proxy may do with an answer, and how they are kept from giving one user's variant to another.
 *
 * It never looks at bodies and has no clock: an answer's own Date is the time. The application's fields are read as RFC 9111 and RFC 9213 say,
 * and as widespread caches do that go beyond it.
 */
import { F } from '../../http1/fields.ts';
import type { ResponseHead } from '../../http1/response-head.ts';
import { trimBlanks } from '../../schema/latin1.ts';

/**
 * What is done to an answer: nothing, private to its user, shared among requests with the same cookies, or private to its user and their
 * present cookies.
 */
export type AnswerCaching = 'preserve' | 'private' | 'vary' | 'varyPrivately';

/** Fields that tell some caches more than Cache-Control tells all: a cache that heeds one does not look at Cache-Control. */
export const TARGETED_FIELDS = [
  F.CDN_CACHE_CONTROL,
  F.CLOUDFLARE_CDN_CACHE_CONTROL,
  F.SURROGATE_CONTROL,
  F.EDGE_CONTROL,
  F.X_ACCEL_EXPIRES,
] as const;

/** Names of that kind which have no number: each vendor has its own (`Vercel-CDN-Cache-Control`). */
const OTHER_TARGETED = /-(?:cache|surrogate|edge)-control$/i;

/** The lower-case names of the fields of that kind that have no number; null where there is none. */
export function otherTargetedFields({
  text,
  count,
  fieldId,
  nameStart,
  nameEnd,
}: ResponseHead): string[] | null {
  let found: string[] | null = null;
  for (let index = 0; index < count; index += 1) {
    if (fieldId[index] !== F.OTHER) continue;
    const name = text.slice(nameStart[index], nameEnd[index]);
    if (OTHER_TARGETED.test(name)) (found ??= []).push(name.toLowerCase());
  }
  return found;
}

/**
 * Whether a response says that a shared cache may store and reuse it: a field for shared caches says so, or the answer is fresh for a while
 * and neither `private` nor `no-store` as a whole.
 */
export function sharedCacheable(head: ResponseHead): boolean {
  for (const id of TARGETED_FIELDS) if (head.seen(id) && isSharedTarget(head, id)) return true;
  const index = head.indexOf(F.CACHE_CONTROL);
  if (index === -1) return isFreshByExpires(head);
  const repeated = ((head.repeatedLow >>> F.CACHE_CONTROL) & 1) === 1;
  const control = repeated ? head.header('cache-control')! : head.value(index);
  if (control !== lastControl) {
    lastShared = sharingOf(control);
    lastControl = control;
  }
  return lastShared === 'unsaid' ? isFreshByExpires(head) : lastShared === 'shared';
}

/**
 * Whether a shared cache may store an answer that says nothing about it: with Last-Modified, caches make up how long it is fresh (RFC
 * 9111, section 4.2.2). Many, but not all, leave those alone that set a cookie.
 */
export function heuristicallyCacheable(head: ResponseHead): boolean {
  if (!head.seen(F.LAST_MODIFIED) || head.seen(F.CACHE_CONTROL) || head.seen(F.EXPIRES)) return false;
  return !head.seen(F.SET_COOKIE) && HEURISTIC_STATUSES.has(head.status);
}

/** RFC 9110, section 15.1, and 308. A 304 is about an answer that was stored. */
const HEURISTIC_STATUSES = new Set([200, 203, 204, 206, 300, 301, 304, 308, 404, 405, 410, 414, 501]);

type Sharing = 'shared' | 'not' | 'unsaid';

/** Most answers of an application say the same as the one before. */
let lastControl = '';
let lastShared: Sharing = 'unsaid';

/** Directives of Cache-Control; a quoted list of fields has commas of its own. */
function directivesOf(control: string): string[] {
  const found = control.match(/(?:[^,"]|"(?:[^"\\]|\\.)*"?)+/g) ?? [];
  return found.map(trimBlanks).filter((directive) => directive !== '');
}

const FRESH_FOR = /^(s-maxage|max-age|stale-while-revalidate|stale-if-error)\s*=\s*"?0*([0-9]*)/;

function sharingOf(control: string): Sharing {
  let sharing: Sharing = 'unsaid';
  let shared = false;
  let forShared: boolean | undefined;
  for (const directive of directivesOf(control.toLowerCase())) {
    // With a list of fields (`private="set-cookie"`) they say nothing of the answer as a whole.
    if (directive === 'no-store' || directive === 'private' || directive === 'no-cache') return 'not';
    if (directive === 'public' || directive === 'immutable') shared = true;
    const [, name, seconds] = FRESH_FOR.exec(directive) ?? [];
    if (name === undefined) continue;
    if (name === 's-maxage') forShared = seconds !== '';
    else if (seconds !== '') shared = true;
    sharing = 'not';
  }
  // For shared caches s-maxage goes before all of max-age.
  if (forShared ?? shared) return 'shared';
  return sharing;
}

/** Surrogate-Control and its like have the directives of Cache-Control, X-Accel-Expires seconds or `@` and a moment. */
function isSharedTarget(head: ResponseHead, id: number): boolean {
  const value = head.value(head.indexOf(id));
  if (id === F.X_ACCEL_EXPIRES) return /^@?0*[1-9]/.test(value);
  return /(?:^|[\s,])!?(?:public|s-maxage\s*=\s*"?0*[1-9]|(?:cache-)?max-?age\s*=\s*"?0*[1-9])/i.test(value);
}

function isFreshByExpires(head: ResponseHead): boolean {
  if (!head.seen(F.EXPIRES)) return false;
  const text = head.header('expires') ?? '';
  // What is no date ("0", "-1") is in the past; Date.parse would make a year of it.
  const expires = /^[A-Za-z]{3}.*:\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(expires)) return false;
  const date = head.seen(F.DATE) ? Date.parse(head.header('date') ?? '') : Number.NaN;
  return Number.isNaN(date) || expires > date;
}

/** The value of Cache-Control with what lets shared caches store taken out and `private` put in. */
export function privateCaching(value: string | undefined): string {
  const kept = directivesOf(value ?? '').filter(
    (directive) => !/^(?:public|private|s-maxage|proxy-revalidate)\s*(?:=|$)/i.test(directive),
  );
  return ['private', ...kept].join(', ');
}
