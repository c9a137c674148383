/**
 * A request's body on its way to the endpoint: passing on what belongs to it, to the mirror's copy as well, and passing it on once
 * more to another endpoint.
 *
 * It never passes on a byte that the reader has not validated, and never more than the message has.
 */
import type { BodyReader } from '../../http1/body-reader.ts';
import type { RequestReader } from '../../http1/request-reader.ts';
import { allowedTrailers, type FieldGuard } from './field-guard.ts';
import type { MirrorCopy } from '../mirror/mirror.ts';
import { REPLAY_LIMIT, ReplayBuffer } from './replay-buffer.ts';
import type { SocketWriter } from '../../net/socket-writer.ts';

/** Where a body goes. */
type BodyWriter = Pick<SocketWriter, 'writeBytes'>;

/** Whose body it is. */
interface BodyOwner {
  readonly reader: RequestReader;
  /** Says which trailers pass. */
  readonly guard: FieldGuard;
}

export class RequestBody {
  /** Gets what the endpoint gets, where the request is mirrored with its body; null otherwise. */
  copy: MirrorCopy | null = null;
  /** What was taken, for a repetition. */
  readonly replay = new ReplayBuffer();
  readonly #request: BodyOwner;
  readonly #reader: RequestReader;
  readonly #body: BodyReader;
  #expected = false;

  constructor(request: BodyOwner) {
    this.#request = request;
    this.#reader = request.reader;
    this.#body = request.reader.body;
  }

  /** Begins with the body of the head that was just read. `repeatable`: its request may be delivered twice. */
  begin(repeatable: boolean): void {
    const { expectContinue, contentLength } = this.#reader.head;
    this.#expected = expectContinue;
    if (this.#body.done) this.replay.complete = true;
    else this.replay.begin(repeatable && contentLength <= REPLAY_LIMIT);
  }

  /** The client waits to be told to go on with it, and was not: perhaps it never comes. */
  get withheld(): boolean {
    return this.#expected && this.#body.rest >= this.#reader.head.contentLength;
  }

  /** The client was told to go on (100). */
  continued(): void {
    this.#expected = false;
  }

  /**
   * Takes what belongs to the body from `bytes[start..end)` and writes it to `writer`.
   * Returns the number of bytes used, or a negative refusal.
   */
  take(bytes: Buffer, start: number, end: number, writer: BodyWriter): number {
    const reader = this.#reader;
    if (reader.readBody(bytes, start, end) === 'refused') return reader.refusal;
    const { held, from, to, trailers } = this.#body;
    if (trailers !== null) this.#passEnd(trailers.text, bytes, writer);
    else {
      if (held !== null) this.#pass(held, 0, held.length, writer);
      if (to > from) this.#pass(bytes, from, to, writer);
    }
    if (this.copy !== null) this.#copyOn(this.copy, bytes, from, to);
    return reader.used;
  }

  /** The same for a body of a known length, which goes nowhere. */
  skip(bytes: Buffer, start: number, end: number): number {
    return this.#body.read(bytes, start, end);
  }

  #copyOn(copy: MirrorCopy, bytes: Buffer, start: number, end: number): void {
    copy.add(bytes, start, end);
    if (!this.#body.done) return;
    this.copy = null;
    copy.send();
  }

  /** The request is over, whether or not all of its body came. */
  end(): void {
    if (this.replay.length > 0) this.replay.clear();
    if (this.copy === null) return;
    this.copy.abandon();
    this.copy = null;
  }

  /** Passes on what comes before the trailers, and those that may pass. */
  #passEnd(trailers: string, bytes: Buffer, writer: BodyWriter): void {
    const { held, from, to } = this.#body;
    const kept = allowedTrailers(trailers, this.#request.guard);
    const own = kept === trailers ? 0 : trailers.length;
    // They may have begun in an earlier buffer.
    const heldEnd = (held?.length ?? 0) - Math.max(0, own - (to - from));
    if (held !== null && heldEnd > 0) this.#pass(held, 0, heldEnd, writer);
    if (to - own > from) this.#pass(bytes, from, to - own, writer);
    if (own === 0) return;
    const lines = Buffer.from(kept, 'latin1');
    this.#pass(lines, 0, lines.length, writer);
  }

  #pass(bytes: Buffer, start: number, end: number, writer: BodyWriter): void {
    this.replay.add(bytes, start, end);
    writer.writeBytes(bytes, start, end);
  }
}
