/**
 * A request's body on its way to the endpoint: how much of what arrives belongs to it, and passing that on.
 *
 * It never passes on a byte that the codec has not validated, and never more than the message has.
 */
import type { Socket } from 'node:net';
import { ChunkedReader, type ChunkedLimits } from '../http1/body.ts';
import type { RequestHead } from '../http1/request-head.ts';
import { keepable } from '../upstream/read-buffer.ts';

export class RequestBody {
  /** True when the whole body has been taken (at once where there is none). */
  done = true;
  /** True when nothing of the body has been taken, so that the request could be sent again. */
  untouched = true;
  /** The endpoint reads slowly: taking more would only fill memory. */
  blocked = false;
  #remaining = 0;
  #chunked = false;
  readonly #reader = new ChunkedReader();

  begin(head: RequestHead, limits: ChunkedLimits): void {
    this.untouched = true;
    this.blocked = false;
    this.#chunked = head.chunked;
    this.#remaining = head.contentLength;
    this.done = !head.chunked && head.contentLength <= 0;
    if (head.chunked) this.#reader.reset(limits);
  }

  /**
   * Takes what belongs to the body from `bytes[start..end)` and writes it to `socket`.
   * Returns the number of bytes used, or a negative refusal.
   */
  take(bytes: Buffer, start: number, end: number, socket: Socket): number {
    this.untouched = false;
    if (this.#chunked) return this.#takeChunks(bytes, start, end, socket);
    const used = Math.min(this.#remaining, end - start);
    this.#remaining -= used;
    this.done = this.#remaining === 0;
    this.#write(keepable(bytes, start, start + used), socket);
    return used;
  }

  #takeChunks(bytes: Buffer, start: number, end: number, socket: Socket): number {
    const reader = this.#reader;
    const used = reader.push(bytes, start, end);
    if (used < 0) return used;
    if (reader.held !== null) this.#write(reader.held, socket);
    if (reader.to > reader.from) this.#write(keepable(bytes, reader.from, reader.to), socket);
    this.done = reader.done;
    return used;
  }

  #write(bytes: Buffer, socket: Socket): void {
    if (!socket.write(bytes)) this.blocked = true;
  }
}
