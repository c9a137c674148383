import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import xxhash from 'xxhash-wasm';
import { bucketOf, BUCKETS, identityHash, rolloutSalt, threshold } from '../../../src/policy/bucket.ts';
import { standaloneText, readableText, wireText } from '../../../src/schema/latin1.ts';
import { anyText } from './fixtures.ts';

const hasher = await xxhash();
const SALT = rolloutSalt('notes', 3, '00112233445566778899aabbccddeeff');

/** The formula, word for word, in exact arithmetic. */
function reference(salt: string, identity: Uint8Array): { hash: bigint; bucket: number } {
  const hash = hasher.h64Raw(Buffer.concat([Buffer.from(salt, 'latin1'), identity]));
  return { hash, bucket: Number(((hash >> 32n) * 1_000_000n) >> 32n) };
}

test('the bucket is pinned: these values must never change', () => {
  const pinned: Record<string, number> = {
    alice: 903_658,
    bob: 920_096,
    '': 796_082,
    zoë: 266_663,
    '3f2504e0-4f89-41d3-9a0c-0305e82c3301': 833_708,
  };
  const found = Object.keys(pinned).map((identity) => [
    identity,
    bucketOf(identityHash(SALT, wireText(identity))),
  ]);
  assert.deepEqual(Object.fromEntries(found), pinned);
});

test('xxh64 itself gives the values of its specification', () => {
  assert.equal(hasher.h64(''), 0xef46db3751d8e999n);
  assert.equal(hasher.h64('a'), 0xd24ec4f1a98c6e5bn);
});

test('the salt separates its parts and ends with 0x1f', () => {
  assert.equal(SALT, 'notes\x1e3\x1e00112233445566778899aabbccddeeff\x1f');
  assert.notEqual(rolloutSalt('a', 11, 'x'), rolloutSalt('a1', 1, 'x'));
});

test('hash and bucket follow the formula for any bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const { hash, bucket } = reference(SALT, bytes);
      const found = identityHash(SALT, Buffer.from(bytes).toString('latin1'));
      assert.equal(found, Number(hash >> 11n));
      assert.equal(bucketOf(found), bucket);
      assert.ok(Number.isSafeInteger(found) && bucket >= 0 && bucket < BUCKETS);
    }),
    { numRuns: 3000 },
  );
});

test('the ends of the hash give the ends of the buckets', () => {
  assert.equal(bucketOf(0), 0);
  assert.equal(bucketOf(2 ** 53 - 1), BUCKETS - 1);
  // The last hash of bucket 0 and the first of bucket 1: ceil(2^32 / 10^6) = 4295.
  assert.equal(bucketOf(4295 * 2 ** 21 - 1), 0);
  assert.equal(bucketOf(4295 * 2 ** 21), 1);
});

test('identities are raw bytes: UTF-8 and latin1 spellings are two users, and none is mangled', () => {
  const utf8 = wireText('zoë');
  assert.equal(utf8, 'zo\xc3\xab');
  assert.notEqual(identityHash(SALT, utf8), identityHash(SALT, 'zo\xeb'));
  assert.equal(identityHash(SALT, utf8), Number(reference(SALT, Buffer.from('zoë', 'utf8')).hash >> 11n));
  assert.equal(
    identityHash(SALT, 'zo\xeb'),
    Number(reference(SALT, Buffer.from('zoë', 'latin1')).hash >> 11n),
  );
});

test('buckets are spread evenly: chi-square over 1,000 cells, sequential ids', () => {
  const cells = new Uint32Array(1000);
  const users = 200_000;
  for (let number = 0; number < users; number++)
    cells[Math.floor(bucketOf(identityHash(SALT, `user-${number}`)) / 1000)]!++;
  const expected = users / cells.length;
  let chi = 0;
  for (const count of cells) chi += (count - expected) ** 2 / expected;
  // 999 degrees of freedom: mean 999, standard deviation 44.7; five of them on each side.
  assert.ok(chi > 775 && chi < 1223, `chi-square ${chi}`);
});

test('thresholds are exact for percentages of up to four decimals', () => {
  assert.equal(threshold(0), 0);
  assert.equal(threshold(100), BUCKETS);
  assert.equal(threshold(0.0001), 1);
  assert.equal(threshold(0.07), 700);
  assert.equal(threshold(33.3333), 333_333);
  for (let units = 0; units <= BUCKETS; units += 37) assert.equal(threshold(units / 10_000), units);
});

test('wire texts are the UTF-8 bytes and read back', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const wire = wireText(text);
      assert.equal(Buffer.from(wire, 'latin1').toString('hex'), Buffer.from(text, 'utf8').toString('hex'));
      assert.equal(readableText(wire), text.toWellFormed());
      assert.equal(standaloneText(wire), wire);
    }),
  );
});
