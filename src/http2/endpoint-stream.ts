/**
 * Streams of HTTP/2 to an endpoint, one after another, as one HTTP/1.1 connection: a request that is written becomes a stream,
 * and the stream's answer is handed over as HTTP/1.1.
 *
 * Promise: an answer that the endpoint did not complete never looks complete; when its holder lets go of a stream that is not
 * over, the endpoint sees a cancellation. `code` of the error says whether the endpoint refused the stream unread.
 */
import { constants, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { parseRequestHead, RequestHead } from '../http1/request-head.ts';
import { EdgeSocket, reset, STREAM_REFUSED } from './edge-socket.ts';
import { fieldObject, requestFields } from './field-list.ts';
import { chunkOf, lastChunk, responseText } from './response-text.ts';
import { WRITTEN_LIMITS, WrittenBody } from './written-body.ts';

const { NGHTTP2_CANCEL, NGHTTP2_FLAG_END_STREAM, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = constants;

const STREAM_RESET = 'STREAM_RESET';

export class EndpointStream extends EdgeSocket {
  /** The session takes no further streams. */
  going = false;
  readonly #receive: (bytes: Buffer, length: number) => void;
  #session: ClientHttp2Session | null = null;
  #stream: ClientHttp2Stream | null = null;
  /** The stream before, as long as the endpoint has not closed it. */
  #former: ClientHttp2Stream | null = null;
  readonly #head = new RequestHead();
  readonly #body = new WrittenBody();
  /** A request is under way. */
  #asking = false;
  /** Its answer goes in chunks. */
  #chunked = false;
  #trailers: readonly string[] | null = null;
  /** The endpoint said that its answer is complete; and that was handed over. */
  #ended = false;
  #answered = false;

  /** `receive` gets the bytes of answers; they are valid only during the call. */
  constructor(receive: (bytes: Buffer, length: number) => void) {
    super();
    this.#receive = receive;
  }

  protected override get stream(): ClientHttp2Stream | null {
    return this.#stream;
  }

  /** No request is under way. */
  get resting(): boolean {
    return !this.#asking;
  }

  /** The session whose streams these will be. */
  use(session: ClientHttp2Session): void {
    this.#session = session;
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const pieces: Buffer[] = [];
    let at = 0;
    // After the end of a request only another one is written; its holder may be through before the stream is closed.
    if (!this.#asking || this.#body.done) {
      at = this.#begin(bytes);
      if (at < 0) {
        done();
        return;
      }
    }
    const stream = this.#stream;
    if (stream === null || stream.closed) {
      done();
      return;
    }
    if (!this.#body.take(bytes, at, pieces)) {
      done();
      this.destroy(failure(STREAM_RESET, 'what was written is no request'));
      return;
    }
    this.send(stream, pieces, this.#body.done, done);
  }

  /** Opens the stream of the request whose head is written; returns where its body begins, -1 where it could not. */
  #begin(bytes: Buffer): number {
    const head = this.#head;
    const used = parseRequestHead(bytes, 0, bytes.length, WRITTEN_LIMITS, head);
    const session = this.#session;
    if (used <= 0 || session === null || session.closed || session.destroyed) {
      this.destroy(failure(STREAM_REFUSED, 'the session is gone'));
      return -1;
    }
    this.#letGo();
    this.#asking = true;
    this.#answered = false;
    this.#ended = false;
    this.#chunked = false;
    this.#trailers = null;
    this.#body.begin(
      head.chunked ? 'chunked' : head.contentLength > 0 ? 'length' : 'none',
      head.contentLength,
    );
    // Node.js takes a list too, which keeps order and repeated fields; its types do not say so yet.
    const fields = requestFields(head, 'http') as unknown as Record<string, string>;
    const stream = session.request(fields, { endStream: this.#body.done, waitForTrailers: head.chunked });
    this.#stream = stream;
    this.#listen(stream);
    return used;
  }

  /** The holder is through with the stream: its end may still be on its way, but not for ever. */
  #letGo(): void {
    if (this.#former !== null) reset(this.#former, NGHTTP2_CANCEL);
    this.#former = this.#stream;
    this.#stream = null;
  }

  #listen(stream: ClientHttp2Stream): void {
    stream.on('error', () => {
      // 'close' follows and says all that is needed.
    });
    stream.on('headers', (_fields: unknown, flags: number, list: readonly string[]) =>
      this.#hand(stream, list, flags),
    );
    stream.once('response', (_fields: unknown, flags: number, list: readonly string[]) =>
      this.#hand(stream, list, flags),
    );
    stream.once('trailers', (_fields: unknown, _flags: unknown, list: readonly string[]) => {
      this.#trailers = list;
    });
    stream.once('wantTrailers', () => {
      const { trailers } = this.#body;
      if (!stream.closed) stream.sendTrailers(trailers === null ? {} : fieldObject(trailers));
    });
    stream.on('data', (data: Buffer) => {
      if (stream !== this.#stream || data.length === 0) return;
      const bytes = this.#chunked ? chunkOf(data) : data;
      this.#receive(bytes, bytes.length);
    });
    this.#watchEnd(stream);
    stream.once('end', () => this.#end(stream));
    stream.once('close', () => this.#over(stream));
    if (this.paused) stream.pause();
  }

  /**
   * Node.js ends a stream's reading in the same way whether the endpoint ended it or reset it with NO_ERROR, but it marks it as
   * closed before in the second case only.
   */
  #watchEnd(stream: ClientHttp2Stream): void {
    const push = stream.push.bind(stream);
    stream.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
      if (chunk === null && !stream.closed) this.#ended = true;
      return push(chunk, encoding);
    };
  }

  #hand(stream: ClientHttp2Stream, list: readonly string[], flags: number): void {
    if (stream !== this.#stream) return;
    const ended = (flags & NGHTTP2_FLAG_END_STREAM) !== 0;
    const head = responseText(list, ended, this.#head.method, this.going);
    if (head === null) {
      this.destroy(failure(STREAM_RESET, 'the answer has an invalid head'));
      return;
    }
    this.#chunked = head.chunked;
    const bytes = Buffer.from(head.text, 'latin1');
    this.#receive(bytes, bytes.length);
  }

  #end(stream: ClientHttp2Stream): void {
    if (stream !== this.#stream || !this.#ended || this.#answered) return;
    this.#answered = true;
    if (!this.#chunked) return;
    const bytes = Buffer.from(lastChunk(this.#trailers), 'latin1');
    this.#receive(bytes, bytes.length);
  }

  #over(stream: ClientHttp2Stream): void {
    if (stream !== this.#stream) return;
    this.#stream = null;
    this.#asking = false;
    const { rstCode } = stream;
    if (this.#answered && rstCode === NGHTTP2_NO_ERROR && this.#body.done) {
      if (this.going) this.destroy();
      return;
    }
    const code = rstCode === NGHTTP2_REFUSED_STREAM ? STREAM_REFUSED : STREAM_RESET;
    this.destroy(failure(code, `the endpoint reset the stream (${rstCode})`));
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#letGo();
    this.#letGo();
    done(error);
  }
}

function failure(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
