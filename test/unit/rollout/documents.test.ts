/** Merge patch, differences and preconditions: the small arithmetic of documents. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { diff } from '../../../src/rollout/diff.ts';
import { mergePatch } from '../../../src/rollout/merge-patch.ts';
import { checkPrecondition, etagOf, parseIfMatch } from '../../../src/rollout/precondition.ts';
import { RefusedError } from '../../../src/rollout/refusal.ts';

/** RFC 7396, appendix A: original, patch, result. */
const RFC_7396: readonly (readonly [unknown, unknown, unknown])[] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd'],
  ],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, null, null],
  [{ a: 'foo' }, 'bar', 'bar'],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
];

test('merge patch does what the RFC shows', () => {
  for (const [target, patch, result] of RFC_7396) {
    const before = structuredClone(target);
    assert.deepEqual(mergePatch(target, patch), result, JSON.stringify(patch));
    assert.deepEqual(target, before, 'the target is not changed');
  }
});

test('a patch cannot reach a prototype', () => {
  const merged = mergePatch({}, JSON.parse('{"__proto__":{"admin":true}}')) as { admin?: boolean };
  assert.equal(merged.admin, undefined);
  assert.equal(({} as { admin?: boolean }).admin, undefined);
});

test('differences: named things by their names, values by their places', () => {
  const before = {
    rules: [
      { name: 'a', percentage: 1 },
      { name: 'b/c', percentage: 2 },
    ],
    steps: [1, 2],
  };
  const after = {
    rules: [
      { name: 'new', percentage: 3 },
      { name: 'b/c', percentage: 5 },
    ],
    'a~b/c': true,
  };
  assert.deepEqual(diff(before, after), [
    { op: 'remove', pointer: '/rules/0', name: 'a', from: { name: 'a', percentage: 1 } },
    { op: 'add', pointer: '/rules/0', name: 'new', to: { name: 'new', percentage: 3 } },
    { op: 'replace', pointer: '/rules/1/percentage', name: 'b/c', from: 2, to: 5 },
    { op: 'remove', pointer: '/steps', from: [1, 2] },
    { op: 'add', pointer: '/a~0b~1c', to: true },
  ]);
});

test('differences are none exactly where documents are equal, and never more than anybody reads', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      assert.deepEqual(diff(a, structuredClone(a)), []);
      const [one, two] = [JSON.stringify(a), JSON.stringify(b)];
      if (diff(a, b).length === 0) assert.deepEqual(JSON.parse(one), JSON.parse(two));
    }),
  );
  const many = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`k${index}`, index]));
  assert.equal(diff({}, many).length, 200);
});

function code(run: () => void): string {
  try {
    run();
    return 'allowed';
  } catch (error) {
    assert.ok(error instanceof RefusedError);
    return error.refusal.code;
  }
}

test('preconditions: strong tags only, required where a document is there', () => {
  const check = (
    ifMatch: string | undefined,
    revision: number | null,
    required = true,
    ifNoneMatch = false,
  ) =>
    code(() => checkPrecondition({ ifMatch: parseIfMatch(ifMatch), ifNoneMatch, required }, revision, 'It'));
  const table: readonly (readonly [string | undefined, number | null, string])[] = [
    [etagOf(7), 7, 'allowed'],
    ['"6", "7"', 7, 'allowed'],
    ['*', 7, 'allowed'],
    ['"6"', 7, 'precondition_failed'],
    ['W/"7"', 7, 'precondition_failed'],
    ['7', 7, 'precondition_failed'],
    ['', 7, 'precondition_failed'],
    [undefined, 7, 'precondition_required'],
    [undefined, null, 'allowed'],
    ['*', null, 'precondition_failed'],
    ['"7"', null, 'precondition_failed'],
  ];
  for (const [header, revision, expected] of table) {
    assert.equal(check(header, revision), expected, `${header} at ${revision}`);
  }
  assert.equal(check(undefined, 7, false), 'allowed', 'an action needs none');
  assert.equal(check(undefined, 7, true, true), 'precondition_failed', 'If-None-Match: *');
  assert.equal(check(undefined, null, true, true), 'allowed');
});
