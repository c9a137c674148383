/**
 * Reads an answer whose bytes nobody wants: where it ends, what its status is, and whether its connection may be used again.
 *
 * It is as strict as for answers that are passed on, and keeps nothing but a head that is not complete yet.
 */
import { ChunkedReader, type ChunkedLimits } from '../../http1/body.ts';
import {
  parseResponseHead,
  responseFraming,
  ResponseHead,
  type ResponseFraming,
} from '../../http1/response-head.ts';
import type { HeadLimits } from '../../http1/request-head.ts';
import { HeadAccumulator } from '../connection/head-accumulator.ts';

/** `complete`: nothing is left to come. `bad`: it is no valid answer. */
export type AnswerState = 'more' | 'complete' | 'bad';

export class DiscardedAnswer {
  /** The final status; 0 before it is known. */
  status = 0;
  /** Any byte came. */
  heard = false;
  /** The connection may carry another request once the answer is complete. */
  reusable = false;
  readonly #head = new ResponseHead();
  readonly #pieces = new HeadAccumulator();
  readonly #reader = new ChunkedReader();
  #method = '';
  #framing: ResponseFraming = 'none';
  #remaining = 0;

  /** Before the answer to a request with this method. */
  reset(method: string): void {
    this.status = 0;
    this.heard = false;
    this.reusable = false;
    this.#method = method;
    if (!this.#pieces.empty) this.#pieces.clear();
  }

  /** Reads `bytes[start..end)`, which are valid only during the call. */
  push(bytes: Buffer, start: number, end: number, limits: HeadLimits & ChunkedLimits): AnswerState {
    this.heard = true;
    if (this.status !== 0) return this.#body(bytes, start, end);
    this.#pieces.push(bytes, start, end);
    if (!this.#pieces.ready(limits.head)) return 'more';
    const { bytes: held, length } = this.#pieces;
    let at = 0;
    for (;;) {
      const used = parseResponseHead(held, at, length, limits, this.#head);
      if (used < 0) return 'bad';
      if (used === 0) {
        const rest = Buffer.from(held.subarray(at, length));
        this.#pieces.clear();
        if (rest.length > 0) this.#pieces.push(rest, 0, rest.length);
        return 'more';
      }
      at += used;
      // Nothing was asked that another protocol would be the answer to.
      if (this.#head.status === 101) return 'bad';
      if (this.#head.status >= 200) break;
    }
    return this.#begin(held, at, length, limits);
  }

  #begin(bytes: Buffer, start: number, end: number, limits: ChunkedLimits): AnswerState {
    const head = this.#head;
    this.status = head.status;
    this.#framing = responseFraming(head, this.#method);
    this.reusable = head.keepAlive && this.#framing !== 'close';
    this.#remaining = head.contentLength;
    if (this.#framing === 'chunked') this.#reader.reset(limits, false, true);
    const state = this.#body(bytes, start, end);
    this.#pieces.clear();
    return state;
  }

  #body(bytes: Buffer, start: number, end: number): AnswerState {
    switch (this.#framing) {
      case 'none':
        return this.#complete(start, end);
      case 'length': {
        const take = Math.min(this.#remaining, end - start);
        this.#remaining -= take;
        return this.#remaining > 0 ? 'more' : this.#complete(start + take, end);
      }
      case 'close':
        return 'more';
      case 'chunked': {
        const used = this.#reader.push(bytes, start, end);
        if (used < 0) return 'bad';
        return this.#reader.done ? this.#complete(start + used, end) : 'more';
      }
    }
  }

  #complete(at: number, end: number): AnswerState {
    if (at < end) this.reusable = false;
    return 'complete';
  }

  /** The endpoint closed: whether that is the proper end of the answer. */
  endsByClose(): boolean {
    return this.status !== 0 && this.#framing === 'close';
  }
}
