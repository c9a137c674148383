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
import { ResponseRelay, type RelayStep } from '../../src/proxy/exchange/response-relay.ts';
import { makeVia } from '../../src/proxy/exchange/via.ts';
import { RequestReader } from '../../src/http1/request-reader.ts';
import { ResponseReader } from '../../src/http1/response-reader.ts';
import { HeadAccumulator } from '../../src/http1/head-accumulator.ts';
import { fieldObject, requestFields, responseFields } from '../../src/http2/field-list.ts';
import { requestText } from '../../src/http2/request-text.ts';
import { responseText } from '../../src/http2/response-text.ts';
import { StreamBody } from '../../src/http2/stream-body.ts';
import { addData, WRITTEN, WRITTEN_LIMITS } from '../../src/http2/written-message.ts';
import { parseAddress } from '../../src/ip/address.ts';
import { headersRead } from '../../src/policy/headers-read.ts';
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
};

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

const requests = new RequestReader();
const requestBody = new RequestBody({ reader: requests, guard: FACTS.guard });

/** A request on its way to an endpoint of HTTP/1.1. Throws where something would be left over: it would be another request. */
export function passRequest(message: Http2Message): Passed {
  const made = requestText(message.head, message.ended);
  if (typeof made === 'number') return REFUSED;
  const bytes = Buffer.from(made.text, 'latin1');
  requests.lend(new HeadAccumulator());
  if (requests.push(bytes, 0, bytes.length, LIMITS) !== 'head') return REFUSED;
  const { used, head } = requests;
  if (used !== bytes.length) throw new Error(`the codec took ${used} of ${bytes.length} bytes of the head`);
  out = '';
  requestBody.begin(false);
  writer.write(upstreamRequestHead(head, FACTS));
  streamBody.begin(made);
  const whole = streamed(message, (piece) => {
    const taken = requestBody.take(piece, 0, piece.length, writer);
    if (taken < 0) return false;
    if (taken !== piece.length) throw new Error(`${piece.length - taken} bytes would be another request`);
    return true;
  });
  if (whole && !requests.body.done) throw new Error('the request has ended, its body has not');
  requestBody.end();
  return { out, end: whole ? 'whole' : 'cut', declared: -1 };
}

const relay = new ResponseRelay({
  writer,
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
});

/** An answer of an endpoint of HTTP/2 on its way to a client. */
export function passAnswer(message: Http2Message): Passed {
  const { head, ended, method, wanted } = message;
  const made = responseText(head, { ended, method, close: false, trailers: wanted ? 'always' : 'announced' });
  if (made === null || made.interim) return REFUSED;
  out = '';
  relay.reset(method, false, false);
  streamBody.begin(made);
  let step: RelayStep = 'more';
  const push = (bytes: Buffer): boolean => {
    // Nothing of what follows an answer, or of an answer that is cut, is read.
    if (step !== 'more') throw new Error(`bytes follow an answer that is ${step}`);
    step = relay.push(bytes, 0, bytes.length, LIMITS);
    if (step === 'complete' && relay.stoppedAt < bytes.length) throw new Error('bytes follow the answer');
    return step === 'more' || step === 'complete';
  };
  if (!push(Buffer.from(made.text, 'latin1')) && out === '') return REFUSED;
  const whole = streamed(message, push);
  if (whole && (step as RelayStep) !== 'complete')
    return { out, end: out === '' ? 'refused' : 'cut', declared: -1 };
  return { out, end: whole ? 'whole' : 'cut', declared: made.form === 'chunks' ? made.length : -1 };
}

/** What HTTP/2 carries of what was written in HTTP/1.1. */
export interface Carried {
  readonly fields: readonly string[];
  readonly body: string;
  readonly trailers: Readonly<Record<string, string | string[]>>;
  readonly complete: boolean;
}

/** What a stream to an endpoint, or to a client, makes of `text`, in pieces of `step` bytes. Throws where it can't be. */
export function carried(kind: Http2Message['kind'], text: string, step: number, method: string): Carried {
  const bytes = Buffer.from(text, 'latin1');
  const isRequest = kind === 'request';
  const reader = isRequest ? new RequestReader(WRITTEN) : new ResponseReader();
  if (reader instanceof ResponseReader) reader.reset(method, WRITTEN);
  const outcome = reader.push(bytes, 0, bytes.length, WRITTEN_LIMITS);
  if (outcome !== 'head') throw new Error(`what was written is no head (${outcome})`);
  const { body } = reader;
  const fields =
    reader instanceof RequestReader ? requestFields(reader.head, 'http') : responseFields(reader.head);
  let at = reader.used;
  const pieces: Buffer[] = [];
  for (; at < bytes.length; at += step) {
    const end = Math.min(bytes.length, at + step);
    if (body.done || body.read(bytes, at, end) !== end - at)
      throw new Error('more was written than the body');
    addData(body, bytes, pieces);
  }
  const { trailers, done } = body;
  return {
    fields,
    body: Buffer.concat(pieces).latin1Slice(),
    trailers: trailers === null ? {} : fieldObject(trailers),
    complete: done,
  };
}
