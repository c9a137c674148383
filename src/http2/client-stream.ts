/**
 * A client's streams of HTTP/2, one after another, as one HTTP/1.1 connection: what a stream asks is read as a request, and
 * what is written as its answer becomes the stream's answer.
 *
 * Promise: a stream whose answer is not complete ends in a reset, never in a clean end; a client that resets its stream is
 * seen as one that left; where an answer is complete before its request, the rest of the request is reset with NO_ERROR, as
 * RFC 9113, section 8.1, has it. A request whose fields did not all arrive, or whose data is not what its head declares, is refused.
 */
import { constants, type ServerHttp2Stream } from 'node:http2';
import { ResponseReader } from '../http1/response-reader.ts';
import { EdgeSocket, reset, STREAM_REFUSED } from './edge-socket.ts';
import { fieldObject, responseFields } from './field-list.ts';
import { protocolErrorNumber } from '../http1/protocol-errors.ts';
import { requestText } from './request-text.ts';
import { keptTrailers } from './chunk-text.ts';
import { StreamBody } from './stream-body.ts';
import { addData, WRITTEN, WRITTEN_LIMITS } from './written-message.ts';
import { guarded, soon } from '../runtime/guard.ts';

const { NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_PROTOCOL_ERROR, NGHTTP2_REFUSED_STREAM } =
  constants;

const MALFORMED_FIELD = protocolErrorNumber('malformed_field');

/** The status whose answer has no content, although HTTP/1.1 frames it as if it might (RFC 9110, section 15.3.6). */
const RESET_CONTENT = 205;

/** Who reads what the streams ask: a client connection of HTTP/1.1. */
export interface StreamReader {
  /** `bytes[0..length)` of a request. */
  received(bytes: Buffer, length: number): void;
  /** The head can't be read: answers so, as for a head of HTTP/1.1. */
  refuse(refusal: number): void;
  /** Everything is answered: another request may come. */
  readonly idle: boolean;
}

/** Who owns the streams. */
export interface StreamOwner {
  /** A stream is over, and the next one may come. */
  free(socket: ClientStream): void;
  /** The client reset a stream that was not answered. */
  reset(): void;
  /** Whether `raw` has all fields that the next block of the stream has. */
  isWhole(stream: ServerHttp2Stream, raw: readonly string[]): boolean;
}

/** Hears the trailers of a request that has come whole, names and values in turns. */
export type RequestEnd = (trailers: readonly string[] | null) => void;

export class ClientStream extends EdgeSocket {
  reader: StreamReader | null = null;
  readonly #owner: StreamOwner;
  /** Of what is written as the answer. */
  readonly #answer = new ResponseReader();
  #stream: ServerHttp2Stream | null = null;
  readonly #request = new StreamBody();
  /** All of the request has come. */
  #asked = true;
  /** The answer's content is not passed on. */
  #contentless = false;
  #trailers: readonly string[] | null = null;
  #onAsked: RequestEnd | null = null;

  constructor(owner: StreamOwner) {
    super();
    this.#owner = owner;
  }

  protected override get stream(): ServerHttp2Stream | null {
    return this.#stream;
  }

  /** Begins with a stream whose head is `raw`; `ended`: nothing follows it. */
  begin(stream: ServerHttp2Stream, raw: readonly string[], ended: boolean): void {
    this.#stream = stream;
    this.#asked = ended;
    this.#answer.reset('', WRITTEN);
    this.#contentless = false;
    this.#trailers = null;
    this.#onAsked = null;
    stream.once('aborted', () => this.#over(stream, true));
    stream.once('close', () => this.#over(stream, stream.rstCode !== NGHTTP2_NO_ERROR));
    const head = this.#owner.isWhole(stream, raw) ? requestText(raw, ended) : MALFORMED_FIELD;
    if (typeof head === 'number') {
      this.reader?.refuse(head);
      stream.resume();
      return;
    }
    this.#answer.reset(head.method, WRITTEN);
    this.#request.begin(head);
    const bytes = Buffer.from(head.text, 'latin1');
    this.reader?.received(bytes, bytes.length);
    if (ended || this.destroyed) {
      stream.resume();
      return;
    }
    stream.once('trailers', (_fields: unknown, _flags: unknown, list: readonly string[]) => {
      if (stream !== this.#stream) return;
      if (this.#owner.isWhole(stream, list)) this.#trailers = list;
      else this.#malformed(stream);
    });
    stream.on('data', (data: Buffer) => this.#asks(stream, data));
    stream.once('end', () => this.#askedAll(stream));
    if (this.paused) stream.pause();
  }

  #asks(stream: ServerHttp2Stream, data: Buffer): void {
    if (stream !== this.#stream || data.length === 0) return;
    const bytes = this.#request.data(data);
    if (bytes === null) this.#malformed(stream);
    else this.reader?.received(bytes, bytes.length);
  }

  #askedAll(stream: ServerHttp2Stream): void {
    // A reset ends the reading too: such a request is not complete.
    if (stream !== this.#stream || stream.aborted) return;
    const text = this.#request.end(this.#trailers);
    if (text === null) {
      this.#malformed(stream);
      return;
    }
    this.#asked = true;
    if (text !== '') {
      const bytes = Buffer.from(text, 'latin1');
      this.reader?.received(bytes, bytes.length);
    }
    this.#onAsked?.(this.trailers);
    this.#onAsked = null;
  }

  /** The client broke the rules of HTTP/2 in this stream: nothing more of it is passed on. */
  #malformed(stream: ServerHttp2Stream): void {
    this.#stream = null;
    reset(stream, NGHTTP2_PROTOCOL_ERROR);
    this.#owner.reset();
    this.destroy();
  }

  /** All of the request has come. A body with a length is complete before its stream is. */
  get asked(): boolean {
    return this.#asked;
  }

  /**
   * The trailers of a request whose body has a length, those left out that may not be trailers; null before they have come and where
   * there are none. They go this way because HTTP/1.1 has no place for them there.
   */
  get trailers(): readonly string[] | null {
    return this.#request.form === 'length' && this.#trailers !== null ? keptTrailers(this.#trailers) : null;
  }

  /** Calls `then` once all of the request has come. */
  whenAsked(then: RequestEnd): void {
    this.#onAsked = then;
  }

  /** The stream is gone. `cut`: before its time. */
  #over(stream: ServerHttp2Stream, cut: boolean): void {
    if (stream !== this.#stream) return;
    this.#stream = null;
    const whole = this.#answer.done;
    if (cut && !whole) this.#owner.reset();
    if (!cut && whole && this.#asked && this.reader?.idle === true) this.#owner.free(this);
    else this.destroy();
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const stream = this.#stream;
    if (stream === null || stream.closed) {
      done();
      return;
    }
    const pieces: Buffer[] = [];
    if (!this.#take(stream, bytes, pieces)) {
      this.#cut(stream);
      done();
      return;
    }
    this.send(stream, pieces, this.#answer.done && !this.#contentless, done);
  }

  /** Reads what is written; data goes to `pieces`. False where it is no valid answer. */
  #take(stream: ServerHttp2Stream, bytes: Buffer, pieces: Buffer[]): boolean {
    const answer = this.#answer;
    for (let at = 0; at < bytes.length; at += answer.used) {
      const step = answer.done ? 'refused' : answer.push(bytes, at, bytes.length, WRITTEN_LIMITS);
      if (step === 'body') addData(answer.body, bytes, pieces);
      else if (step !== 'head' || !this.#sendHead(stream, answer)) return false;
    }
    if (this.#contentless) pieces.length = 0;
    return true;
  }

  /** False where it is a head that HTTP/2 does not have. */
  #sendHead(stream: ServerHttp2Stream, { head, body, begun }: ResponseReader): boolean {
    if (head.status === 101) return false;
    if (!begun) {
      stream.additionalHeaders({ ':status': head.status, ...fieldObject(head) });
      return true;
    }
    const chunked = body.framing === 'chunked';
    this.#contentless = head.status === RESET_CONTENT;
    const waitForTrailers = chunked && !this.#contentless;
    if (waitForTrailers) {
      stream.once('wantTrailers', () => {
        const { trailers } = body;
        if (!stream.closed) stream.sendTrailers(trailers === null ? {} : fieldObject(trailers));
        // Not before the trailers are out, which Node.js sends in the next turn.
        if (!this.#asked) soon(guarded('the end of a stream', () => stream.close(NGHTTP2_NO_ERROR)));
      });
    }
    const list = responseFields(head, this.#contentless ? 0 : chunked ? this.toDeclare : -1);
    // Node.js takes a list too, which keeps order and repeated fields, and no date; its types do not say so yet.
    const fields = list as unknown as Record<string, string>;
    const options = { endStream: this.#contentless || body.done, waitForTrailers, sendDate: false };
    stream.respond(fields, options);
    return true;
  }

  #cut(stream: ServerHttp2Stream): void {
    this.#stream = null;
    reset(stream, NGHTTP2_INTERNAL_ERROR);
    this.destroy();
  }

  override _final(done: () => void): void {
    const stream = this.#stream;
    if (stream !== null && !stream.closed) {
      if (this.#answer.endsByClose()) stream.end();
      if (!this.#answer.done) this.#cut(stream);
      else if (!this.#asked && this.#answer.body.framing !== 'chunked') stream.close(NGHTTP2_NO_ERROR);
    }
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const stream = this.#stream;
    this.#stream = null;
    // What is written and not sent may be the rest of the answer.
    const complete = this.#answer.done && this.writableFinished;
    const refused = error !== null && 'code' in error && error.code === STREAM_REFUSED;
    if (stream !== null && !complete)
      reset(stream, refused && !this.#answer.begun ? NGHTTP2_REFUSED_STREAM : NGHTTP2_INTERNAL_ERROR);
    done(error);
  }
}

/** The error to destroy a stream's socket with, so that the client knows that nobody processed its request. */
export function streamRefused(): Error {
  return Object.assign(new Error('the stream was refused'), { code: STREAM_REFUSED });
}
