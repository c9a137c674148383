import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { KeyRing } from '../../../src/policy/keys.ts';
import {
  Latches,
  latchScope,
  merged,
  MOST_MARKS,
  tagOf,
  withAdmissions,
  type Latch,
} from '../../../src/policy/latch/latch.ts';
import { anyText, characters, KEYS } from './fixtures.ts';

test('latches come back as they were', () => {
  const keys = new KeyRing(KEYS);
  const tag = fc.string({ minLength: 1, maxLength: 5 }).map(tagOf);
  const tags = fc.uniqueArray(tag, { maxLength: MOST_MARKS });
  fc.assert(
    fc.property(fc.nat(999_999), fc.nat(), tags, tags, (bucket, revision, admitted, excluded) => {
      fc.pre(admitted.length + excluded.length > 0);
      const latch: Latch = { scope: latchScope('notes', 'r'), bucket, revision, admitted, excluded };
      const value = new Latches(keys).seal(latch, tagOf('r'));
      assert.deepEqual(new Latches(keys).open(latch.scope, tagOf('r'), value), latch);
      assert.match(value, /^[A-Za-z0-9._-]+$/);
      assert.equal(new Latches(keys).open(latchScope('notes', 's'), tagOf('r'), value), null);
      assert.equal(new Latches(keys).open(latch.scope, tagOf('s'), value), null);
    }),
  );
});

const EMPTY: Latch = { scope: 's', bucket: 1, revision: 1, admitted: [], excluded: [] };

test('of equal admissions a latch keeps the latest, each once', () => {
  let latch = EMPTY;
  for (const tag of ['a', 'b', 'a', 'c', 'd', 'e']) latch = withAdmissions(latch, [tag], () => 1);
  assert.deepEqual(latch.admitted, ['a', 'c', 'd', 'e']);
});

test('a latch keeps the strongest admissions, the strongest last, and what is to be kept in any case', () => {
  const strengths: Readonly<Record<string, number>> = { a: 5, b: 1, c: 3, d: 4, e: 2 };
  const strengthOf = (tag: string): number => strengths[tag]!;
  let latch = EMPTY;
  for (const tag of ['a', 'b', 'c', 'd', 'e']) latch = withAdmissions(latch, [tag], strengthOf);
  assert.deepEqual(latch.admitted, ['e', 'c', 'd', 'a']);
  assert.deepEqual(withAdmissions(latch, ['b'], strengthOf, 'b').admitted, ['b', 'c', 'd', 'a']);
  assert.deepEqual(withAdmissions(latch, ['b'], strengthOf).admitted, latch.admitted);
});

test('latches that are merged keep the strongest of each', () => {
  const of = (...admitted: string[]): Latch => ({ ...EMPTY, admitted });
  const one = of('a', 'b', 'c', 'd');
  const other = of('e', 'f');
  for (const both of [merged(one, other), merged(other, one)])
    assert.deepEqual(both.admitted.toSorted(), ['c', 'd', 'e', 'f']);
  assert.deepEqual(merged(one, of('b')).admitted, one.admitted);
  assert.deepEqual(merged(of('b'), one).admitted, one.admitted);
});

test('no value makes the reader of latches throw', () => {
  const latches = new Latches(new KeyRing(KEYS));
  const scope = latchScope('notes', 'r');
  const genuine = latches.seal(
    { scope, bucket: 5, revision: 1, admitted: [tagOf('x')], excluded: [] },
    tagOf('r'),
  );
  const junk = fc.oneof(
    anyText,
    anyText.map((text) => `1.${tagOf('r')}.${text}`),
    fc
      .string({ unit: fc.constantFrom(...characters('1.ax09_-zZ')), maxLength: 150 })
      .map((text) => `1.${tagOf('r')}.${text}`),
    fc
      .tuple(fc.nat(genuine.length), fc.constantFrom('', '.', 'a', 'é'))
      .map(([at, put]) => genuine.slice(0, at) + put + genuine.slice(at + 1)),
  );
  fc.assert(
    fc.property(junk, (value) => {
      fc.pre(value !== genuine);
      assert.equal(latches.open(scope, tagOf('r'), value), null);
    }),
    { numRuns: 5000 },
  );
});

test('the longest latch is read', () => {
  const latches = new Latches(new KeyRing(KEYS));
  const scope = latchScope('notes', 'r');
  const tags = (from: number): string[] =>
    Array.from({ length: MOST_MARKS }, (_, index) => tagOf(`${from + index}`));
  const latch: Latch = {
    scope,
    bucket: 999_999,
    revision: 36 ** 10 - 1,
    admitted: tags(0),
    excluded: tags(10),
  };
  assert.deepEqual(latches.open(scope, tagOf('r'), latches.seal(latch, tagOf('r'))), latch);
});

test('a latch is verified once while it is kept, and counts for no other scope from memory', () => {
  const latches = new Latches(new KeyRing(KEYS));
  const scope = latchScope('notes', 'r');
  const value = latches.seal(
    { scope, bucket: 5, revision: 1, admitted: [tagOf('x')], excluded: [] },
    tagOf('r'),
  );
  const first = latches.open(scope, tagOf('r'), value);
  assert.equal(latches.open(scope, tagOf('r'), value), first);
  assert.equal(latches.open(latchScope('other', 'r'), tagOf('r'), value), null);
});

test('a signed bucket beyond the last is none', () => {
  const latches = new Latches(new KeyRing(KEYS));
  const scope = latchScope('notes', 'r');
  for (const bucket of [1_000_000, 36 ** 4 - 1]) {
    const value = latches.seal(
      { scope, bucket, revision: 1, admitted: [tagOf('x')], excluded: [] },
      tagOf('r'),
    );
    assert.equal(latches.open(scope, tagOf('r'), value), null);
  }
});
