/**
 * What the fields say about a message's body and connection: Content-Length, Transfer-Encoding, Connection.
 *
 * One reading only: whatever two parsers might read differently is refused. Sources: RFC 9112 sections 6 and 9, RFC 9110
 * sections 7.6.1 and 8.6.
 */
import { F } from './fields.ts';
import type { FieldBlock } from './field-block.ts';
import { HTAB, SP, TOKEN, trimSpace } from './grammar.ts';
import { protocolErrorNumber } from './protocol-errors.ts';

const LENGTH_AND_CODING = protocolErrorNumber('length_and_coding');
const DUPLICATE_LENGTH = protocolErrorNumber('duplicate_length');
const BAD_LENGTH = protocolErrorNumber('bad_length');
const UNKNOWN_CODING = protocolErrorNumber('unknown_coding');
const BAD_CODING = protocolErrorNumber('bad_coding');
const CODING_IN_HTTP10 = protocolErrorNumber('coding_in_http10');
const BAD_CONNECTION = protocolErrorNumber('bad_connection');
const CONNECTION_NOMINATES_ESSENTIAL = protocolErrorNumber('connection_nominates_essential');

const LENGTH_BIT = 1 << F.CONTENT_LENGTH;
const CODING_BIT = 1 << F.TRANSFER_ENCODING;
const CONNECTION_BIT = 1 << F.CONNECTION;

/** The options that the Connection field carried, as bits. */
export const OPTION_CLOSE = 1;
export const OPTION_KEEP_ALIVE = 2;
export const OPTION_UPGRADE = 4;

/** A head whose framing `readFraming` and `readConnection` work out. */
export interface FramedHead extends FieldBlock {
  versionMinor: number;
  /** The value of Content-Length, -1 without one. */
  contentLength: number;
  /** True when the body is chunked. */
  chunked: boolean;
  /** Lower-case names of fields that Connection nominates, other than its options close, keep-alive and upgrade; null for none. */
  connectionNominates: string[] | null;
}

/** Sets `contentLength` and `chunked`. Returns 0 or a refusal. */
export function readFraming(head: FramedHead): number {
  head.contentLength = -1;
  head.chunked = false;
  const seen = head.seenLow & (LENGTH_BIT | CODING_BIT);
  if (seen === 0) return 0;
  if (seen === (LENGTH_BIT | CODING_BIT)) return LENGTH_AND_CODING;
  if (seen === CODING_BIT) {
    const refusal = codingRefusal(head);
    head.chunked = refusal === 0;
    return refusal;
  }
  if ((head.repeatedLow & LENGTH_BIT) !== 0) return DUPLICATE_LENGTH;
  const index = head.indexOf(F.CONTENT_LENGTH);
  const length = decimal(head.text, head.valueStart[index] as number, head.valueEnd[index] as number);
  if (length < 0) return BAD_LENGTH;
  head.contentLength = length;
  return 0;
}

/** The number in `text[start..end)`: 1 to 16 digits, at most 2^53 - 1. -1 for anything else. */
function decimal(text: string, start: number, end: number): number {
  if (start === end || end - start > 16) return -1;
  let value = 0;
  for (let at = start; at < end; at += 1) {
    const digit = text.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value <= Number.MAX_SAFE_INTEGER ? value : -1;
}

/** 0 when Transfer-Encoding is exactly one `chunked`; else which way it is not. */
function codingRefusal(head: FramedHead): number {
  if (head.versionMinor === 0) return CODING_IN_HTTP10;
  if (endsInTab(head, head.indexOf(F.TRANSFER_ENCODING))) return BAD_CODING;
  const value = (head.header('transfer-encoding') as string).toLowerCase();
  if (value === 'chunked') return 0;
  let at = 0;
  for (let count = 0; at <= value.length && count < LIST_LIMIT; count += 1) {
    const end = elementEnd(value, at);
    const coding = trimSpace(value, at, end);
    if (coding !== 'chunked' && isToken(coding)) return UNKNOWN_CODING;
    at = end + 1;
  }
  return BAD_CODING;
}

/**
 * How many elements of a list are looked at. More are nobody's in good faith; where each element costs an allocation, a head full of
 * commas would cost as much as a hundred heads.
 */
const LIST_LIMIT = 64;

/** Where the element of a comma-separated list that begins at `start` ends. */
function elementEnd(list: string, start: number): number {
  const comma = list.indexOf(',', start);
  return comma === -1 ? list.length : comma;
}

/**
 * Whether a tab follows the value of a line. The line is passed on as it came, and some parsers, llhttp among them, take off
 * spaces only, so that `chunked` and a tab are another coding to them, or none.
 */
function endsInTab(head: FramedHead, index: number): boolean {
  let at = head.valueEnd[index] as number;
  while (head.text.charCodeAt(at) === SP) at += 1;
  return head.text.charCodeAt(at) === HTAB;
}

function isToken(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) if (TOKEN[text.charCodeAt(at)] !== 1) return false;
  return text !== '';
}

/**
 * Fields that a recipient further on needs, and that frame, route or authenticate the message or say who may store it: a hop may
 * not have them taken away (RFC 9110 section 7.6.1 forbids naming such fields).
 */
const ESSENTIAL = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'expect',
  'content-type',
  'content-encoding',
  'content-range',
  'cookie',
  'set-cookie',
  'authorization',
  'cache-control',
  'vary',
  'location',
]);

/** Reads Connection, of at most 64 elements, into option bits and `connectionNominates`. Returns the bits or a refusal. */
export function readConnection(head: FramedHead): number {
  head.connectionNominates = null;
  if ((head.seenLow & CONNECTION_BIT) === 0) return 0;
  if ((head.repeatedLow & CONNECTION_BIT) === 0) {
    const index = head.indexOf(F.CONNECTION);
    const start = head.valueStart[index] as number;
    const common = commonOption(head.text, start, (head.valueEnd[index] as number) - start);
    if (common !== 0) return common;
  }
  let options = 0;
  const list = (head.header('connection') as string).toLowerCase();
  let at = 0;
  for (let count = 0; at <= list.length; count += 1) {
    if (count === LIST_LIMIT) return BAD_CONNECTION;
    const end = elementEnd(list, at);
    const option = trimSpace(list, at, end);
    at = end + 1;
    if (option === '') continue;
    if (!isToken(option)) return BAD_CONNECTION;
    if (option === 'close') options |= OPTION_CLOSE;
    else if (option === 'keep-alive') options |= OPTION_KEEP_ALIVE;
    else if (option === 'upgrade') options |= OPTION_UPGRADE;
    else if (ESSENTIAL.has(option)) return CONNECTION_NOMINATES_ESSENTIAL;
    else (head.connectionNominates ??= []).push(option);
  }
  return options;
}

/** The bits of the values that nearly every message has, or 0. */
function commonOption(text: string, start: number, length: number): number {
  if (length === 10 && text.startsWith('eep-', start + 1)) {
    const value = text.slice(start, start + length);
    return value === 'keep-alive' || value === 'Keep-Alive' ? OPTION_KEEP_ALIVE : 0;
  }
  if (length === 5 && text.startsWith('lose', start + 1)) {
    const value = text.slice(start, start + length);
    return value === 'close' || value === 'Close' ? OPTION_CLOSE : 0;
  }
  return 0;
}
