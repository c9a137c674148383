/**
 * Streams of HTTP/2 to an endpoint, one after another, as one HTTP/1.1 connection: a request that is written becomes a stream,
 * and the stream's answer is handed over as HTTP/1.1.
 *
 * Promise: an answer that the endpoint did not complete never looks complete; when its holder lets go of a stream that is not
 * over, the endpoint sees a cancellation. `code` of the error says whether the endpoint refused the stream unread.
 */
import { constants, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { F } from '../http1/fields.ts';
import { RequestReader } from '../http1/request-reader.ts';
import type { ClientStream } from './client-stream.ts';
import { EdgeSocket, reset, STREAM_REFUSED } from './edge-socket.ts';
import { fieldObject, listObject, requestFields } from './field-list.ts';
import { responseText } from './response-text.ts';
import { StreamBody } from './stream-body.ts';
import { addData, WRITTEN, WRITTEN_LIMITS } from './written-message.ts';

const { NGHTTP2_CANCEL, NGHTTP2_FLAG_END_STREAM, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = constants;

const STREAM_RESET = 'STREAM_RESET';

/** Whether `list` has all fields that the next block of the stream has. */
export type WholeBlock = (stream: ClientHttp2Stream, list: readonly string[]) => boolean;

export class EndpointStream extends EdgeSocket {
  /** The session takes no further streams. */
  going = false;
  /** Who asks, where that is a stream too: trailers pass from one to the other, whatever frames the body. Set before the head is written. */
  source: ClientStream | null = null;
  /** Which of its trailers pass, by lower-case name. */
  allowsTrailer: (name: string) => boolean = () => true;
  readonly #receive: (bytes: Buffer, length: number) => void;
  #session: ClientHttp2Session | null = null;
  #stream: ClientHttp2Stream | null = null;
  /** The stream before, as long as the endpoint has not closed it. */
  #former: ClientHttp2Stream | null = null;
  /** Of what is written as the request. */
  readonly #request = new RequestReader(WRITTEN);
  /** A request is under way. */
  #asking = false;
  readonly #answer = new StreamBody();
  /** The answer's head came. */
  #heard = false;
  /** What follows the request's body, where its source says that. */
  #tail: readonly string[] | null = null;
  #waitsForSource = false;
  #trailers: readonly string[] | null = null;
  /** The endpoint said that its answer is complete; and that was handed over. */
  #ended = false;
  #answered = false;

  readonly #isWhole: WholeBlock;

  /** `receive` gets the bytes of answers; they are valid only during the call. */
  constructor(receive: (bytes: Buffer, length: number) => void, isWhole: WholeBlock) {
    super();
    this.#receive = receive;
    this.#isWhole = isWhole;
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
    if (!this.#asking || this.#request.body.done) {
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
    if (!this.#take(bytes, at, pieces)) {
      done();
      this.destroy(failure(STREAM_RESET, 'what was written is no request'));
      return;
    }
    this.send(stream, pieces, this.#request.body.done && !this.#waitsForSource, done);
  }

  /** Reads `bytes[start..]` as the body; data goes to `pieces`. False where that is not this body's. */
  #take(bytes: Buffer, start: number, pieces: Buffer[]): boolean {
    const request = this.#request;
    for (let at = start; at < bytes.length; at += request.used) {
      if (request.body.done || request.readBody(bytes, at, bytes.length) !== 'body') return false;
      addData(request.body, bytes, pieces);
    }
    return true;
  }

  /** Opens the stream of the request whose head is written; returns where its body begins, -1 where it could not. */
  #begin(bytes: Buffer): number {
    const request = this.#request;
    const { head, body } = request;
    // What was under way before came to nothing.
    if (!body.done) body.abandon();
    const step = request.push(bytes, 0, bytes.length, WRITTEN_LIMITS);
    const session = this.#session;
    if (step !== 'head' || session === null || session.closed || session.destroyed) {
      this.destroy(failure(STREAM_REFUSED, 'the session is gone'));
      return -1;
    }
    this.#letGo();
    this.#asking = true;
    this.#answered = false;
    this.#ended = false;
    this.#heard = false;
    this.#tail = null;
    this.#trailers = null;
    this.declared = -1;
    // The trailers of a chunked body come with it; those of another one from its source, once that has ended.
    const source = head.chunked ? null : this.source;
    this.#waitsForSource = source !== null && !source.asked;
    if (source?.asked === true) this.#tail = source.trailers;
    const more = this.#waitsForSource || this.#tail !== null;
    // Node.js takes a list too, which keeps order and repeated fields; its types do not say so yet.
    const fields = requestFields(head, 'http') as unknown as Record<string, string>;
    const options = { endStream: body.done && !more, waitForTrailers: head.chunked || more };
    const stream = session.request(fields, options);
    this.#stream = stream;
    this.#listen(stream);
    if (this.#waitsForSource) source?.whenAsked((trailers) => this.#sourceEnded(stream, trailers));
    else if (more && body.done) stream.end();
    return request.used;
  }

  #sourceEnded(stream: ClientHttp2Stream, trailers: readonly string[] | null): void {
    if (stream !== this.#stream) {
      // It was answered before its request was complete.
      stream.end();
      return;
    }
    this.#tail = trailers;
    this.#waitsForSource = false;
    // What of the body is still on its way through the exchange ends the stream when it is written.
    if (this.#request.body.done) stream.end();
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
      if (stream !== this.#stream) return;
      if (this.#isWhole(stream, list)) this.#trailers = list;
      else this.#malformed();
    });
    stream.once('wantTrailers', () => {
      if (stream.closed) return;
      const { trailers } = this.#request.body;
      if (stream !== this.#stream) stream.sendTrailers({});
      else if (trailers !== null) stream.sendTrailers(fieldObject(trailers));
      else stream.sendTrailers(this.#tail === null ? {} : listObject(this.#tail, this.allowsTrailer));
    });
    this.#watchEnd(stream);
    stream.once('end', () => this.#end(stream));
    stream.once('close', () => this.#over(stream));
    if (this.paused) stream.pause();
  }

  /** Resuming before a head would let its data pass unheard. */
  override resume(): this {
    this.paused = false;
    if (this.#heard) this.#stream?.resume();
    return this;
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
    const { method } = this.#request.head;
    const whole = this.#isWhole(stream, list);
    const trailers = this.source !== null || this.#request.head.seen(F.TE) ? 'always' : 'announced';
    const head = whole ? responseText(list, { ended, method, close: this.going, trailers }) : null;
    if (head === null) {
      this.#malformed();
      return;
    }
    if (!head.interim) {
      this.#answer.begin(head);
      this.declared = head.form === 'chunks' ? head.length : -1;
    }
    const bytes = Buffer.from(head.text, 'latin1');
    this.#receive(bytes, bytes.length);
    // Not earlier: Node.js may hand out data that came along with a head before it tells of the head.
    if (head.interim || stream !== this.#stream) return;
    this.#heard = true;
    stream.on('data', (data: Buffer) => this.#hears(stream, data));
  }

  #hears(stream: ClientHttp2Stream, data: Buffer): void {
    if (stream !== this.#stream || data.length === 0) return;
    const bytes = this.#answer.data(data);
    if (bytes === null) this.#malformed();
    else this.#receive(bytes, bytes.length);
  }

  #end(stream: ClientHttp2Stream): void {
    if (stream !== this.#stream || !this.#ended || this.#answered) return;
    const text = this.#answer.end(this.#trailers);
    if (text === null) {
      this.#malformed();
      return;
    }
    this.#answered = true;
    if (text === '') return;
    const bytes = Buffer.from(text, 'latin1');
    this.#receive(bytes, bytes.length);
  }

  /** The endpoint broke the rules of HTTP/2: what came of the answer must not look whole. */
  #malformed(): void {
    this.destroy(failure(STREAM_RESET, 'the answer is malformed'));
  }

  #over(stream: ClientHttp2Stream): void {
    if (stream !== this.#stream) return;
    this.#stream = null;
    this.#asking = false;
    const { rstCode } = stream;
    if (this.#answered && rstCode === NGHTTP2_NO_ERROR && this.#request.body.done) {
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
