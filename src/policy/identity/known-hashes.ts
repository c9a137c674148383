/**
 * The hashes of the identities that were seen last: a page asks a dozen times in a row, and hashing costs ten times as much
 * as finding the hash again.
 *
 * A direct-mapped table: each identity has one place, and the one that came last has it. So it is bounded, costs nothing to keep,
 * and what somebody sends can at worst make it useless. It never gives another hash than `identityHash` would.
 */
import { identityHash } from '../bucket.ts';

/** 2 to the power of 13; `placeOf` gives numbers of 13 bits. */
const PLACES = 8192;

/** Longer ones are hashed each time: they would hold too much memory. */
const LENGTH_LIMIT = 64;

/** V8 makes a slice of this length or above a view of the whole string, which for an identity is a request's head. */
const SLICE_LENGTH = 13;

export class KnownHashes {
  readonly #salts: string[] = Array.from({ length: PLACES }, () => '');
  readonly #identities: string[] = Array.from({ length: PLACES }, () => '');
  readonly #hashes = new Float64Array(PLACES);

  /** `identityHash` of the two. */
  of(salt: string, identity: string): number {
    const { length } = identity;
    if (length > LENGTH_LIMIT) return identityHash(salt, identity);
    const place = placeOf(salt, identity, length);
    if (this.#identities[place] === identity && this.#salts[place] === salt) return this.#hashes[place]!;
    const hash = identityHash(salt, identity);
    this.#salts[place] = salt;
    this.#identities[place] =
      length < SLICE_LENGTH ? identity : Buffer.from(identity, 'latin1').toString('latin1');
    this.#hashes[place] = hash;
    return hash;
  }
}

/**
 * From the salt's last characters, which are random, and from the identity's length and last eight: counters differ at the end,
 * random ids everywhere.
 */
function placeOf(salt: string, identity: string, length: number): number {
  let mixed = length ^ (salt.charCodeAt(salt.length - 2) << 8) ^ (salt.charCodeAt(salt.length - 3) << 16);
  for (let at = length - 1, last = Math.max(0, length - 8); at >= last; at -= 1)
    mixed = Math.imul(mixed ^ identity.charCodeAt(at), 0x01000193);
  return Math.imul(mixed, 0x9e3779b1) >>> 19;
}
