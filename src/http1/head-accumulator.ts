/**
 * Collects a head that arrives in pieces, in time and memory proportional to its length.
 *
 * Only heads that do not come whole in one read get here. Bytes are copied into one growing buffer and scanned once;
 * a head delivered byte by byte is not parsed anew for each byte.
 */
import { findHeadEnd } from './head-scanner.ts';

const FIRST_SIZE = 1024;

const NOTHING = Buffer.alloc(0);

export class HeadAccumulator {
  /** What has been collected is `bytes[0..length)`, valid until the next `push` or `clear`. */
  bytes: Buffer = NOTHING;
  /** 0: nothing has been collected. */
  length = 0;
  #scanned = 0;

  /** Adds a copy of `bytes[start..end)`. */
  push(bytes: Buffer, start: number, end: number): void {
    const length = this.length + end - start;
    if (length > this.bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(FIRST_SIZE, length, this.bytes.length * 2));
      this.bytes.copy(grown, 0, 0, this.length);
      this.bytes = grown;
    }
    bytes.copy(this.bytes, this.length, start, end);
    this.length = length;
  }

  /** True once it is worth parsing: the head is complete or it can no longer become a good one. */
  ready(limit: number): boolean {
    const end = findHeadEnd(this.bytes, this.#scanned, this.length);
    this.#scanned = this.length;
    return end !== -1 || this.length > limit;
  }

  clear(): void {
    this.length = 0;
    this.#scanned = 0;
    // A connection that once got a head in pieces should not hold its memory while it idles.
    this.bytes = NOTHING;
  }
}
