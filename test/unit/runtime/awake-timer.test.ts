/** Time-outs that count only the time of being awake, over clocks and timers that the test moves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAwakeClock } from '../../../src/runtime/awake-clock.ts';
import { afterAwake, type AwakeTimerSystem, awakeSignal } from '../../../src/runtime/awake-timer.ts';
import { guarded } from '../../../src/runtime/guard.ts';
import { within } from '../../support/bounded.ts';

function watched() {
  const state = { real: 0, over: 0 };
  const clock = createAwakeClock(() => state.real);
  let timers: { at: number; run: () => void }[] = [];
  const turns: (() => void)[] = [];
  const system: AwakeTimerSystem = {
    now: clock.now,
    after(ms, run) {
      const timer = { at: state.real + ms, run };
      timers.push(timer);
      return { [Symbol.dispose]: () => void (timers = timers.filter((one) => one !== timer)) };
    },
    soon: (run) => void turns.push(run),
  };
  const fire = (): void => {
    const due = timers.filter(({ at }) => at <= state.real);
    timers = timers.filter(({ at }) => at > state.real);
    for (const { run } of due) run();
  };
  const turn = (): void => {
    for (const run of turns.splice(0)) run();
  };
  const begin = (ms: number): (() => void) =>
    afterAwake(
      ms,
      guarded('test', () => void state.over++),
      system,
    );
  /** Time passes while the thread is awake: ticks, timers, polls. */
  const pass = (ms: number): void => {
    for (const end = state.real + ms; state.real < end;) {
      state.real = Math.min(end, state.real + 50);
      clock.tick();
      fire();
      turn();
    }
  };
  return { state, begin, pass, fire, turn, timers: () => timers.length };
}

test('it is over after its time, once', () => {
  const { state, begin, pass, timers } = watched();
  begin(1000);
  pass(950);
  assert.equal(state.over, 0);
  pass(100);
  assert.equal(state.over, 1);
  pass(10_000);
  assert.equal(state.over, 1);
  assert.equal(timers(), 0);
});

test('what was slept does not count', () => {
  const { state, begin, pass, fire, turn } = watched();
  begin(1000);
  pass(200);
  state.real += 7000;
  fire();
  turn();
  assert.equal(state.over, 0);
  pass(500);
  assert.equal(state.over, 0);
  pass(100);
  assert.equal(state.over, 1);
});

test('it is over only after another poll: what came meanwhile can call it off', () => {
  const { state, begin, fire, turn } = watched();
  const cancel = begin(300);
  state.real += 900;
  fire();
  assert.equal(state.over, 0);
  cancel();
  turn();
  assert.equal(state.over, 0);
});

test('called off before its time it leaves nothing', () => {
  const { state, begin, pass, timers } = watched();
  const cancel = begin(300);
  cancel();
  assert.equal(timers(), 0);
  pass(1000);
  assert.equal(state.over, 0);
});

test('the signal of this thread', async () => {
  const { signal } = awakeSignal(1);
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => resolve());
  await within(promise, 'the signal');
  assert.equal((signal.reason as Error).name, 'TimeoutError');
  const other = awakeSignal(1);
  other.cancel();
  assert.ok(!other.signal.aborted);
});
