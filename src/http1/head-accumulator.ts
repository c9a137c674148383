/**
 * Collects a head that arrives in pieces, in time and memory proportional to its length.
 *
 * Only heads that do not come whole in one read get here. Bytes are copied into one growing buffer and scanned once;
 * a head delivered byte by byte is not parsed anew for each byte.
 */
import { findHeadEnd } from './head-scanner.ts';
import type { HeadLimits } from './request-head.ts';

const FIRST_SIZE = 1024;

const NOTHING = Buffer.alloc(0);

/** Reads a head from `bytes[start..end)`: how many bytes it took, 0 where it is not complete, or the negative number of a protocol error. */
export type HeadParser = (bytes: Buffer, start: number, end: number, limits: HeadLimits) => number;

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

  /**
   * Reads a head of which `bytes[start..end)` come next, together with what has been collected; one that comes whole is read where it
   * stands. Gives how many of these bytes it took, 0 where it is not complete and all were collected, or what `parse` refused it with.
   */
  read(bytes: Buffer, start: number, end: number, limits: HeadLimits, parse: HeadParser): number {
    const before = this.length;
    if (before === 0) {
      const used = parse(bytes, start, end, limits);
      if (used === 0) this.push(bytes, start, end);
      return used;
    }
    this.push(bytes, start, end);
    const used = this.#ready(limits.head) ? parse(this.bytes, 0, this.length, limits) : 0;
    if (used <= 0) return used;
    this.clear();
    return used - before;
  }

  /** True once it is worth parsing: the head is complete or it can no longer become a good one. */
  #ready(limit: number): boolean {
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
