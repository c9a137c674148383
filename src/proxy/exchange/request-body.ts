/**
 * A request's body on its way to the endpoint: how much of what arrives belongs to it, passing that on, and passing it on once
 * more to another endpoint.
 *
 * It never passes on a byte that the codec has not validated, and never more than the message has. It keeps no more than a
 * bounded part for a repetition, and nothing when the request is over.
 */
import { ChunkedReader, type ChunkedLimits } from '../../http1/body.ts';
import type { RequestHead } from '../../http1/request-head.ts';
import { allowedTrailers, OWN_FIELDS, type FieldGuard } from './field-guard.ts';
import type { MirrorCopy } from '../mirror/mirror.ts';
import type { SocketWriter } from '../../net/socket-writer.ts';

/** A body up to this size, in bytes as they came, is kept where its request may be delivered twice. */
const KEPT_LIMIT = 64 * 1024;
const LEAST_KEPT = 1024;

export class RequestBody {
  /** True when the whole body has been taken (at once where there is none). */
  done = true;
  /** True when all that was taken of the body can be sent once more. */
  repeatable = true;
  /** The endpoint reads slowly: taking more would only fill memory. */
  blocked = false;
  /** Gets what the endpoint gets, where the request is mirrored with its body; null otherwise. */
  copy: MirrorCopy | null = null;
  /** Says which trailers pass. */
  guard: FieldGuard = OWN_FIELDS;
  #remaining = 0;
  /** By its head; -1 where that names none. */
  #length = -1;
  #chunked = false;
  #expected = false;
  /** What was taken is kept. */
  #keeping = false;
  #kept: Buffer | null = null;
  #keptLength = 0;
  readonly #reader = new ChunkedReader();

  begin(head: RequestHead, limits: ChunkedLimits): void {
    this.repeatable = true;
    this.blocked = false;
    this.#keeping = false;
    this.#chunked = head.chunked;
    this.#remaining = head.contentLength;
    this.#length = head.contentLength;
    this.#expected = head.expectContinue;
    this.done = !head.chunked && head.contentLength <= 0;
    if (head.chunked) this.#reader.reset(limits);
  }

  /** Bytes that are still to be taken; infinite where nobody can tell. */
  get rest(): number {
    return this.#chunked ? Infinity : this.#remaining;
  }

  /** The client waits to be told to go on with it, and was not: perhaps it never comes. */
  get withheld(): boolean {
    return this.#expected && this.#remaining >= this.#length;
  }

  /** The client was told to go on (100). */
  continued(): void {
    this.#expected = false;
  }

  get keptBytes(): number {
    return this.#kept?.length ?? 0;
  }

  /** From now on what is taken is kept, as far as that may be. */
  keep(): void {
    this.#keeping = this.#remaining <= KEPT_LIMIT;
  }

  /** The answer has begun, so that there is no repetition: what was kept for it goes. */
  settle(): void {
    if (!this.#keeping) return;
    this.#keeping = false;
    this.repeatable = false;
    this.#forget();
  }

  /** Writes what was taken for an endpoint that is gone to the next one. Nothing happens at the first. */
  sendKept(writer: SocketWriter): void {
    this.blocked = false;
    if (this.#kept !== null) writer.writeBytes(this.#kept, 0, this.#keptLength);
  }

  /**
   * Takes what belongs to the body from `bytes[start..end)` and writes it to `writer`.
   * Returns the number of bytes used, or a negative refusal.
   */
  take(bytes: Buffer, start: number, end: number, writer: SocketWriter): number {
    if (this.#chunked) return this.#takeChunks(bytes, start, end, writer);
    const used = Math.min(this.#remaining, end - start);
    this.#remaining -= used;
    this.done = this.#remaining === 0;
    this.#pass(bytes, start, start + used, writer);
    if (this.copy !== null) this.#copyOn(this.copy, bytes, start, start + used);
    return used;
  }

  /** Takes what belongs to a body of a known length from `length` bytes and throws it away. Returns the number of bytes used. */
  skip(length: number): number {
    const used = Math.min(this.#remaining, length);
    this.#remaining -= used;
    this.done = this.#remaining === 0;
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
    if (this.#kept !== null) this.#forget();
    if (this.copy === null) return;
    this.copy.abandon();
    this.copy = null;
  }

  #takeChunks(bytes: Buffer, start: number, end: number, writer: SocketWriter): number {
    const reader = this.#reader;
    const used = reader.push(bytes, start, end);
    if (used < 0) return used;
    this.done = reader.done;
    if (reader.done && reader.trailers !== null) {
      this.#passEnd(reader, reader.trailers.text, bytes, writer);
      return used;
    }
    if (reader.held !== null) this.#pass(reader.held, 0, reader.held.length, writer);
    if (reader.to > reader.from) this.#pass(bytes, reader.from, reader.to, writer);
    return used;
  }

  /** Passes on what comes before the trailers, and those that may pass. */
  #passEnd({ held, from, to }: ChunkedReader, trailers: string, bytes: Buffer, writer: SocketWriter): void {
    const kept = allowedTrailers(trailers, this.guard);
    const own = kept === trailers ? 0 : trailers.length;
    // They may have begun in an earlier buffer.
    const heldEnd = (held?.length ?? 0) - Math.max(0, own - (to - from));
    if (held !== null && heldEnd > 0) this.#pass(held, 0, heldEnd, writer);
    if (to - own > from) this.#pass(bytes, from, to - own, writer);
    if (own === 0) return;
    const lines = Buffer.from(kept, 'latin1');
    this.#pass(lines, 0, lines.length, writer);
  }

  #pass(bytes: Buffer, start: number, end: number, writer: SocketWriter): void {
    if (this.#keeping) this.#keepPiece(bytes, start, end);
    else this.repeatable = false;
    writer.writeBytes(bytes, start, end);
  }

  #keepPiece(bytes: Buffer, start: number, end: number): void {
    const length = this.#keptLength + end - start;
    if (length > KEPT_LIMIT) {
      this.#keeping = false;
      this.repeatable = false;
      this.#forget();
      return;
    }
    // One buffer that doubles: a body that comes byte by byte must not cost an object for each.
    if (this.#kept === null || length > this.#kept.length) {
      const larger = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(Math.max(length, LEAST_KEPT))));
      this.#kept?.copy(larger, 0, 0, this.#keptLength);
      this.#kept = larger;
    }
    bytes.copy(this.#kept, this.#keptLength, start, end);
    this.#keptLength = length;
  }

  #forget(): void {
    this.#kept = null;
    this.#keptLength = 0;
  }
}
