/** Which worker has been silent for too long, over a clock that the test moves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAwakeClock } from '../../../src/runtime/awake-clock.ts';
import { createSilence } from '../../../src/workers/silence.ts';

function watched() {
  const state = { real: 0 };
  const clock = createAwakeClock(() => state.real);
  const silence = createSilence(2, clock.now, 5000);
  for (const index of [0, 1]) {
    silence.begin(index);
    silence.serves(index);
  }
  let beat = 1;
  /** Time passes in which the workers of `beating` beat; who is found silent. */
  const pass = (ms: number, beating: readonly number[]): Set<number> => {
    const found = new Set<number>();
    for (const end = state.real + ms; state.real < end;) {
      state.real += 250;
      clock.tick();
      beat += 1;
      for (const index of [0, 1])
        if (silence.tooLong(index, beating.includes(index) ? beat : 1) > 0) found.add(index);
    }
    return found;
  };
  return { state, silence, pass };
}

test('who beats is never silent, who does not is after its time', () => {
  const { pass } = watched();
  assert.deepEqual(pass(5000, [0]), new Set());
  assert.deepEqual(pass(1000, [0]), new Set([1]));
});

test('a process that was stopped finds nobody silent, however often and long that was', () => {
  const { state, silence, pass } = watched();
  for (let n = 0; n < 20; n++) {
    state.real += 7000 + 100_000 * n;
    assert.equal(silence.tooLong(0, -n), 0);
    assert.equal(silence.tooLong(1, -n), 0);
    assert.deepEqual(pass(500, [0, 1]), new Set());
  }
});

test('who hangs is found also by a process that is stopped now and then', () => {
  const { state, pass } = watched();
  pass(500, [0, 1]);
  pass(3000, [0]);
  state.real += 7000;
  assert.deepEqual(pass(3000, [0]), new Set([1]));
});

test('what heartbeats say of the time does not matter: a clock may be set', () => {
  const { state, silence } = watched();
  let wall = 1e12;
  for (let n = 0; n < 100; n++) {
    state.real += 250;
    wall += n === 50 ? -3_600_000 : n === 70 ? 7_200_000 : 250;
    assert.equal(silence.tooLong(0, wall), 0);
  }
});

test('one that starts gets more time', () => {
  const { silence, pass } = watched();
  silence.begin(1);
  assert.deepEqual(pass(29_000, [0]), new Set());
  assert.deepEqual(pass(2000, [0]), new Set([1]));
});
