import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { editDistance, nearest } from '../../../src/schema/nearest.ts';

const NAMES = ['percentage', 'name', 'match', 'listen', 'pathPrefix', 'hosts', 'os'];

test('a slip of the fingers finds its name', () => {
  for (const [slip, name] of [
    ['percentge', 'percentage'],
    ['precentage', 'percentage'],
    ['percentages', 'percentage'],
    ['path_prefix', 'pathPrefix'],
    ['path-prefix', 'pathPrefix'],
    ['PATHPREFIX', 'pathPrefix'],
    ['nmae', 'name'],
    ['host', 'hosts'],
    ['lsiten', 'listen'],
  ] as const) {
    assert.equal(nearest(slip, NAMES), name, slip);
  }
});

test('a name that resembles none is not guessed at', () => {
  for (const other of ['', 'x', 'region', 'weight', 'xyzzy', 'no', 'percentage'.repeat(10)]) {
    assert.equal(nearest(other, NAMES), undefined, other);
  }
  assert.equal(nearest('name', []), undefined);
});

test('of equally near candidates the first wins, a nearer one beats it', () => {
  assert.equal(nearest('stabl', ['stable', 'stably']), 'stable');
  assert.equal(nearest('stabl', ['stably', 'stable']), 'stably');
  assert.equal(nearest('hostss', ['hots', 'hosts']), 'hosts');
});

test('the edit distance is one for each of the four slips', () => {
  assert.equal(editDistance('', ''), 0);
  assert.equal(editDistance('abc', 'abcd'), 1);
  assert.equal(editDistance('abcd', 'abc'), 1);
  assert.equal(editDistance('abc', 'abx'), 1);
  assert.equal(editDistance('abc', 'acb'), 1);
  assert.equal(editDistance('ca', 'abc'), 3, 'no part is edited twice');
});

test('the edit distance behaves like a distance', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 8 });
  fc.assert(
    fc.property(word, word, (a, b) => {
      const distance = editDistance(a, b);
      assert.equal(distance, editDistance(b, a));
      assert.equal(distance === 0, a === b);
      assert.ok(distance <= Math.max(a.length, b.length));
      assert.ok(distance >= Math.abs(a.length - b.length));
    }),
  );
});

test('a distance that is bounded is the same up to the bound, and infinite beyond it', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 12 });
  fc.assert(
    fc.property(word, word, fc.integer({ min: 0, max: 4 }), (a, b, most) => {
      const distance = editDistance(a, b);
      assert.equal(editDistance(a, b, most), distance <= most ? distance : Infinity);
    }),
    { numRuns: 3000 },
  );
});

test('whatever one edit makes of a long name, the name is found again', () => {
  const letters = fc.string({ unit: fc.constantFrom('q', 'w', 'x', 'y', 'z'), minLength: 1, maxLength: 1 });
  fc.assert(
    fc.property(
      fc.constantFrom('percentage', 'trustedProxies', 'listen'),
      fc.nat(),
      letters,
      fc.nat(3),
      (name, at, letter, edit) => {
        const index = at % (name.length - 1);
        const [a = '', b = ''] = [name[index], name[index + 1]];
        const [before, after] = [name.slice(0, index), name.slice(index + 2)];
        const edited = [
          before + b + a + after,
          before + a + after,
          before + a + letter + after,
          before + a + letter + b + after,
        ];
        assert.equal(nearest(edited[edit] ?? '', ['percentage', 'trustedProxies', 'listen']), name);
      },
    ),
  );
});
