/**
 * A user's place in [0, 1,000,000) for one rollout, from the identity's hash.
 *
 *   bucket = floor(hi32(xxh64(salt ‖ 0x1f ‖ identity)) × 1,000,000 / 2^32)
 *
 * The formula is pinned by name (`xxh64-1`) in every rollout and must never change: a change would move every user.
 * XXH64: Yann Collet, https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md, seed 0.
 */
import xxhash from 'xxhash-wasm';

export const BUCKETS = 1_000_000;

/** The algorithms that this version knows. */
export const BUCKET_ALGORITHMS: readonly string[] = ['xxh64-1'];

// Loading this module waits for the WebAssembly instance, so that hashing itself is synchronous.
const hasher = await xxhash();

const whole = new BigUint64Array(1);
const halves = new Uint32Array(whole.buffer);
const LOW = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 0 : 1;
const HIGH = 1 - LOW;

const NOT_ASCII = /[^\0-\x7f]/;

/**
 * The salt of a rollout with its separator: what is hashed before the identity. The parts are ASCII and separated by a
 * byte that none of them can hold.
 */
export function rolloutSalt(service: string, epoch: number, seed: string): string {
  return `${service}\x1e${epoch}\x1e${seed}\x1f`;
}

/**
 * The upper 53 bits of xxh64 over the bytes of `salt` and `identity` (both one character a byte), as an exact number.
 * The bucket comes from its upper 32 bits; all 53 tell users apart.
 */
export function identityHash(salt: string, identity: string): number {
  // For ASCII, what TextEncoder writes is the raw bytes; anything else takes the long way.
  whole[0] = NOT_ASCII.test(identity)
    ? hasher.h64Raw(Buffer.from(salt + identity, 'latin1'))
    : hasher.h64(salt + identity);
  return halves[HIGH]! * 0x200000 + (halves[LOW]! >>> 11);
}

/** The bucket of an identity's hash. Exact: the product stays below 2^53. */
export function bucketOf(hash: number): number {
  return Math.floor((Math.floor(hash / 0x200000) * BUCKETS) / 0x1_0000_0000);
}

/** The bucket threshold of a percentage: buckets below it are admitted. Percentages are exact to 0.0001. */
export function threshold(percentage: number): number {
  return Math.round(percentage * (BUCKETS / 100));
}

/** How many of the descending thresholds are above the bucket: these rules may admit it, no other. */
export function countAbove(thresholds: Float64Array, bucket: number): number {
  let low = 0;
  let high = thresholds.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (thresholds[middle]! > bucket) low = middle + 1;
    else high = middle;
  }
  return low;
}
