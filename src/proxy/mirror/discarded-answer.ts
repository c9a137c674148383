/**
 * Reads an answer whose bytes nobody wants: where it ends, what its status is, and whether its connection may be used again.
 *
 * It reads as strictly as where answers are passed on, and keeps nothing but a head that is not complete yet.
 */
import type { MessageLimits } from '../../http1/request-reader.ts';
import { ResponseReader } from '../../http1/response-reader.ts';

/** `complete`: nothing is left to come. `bad`: it is no valid answer. */
export type AnswerState = 'more' | 'complete' | 'bad';

export class DiscardedAnswer {
  /** The final status; 0 before it is known. */
  status = 0;
  /** Any byte came. */
  heard = false;
  /** The connection may carry another request once the answer is complete. */
  reusable = false;
  readonly #reader = new ResponseReader();

  /** Before the answer to a request with this method. */
  reset(method: string): void {
    this.status = 0;
    this.heard = false;
    this.reusable = false;
    this.#reader.reset(method);
  }

  /** Reads `bytes[start..end)`, which are valid only during the call. */
  push(bytes: Buffer, start: number, end: number, limits: MessageLimits): AnswerState {
    const reader = this.#reader;
    this.heard = true;
    for (let at = start; at < end;) {
      const step = reader.push(bytes, at, end, limits);
      if (step === 'refused') return 'bad';
      if (step === 'more') return 'more';
      at += reader.used;
      if (step === 'head' && !this.#takesHead(reader)) return 'bad';
      if (!reader.done) continue;
      if (at < end) this.reusable = false;
      return 'complete';
    }
    return 'more';
  }

  /** False where nothing was asked that this could be the answer to: another protocol. */
  #takesHead({ head, begun, reusable }: ResponseReader): boolean {
    if (!begun) return head.status !== 101;
    this.status = head.status;
    this.reusable = reusable;
    return true;
  }

  /** The endpoint closed: whether that is the proper end of the answer. */
  endsByClose(): boolean {
    return this.#reader.endsByClose();
  }
}
