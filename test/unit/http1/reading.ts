/** Short ways to have the codec read text: what it says, as plain values that a test can compare. */
import type { ChunkedLimits } from '../../../src/http1/body.ts';
import { ChunkedReader } from '../../../src/http1/body.ts';
import { protocolErrorOf } from '../../../src/http1/protocol-errors.ts';
import { parseRequestHead, RequestHead, type HeadLimits } from '../../../src/http1/request-head.ts';
import { parseResponseHead, ResponseHead } from '../../../src/http1/response-head.ts';

export const LIMITS: HeadLimits = { requestLine: 256, head: 1024, fields: 100 };
export const CHUNKED_LIMITS: ChunkedLimits = { extension: 256, trailer: 512, fields: 8 };

export const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

/** `used` or the code of the refusal. */
export function outcome(number: number): number | string {
  return number < 0 ? protocolErrorOf(number).code : number;
}

/** What the parser says to a request head. */
export function requestOutcome(text: string, limits = LIMITS): number | string {
  const bytes = latin1(text);
  return outcome(parseRequestHead(bytes, 0, bytes.length, limits, new RequestHead()));
}

/** What the parser says to a response head. */
export function responseOutcome(text: string, limits = LIMITS): number | string {
  const bytes = latin1(text);
  return outcome(parseResponseHead(bytes, 0, bytes.length, limits, new ResponseHead()));
}

/** The head of a good request; throws on any other. */
export function goodRequest(text: string, limits = LIMITS): RequestHead {
  const bytes = latin1(text);
  const head = new RequestHead();
  const used = parseRequestHead(bytes, 0, bytes.length, limits, head);
  if (used <= 0) throw new Error(`${outcome(used)}: ${JSON.stringify(text)}`);
  return head;
}

/** The head of a good response; throws on any other. */
export function goodResponse(text: string, limits = LIMITS): ResponseHead {
  const bytes = latin1(text);
  const head = new ResponseHead();
  const used = parseResponseHead(bytes, 0, bytes.length, limits, head);
  if (used <= 0) throw new Error(`${outcome(used)}: ${JSON.stringify(text)}`);
  return head;
}

/** A good GET with these lines after its Host line. */
export function withLines(...lines: readonly string[]): string {
  return ['GET / HTTP/1.1', 'Host: notes.test', ...lines, '', ''].join('\r\n');
}

export interface ChunkedReading {
  /** Bytes of the body, or the code of the refusal. */
  readonly result: number | string;
  /** What was passed on, in raw mode. */
  readonly forwarded: string;
  /** The data, in payload mode. */
  readonly payload: string;
  readonly done: boolean;
  /** How many bytes had been passed on after each piece. */
  readonly progress: readonly number[];
}

/** Pushes the pieces of a body, each in a buffer with other bytes around it, and stops at the end or a refusal. */
export function readChunked(
  pieces: readonly string[],
  { payloadOnly = false, lenient = false, limits = CHUNKED_LIMITS, reader = new ChunkedReader() } = {},
): ChunkedReading {
  reader.reset(limits, payloadOnly, lenient);
  let used = 0;
  let forwarded = '';
  let payload = '';
  const progress: number[] = [];
  for (const piece of pieces) {
    const bytes = latin1(`##${piece}##`);
    const result = reader.push(bytes, 2, bytes.length - 2);
    if (result < 0) return { result: outcome(result), forwarded, payload, done: reader.done, progress };
    used += result;
    if (!payloadOnly) {
      forwarded += reader.held?.toString('latin1') ?? '';
      forwarded += bytes.toString('latin1', reader.from, reader.to);
      forwarded += reader.tail?.toString('latin1') ?? '';
    }
    payload += Buffer.concat(reader.payload).toString('latin1');
    progress.push(forwarded.length);
    // A kept view of this buffer would show later.
    bytes.fill(0x21);
    if (reader.done) break;
  }
  return { result: used, forwarded, payload, done: reader.done, progress };
}
