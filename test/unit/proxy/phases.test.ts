/** The table of phases is whole, and nothing goes a way that is not in it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { follow, PHASES, type Phase } from '../../../src/proxy/exchange/phases.ts';

const NAMES = Object.keys(PHASES) as Phase[];

test('every phase is reached from idle, and leads back to it', () => {
  const reached = new Set<Phase>(['idle']);
  for (const phase of reached) for (const next of PHASES[phase].next) reached.add(next);
  assert.deepEqual([...reached].toSorted(), NAMES.toSorted());
  for (const name of NAMES) if (name !== 'idle') assert.ok(PHASES[name].next.includes('idle'), name);
});

test('whoever waits has a deadline', () => {
  const without = NAMES.filter((name) => PHASES[name].deadline === null);
  assert.deepEqual(without, ['idle', 'deciding']);
});

test('another way than those of the table is a mistake', () => {
  assert.equal(follow('waiting', 'answering'), 'answering');
  assert.throws(() => follow('answering', 'waiting'), /from answering to waiting/);
  assert.throws(() => follow('idle', 'waiting'), /from idle to waiting/);
  assert.throws(() => follow('draining', 'answering'), /from draining to answering/);
});
