import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { identityHash, rolloutSalt } from '../../../src/policy/bucket.ts';
import { KnownHashes } from '../../../src/policy/identity/known-hashes.ts';

const salts = [
  rolloutSalt('notes', 1, '00ff'),
  rolloutSalt('notes', 2, '00ff'),
  rolloutSalt('notes', 1, '00fe'),
];

test('it gives what identityHash gives, whoever had the place before', () => {
  const hashes = new KnownHashes();
  const users = fc.oneof(
    fc.nat({ max: 50 }).map((number) => `u${number}`),
    fc.string({
      maxLength: 80,
      unit: fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)),
    }),
  );
  fc.assert(
    fc.property(fc.constantFrom(...salts), users, (salt, user) => {
      const expected = identityHash(salt, user);
      assert.equal(hashes.of(salt, user), expected);
      assert.equal(hashes.of(salt, user), expected);
    }),
    { numRuns: 2_000 },
  );
});

test('it is right for many more users than it has places', () => {
  const hashes = new KnownHashes();
  for (let round = 0; round < 2; round += 1) {
    for (let user = 0; user < 30_000; user += 1) {
      const salt = salts[user % salts.length]!;
      assert.equal(hashes.of(salt, `user-${user}`), identityHash(salt, `user-${user}`));
    }
  }
});
