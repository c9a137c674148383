/**
 * The body of one message, whatever its framing: which bytes belong to it, which of them may be passed on, and where it ends.
 *
 * It never takes a byte beyond the end of its message, and passes on none that was not validated. It keeps no bytes but those of a
 * chunked body's line that is not complete yet. One reader serves one message after another; a body of a known length costs no allocation.
 */
import { ChunkedReader, type ChunkedLimits } from './body.ts';
import type { FieldBlock } from './field-block.ts';

/** How the end of a body is found. `close`: by the end of the connection. */
export type BodyFraming = 'none' | 'length' | 'chunked' | 'close';

/** How a chunked body is read; a body of another framing is read alike in all modes. */
export interface ChunkedMode {
  /** The data is wanted (`payload`), not the bytes as they came. */
  readonly payloadOnly: boolean;
  /** Trailers that may be none are left out (`tail`); otherwise they make the body invalid. */
  readonly lenient: boolean;
}

/** Of requests: bytes are passed on as they came, and all is strict. */
export const STRICT: ChunkedMode = { payloadOnly: false, lenient: false };

export class BodyReader {
  framing: BodyFraming = 'none';
  /** All of the body has been read; true where there is none. */
  done = true;
  /** After `read`: the range of its bytes to pass on. */
  from = 0;
  to = 0;
  /** After `read`: validated bytes of earlier buffers, to be passed on before the range; null where there are none. */
  held: Buffer | null = null;
  /** After `read`: what is to be passed on after the range in place of what came; null where there is nothing. */
  tail: Buffer | null = null;
  /** After `read` of a chunked body in payload mode: its data, as views of the buffer. Else empty. */
  payload: readonly Buffer[] = NO_PIECES;
  /** Bytes of content that have been read: without the framing of chunks. */
  size = 0;
  #remaining = 0;
  readonly #chunks = new ChunkedReader();

  /** Begins with the body of the next message. `length`: by its head; it counts for the framing `length` only. */
  begin(framing: BodyFraming, length: number, limits: ChunkedLimits, mode = STRICT): void {
    this.framing = framing;
    this.done = framing === 'none' || (framing === 'length' && length === 0);
    this.held = null;
    this.tail = null;
    this.size = 0;
    this.#remaining = framing === 'length' ? length : 0;
    if (framing === 'chunked') this.#chunks.reset(limits, mode.payloadOnly, mode.lenient);
    else this.payload = NO_PIECES;
  }

  /** Bytes that are still to come, the framing included; infinite where nobody can tell. */
  get rest(): number {
    return this.done || this.framing === 'length' ? this.#remaining : Infinity;
  }

  /** Of a body that is done; null where it has none. Of use until the next `begin`. */
  get trailers(): FieldBlock | null {
    return this.framing === 'chunked' && this.done ? this.#chunks.trailers : null;
  }

  /**
   * Reads `bytes[start..end)`. Returns the number of bytes that belong to the body, which is less than all only when it has ended; or a
   * negative refusal (see `protocol-errors.ts`), after which only `begin` may be called.
   */
  read(bytes: Buffer, start: number, end: number): number {
    this.from = start;
    if (this.framing === 'chunked') return this.#readChunks(bytes, start, end);
    let used = end - start;
    if (this.framing !== 'close') {
      if (used > this.#remaining) used = this.#remaining;
      this.#remaining -= used;
      this.done = this.#remaining === 0;
    }
    this.size += used;
    this.to = start + used;
    return used;
  }

  #readChunks(bytes: Buffer, start: number, end: number): number {
    const chunks = this.#chunks;
    const used = chunks.push(bytes, start, end);
    this.from = chunks.from;
    this.to = chunks.to;
    this.held = chunks.held;
    this.tail = chunks.tail;
    this.payload = chunks.payload;
    this.size = chunks.size;
    this.done = chunks.done;
    return used;
  }

  /** Nothing more is to be read of it. */
  abandon(): void {
    this.framing = 'none';
    this.done = true;
    this.#remaining = 0;
  }

  /** The other side has ended the connection. True: that is the proper end of the body, which is done now. */
  endsByClose(): boolean {
    if (this.framing !== 'close') return false;
    this.done = true;
    return true;
  }
}

const NO_PIECES: readonly Buffer[] = Object.freeze([]);
