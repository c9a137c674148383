/** Random choices that a number repeats: the same seed gives the same inputs on every machine. */
export interface Random {
  /** A whole number from 0 to n - 1. */
  below(n: number): number;
  chance(probability: number): boolean;
  pick<T>(list: readonly T[]): T;
}

const WARM_UP = 15;

/**
 * sfc32 of Chris Doty-Humphrey's PractRand. A counter is part of its 128 bits of state, so that no seed has a cycle shorter than
 * 2^32, and two seeds do not walk over the same numbers, as they would where the seed is a place in one cycle of 2^32.
 */
export function createRandom(seed: number): Random {
  let a = seed | 0;
  let b = Math.imul(seed, 0x9e3779b1) | 0;
  let c = 0x243f6a88;
  let counter = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 0x1_0000_0000;
  };
  for (let round = 0; round < WARM_UP; round += 1) next();
  return {
    below: (n) => Math.floor(next() * n),
    chance: (probability) => next() < probability,
    pick: (list) => list[Math.floor(next() * list.length)] as (typeof list)[number],
  };
}
