/**
 * What was taken of a request's body, kept so that another endpoint can get it once more.
 *
 * It is bounded: a body that outgrows it is passed on without it, and its request is not repeated then. One buffer serves all pieces,
 * and it goes as soon as no repetition can follow: when the answer begins, or when the request is over.
 */
import type { SocketWriter } from '../../net/socket-writer.ts';

/** The most that is kept of one body, in bytes as they came. */
export const REPLAY_LIMIT = 64 * 1024;
const FIRST_SIZE = 1024;

export class ReplayBuffer {
  /** All that was taken so far can be sent once more. */
  complete = true;
  /** Bytes that are kept. */
  length = 0;
  #keeps = false;
  #bytes: Buffer | null = null;

  /** Begins with a body of which nothing was taken. `keeps`: its request may be delivered twice. */
  begin(keeps: boolean): void {
    this.complete = true;
    this.#keeps = keeps;
  }

  /** Memory that is held, in bytes. */
  get size(): number {
    return this.#bytes?.length ?? 0;
  }

  /** `bytes[start..end)` were taken; they are valid only during the call. */
  add(bytes: Buffer, start: number, end: number): void {
    if (!this.#keeps) {
      this.complete = false;
      return;
    }
    const length = this.length + end - start;
    if (length > REPLAY_LIMIT) {
      this.stop();
      return;
    }
    // One buffer that doubles: a body that comes byte by byte must not cost an object for each.
    if (this.#bytes === null || length > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(Math.max(length, FIRST_SIZE))));
      this.#bytes?.copy(larger, 0, 0, this.length);
      this.#bytes = larger;
    }
    bytes.copy(this.#bytes, this.length, start, end);
    this.length = length;
  }

  /** Writes what was taken before, for an endpoint that is gone, to the next one. */
  sendTo(writer: Pick<SocketWriter, 'writeBytes'>): void {
    if (this.#bytes !== null) writer.writeBytes(this.#bytes, 0, this.length);
  }

  /** There will be no repetition: what was kept goes, and no more is kept. */
  stop(): void {
    if (!this.#keeps) return;
    this.#keeps = false;
    this.complete = false;
    this.clear();
  }

  /** The request is over. */
  clear(): void {
    this.#bytes = null;
    this.length = 0;
  }
}
