/** Real time, over clocks that the test moves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createElapsed } from '../../../src/runtime/elapsed.ts';

function watched() {
  const state = { now: 500, boot: 90_000, broken: false };
  const elapsed = createElapsed(
    () => state.now,
    () => {
      if (state.broken) throw Object.assign(new Error('EMFILE'), { code: 'EMFILE' });
      return Math.floor(state.boot / 10) / 100;
    },
  );
  const pass = (ms: number): void => {
    state.now += ms;
    state.boot += ms;
  };
  return { state, elapsed, pass };
}

test('it is the monotonic clock, to the fraction of a millisecond', () => {
  const { state, elapsed, pass } = watched();
  for (let n = 0; n < 1000; n++) {
    pass(7.3);
    assert.equal(elapsed(), state.now);
  }
});

test('a suspension counts, and several add up', () => {
  const { state, elapsed, pass } = watched();
  const begun = elapsed();
  pass(1000);
  state.boot += 60_000;
  assert.ok(Math.abs(elapsed() - begun - 61_000) <= 20);
  pass(500);
  state.boot += 5000;
  assert.ok(Math.abs(elapsed() - begun - 66_500) <= 20);
});

test('where the uptime cannot be read, what was known of suspensions holds', () => {
  const { state, elapsed, pass } = watched();
  state.broken = true;
  assert.equal(elapsed(), state.now);
  state.broken = false;
  elapsed();
  state.boot += 60_000;
  const before = elapsed();
  state.broken = true;
  pass(250);
  assert.ok(Math.abs(elapsed() - before - 250) < 1e-6);
});
