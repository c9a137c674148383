/**
 * Flip detection: a user who had the canary gets stable without a cause. It must never happen, so it is counted.
 *
 * A flip is: same rollout, same revision, same user, canary and then stable, with no fallback, exclude or override. A user who has two
 * ids is the same user, whichever of them counted.
 * The table is small and direct-mapped: it forgets users whose place another takes, so it may miss flips, but what it
 * reports is one. It never allocates after its construction.
 */
import type { Decision } from './decision.ts';

const DEFAULT_SIZE = 16_384;

export class FlipTable {
  readonly #mask: number;
  /** Whose place it is: the 53-bit hash of a user that was last seen on the canary; 0 for nobody's. */
  readonly #users: Float64Array;
  /** The epoch and the revision of that decision. */
  readonly #epochs: Float64Array;
  readonly #revisions: Float64Array;

  /** `size` is a power of two; each place takes 24 bytes. */
  constructor(size = DEFAULT_SIZE) {
    if (size < 1 || (size & (size - 1)) !== 0)
      throw new RangeError('The size of a flip table is a power of two.');
    this.#mask = size - 1;
    this.#users = new Float64Array(size);
    this.#epochs = new Float64Array(size);
    this.#revisions = new Float64Array(size);
  }

  /** Takes note of a decision of one service; true where it is a flip. */
  observe(decision: Decision): boolean {
    if (!decision.comparable || decision.fallback || decision.unavailable) return false;
    const user = decision.identityHash;
    const place = this.#placeOf(user);
    const canary = decision.assigned === 'canary';
    const { epoch, revision, otherHash } = decision;
    if (canary) {
      this.#users[place] = user;
      this.#epochs[place] = epoch;
      this.#revisions[place] = revision;
      return false;
    }
    const flipped = this.#forget(user, epoch, revision);
    return (otherHash !== 0 && this.#forget(otherHash, epoch, revision)) || flipped;
  }

  /** Forgets a user who is on stable now, since counting once is enough; true where it was on the canary at this revision. */
  #forget(user: number, epoch: number, revision: number): boolean {
    const place = this.#placeOf(user);
    if (this.#users[place] !== user) return false;
    this.#users[place] = 0;
    return this.#epochs[place] === epoch && this.#revisions[place] === revision;
  }

  /** By the low bits: the bucket comes from the high ones. */
  #placeOf(user: number): number {
    return ((user % 0x100000000) >>> 0) & this.#mask;
  }
}
