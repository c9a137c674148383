import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { KeyRing } from '../../../src/policy/keys.ts';
import { createOverride, LONGEST_OVERRIDE_SECONDS, Overrides } from '../../../src/policy/override.ts';
import { anyText, characters, KEYS, NOW } from './fixtures.ts';

const keys = new KeyRing(KEYS);
const token = (mode: 'always' | 'never' = 'always', service = 'notes', life = 60): string =>
  createOverride(keys, service, mode, NOW, life);

test('says what it was made for', () => {
  const overrides = new Overrides(keys);
  assert.equal(overrides.verify(token('always'), 'notes', NOW), 'always');
  assert.equal(overrides.verify(token('never'), 'notes', NOW), 'never');
  assert.deepEqual(overrides.read(token()), { service: 'notes', mode: 'always', expires: NOW + 60 });
});

test('counts for its service only', () => {
  const overrides = new Overrides(keys);
  assert.equal(overrides.verify(token(), 'other', NOW), null);
  assert.equal(overrides.verify(token('always', 'a.b c/é'), 'a.b c/é', NOW), 'always');
  assert.equal(overrides.verify(token(), 'note', NOW), null);
});

test('ends at its expiry, also when it was verified before', () => {
  const overrides = new Overrides(keys);
  const short = token('always', 'notes', 1);
  assert.equal(overrides.verify(short, 'notes', NOW), 'always');
  assert.equal(overrides.verify(short, 'notes', NOW + 0.9), 'always');
  assert.equal(overrides.verify(short, 'notes', NOW + 1), null);
  assert.equal(overrides.verify(short, 'notes', NOW), 'always');
});

test('a life is 1 second to 30 days, in whole seconds', () => {
  for (const life of [0, -1, 0.5, NaN, Infinity, LONGEST_OVERRIDE_SECONDS + 1]) {
    assert.throws(() => token('always', 'notes', life), /An override lives 1 to 2592000 seconds \(30 days\)/);
  }
  assert.ok(token('always', 'notes', LONGEST_OVERRIDE_SECONDS));
});

test('no change to a token verifies', () => {
  const genuine = token();
  const alphabet = characters('aAn1.0_-%');
  for (let at = 0; at < genuine.length; at++) {
    for (const character of alphabet) {
      const changed = genuine.slice(0, at) + character + genuine.slice(at + 1);
      if (changed !== genuine) assert.equal(new Overrides(keys).read(changed), null, changed);
    }
  }
});

test('signatures of other keys and purposes do not count', () => {
  const other = new KeyRing([{ id: 'k1', secret: new Uint8Array(32).fill(8) }]);
  assert.equal(new Overrides(keys).read(createOverride(other, 'notes', 'always', NOW, 60)), null);
  const body = token().slice(0, -23);
  for (const purpose of ['identity', 'latch', 'fingerprint'] as const) {
    assert.equal(new Overrides(keys).read(`${body}.${keys.sign(purpose, body)}`), null);
  }
});

test('a rotated ring still takes tokens of the older key', () => {
  const rotated = new KeyRing([{ id: 'k2', secret: new Uint8Array(32).fill(9) }, ...KEYS]);
  assert.equal(new Overrides(rotated).verify(token(), 'notes', NOW), 'always');
});

test('junk is null and never throws, however long', () => {
  const overrides = new Overrides(keys);
  const junk = fc.oneof(
    anyText,
    fc.string({ unit: fc.constantFrom(...characters('1.an%ZZ0')), maxLength: 80 }),
    fc
      .tuple(fc.nat(token().length), fc.string({ maxLength: 3 }))
      .map(([at, put]) => token().slice(0, at) + put + token().slice(at + 1)),
  );
  fc.assert(
    fc.property(junk, (text) => {
      fc.pre(text !== token());
      assert.equal(overrides.read(text), null);
    }),
    { numRuns: 3000 },
  );
  assert.equal(overrides.read('1.a.'.repeat(10_000)), null);
});
