/** Tells whether two compiled sets of networks have an address in common. */
import type { NetworkSetData } from './network.ts';

/** Walks both sorted lists of intervals once: O(a + b). */
export function networksOverlap(a: NetworkSetData, b: NetworkSetData): boolean {
  return (
    intervalsMeet(new Uint32Array(a.v4), new Uint32Array(b.v4), 1) ||
    intervalsMeet(new Uint32Array(a.v6), new Uint32Array(b.v6), 4)
  );
}

/** `words` numbers make an address, the most significant first; an interval is its first and its last address. */
function intervalsMeet(a: Uint32Array, b: Uint32Array, words: number): boolean {
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    const aEndsFirst = compare(a, i + words, b, j + words, words) < 0;
    const reaches = aEndsFirst
      ? compare(a, i + words, b, j, words) >= 0
      : compare(b, j + words, a, i, words) >= 0;
    if (reaches) return true;
    if (aEndsFirst) i += 2 * words;
    else j += 2 * words;
  }
  return false;
}

function compare(a: Uint32Array, i: number, b: Uint32Array, j: number, words: number): number {
  for (let word = 0; word < words; word++) {
    const difference = (a[i + word] ?? 0) - (b[j + word] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
