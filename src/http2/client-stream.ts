/**
 * A client's streams of HTTP/2, one after another, as one HTTP/1.1 connection: what a stream asks is read as a request, and
 * what is written as its answer becomes the stream's answer.
 *
 * Promise: a stream whose answer is not complete ends in a reset, never in a clean end; a client that resets its stream is
 * seen as one that left; where an answer is complete before its request, the rest of the request is reset with NO_ERROR, as
 * RFC 9113, section 8.1, has it.
 */
import { constants, type ServerHttp2Stream } from 'node:http2';
import { parseResponseHead, responseFraming, ResponseHead } from '../http1/response-head.ts';
import { EdgeSocket, reset, STREAM_REFUSED } from './edge-socket.ts';
import { fieldObject, responseFields } from './field-list.ts';
import { requestText } from './request-text.ts';
import { chunkOf, lastChunk } from './response-text.ts';
import { WRITTEN_LIMITS, WrittenBody } from './written-body.ts';
import { guarded, soon } from '../runtime/guard.ts';

const { NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = constants;

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
}

export class ClientStream extends EdgeSocket {
  reader: StreamReader | null = null;
  readonly #owner: StreamOwner;
  readonly #head = new ResponseHead();
  readonly #body = new WrittenBody();
  #stream: ServerHttp2Stream | null = null;
  #method = '';
  /** All of the request has come. */
  #asked = true;
  /** The request goes in chunks. */
  #chunked = false;
  /** The head of the answer was sent. */
  #answered = false;
  #trailers: readonly string[] | null = null;

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
    this.#method = raw[raw.indexOf(':method') + 1] ?? '';
    this.#asked = ended;
    this.#chunked = !ended && !raw.includes('content-length');
    this.#answered = false;
    this.#trailers = null;
    stream.once('aborted', () => this.#over(stream, true));
    stream.once('close', () => this.#over(stream, stream.rstCode !== NGHTTP2_NO_ERROR));
    const text = requestText(raw, ended);
    if (typeof text === 'number') {
      this.reader?.refuse(text);
      stream.resume();
      return;
    }
    const bytes = Buffer.from(text, 'latin1');
    this.reader?.received(bytes, bytes.length);
    if (ended || this.destroyed) {
      stream.resume();
      return;
    }
    stream.once('trailers', (_fields: unknown, _flags: unknown, list: readonly string[]) => {
      this.#trailers = list;
    });
    stream.on('data', (data: Buffer) => this.#asks(stream, data));
    stream.once('end', () => this.#askedAll(stream));
    if (this.paused) stream.pause();
  }

  #asks(stream: ServerHttp2Stream, data: Buffer): void {
    if (stream !== this.#stream || data.length === 0) return;
    const bytes = this.#chunked ? chunkOf(data) : data;
    this.reader?.received(bytes, bytes.length);
  }

  #askedAll(stream: ServerHttp2Stream): void {
    // A reset ends the reading too: such a request is not complete.
    if (stream !== this.#stream || stream.aborted) return;
    this.#asked = true;
    if (!this.#chunked) return;
    const bytes = Buffer.from(lastChunk(this.#trailers), 'latin1');
    this.reader?.received(bytes, bytes.length);
  }

  /** The stream is gone. `cut`: before its time. */
  #over(stream: ServerHttp2Stream, cut: boolean): void {
    if (stream !== this.#stream) return;
    this.#stream = null;
    const whole = this.#answered && this.#body.done;
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
    this.send(stream, pieces, this.#answered && this.#body.done, done);
  }

  /** Reads what is written; data goes to `pieces`. False where it is no valid answer. */
  #take(stream: ServerHttp2Stream, bytes: Buffer, pieces: Buffer[]): boolean {
    const head = this.#head;
    let at = 0;
    while (!this.#answered && at < bytes.length) {
      const used = parseResponseHead(bytes, at, bytes.length, WRITTEN_LIMITS, head);
      if (used <= 0 || head.status === 101) return false;
      at += used;
      if (head.status < 200) stream.additionalHeaders({ ':status': head.status, ...fieldObject(head) });
      else this.#answer(stream);
    }
    return this.#body.take(bytes, at, pieces);
  }

  #answer(stream: ServerHttp2Stream): void {
    const head = this.#head;
    const framing = responseFraming(head, this.#method);
    this.#body.begin(framing, head.contentLength);
    this.#answered = true;
    const waitForTrailers = framing === 'chunked';
    if (waitForTrailers) {
      stream.once('wantTrailers', () => {
        const { trailers } = this.#body;
        if (!stream.closed) stream.sendTrailers(trailers === null ? {} : fieldObject(trailers));
        // Not before the trailers are out, which Node.js sends in the next turn.
        if (!this.#asked) soon(guarded('the end of a stream', () => stream.close(NGHTTP2_NO_ERROR)));
      });
    }
    // Node.js takes a list too, which keeps order and repeated fields, and no date; its types do not say so yet.
    const fields = responseFields(head) as unknown as Record<string, string>;
    const options = { endStream: this.#body.done, waitForTrailers, sendDate: false };
    stream.respond(fields, options);
  }

  #cut(stream: ServerHttp2Stream): void {
    this.#stream = null;
    reset(stream, NGHTTP2_INTERNAL_ERROR);
    this.destroy();
  }

  override _final(done: () => void): void {
    const stream = this.#stream;
    if (stream !== null && !stream.closed) {
      if (this.#answered && this.#body.framing === 'close') {
        this.#body.end();
        stream.end();
      }
      if (!this.#answered || !this.#body.done) this.#cut(stream);
      else if (!this.#asked && this.#body.framing !== 'chunked') stream.close(NGHTTP2_NO_ERROR);
    }
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const stream = this.#stream;
    this.#stream = null;
    // What is written and not sent may be the rest of the answer.
    const complete = this.#answered && this.#body.done && this.writableFinished;
    const refused = error !== null && 'code' in error && error.code === STREAM_REFUSED;
    if (stream !== null && !complete)
      reset(stream, refused && !this.#answered ? NGHTTP2_REFUSED_STREAM : NGHTTP2_INTERNAL_ERROR);
    done(error);
  }
}

/** The error to destroy a stream's socket with, so that the client knows that nobody processed its request. */
export function streamRefused(): Error {
  return Object.assign(new Error('the stream was refused'), { code: STREAM_REFUSED });
}
