/** What the codec makes of bytes: messages, how far it has accepted them, and why it stopped. */
import { ChunkedReader } from '../../src/http1/body.ts';
import { REFUSALS } from '../../src/http1/refusal.ts';
import { parseRequestHead, RequestHead, type HeadLimits } from '../../src/http1/request-head.ts';
import { parseResponseHead, responseFraming, ResponseHead } from '../../src/http1/response-head.ts';
import type { Kind, MessageRead } from './reading.ts';

export const LIMITS: HeadLimits = { requestLine: 512, head: 2048, fields: 40 };
export const CHUNKED = { extension: 64, trailer: 256, fields: 6 };

export interface CodecReading {
  readonly messages: readonly MessageRead[];
  /** How many bytes a proxy would have passed on: all that was validated. */
  readonly accepted: number;
  /**
   * Code of the refusal; `incomplete`: more bytes are awaited; `end`: nothing more is read on this connection;
   * `between`: all bytes were read; `until-close`: a body that the end of the connection ends.
   */
  readonly state: string;
  /** Where the method of each request begins. */
  readonly methodsAt: readonly number[];
}

const requestHead = new RequestHead();
const responseHead = new ResponseHead();
const raw = new ChunkedReader();
const data = new ChunkedReader();

function codeOf(number: number): string {
  return REFUSALS[-number - 1]!.code;
}

function fieldsOf(head: RequestHead | ResponseHead): string[] {
  const fields: string[] = [];
  for (let index = 0; index < head.count; index += 1) {
    fields.push(head.text.slice(head.nameStart[index], head.nameEnd[index]), head.value(index));
  }
  return fields;
}

/** The trailer lines of a whole chunked body. */
function trailersOf(body: string): string[] {
  const lines = body.slice(0, -4).split('\r\n');
  const last = lines.findLastIndex((line) => /^0+(;.*)?$/.test(line));
  return lines.slice(last + 1).flatMap((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).replaceAll(/^[ \t]+|[ \t]+$/g, '')];
  });
}

interface Body {
  /** Bytes used, bytes that may be passed on, and why it stopped; '' when it is complete. */
  readonly used: number;
  readonly accepted: number;
  readonly stopped: string;
}

/** Reads a chunked body in pieces of `step` bytes, by a raw and a decoding reader at once. */
function readChunked(message: MessageRead, bytes: Buffer, start: number, step: number): Body {
  raw.reset(CHUNKED);
  data.reset(CHUNKED, true);
  let at = start;
  let forwarded = '';
  while (at < bytes.length && !raw.done) {
    const end = Math.min(bytes.length, at + step);
    const used = raw.push(bytes, at, end);
    const decoded = data.push(bytes, at, end);
    if (used !== decoded) throw new Error(`the decoding reader says ${decoded}, the other ${used}`);
    if (used < 0) return { used: 0, accepted: forwarded.length, stopped: codeOf(used) };
    if (raw.held !== null) forwarded += raw.held.latin1Slice();
    forwarded += bytes.latin1Slice(raw.from, raw.to);
    for (const piece of data.payload) message.body += piece.latin1Slice();
    at += used;
    if (forwarded !== bytes.latin1Slice(start, start + forwarded.length)) {
      throw new Error(`passed on other bytes than came: ${JSON.stringify(forwarded)}`);
    }
  }
  if (!raw.done) return { used: 0, accepted: forwarded.length, stopped: 'incomplete' };
  if (forwarded.length !== at - start) throw new Error('the body is done and not all of it passed on');
  message.complete = true;
  message.trailers = trailersOf(forwarded);
  return { used: at - start, accepted: at - start, stopped: '' };
}

function readLength(message: MessageRead, bytes: Buffer, start: number, length: number): Body {
  const used = Math.min(length, bytes.length - start);
  message.body = bytes.latin1Slice(start, start + used);
  message.complete = used === length;
  return { used, accepted: used, stopped: message.complete ? '' : 'incomplete' };
}

/** Reads `bytes`. `answered`: as for `readByLlhttp`. `step`: into pieces of how many bytes chunked bodies are cut. */
export function readByCodec(
  kind: Kind,
  bytes: Buffer,
  answered: readonly string[] = [],
  step = Infinity,
): CodecReading {
  const messages: MessageRead[] = [];
  const methodsAt: number[] = [];
  const end = bytes.length;
  let at = 0;
  let finals = 0;
  while (at < end) {
    const used =
      kind === 'request'
        ? parseRequestHead(bytes, at, end, LIMITS, requestHead)
        : parseResponseHead(bytes, at, end, LIMITS, responseHead);
    if (used <= 0) {
      return { messages, accepted: at, state: used === 0 ? 'incomplete' : codeOf(used), methodsAt };
    }
    // The head's text leaves out an empty line before it.
    methodsAt.push(at + used - (kind === 'request' ? requestHead : responseHead).length);
    at += used;
    const head = kind === 'request' ? requestHead : responseHead;
    const status = kind === 'request' ? 0 : responseHead.status;
    const message: MessageRead = {
      method: kind === 'request' ? requestHead.method : '',
      target: kind === 'request' ? requestHead.target : '',
      status,
      minor: head.versionMinor,
      keepAlive: head.keepAlive,
      fields: fieldsOf(head),
      trailers: [],
      body: '',
      complete: false,
    };
    messages.push(message);
    let framing: string = head.chunked ? 'chunked' : head.contentLength > 0 ? 'length' : 'none';
    if (kind === 'response') {
      framing = responseFraming(responseHead, answered[finals] ?? 'GET');
      if (status >= 200) finals += 1;
    }
    if (framing === 'close') {
      message.body = bytes.latin1Slice(at);
      return { messages, accepted: end, state: 'until-close', methodsAt };
    }
    const body =
      framing === 'chunked'
        ? readChunked(message, bytes, at, step)
        : readLength(message, bytes, at, framing === 'length' ? head.contentLength : 0);
    if (body.stopped !== '')
      return { messages, accepted: at + body.accepted, state: body.stopped, methodsAt };
    at += body.used;
    if (status === 101 || ((status === 0 || status >= 200) && !head.keepAlive)) {
      return { messages, accepted: at, state: 'end', methodsAt };
    }
  }
  return { messages, accepted: at, state: 'between', methodsAt };
}
