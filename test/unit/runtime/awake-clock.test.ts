/** The awake clock, over a clock that the test moves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AWAKE_TICK, createAwakeClock } from '../../../src/runtime/awake-clock.ts';

function watched() {
  const state = { real: 5000 };
  const clock = createAwakeClock(() => state.real);
  const pass = (ms: number): void => {
    for (let left = ms; left > 0; left -= AWAKE_TICK) {
      state.real += Math.min(left, AWAKE_TICK);
      clock.tick();
    }
  };
  return { state, clock, pass };
}

test('while it ticks it is the clock beneath it', () => {
  const { state, clock, pass } = watched();
  pass(60_000);
  state.real += 123.5;
  assert.equal(clock.now(), state.real);
  assert.equal(clock.slept, 0);
});

test('a tick that is a little late counts whole', () => {
  const { state, clock } = watched();
  for (let n = 0; n < 100; n++) {
    state.real += 4 * AWAKE_TICK;
    clock.tick();
  }
  assert.equal(clock.now(), state.real);
  assert.equal(clock.slept, 0);
});

test('a sleep counts as one tick, whoever notices it first', () => {
  for (const notice of ['now', 'tick'] as const) {
    const { state, clock, pass } = watched();
    pass(1000);
    const before = clock.now();
    state.real += 7000;
    clock[notice]();
    assert.equal(clock.now() - before, AWAKE_TICK);
    assert.equal(clock.slept, 7000 - AWAKE_TICK);
    pass(1000);
    assert.equal(clock.now() - before, AWAKE_TICK + 1000);
    assert.equal(clock.now() + clock.slept, state.real);
  }
});

test('it never goes back, and adds up with what was slept to real time', () => {
  const { state, clock } = watched();
  let last = clock.now();
  let seed = 1;
  for (let n = 0; n < 10_000; n++) {
    seed = (seed * 48_271) % 2_147_483_647;
    state.real += seed % 7 === 0 ? seed % 20_000 : seed % 400;
    if (seed % 3 === 0) clock.tick();
    const now = clock.now();
    assert.ok(now >= last, `${now} after ${last}`);
    assert.ok(now - last <= 4 * AWAKE_TICK + 400, `${now} after ${last}`);
    assert.ok(Math.abs(now + clock.slept - state.real) < 1e-3);
    last = now;
  }
});
