/**
 * A request's body on its way to the endpoint: how much of what arrives belongs to it, and passing that on.
 *
 * It never passes on a byte that the codec has not validated, and never more than the message has.
 */
import { ChunkedReader, type ChunkedLimits } from '../http1/body.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { MirrorCopy } from './mirror.ts';
import type { Wire } from '../upstream/wire.ts';

export class RequestBody {
  /** True when the whole body has been taken (at once where there is none). */
  done = true;
  /** True when nothing of the body has been taken, so that the request could be sent again. */
  untouched = true;
  /** The endpoint reads slowly: taking more would only fill memory. */
  blocked = false;
  /** Gets what the endpoint gets, where the request is mirrored with its body; null otherwise. */
  copy: MirrorCopy | null = null;
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
   * Takes what belongs to the body from `bytes[start..end)` and writes it to `wire`.
   * Returns the number of bytes used, or a negative refusal.
   */
  take(bytes: Buffer, start: number, end: number, wire: Wire): number {
    this.untouched = false;
    if (this.#chunked) return this.#takeChunks(bytes, start, end, wire);
    const used = Math.min(this.#remaining, end - start);
    this.#remaining -= used;
    this.done = this.#remaining === 0;
    wire.writeBytes(bytes, start, start + used);
    if (this.copy !== null) this.#copyOn(this.copy, bytes, start, start + used);
    return used;
  }

  #copyOn(copy: MirrorCopy, bytes: Buffer, start: number, end: number): void {
    copy.add(bytes, start, end);
    if (!this.done) return;
    this.copy = null;
    copy.send();
  }

  /** The request is over, whether or not all of its body came. */
  end(): void {
    if (this.copy === null) return;
    this.copy.abandon();
    this.copy = null;
  }

  #takeChunks(bytes: Buffer, start: number, end: number, wire: Wire): number {
    const reader = this.#reader;
    const used = reader.push(bytes, start, end);
    if (used < 0) return used;
    if (reader.held !== null) wire.writeBytes(reader.held, 0, reader.held.length);
    if (reader.to > reader.from) wire.writeBytes(bytes, reader.from, reader.to);
    this.done = reader.done;
    return used;
  }
}
