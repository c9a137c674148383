/**
 * Response heads, read as strictly as request heads: what llhttp in strict mode accepts, or less.
 *
 * It looks only at `bytes[start..end)`, keeps no bytes, and allocates one string per head. How the body ends is
 * `responseFraming`, which needs the method of the request.
 */
import { FieldBlock, parseFields } from './field-block.ts';
import { F } from './fields.ts';
import { OPTION_CLOSE, OPTION_KEEP_ALIVE, OPTION_UPGRADE, readConnection, readFraming } from './framing.ts';
import { CR, LF, SP, VALUE } from './grammar.ts';
import { protocolErrorNumber } from './protocol-errors.ts';
import type { HeadLimits } from './request-head.ts';

const BAD_VERSION = protocolErrorNumber('bad_version');
const BAD_STATUS = protocolErrorNumber('bad_status');
const BAD_REASON = protocolErrorNumber('bad_reason');
const BARE_CR = protocolErrorNumber('bare_cr');
const BARE_LF = protocolErrorNumber('bare_lf');
const HEAD_TOO_LARGE = protocolErrorNumber('head_too_large');
const BODY_ON_BODILESS = protocolErrorNumber('body_on_bodiless');
const CLOSING_INTERIM = protocolErrorNumber('closing_interim');

const UPGRADE_BIT = 1 << F.UPGRADE;

/** Up to this size head and what follows it become one string. */
const ONE_STRING = 8 * 1024;

/** How the end of a response's body is found. `close`: by the end of the connection. */
export type ResponseFraming = 'none' | 'length' | 'chunked' | 'close';

/** A response head; filled by `parseResponseHead`, and of use until the next call. Strings are latin1: a character is a byte. */
export class ResponseHead extends FieldBlock {
  /** 100 to 599. */
  status = 0;
  versionMinor = 1;
  /** The reason phrase in `text`; empty where both are the same. */
  reasonStart = 0;
  reasonEnd = 0;
  contentLength = -1;
  chunked = false;
  /** Whether the server keeps the connection open, by version and Connection; a `close` framing overrules it. */
  keepAlive = true;
  /** Upgrade, and Connection: upgrade, as a 101 must have. */
  upgrade = false;
  connectionNominates: string[] | null = null;

  override clear(): void {
    super.clear();
    this.connectionNominates = null;
  }
}

const PREFIX = Uint8Array.from('HTTP/1.', (character) => character.charCodeAt(0));

/**
 * Reads a response head from `bytes[start..end)`.
 * Returns the number of bytes the head took; 0 when it is not complete; or a negative refusal (see `protocol-errors.ts`).
 * After 0 or a refusal the contents of `head` mean nothing. `limits.requestLine` does not apply.
 */
export function parseResponseHead(
  bytes: Buffer,
  start: number,
  end: number,
  limits: HeadLimits,
  head: ResponseHead,
): number {
  const stop = Math.min(end, start + limits.head);
  const runOut = end - start >= limits.head ? HEAD_TOO_LARGE : 0;
  let at = start;
  for (let index = 0; index < 7; index += 1, at += 1) {
    if (at === stop) return runOut;
    if (bytes[at] !== PREFIX[index]) return BAD_VERSION;
  }
  if (at === stop) return runOut;
  const minor = (bytes[at] as number) - 0x30;
  if (minor !== 0 && minor !== 1) return BAD_VERSION;
  at += 1;
  if (at === stop) return runOut;
  if (bytes[at] !== SP) return BAD_VERSION;
  at += 1;

  let status = 0;
  for (const last = at + 3; at < last; at += 1) {
    if (at === stop) return runOut;
    const digit = (bytes[at] as number) - 0x30;
    if (digit < 0 || digit > 9) return BAD_STATUS;
    status = status * 10 + digit;
    if (status === 0 || (status < 10 && status > 5 && at === last - 3)) return BAD_STATUS;
  }
  if (at === stop) return runOut;
  let byte = bytes[at] as number;
  // Some servers leave the space out where the reason phrase is empty; every parser reads that the same way.
  if (byte !== SP && byte !== CR) return byte === LF ? BARE_LF : BAD_STATUS;
  if (byte === SP) at += 1;
  const reasonAt = at;
  while (at < stop && VALUE[(byte = bytes[at] as number)] === 1) at += 1;
  if (at === stop) return runOut;
  if (byte !== CR) return byte === LF ? BARE_LF : BAD_REASON;
  if (at + 1 === stop) return runOut;
  if (bytes[at + 1] !== LF) return BARE_CR;
  const reasonStop = at;

  const after = parseFields(bytes, at + 2, stop, start, limits.fields, head);
  if (after <= 0) return after === 0 ? runOut : after;

  // What of a small body came along is made a string once, together with the head: it goes out so.
  head.text = bytes.latin1Slice(start, end - start <= ONE_STRING ? end : after);
  head.length = after - start;
  head.status = status;
  head.versionMinor = minor;
  head.reasonStart = reasonAt - start;
  head.reasonEnd = reasonStop - start;
  const refusal = readFields(head);
  return refusal === 0 ? after - start : refusal;
}

/** Body and connection. Returns 0 or a refusal. */
function readFields(head: ResponseHead): number {
  const framing = readFraming(head);
  if (framing !== 0) return framing;
  // RFC 9112 section 6.1 and RFC 9110 section 8.6; `Content-Length: 0` is harmless and some servers send it.
  if ((head.status < 200 || head.status === 204) && (head.chunked || head.contentLength > 0))
    return BODY_ON_BODILESS;
  const options = readConnection(head);
  if (options < 0) return options;
  const modern = head.versionMinor === 1;
  head.keepAlive = (options & OPTION_CLOSE) === 0 && (modern || (options & OPTION_KEEP_ALIVE) !== 0);
  // After such a head, llhttp reads no further response; HTTP/1.0 knows no interim ones (RFC 9110 section 15.2).
  if (head.status < 200 && !head.keepAlive) return CLOSING_INTERIM;
  head.upgrade = (options & OPTION_UPGRADE) !== 0 && (head.seenLow & UPGRADE_BIT) !== 0;
  return 0;
}

/** How the body of the response ends (RFC 9112 section 6.3). */
export function responseFraming(head: ResponseHead, requestMethod: string): ResponseFraming {
  const { status } = head;
  if (requestMethod === 'HEAD' || status < 200 || status === 204 || status === 304) return 'none';
  if (head.chunked) return 'chunked';
  return head.contentLength >= 0 ? 'length' : 'close';
}
