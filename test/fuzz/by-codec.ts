/** What the product's own readers make of bytes: messages, how far they have accepted them, and why they stopped. */
import { BodyReader } from '../../src/http1/body-reader.ts';
import { HeadAccumulator } from '../../src/http1/head-accumulator.ts';
import { PROTOCOL_ERRORS } from '../../src/http1/protocol-errors.ts';
import type { RequestHead } from '../../src/http1/request-head.ts';
import { RequestReader, type MessageLimits } from '../../src/http1/request-reader.ts';
import type { ResponseHead } from '../../src/http1/response-head.ts';
import { ResponseReader } from '../../src/http1/response-reader.ts';
import type { Kind, MessageRead } from './reading.ts';

export const LIMITS: MessageLimits = {
  requestLine: 512,
  head: 2048,
  fields: 40,
  extension: 64,
  trailer: 256,
};

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

/** Bodies are read by a second reader too, which gives their data: both must take the same bytes. */
const data = new BodyReader();
/** Trailers that may be none are refused, as of requests, so that all that is accepted is passed on. */
const STRICT = { payloadOnly: false, lenient: false } as const;
const DATA = { payloadOnly: true, lenient: false } as const;

const requests = new RequestReader();
const responses = new ResponseReader();

function codeOf(number: number): string {
  return PROTOCOL_ERRORS[-number - 1]!.code;
}

function fieldsOf(head: RequestHead | ResponseHead): string[] {
  const fields: string[] = [];
  for (let index = 0; index < head.count; index += 1) {
    fields.push(head.text.slice(head.nameStart[index], head.nameEnd[index]), head.value(index));
  }
  return fields;
}

/** What the reader says are the trailers. */
function trailersOf({ trailers }: BodyReader): string[] {
  const fields: string[] = [];
  if (trailers === null) return fields;
  for (let index = 0; index < trailers.count; index += 1) {
    fields.push(
      trailers.text.slice(trailers.nameStart[index], trailers.nameEnd[index]),
      trailers.value(index),
    );
  }
  return fields;
}

interface Body {
  /** Bytes used, bytes that may be passed on, and why it stopped; '' when it is complete. */
  readonly used: number;
  readonly accepted: number;
  readonly stopped: string;
}

/** Reads a body in pieces of `step` bytes, as it comes and as data at once. */
function readBody(
  reader: RequestReader | ResponseReader,
  message: MessageRead,
  bytes: Buffer,
  start: number,
  step: number,
): Body {
  const { body, head } = reader;
  data.begin(body.framing, head.contentLength, LIMITS, DATA);
  let at = start;
  let forwarded = '';
  while (at < bytes.length && !body.done) {
    const end = Math.min(bytes.length, at + step);
    const outcome = reader.push(bytes, at, end, LIMITS);
    const used = outcome === 'refused' ? reader.refusal : reader.used;
    const decoded = data.read(bytes, at, end);
    if (used !== decoded) throw new Error(`the decoding reader says ${decoded}, the other ${used}`);
    if (used < 0) return { used: 0, accepted: forwarded.length, stopped: codeOf(used) };
    if (outcome !== 'body') throw new Error(`${outcome} in the middle of a body`);
    if (body.held !== null) forwarded += body.held.latin1Slice();
    forwarded += bytes.latin1Slice(body.from, body.to);
    if (body.framing === 'chunked') for (const piece of data.payload) message.body += piece.latin1Slice();
    else message.body += bytes.latin1Slice(data.from, data.to);
    at += used;
    if (forwarded !== bytes.latin1Slice(start, start + forwarded.length)) {
      throw new Error(`passed on other bytes than came: ${JSON.stringify(forwarded)}`);
    }
  }
  if (message.body.length !== body.size) throw new Error(`counted ${body.size} bytes of content`);
  if (!body.done) return { used: at - start, accepted: forwarded.length, stopped: 'incomplete' };
  if (forwarded.length !== at - start) throw new Error('the body is done and not all of it passed on');
  message.complete = true;
  message.trailers = trailersOf(body);
  return { used: at - start, accepted: at - start, stopped: '' };
}

/** Reads `bytes`. `answered`: as for `readByLlhttp`. `step`: into pieces of how many bytes bodies are cut. */
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
  // What the input before this one left unread is forgotten, as where a connection has closed.
  requests.lend(new HeadAccumulator());
  responses.reset(answered[0] ?? 'GET', STRICT);
  while (at < end) {
    const reader = kind === 'request' ? requests : responses;
    const outcome = reader.push(bytes, at, end, LIMITS);
    if (outcome !== 'head') {
      return {
        messages,
        accepted: at,
        state: outcome === 'more' ? 'incomplete' : codeOf(reader.refusal),
        methodsAt,
      };
    }
    const { head, body } = reader;
    // The head's text leaves out an empty line before it.
    methodsAt.push(at + reader.used - head.length);
    at += reader.used;
    const status = kind === 'request' ? 0 : responses.head.status;
    const message: MessageRead = {
      method: kind === 'request' ? requests.head.method : '',
      target: kind === 'request' ? requests.head.target : '',
      status,
      minor: head.versionMinor,
      keepAlive: head.keepAlive,
      fields: fieldsOf(head),
      trailers: [],
      body: '',
      complete: false,
    };
    messages.push(message);
    if (kind === 'request' || responses.begun) {
      const stop = readBody(reader, message, bytes, at, step);
      if (body.framing === 'close') return { messages, accepted: end, state: 'until-close', methodsAt };
      if (stop.stopped !== '')
        return { messages, accepted: at + stop.accepted, state: stop.stopped, methodsAt };
      at += stop.used;
    } else message.complete = true;
    if (status >= 200) {
      finals += 1;
      responses.reset(answered[finals] ?? 'GET', STRICT);
    }
    if (status === 101 || ((status === 0 || status >= 200) && !message.keepAlive)) {
      return { messages, accepted: at, state: 'end', methodsAt };
    }
  }
  return { messages, accepted: at, state: 'between', methodsAt };
}
