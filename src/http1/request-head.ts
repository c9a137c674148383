/**
 * Request heads: one pass over the bytes, then the facts a proxy needs.
 *
 * What it accepts, llhttp in strict mode accepts and reads the same way. It looks only at
 * `bytes[start..end)`, keeps no bytes, and allocates one string per head and the few slices of it. The refusals that a single byte
 * decides come as soon as that byte is there; those that need the whole head come when it is complete.
 */
import { isAuthority, sameAuthority } from './authority.ts';
import { FieldBlock, parseFields } from './field-block.ts';
import { F } from './fields.ts';
import { OPTION_CLOSE, OPTION_KEEP_ALIVE, OPTION_UPGRADE, readConnection, readFraming } from './framing.ts';
import { COLON, CR, LF, SP, TARGET, TOKEN } from './grammar.ts';
import { KNOWN_METHODS } from './methods.ts';
import { protocolErrorNumber } from './protocol-errors.ts';
import { viewOf, wordOf } from './words.ts';

const BAD_METHOD = protocolErrorNumber('bad_method');
const BAD_TARGET = protocolErrorNumber('bad_target');
const BAD_VERSION = protocolErrorNumber('bad_version');
const UNSUPPORTED_VERSION = protocolErrorNumber('unsupported_version');
const BARE_CR = protocolErrorNumber('bare_cr');
const BARE_LF = protocolErrorNumber('bare_lf');
const REQUEST_LINE_TOO_LONG = protocolErrorNumber('request_line_too_long');
const HEAD_TOO_LARGE = protocolErrorNumber('head_too_large');
const CONNECT = protocolErrorNumber('connect');
const ASTERISK = protocolErrorNumber('asterisk');
const FRAGMENT = protocolErrorNumber('fragment');
const MISSING_HOST = protocolErrorNumber('missing_host');
const DUPLICATE_HOST = protocolErrorNumber('duplicate_host');
const BAD_HOST = protocolErrorNumber('bad_host');
const HOST_MISMATCH = protocolErrorNumber('host_mismatch');
const EXPECTATION_UNKNOWN = protocolErrorNumber('expectation_unknown');

const METHOD_LIMIT = 32;

const HOST_BIT = 1 << F.HOST;
const EXPECT_BIT = 1 << F.EXPECT;
const UPGRADE_BIT = 1 << F.UPGRADE;

/** Sizes in bytes, line ends included: of the request line, of the whole head; and the number of fields. */
export interface HeadLimits {
  readonly requestLine: number;
  readonly head: number;
  readonly fields: number;
}

/** A request head; filled by `parseRequestHead`, and of use until the next call. Strings are latin1: a character is a byte. */
export class RequestHead extends FieldBlock {
  method = '';
  /** Path of the target, not normalised, without the query; `*` for OPTIONS of the server as a whole. */
  path = '';
  /** The target in `text`, and its "?" there, or -1. */
  targetStart = 0;
  targetEnd = 0;
  queryAt = -1;
  /** The value of Host. */
  host = '';
  versionMinor = 1;
  contentLength = -1;
  chunked = false;
  /** Whether the client keeps the connection open, by version and Connection. */
  keepAlive = true;
  /** Whether the client asks for another protocol: Upgrade, and Connection: upgrade, in HTTP/1.1. */
  upgrade = false;
  /** Whether the client waits for 100 (Continue) before it sends the body. */
  expectContinue = false;
  connectionNominates: string[] | null = null;
  absoluteForm = false;

  /** The target as it was sent. */
  get target(): string {
    return this.text.slice(this.targetStart, this.targetEnd);
  }

  /** Query of the target without its "?"; '' when there is none. */
  get query(): string {
    return this.queryAt === -1 ? '' : this.text.slice(this.queryAt + 1, this.targetEnd);
  }

  override clear(): void {
    super.clear();
    this.targetStart = 0;
    this.targetEnd = 0;
    this.queryAt = -1;
    this.path = '';
    this.host = '';
    this.connectionNominates = null;
  }
}

/**
 * Reads a request head from `bytes[start..end)`; one empty line before it is skipped, as RFC 9112 section 2.2 asks.
 * Returns the number of bytes the head took; 0 when it is not complete; or a negative refusal (see `protocol-errors.ts`).
 * After 0 or a refusal the contents of `head` mean nothing.
 */
export function parseRequestHead(
  bytes: Buffer,
  start: number,
  end: number,
  limits: HeadLimits,
  head: RequestHead,
): number {
  const stop = Math.min(end, start + limits.head);
  let at = start;
  if (at < stop && bytes[at] === CR) {
    if (at + 1 === stop) return ranOut(start, end, limits);
    if (bytes[at + 1] !== LF) return BARE_CR;
    at += 2;
  }
  const base = at;
  const lineStop = Math.min(stop, base + limits.requestLine);

  const view = viewOf(bytes);
  let byte = 0;
  let method = '';
  const first = at + 5 <= lineStop ? view.getInt32(at, true) : 0;
  if (first === GET_SPACE) {
    method = 'GET';
    at += 3;
  } else if (first === POST && bytes[at + 4] === SP) {
    method = 'POST';
    at += 4;
  } else {
    const methodStop = Math.min(lineStop, base + METHOD_LIMIT + 1);
    while (at < methodStop && TOKEN[(byte = bytes[at] as number)] === 1) at += 1;
    if (at === methodStop && at - base <= METHOD_LIMIT) return lineRanOut(base, start, end, limits);
    if (byte !== SP || at === base || at - base > METHOD_LIMIT)
      return byte === LF && at === base ? BARE_LF : BAD_METHOD;
  }
  const methodEnd = at;

  at += 1;
  const targetAt = at;
  let queryAt = -1;
  while (at < lineStop && TARGET[(byte = bytes[at] as number)] === 1) {
    if (byte === 0x3f && queryAt === -1) queryAt = at;
    at += 1;
  }
  if (at === lineStop) return lineRanOut(base, start, end, limits);
  if (byte !== SP) return targetRefusal(byte, at === targetAt);
  if (at === targetAt) return BAD_TARGET;
  const targetStop = at;

  at += 1;
  if (
    at + 10 <= lineStop &&
    view.getInt32(at, true) === HTTP &&
    view.getInt32(at + 4, true) === VERSION_1_1 &&
    bytes[at + 8] === CR &&
    bytes[at + 9] === LF
  ) {
    at += 10;
  } else {
    const versionStop = Math.min(lineStop, at + 10);
    for (let index = 0; at < versionStop; index += 1, at += 1) {
      byte = bytes[at] as number;
      const digit = index === 5 || index === 7;
      if (digit ? byte < 0x30 || byte > 0x39 : byte !== VERSION[index]) return versionRefusal(byte, index);
    }
    if (at - targetStop !== 11) return lineRanOut(base, start, end, limits);
  }
  const major = bytes[at - 5] as number;
  const minor = bytes[at - 3] as number;

  const after = parseFields(bytes, at, stop, base, limits.fields, head);
  if (after <= 0) return after === 0 ? ranOut(start, end, limits) : after;

  if (major !== 0x31 || minor > 0x31) return UNSUPPORTED_VERSION;
  const text = bytes.latin1Slice(base, after);
  head.text = text;
  head.length = text.length;
  head.versionMinor = minor - 0x30;
  if (method === '') {
    method = text.slice(0, methodEnd - base);
    if (!KNOWN_METHODS.has(method)) return BAD_METHOD;
  }
  head.method = method;
  head.targetStart = targetAt - base;
  head.targetEnd = targetStop - base;
  head.queryAt = queryAt === -1 ? -1 : queryAt - base;
  const refusal = readTarget(head, bytes, base);
  if (refusal !== 0) return refusal;
  const meaning = readFields(head, bytes, base);
  return meaning === 0 ? after - start : meaning;
}

/** What nearly all requests begin and end their first line with. */
const GET_SPACE = wordOf('GET ');
const POST = wordOf('POST');
const HTTP = wordOf('HTTP');
const VERSION_1_1 = wordOf('/1.1');

const VERSION = Uint8Array.from('HTTP/1.1\r\n', (character) => character.charCodeAt(0));

/** More bytes are needed: 0, or a refusal where the limit leaves no room for them. */
function ranOut(start: number, end: number, limits: HeadLimits): number {
  return end - start >= limits.head ? HEAD_TOO_LARGE : 0;
}

function lineRanOut(base: number, start: number, end: number, limits: HeadLimits): number {
  return end - base >= limits.requestLine ? REQUEST_LINE_TOO_LONG : ranOut(start, end, limits);
}

/** Why `byte` may not stand at `index` of the line's end. */
function versionRefusal(byte: number, index: number): number {
  if (index === 9) return BARE_CR;
  return index === 8 && byte === LF ? BARE_LF : BAD_VERSION;
}

/** Why `byte` may not stand in a target. */
function targetRefusal(byte: number, first: boolean): number {
  if (byte === 0x23) return FRAGMENT;
  if (byte === CR || byte === LF) return first ? BAD_TARGET : BAD_VERSION;
  return BAD_TARGET;
}

/** Sets path and absoluteForm from the target; the head's text begins at `base`. Returns 0 or a refusal. */
function readTarget(head: RequestHead, bytes: Buffer, base: number): number {
  const { text, targetStart: start, targetEnd: end, queryAt } = head;
  if (head.method === 'CONNECT') return CONNECT;
  head.absoluteForm = false;
  const pathEnd = queryAt === -1 ? end : queryAt;
  const first = text.charCodeAt(start);
  if (first === 0x2f) {
    head.path = text.slice(start, pathEnd);
    return 0;
  }
  if (first === 0x2a) {
    if (end - start !== 1) return BAD_TARGET;
    head.path = '*';
    return head.method === 'OPTIONS' ? 0 : ASTERISK;
  }
  return readAbsoluteTarget(head, bytes, base, start, pathEnd);
}

function readAbsoluteTarget(
  head: RequestHead,
  bytes: Buffer,
  base: number,
  start: number,
  pathEnd: number,
): number {
  const { text } = head;
  const scheme = /^https?:\/\//i.exec(text.slice(start, start + 8));
  if (scheme === null) return BAD_TARGET;
  const authorityAt = start + scheme[0].length;
  const slash = text.indexOf('/', authorityAt);
  const authorityEnd = slash === -1 || slash > pathEnd ? pathEnd : slash;
  if (!isAuthority(bytes, base + authorityAt, base + authorityEnd)) return BAD_TARGET;
  head.absoluteForm = true;
  if (authorityEnd !== pathEnd) head.path = text.slice(authorityEnd, pathEnd);
  // OPTIONS without a path is about the server as a whole (RFC 9112, section 3.2.4).
  else head.path = head.method === 'OPTIONS' && head.queryAt === -1 ? '*' : '/';
  // The Host field is read later; until then this holds what it must agree with.
  head.host = text.slice(authorityAt, authorityEnd);
  return 0;
}

/** Of an absolute target's scheme, `http` or `https`. */
function defaultPort({ text, targetStart }: RequestHead): number {
  return text.charCodeAt(targetStart + 4) === COLON ? 80 : 443;
}

/** Host, body, connection, expectation. Returns 0 or a refusal. */
function readFields(head: RequestHead, bytes: Buffer, base: number): number {
  const seen = head.seenLow;
  if ((seen & HOST_BIT) === 0) return MISSING_HOST;
  if ((head.repeatedLow & HOST_BIT) !== 0) return DUPLICATE_HOST;
  const index = head.indexOf(F.HOST);
  const start = head.valueStart[index] as number;
  const end = head.valueEnd[index] as number;
  if (start === end) return MISSING_HOST;
  if (!isAuthority(bytes, base + start, base + end)) return BAD_HOST;
  const host = head.text.slice(start, end);
  if (head.absoluteForm && !sameAuthority(head.host, host, defaultPort(head))) return HOST_MISMATCH;
  head.host = host;

  const framing = readFraming(head);
  if (framing !== 0) return framing;

  const options = readConnection(head);
  if (options < 0) return options;
  const modern = head.versionMinor === 1;
  head.keepAlive = (options & OPTION_CLOSE) === 0 && (modern || (options & OPTION_KEEP_ALIVE) !== 0);
  head.upgrade = modern && (options & OPTION_UPGRADE) !== 0 && (seen & UPGRADE_BIT) !== 0;

  head.expectContinue = false;
  if ((seen & EXPECT_BIT) !== 0 && modern) {
    if (head.header('expect')?.toLowerCase() !== '100-continue') return EXPECTATION_UNKNOWN;
    head.expectContinue = true;
  }
  return 0;
}
