/**
 * A latch in five words of shared memory: bucket, revision, and its marks by number.
 *
 *   word 0: bucket (20 bits), revision (upper 12 bits)    word 1: revision (lower 32 bits)
 *   words 2 to 4: four admitted and four excluded marks of 12 bits each, 0 for none
 */
import { MOST_MARKS } from './latch.ts';

/** A latch with its marks by number: the place of a rule's tag in its scope's list, from 1. */
export interface NumberedLatch {
  readonly bucket: number;
  readonly revision: number;
  readonly admitted: readonly number[];
  readonly excluded: readonly number[];
}

/** A latch as it is read; reused, so that a read allocates nothing. `marksIn` reads its marks. */
export interface FoundLatch {
  bucket: number;
  revision: number;
  admitted: number;
  excluded: number;
}

/** Rules that can be told apart in one scope. */
export const TAGS = 4095;

const TWO_32 = 0x1_0000_0000;
/** Two marks. */
const HALF = 0x1_000_000;

/** Later revisions are not told apart from it; a write each ms would take 500 years to get there. */
const LAST_REVISION = 2 ** 44 - 1;

export function packLatch(latch: NumberedLatch, words: Int32Array, at: number): void {
  const revision = Math.min(latch.revision, LAST_REVISION);
  const admitted = packMarks(latch.admitted);
  const excluded = packMarks(latch.excluded);
  const [a, b] = [admitted % HALF, Math.floor(admitted / HALF)];
  const [c, d] = [excluded % HALF, Math.floor(excluded / HALF)];
  Atomics.store(words, at, latch.bucket | (Math.floor(revision / TWO_32) << 20));
  Atomics.store(words, at + 1, revision | 0);
  Atomics.store(words, at + 2, a | (b << 24));
  Atomics.store(words, at + 3, (b >>> 8) | (c << 16));
  Atomics.store(words, at + 4, (c >>> 16) | (d << 8));
}

export function unpackLatch(words: Int32Array, at: number, out: FoundLatch): FoundLatch {
  const first = Atomics.load(words, at);
  out.bucket = first & 0xfffff;
  out.revision = (first >>> 20) * TWO_32 + (Atomics.load(words, at + 1) >>> 0);
  const x = Atomics.load(words, at + 2);
  const y = Atomics.load(words, at + 3);
  const z = Atomics.load(words, at + 4);
  out.admitted = (x & 0xffffff) + ((x >>> 24) | ((y & 0xffff) << 8)) * HALF;
  out.excluded = ((y >>> 16) | ((z & 0xff) << 16)) + (z >>> 8) * HALF;
  return out;
}

/** The numbers of four marks in one, the first in the lowest 12 bits. */
function packMarks(marks: readonly number[]): number {
  let packed = 0;
  for (const mark of marks.slice(-MOST_MARKS).toReversed()) packed = packed * (TAGS + 1) + mark;
  return packed;
}

export function marksIn(packed: number): number[] {
  const marks: number[] = [];
  for (let rest = packed; rest > 0; rest = Math.floor(rest / (TAGS + 1))) marks.push(rest % (TAGS + 1));
  return marks;
}

export function numbered({ bucket, revision, admitted, excluded }: FoundLatch): NumberedLatch {
  return { bucket, revision, admitted: marksIn(admitted), excluded: marksIn(excluded) };
}

export function sameLatch(a: NumberedLatch, b: NumberedLatch): boolean {
  return (
    a.bucket === b.bucket &&
    a.revision === b.revision &&
    packMarks(a.admitted) === packMarks(b.admitted) &&
    packMarks(a.excluded) === packMarks(b.excluded)
  );
}
