import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newDecision, type Decision } from '../../../src/policy/decision.ts';
import { FlipTable } from '../../../src/policy/flip.ts';

const base: Decision = {
  ...newDecision(),
  comparable: true,
  identityHash: 123_456_789_012,
  epoch: 1,
  revision: 5,
  reason: 'noMatch',
};
const canary: Decision = { ...base, variant: 'canary', assigned: 'canary', reason: 'rule' };
const stable: Decision = base;

/** What the last of several decisions is. */
function observe(...decisions: readonly Decision[]): boolean {
  const table = new FlipTable(64);
  let flip = false;
  for (const decision of decisions) flip = table.observe(decision);
  return flip;
}

test('canary, then stable, is a flip; anything else is none', () => {
  assert.equal(observe(canary, stable), true);
  assert.equal(observe(canary, canary, stable), true);
  assert.equal(observe(stable, canary), false);
  assert.equal(observe(stable, stable), false);
  assert.equal(observe(canary, canary), false);
  assert.equal(observe(stable), false);
});

test('a flip is counted once', () => {
  assert.equal(observe(canary, stable, stable), false);
  assert.equal(observe(canary, stable, canary, stable), true);
});

test('another revision or rollout in between: a move, no flip', () => {
  assert.equal(observe(canary, { ...stable, revision: 6 }), false);
  assert.equal(observe(canary, { ...stable, epoch: 2 }), false);
  assert.equal(observe(canary, { ...canary, revision: 6 }, { ...stable, revision: 6 }), true);
  // A late decision by the older revision proves nothing.
  assert.equal(observe({ ...canary, revision: 6 }, stable), false);
});

test('another user, a fallback, or what cannot be compared: no flip', () => {
  assert.equal(observe(canary, { ...stable, identityHash: 1 }), false);
  assert.equal(observe(canary, { ...stable, assigned: 'canary', fallback: true }), false);
  assert.equal(observe(canary, { ...stable, unavailable: true }), false);
  assert.equal(observe(canary, { ...stable, comparable: false }), false);
  assert.equal(observe({ ...canary, comparable: false }, stable), false);
  assert.equal(observe(canary, { ...stable, assigned: 'canary', fallback: true }, stable), true);
});

test('a user whose place another takes is forgotten, never mistaken', () => {
  const table = new FlipTable(1);
  table.observe(canary);
  table.observe({ ...canary, identityHash: 42 });
  assert.equal(table.observe(stable), false);
  assert.equal(table.observe({ ...stable, identityHash: 42 }), true);
});

test('users are told apart by all 53 bits', () => {
  const table = new FlipTable(2);
  table.observe({ ...canary, identityHash: 2 ** 52 + 2 });
  assert.equal(table.observe({ ...stable, identityHash: 2 ** 51 + 2 }), false);
  assert.equal(table.observe({ ...stable, identityHash: 2 ** 52 + 2 }), true);
});

test('the size is a power of two', () => {
  for (const size of [0, 3, 100, -4]) assert.throws(() => new FlipTable(size), RangeError);
});
