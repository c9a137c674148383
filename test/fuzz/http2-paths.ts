/**
 * Ways of a message through the proxy, without sockets and without node:http2: the code that writes heads and bodies, in the order in
 * which a stream and an exchange call it.
 */
import { makeDownstreamInfo } from '../../src/proxy/connection/downstream-info.ts';
import { FieldGuard } from '../../src/proxy/exchange/field-guard.ts';
import {
  clientResponseHead,
  upstreamRequestHead,
  type ForwardFacts,
} from '../../src/proxy/exchange/forward-headers.ts';
import { RequestBody } from '../../src/proxy/exchange/request-body.ts';
import { ResponseRelay, type ResponseSink } from '../../src/proxy/exchange/response-relay.ts';
import { makeVia } from '../../src/proxy/exchange/via.ts';
import { parseRequestHead, RequestHead } from '../../src/http1/request-head.ts';
import { parseResponseHead, responseFraming, ResponseHead } from '../../src/http1/response-head.ts';
import { fieldObject, requestFields, responseFields } from '../../src/http2/field-list.ts';
import { requestText } from '../../src/http2/request-text.ts';
import { responseText } from '../../src/http2/response-text.ts';
import { StreamBody } from '../../src/http2/stream-body.ts';
import { WRITTEN_LIMITS, WrittenBody } from '../../src/http2/written-body.ts';
import { parseAddress } from '../../src/ip/address.ts';
import { headersRead } from '../../src/policy/headers-read.ts';
import type { SocketWriter } from '../../src/net/socket-writer.ts';
import type { Http2Message } from './http2-input.ts';

const LIMITS = { requestLine: 8192, head: 32_768, fields: 100, extension: 256, trailer: 32_768 };

const FACTS: ForwardFacts = {
  downstream: { ...makeDownstreamInfo(parseAddress('198.51.100.7')!, 8080, false), http2: true },
  peerTrusted: false,
  secure: false,
  variant: 'stable',
  requestId: 'made',
  upgrade: false,
  stripCookie: '',
  guard: new FieldGuard(headersRead({ identity: [{ header: 'x-user-id' }], rollout: null })),
  via: makeVia([{ id: 'k', secret: new Uint8Array(32).fill(7) }]),
  forwarded: () => undefined,
};

/** What came of a message. */
export interface Passed {
  /** The other side got so much, latin1. */
  readonly out: string;
  /** `whole`; `cut`: the stream was reset after its head had been passed on; `refused`: before. */
  readonly end: 'whole' | 'cut' | 'refused';
  /** A length that goes beside the text; -1 for none. */
  readonly declared: number;
}

const REFUSED: Passed = { out: '', end: 'refused', declared: -1 };

let out = '';
const writer = {
  write(text: string) {
    out += text;
  },
  writeBytes(bytes: Buffer, start: number, end: number) {
    out += bytes.latin1Slice(start, end);
  },
} as unknown as SocketWriter;

const streamBody = new StreamBody();

/** The data and the end of a stream, given to `take` as they are handed over; false where the stream is reset. */
function streamed({ data, trailers, ended }: Http2Message, take: (bytes: Buffer) => boolean): boolean {
  if (ended) return true;
  for (const piece of data) {
    const bytes = streamBody.data(Buffer.from(piece, 'latin1'));
    if (bytes === null || !take(bytes)) return false;
  }
  const end = streamBody.end(trailers);
  return end !== null && (end === '' || take(Buffer.from(end, 'latin1')));
}

const requestHead = new RequestHead();
const requestBody = new RequestBody();

/** A request on its way to an endpoint of HTTP/1.1. Throws where something would be left over: it would be another request. */
export function passRequest(message: Http2Message): Passed {
  const made = requestText(message.head, message.ended);
  if (typeof made === 'number') return REFUSED;
  const bytes = Buffer.from(made.text, 'latin1');
  const used = parseRequestHead(bytes, 0, bytes.length, LIMITS, requestHead);
  if (used < 0) return REFUSED;
  if (used !== bytes.length) throw new Error(`the codec took ${used} of ${bytes.length} bytes of the head`);
  out = '';
  requestBody.begin(requestHead, LIMITS);
  requestBody.guard = FACTS.guard;
  writer.write(upstreamRequestHead(requestHead, FACTS));
  streamBody.begin(made);
  const whole = streamed(message, (piece) => {
    const taken = requestBody.take(piece, 0, piece.length, writer);
    if (taken < 0) return false;
    if (taken !== piece.length) throw new Error(`${piece.length - taken} bytes would be another request`);
    return true;
  });
  if (whole && !requestBody.done) throw new Error('the request has ended, its body has not');
  requestBody.end();
  return { out, end: whole ? 'whole' : 'cut', declared: -1 };
}

let answerMethod = '';
let answered: 'whole' | 'cut' | null = null;
const sink: ResponseSink = {
  writer,
  get requestMethod() {
    return answerMethod;
  },
  plainClient: false,
  finalHead: (head, framing) =>
    clientResponseHead(head, {
      setCookies: '',
      cache: 'preserve',
      close: false,
      chunked: framing === 'chunked',
      upgraded: false,
      date: '',
    }),
  interimHead: (head) =>
    clientResponseHead(head, {
      setCookies: '',
      cache: 'preserve',
      close: false,
      chunked: false,
      upgraded: false,
      date: '',
    }),
  upgraded() {
    answered = 'cut';
  },
  longBody() {
    // Nothing reads here.
  },
  responseComplete(leftover) {
    if (leftover) throw new Error('bytes follow the answer');
    answered = 'whole';
  },
  responseInvalid() {
    answered = 'cut';
  },
};
const relay = new ResponseRelay(sink);

/** An answer of an endpoint of HTTP/2 on its way to a client. */
export function passAnswer(message: Http2Message): Passed {
  const { head, ended, method, wanted } = message;
  const made = responseText(head, { ended, method, close: false, trailers: wanted ? 'always' : 'announced' });
  if (made === null || made.interim) return REFUSED;
  out = '';
  answered = null;
  answerMethod = method;
  relay.reset();
  streamBody.begin(made);
  const push = (bytes: Buffer): boolean => {
    relay.push(bytes, 0, bytes.length, LIMITS);
    return answered !== 'cut';
  };
  if (!push(Buffer.from(made.text, 'latin1')) && out === '') return REFUSED;
  const whole = streamed(message, push);
  if (whole && answered !== 'whole') return { out, end: out === '' ? 'refused' : 'cut', declared: -1 };
  return { out, end: whole ? 'whole' : 'cut', declared: made.form === 'chunks' ? made.length : -1 };
}

/** What HTTP/2 carries of what was written in HTTP/1.1. */
export interface Carried {
  readonly fields: readonly string[];
  readonly body: string;
  readonly trailers: Readonly<Record<string, string | string[]>>;
  readonly complete: boolean;
}

const writtenRequest = new RequestHead();
const writtenAnswer = new ResponseHead();
const writtenBody = new WrittenBody();

/** What a stream to an endpoint, or to a client, makes of `text`, in pieces of `step` bytes. Throws where it can't be. */
export function carried(kind: Http2Message['kind'], text: string, step: number, method: string): Carried {
  const bytes = Buffer.from(text, 'latin1');
  let at: number;
  let fields: string[];
  if (kind === 'request') {
    at = parseRequestHead(bytes, 0, bytes.length, WRITTEN_LIMITS, writtenRequest);
    const { chunked, contentLength } = writtenRequest;
    writtenBody.begin(chunked ? 'chunked' : contentLength > 0 ? 'length' : 'none', contentLength);
    fields = requestFields(writtenRequest, 'http');
  } else {
    at = parseResponseHead(bytes, 0, bytes.length, WRITTEN_LIMITS, writtenAnswer);
    writtenBody.begin(responseFraming(writtenAnswer, method), writtenAnswer.contentLength);
    fields = responseFields(writtenAnswer);
  }
  if (at <= 0) throw new Error(`what was written is no head (${at})`);
  const pieces: Buffer[] = [];
  for (; at < bytes.length; at += step) {
    if (!writtenBody.take(bytes.subarray(at, at + step), 0, pieces))
      throw new Error('more was written than the body');
  }
  const { trailers, done } = writtenBody;
  return {
    fields,
    body: Buffer.concat(pieces).latin1Slice(),
    trailers: trailers === null ? {} : fieldObject(trailers),
    complete: done,
  };
}
