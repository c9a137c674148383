/**
 * The latches of users whose identity comes in a header: their clients may keep no cookies.
 *
 * Held in memory, bounded, the least recently used forgotten first; never a round trip on the request path. Users are
 * known by the hash of their identity alone, whose salt keeps rollouts apart.
 */
import { LRUCache } from 'lru-cache';
import type { Latch } from './latch.ts';

export class LatchMemory {
  readonly #latches: LRUCache<number, Latch>;

  /** Keeps at most `max` latches, about 200 bytes each. */
  constructor(max = 65_536) {
    this.#latches = new LRUCache({ max });
  }

  get size(): number {
    return this.#latches.size;
  }

  /** The user's latch, if it is of that scope. */
  find(scope: string, identityHash: number): Latch | null {
    const latch = this.#latches.get(identityHash);
    return latch !== undefined && latch.scope === scope ? latch : null;
  }

  keep(identityHash: number, latch: Latch): void {
    this.#latches.set(identityHash, latch);
  }
}
