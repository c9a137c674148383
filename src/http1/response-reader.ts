/**
 * The responses of one connection, read from bytes as they come, like the requests in `request-reader.ts`, whose steps these are.
 *
 * A response is several heads where interim ones (1xx) come before the final one: each is a step `head`, and the body begins after the
 * one with a status from 200 on. After 101 the bytes are another protocol's, and nothing more is to be read.
 */
import { BodyReader, type ChunkedMode } from './body-reader.ts';
import { HeadAccumulator, type HeadParser } from './head-accumulator.ts';
import type { MessageLimits, ReadStep } from './request-reader.ts';
import { parseResponseHead, responseFraming, ResponseHead } from './response-head.ts';

/** For a client that reads chunks, and for one that does not. Trailers that may be none are left out of both. */
export const AS_IT_CAME: ChunkedMode = { payloadOnly: false, lenient: true };
export const DATA_ONLY: ChunkedMode = { payloadOnly: true, lenient: true };

export class ResponseReader {
  readonly head = new ResponseHead();
  readonly body = new BodyReader();
  /** The final head has been read. */
  begun = false;
  /** After `push`: how many of its bytes the step took. */
  used = 0;
  /** After `refused`: the refusal's negative number (see `protocol-errors.ts`). */
  refusal = 0;
  readonly #pieces = new HeadAccumulator();
  readonly #parse: HeadParser = (bytes, start, end, limits) =>
    parseResponseHead(bytes, start, end, limits, this.head);
  #method = '';
  #mode = AS_IT_CAME;

  /** The next bytes begin the response to a request with this method. `mode`: how chunks are read. */
  reset(method: string, mode = AS_IT_CAME): void {
    this.begun = false;
    this.#method = method;
    this.#mode = mode;
    if (this.#pieces.length > 0) this.#pieces.clear();
  }

  /** The response is complete. */
  get done(): boolean {
    return this.begun && this.body.done;
  }

  /** By its head, the connection may carry another response after this one. */
  get reusable(): boolean {
    return this.head.keepAlive && this.body.framing !== 'close';
  }

  /** The server has ended the connection: whether that is the proper end of the response. */
  endsByClose(): boolean {
    return this.begun && this.body.endsByClose();
  }

  /** Reads the next step from `bytes[start..end)`, which are valid only during the call and are not empty. Not after `done`. */
  push(bytes: Buffer, start: number, end: number, limits: MessageLimits): ReadStep {
    if (!this.begun) return this.#readHead(bytes, start, end, limits);
    const used = this.body.read(bytes, start, end);
    if (used < 0) {
      this.refusal = used;
      return 'refused';
    }
    this.used = used;
    return 'body';
  }

  #readHead(bytes: Buffer, start: number, end: number, limits: MessageLimits): ReadStep {
    const { head } = this;
    const used = this.#pieces.read(bytes, start, end, limits, this.#parse);
    if (used < 0) {
      this.refusal = used;
      return 'refused';
    }
    if (used === 0) {
      this.used = end - start;
      return 'more';
    }
    this.used = used;
    if (head.status >= 200) {
      this.begun = true;
      this.body.begin(responseFraming(head, this.#method), head.contentLength, limits, this.#mode);
    }
    return 'head';
  }
}
