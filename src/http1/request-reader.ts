/**
 * The requests of one connection, read from bytes as they come: heads, bodies, trailers. No I/O, and no meaning beyond the message.
 *
 * `push` takes bytes and says what they are; at a step's end the next bytes begin the next step:
 *
 *   more     a head is not complete: all of the bytes were collected
 *   head     `head` is filled, and `body` begun; `body.done` where the request has none
 *   body     `body` says what to pass on: `held`, then the range `from..to`; with the last of it `done`, and its `trailers`
 *   refused  `refusal` says why; nothing more is to be read
 *
 * Promises: no byte is read twice as part of two messages; the same bytes are read alike however they are cut, except that a bad head
 * without an end is refused only when that is certain. A head that comes whole, and a body of a known length, cost no allocation
 * beyond the head's strings.
 */
import type { ChunkedLimits } from './body.ts';
import { BodyReader, STRICT, type ChunkedMode } from './body-reader.ts';
import { HeadAccumulator, type HeadParser } from './head-accumulator.ts';
import { parseRequestHead, RequestHead, type HeadLimits } from './request-head.ts';

/** What of a message may be how large. */
export type MessageLimits = HeadLimits & ChunkedLimits;

export type ReadStep = 'more' | 'head' | 'body' | 'refused';

export class RequestReader {
  readonly head = new RequestHead();
  readonly body = new BodyReader();
  /** A head that is not complete; whoever lends readers to connections keeps it with the connection. */
  pieces = new HeadAccumulator();
  /** After `push`: how many of its bytes the step took. */
  used = 0;
  /** After `refused`: the refusal's negative number (see `protocol-errors.ts`). */
  refusal = 0;

  readonly #mode: ChunkedMode;
  readonly #parse: HeadParser = (bytes, start, end, limits) =>
    parseRequestHead(bytes, start, end, limits, this.head);

  /** `mode`: how chunks are read. */
  constructor(mode = STRICT) {
    this.#mode = mode;
  }

  /** Reads the next step from `bytes[start..end)`, which are valid only during the call and are not empty. */
  push(bytes: Buffer, start: number, end: number, limits: MessageLimits): ReadStep {
    return this.body.done ? this.#readHead(bytes, start, end, limits) : this.readBody(bytes, start, end);
  }

  /** The same, where it is known that a body goes on. */
  readBody(bytes: Buffer, start: number, end: number): 'body' | 'refused' {
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
    const used = this.pieces.read(bytes, start, end, limits, this.#parse);
    if (used < 0) {
      this.refusal = used;
      return 'refused';
    }
    if (used === 0) {
      this.used = end - start;
      return 'more';
    }
    this.used = used;
    if (head.chunked) this.body.begin('chunked', 0, limits, this.#mode);
    else this.body.begin(head.contentLength > 0 ? 'length' : 'none', head.contentLength, limits);
    return 'head';
  }

  /** Serves another connection, which has collected `pieces` of its next head so far; what was under way is forgotten. */
  lend(pieces: HeadAccumulator): void {
    this.pieces = pieces;
    if (!this.body.done) this.body.abandon();
  }
}
