/**
 * What of a head is forwarded: the original bytes of every field line that may pass, then the proxy's own fields.
 *
 * Promise: hop-by-hop fields and those that Connection nominates go first, and only then ours are added, so that a client
 * cannot nominate ours away; what is forwarded is exactly what the codec validated. Lines that pass are taken as
 * slices of the head's text, runs of neighbours in one slice.
 */
import { F } from '../../http1/fields.ts';
import { isSpace } from '../../http1/grammar.ts';
import type { RequestHead } from '../../http1/request-head.ts';
import type { ResponseHead } from '../../http1/response-head.ts';
import type { Variant } from '../../policy/rollout.ts';
import type { DownstreamInfo } from '../connection/downstream-info.ts';
import { privateCaching, TARGETED_FIELDS, type AnswerCaching } from './answer-caching.ts';
import type { FieldGuard } from './field-guard.ts';
import { nextForwards } from './max-forwards.ts';
import { endOfHead, type Via } from './via.ts';

/** 1 where the field with this id is not forwarded in a request, whoever sent it. */
const REQUEST_DROPS = dropTable([
  F.CONNECTION,
  F.KEEP_ALIVE,
  F.PROXY_CONNECTION,
  F.PROXY_AUTHORIZATION,
  F.PROXY_AUTHENTICATE,
  F.TE,
  F.TRANSFER_ENCODING,
  F.UPGRADE,
  F.HTTP2_SETTINGS,
  F.FORWARDED,
  F.X_FORWARDED_FOR,
  F.X_FORWARDED_PROTO,
  F.X_FORWARDED_HOST,
  F.X_FORWARDED_PORT,
  F.X_REAL_IP,
  F.X_CANARY,
  F.X_SERIN_OVERRIDE,
  F.X_SERIN_MIRROR,
]);

/** The same where the request's own id is not passed on. */
const REQUEST_DROPS_WITH_ID = REQUEST_DROPS.slice();
REQUEST_DROPS_WITH_ID[F.X_REQUEST_ID] = 1;

/** 1 where the field with this id is not forwarded in a response. */
const RESPONSE_DROPS = dropTable([
  F.CONNECTION,
  F.KEEP_ALIVE,
  F.PROXY_CONNECTION,
  F.PROXY_AUTHENTICATE,
  F.TE,
  F.TRANSFER_ENCODING,
  F.UPGRADE,
  F.HTTP2_SETTINGS,
]);

/** What the proxy knows of a request beyond its head. */
export interface ForwardFacts {
  /** How the connection came in. */
  readonly downstream: DownstreamInfo;
  readonly peerTrusted: boolean;
  /** The client's own connection is, or was, encrypted. */
  readonly secure: boolean;
  readonly variant: Variant;
  /** Used where the request brings no usable x-request-id. */
  readonly requestId: string;
  readonly upgrade: boolean;
  /** Cookies to leave out, by name; '' for none. */
  readonly stripCookie: string;
  /** Says which look-alikes do not pass. */
  readonly guard: FieldGuard;
  readonly via: Via;
  /** What a trusted peer's field, by lower-case name, says of the client's own hop; undefined where it says nothing. */
  forwarded(lowerName: string): string | undefined;
}

/** The head to send to an endpoint, complete with its empty line, as latin1 text. */
export function upstreamRequestHead(head: RequestHead, facts: ForwardFacts): string {
  const { downstream, guard: fieldGuard, stripCookie } = facts;
  const ownId = !bringsRequestId(head);
  let drops = ownId ? REQUEST_DROPS_WITH_ID : REQUEST_DROPS;
  if (head.versionMinor === 0 && head.seen(F.EXPECT)) drops = withoutExpect(drops);
  const guard = head.hasOddNames || fieldGuard.odd ? fieldGuard : null;
  const forwards = head.seen(F.MAX_FORWARDS) ? nextForwards(head) : '';
  if (forwards !== '') drops = withoutForwards(drops);
  let out =
    head.absoluteForm || head.versionMinor === 0
      ? requestLine(head) + keptLines(head, drops, stripCookie, head.fieldsStart, guard)
      : keptLines(head, drops, stripCookie, 0, guard);
  if (stripCookie !== '') {
    const cookies = withoutCookie(head, stripCookie);
    if (cookies !== '') out += `Cookie: ${cookies}\r\n`;
  }
  out += forwards;
  if (head.chunked) out += 'Transfer-Encoding: chunked\r\n';
  if (facts.upgrade) out += `Connection: Upgrade\r\nUpgrade: ${head.header('upgrade') ?? ''}\r\n`;
  else if (head.seen(F.TE) && acceptsTrailers(head)) out += 'Connection: TE\r\nTE: trailers\r\n';
  out += facts.peerTrusted
    ? trustedForwarding(head, facts)
    : downstream.beforeHost + head.host + downstream.afterHost;
  if (ownId) out += `X-Request-Id: ${facts.requestId}\r\n`;
  return out + endOfHead(facts.via, head.versionMinor, downstream.http2, facts.variant);
}

/** HTTP/1.0 has no expectations (RFC 9110, section 10.1.1): passed on in HTTP/1.1, what was ignored would count. */
function withoutExpect(drops: Uint8Array): Uint8Array {
  const table = drops.slice();
  table[F.EXPECT] = 1;
  return table;
}

function withoutForwards(drops: Uint8Array): Uint8Array {
  const table = drops.slice();
  table[F.MAX_FORWARDS] = 1;
  return table;
}

/** Whether the request has an id that is passed on: one that says something and that Connection does not nominate away. */
export function bringsRequestId(head: RequestHead): boolean {
  if (!head.seen(F.X_REQUEST_ID) || head.connectionNominates?.includes('x-request-id') === true) return false;
  for (let index = 0; index < head.count; index += 1) {
    if (head.fieldId[index] === F.X_REQUEST_ID && head.valueEnd[index]! > head.valueStart[index]!)
      return true;
  }
  return false;
}

function requestLine(head: RequestHead): string {
  return `${head.method} ${head.absoluteForm ? originForm(head) : head.target} HTTP/1.1\r\n`;
}

/**
 * The absolute target without its scheme and authority; `*` for OPTIONS without a path (RFC 9112, 3.2.4). An empty query keeps its
 * `?`: it is another URI (RFC 3986, 6.2.3).
 */
function originForm({ path, query, target }: RequestHead): string {
  return query !== '' || target.endsWith('?') ? `${path}?${query}` : path;
}

/** A trusted peer's fields are kept; our own view fills what it left out, and its address joins the chain. Of a list goes on what the client's own hop added. */
function trustedForwarding(head: RequestHead, facts: ForwardFacts): string {
  const { downstream, secure } = facts;
  const peer = downstream.peer.text;
  const chain = head.header('x-forwarded-for');
  let out = `X-Forwarded-For: ${chain === undefined || chain === '' ? '' : `${chain}, `}${peer}\r\n`;
  out += `X-Forwarded-Proto: ${facts.forwarded('x-forwarded-proto')?.toLowerCase() ?? (secure ? 'https' : 'http')}\r\n`;
  out += `X-Forwarded-Host: ${facts.forwarded('x-forwarded-host') ?? head.host}\r\n`;
  out += `X-Forwarded-Port: ${facts.forwarded('x-forwarded-port') ?? downstream.port}\r\n`;
  const realAddress = head.header('x-real-ip');
  if (realAddress !== undefined) out += `X-Real-IP: ${realAddress}\r\n`;
  const forwarded = head.header('forwarded');
  if (forwarded !== undefined && forwarded !== '') {
    const node = peer.includes(':') ? `"[${peer}]"` : peer;
    out += `Forwarded: ${forwarded}, for=${node}\r\n`;
  }
  return out;
}

function acceptsTrailers(head: RequestHead): boolean {
  return /(?:^|,)[ \t]*trailers[ \t]*(?:,|$)/i.test(head.header('te') ?? '');
}

/** The cookie field's value without the cookies called `name`; what stands between those goes as it came. */
function withoutCookie(head: RequestHead, name: string): string {
  let kept = '';
  for (let index = 0; index < head.count; index += 1) {
    if (head.fieldId[index] !== F.COOKIE) continue;
    const line = head.value(index);
    let from = 0;
    for (let at = line.indexOf(name); at !== -1; at = line.indexOf(name, at)) {
      const start = pairStart(line, at);
      at += name.length;
      if (start === -1 || !isFollowedByEquals(line, at)) continue;
      kept = joined(kept, line, from, start);
      const semicolon = line.indexOf(';', at);
      from = semicolon === -1 ? line.length : semicolon + 1;
      at = from;
    }
    kept = joined(kept, line, from, line.length);
  }
  return kept;
}

/** Where the pair begins whose name stands at `at`, the semicolon before it left out; -1 where no name can begin there. */
function pairStart(line: string, at: number): number {
  let start = at;
  while (start > 0 && isSpace(line.charCodeAt(start - 1))) start -= 1;
  return start === 0 || line.charCodeAt(start - 1) === SEMICOLON ? start : -1;
}

function isFollowedByEquals(line: string, from: number): boolean {
  let at = from;
  while (isSpace(line.charCodeAt(at))) at += 1;
  return line.charCodeAt(at) === EQUALS;
}

const SEMICOLON = 0x3b;
const EQUALS = 0x3d;

/** `kept` and `line[start..end)` as one list of cookies, without what separates them at their ends. */
function joined(kept: string, line: string, start: number, end: number): string {
  let from = start;
  let to = end;
  while (from < to && isSeparator(line.charCodeAt(from))) from += 1;
  while (to > from && isSeparator(line.charCodeAt(to - 1))) to -= 1;
  if (from === to) return kept;
  return kept === '' ? line.slice(from, to) : `${kept}; ${line.slice(from, to)}`;
}

function isSeparator(code: number): boolean {
  return code === SEMICOLON || isSpace(code);
}

/** What a response's head becomes on its way to the client. */
export interface ResponseFacts {
  /** Complete `Set-Cookie` lines, and others that the proxy adds, or ''. */
  readonly setCookies: string;
  readonly cache: AnswerCaching;
  /** The connection to the client ends after this response. */
  readonly close: boolean;
  /** The body goes out in chunks as it came in. */
  readonly chunked: boolean;
  /** This is the answer to an upgrade that the endpoint accepted. */
  readonly upgraded: boolean;
  /** The Date line for an answer that brings none; '' for none. */
  readonly date: string;
}

/** The head to send to the client, complete with its empty line, as latin1 text. */
export function clientResponseHead(head: ResponseHead, facts: ResponseFacts): string {
  const { status } = head;
  const unshared = facts.cache === 'private' || facts.cache === 'varyPrivately';
  let drops = unshared ? PRIVATE_RESPONSE_DROPS : RESPONSE_DROPS;
  if (status < 200 || status === 204) drops = withoutLength(drops);
  let out = isForwardable(head)
    ? keptLines(head, drops, '', 0, null)
    : statusLine(head) + keptLines(head, drops, '', head.fieldsStart, null);
  if (unshared) out += `Cache-Control: ${privateCaching(head.header('cache-control'))}\r\n`;
  if (facts.cache === 'vary' || facts.cache === 'varyPrivately') out += 'Vary: Cookie\r\n';
  if (!head.seen(F.DATE) || head.connectionNominates?.includes('date') === true) out += facts.date;
  if (facts.chunked) out += 'Transfer-Encoding: chunked\r\n';
  if (facts.setCookies !== '') out += facts.setCookies;
  if (facts.upgraded) out += `Connection: Upgrade\r\nUpgrade: ${head.header('upgrade') ?? ''}\r\n`;
  else if (facts.close) out += 'Connection: close\r\n';
  return `${out}\r\n`;
}

const PRIVATE_RESPONSE_DROPS = RESPONSE_DROPS.slice();
PRIVATE_RESPONSE_DROPS[F.CACHE_CONTROL] = 1;
PRIVATE_RESPONSE_DROPS[F.EXPIRES] = 1;
for (const id of TARGETED_FIELDS) PRIVATE_RESPONSE_DROPS[id] = 1;

/** Some servers say `Content-Length: 0` where no length may be said (RFC 9110, section 8.6: in 1xx and 204). */
function withoutLength(drops: Uint8Array): Uint8Array {
  return drops === RESPONSE_DROPS ? BODILESS_DROPS : PRIVATE_BODILESS_DROPS;
}

const BODILESS_DROPS = RESPONSE_DROPS.slice();
BODILESS_DROPS[F.CONTENT_LENGTH] = 1;
const PRIVATE_BODILESS_DROPS = PRIVATE_RESPONSE_DROPS.slice();
PRIVATE_BODILESS_DROPS[F.CONTENT_LENGTH] = 1;

/** `HTTP/1.1 200 …`: version and space as RFC 9112 wants them. Some servers leave out the space before an empty reason. */
function isForwardable(head: ResponseHead): boolean {
  return head.versionMinor === 1 && head.text.charCodeAt(AFTER_STATUS) === 0x20;
}

const AFTER_STATUS = 'HTTP/1.1 200'.length;

function statusLine(head: ResponseHead): string {
  return `HTTP/1.1 ${head.status} ${head.text.slice(head.reasonStart, head.reasonEnd)}\r\n`;
}

type AnyHead = RequestHead | ResponseHead;

/** What passes of the head from `start` on, its empty line apart, as runs of the original text. */
function keptLines(
  head: AnyHead,
  drops: Uint8Array,
  stripCookie: string,
  start: number,
  guard: FieldGuard | null,
): string {
  // A line starts with its name: nothing may stand before it.
  const { text, length, count, fieldId, nameStart: lineStart, connectionNominates } = head;
  let out = '';
  let from = start;
  for (let index = 0; index < count; index += 1) {
    const id = fieldId[index]!;
    if (drops[id] === 0 && !(id === F.COOKIE && stripCookie !== '')) {
      if (connectionNominates === null && guard === null) continue;
      if (!isUnwanted(head, index, guard)) continue;
    }
    const end = lineStart[index]!;
    if (end > from) out += text.slice(from, end);
    from = index + 1 < count ? lineStart[index + 1]! : length - 2;
  }
  return out + text.slice(from, length - 2);
}

/** Nominated by Connection, or a look-alike of a field that an endpoint trusts. */
function isUnwanted(head: AnyHead, index: number, guard: FieldGuard | null): boolean {
  const { connectionNominates } = head;
  const start = head.nameStart[index]!;
  const end = head.nameEnd[index]!;
  if (connectionNominates === null && guard !== null && end - start > guard.longest) return false;
  const name = head.text.slice(start, end).toLowerCase();
  if (connectionNominates?.includes(name) === true) return true;
  return guard !== null && guard.isLookAlike(name);
}

function dropTable(ids: readonly number[]): Uint8Array {
  const table = new Uint8Array(256);
  for (const id of ids) table[id] = 1;
  return table;
}
