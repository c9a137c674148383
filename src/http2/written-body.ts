/**
 * A body that is written in the framing of HTTP/1.1, taken apart into data and trailers for HTTP/2.
 *
 * It never gives data beyond the end of its message. The pieces are views of what was written.
 */
import { ChunkedReader } from '../http1/body.ts';
import type { FieldBlock } from '../http1/field-block.ts';
import type { HeadLimits } from '../http1/request-head.ts';

/** What was checked on its way here is not limited again: the proxy's own fields come on top of what it read. */
export const WRITTEN_LIMITS: HeadLimits = { requestLine: 1 << 20, head: 1 << 24, fields: 1 << 16 };
const CHUNK_LIMITS = { extension: 256, trailer: WRITTEN_LIMITS.head, fields: WRITTEN_LIMITS.fields };

/** How the end of a body is found; `close`: by the end of what is written. */
export type WrittenFraming = 'none' | 'length' | 'chunked' | 'close';

export class WrittenBody {
  /** All of it was written. */
  done = true;
  framing: WrittenFraming = 'none';
  #remaining = 0;
  readonly #chunks = new ChunkedReader();

  begin(framing: WrittenFraming, length: number): void {
    this.framing = framing;
    this.#remaining = length;
    this.done = framing === 'none' || (framing === 'length' && length <= 0);
    if (framing === 'chunked') this.#chunks.reset(CHUNK_LIMITS, true);
  }

  /** What ends by the end of what is written has ended. */
  end(): void {
    if (this.framing === 'close') this.done = true;
  }

  /** Of a body that is done; null where it has none. */
  get trailers(): FieldBlock | null {
    return this.framing === 'chunked' && this.done ? this.#chunks.trailers : null;
  }

  /** Reads `bytes[at..]` and adds its data to `pieces`; false where that is not this body's. */
  take(bytes: Buffer, at: number, pieces: Buffer[]): boolean {
    if (at === bytes.length) return true;
    if (this.done) return false;
    switch (this.framing) {
      case 'none':
        return false;
      case 'close':
        pieces.push(bytes.subarray(at));
        return true;
      case 'length': {
        const taken = bytes.length - at;
        this.#remaining -= taken;
        this.done = this.#remaining === 0;
        if (this.#remaining < 0) return false;
        pieces.push(bytes.subarray(at));
        return true;
      }
      case 'chunked': {
        const used = this.#chunks.push(bytes, at, bytes.length);
        if (used !== bytes.length - at) return false;
        for (const piece of this.#chunks.payload) pieces.push(piece);
        this.done = this.#chunks.done;
        return true;
      }
    }
  }
}
