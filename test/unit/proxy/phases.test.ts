/** The table of phases is whole, and nothing goes a way that is not in it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextPhase, PHASES, type RequestPhase } from '../../../src/proxy/exchange/phases.ts';

const NAMES = Object.keys(PHASES) as RequestPhase[];

test('every phase is reached from idle, and leads back to it', () => {
  const reached = new Set<RequestPhase>(['idle']);
  for (const phase of reached) for (const next of PHASES[phase].next) reached.add(next);
  assert.deepEqual([...reached].toSorted(), NAMES.toSorted());
  for (const name of NAMES) if (name !== 'idle') assert.ok(PHASES[name].next.includes('idle'), name);
});

test('whoever waits has a deadline', () => {
  const without = NAMES.filter((name) => PHASES[name].deadline === null);
  assert.deepEqual(without, ['idle', 'deciding']);
});

test('another way than those of the table is a mistake', () => {
  assert.equal(nextPhase('waiting', 'answering'), 'answering');
  assert.throws(() => nextPhase('answering', 'waiting'), /from answering to waiting/);
  assert.throws(() => nextPhase('idle', 'waiting'), /from idle to waiting/);
  assert.throws(() => nextPhase('draining', 'answering'), /from draining to answering/);
});
