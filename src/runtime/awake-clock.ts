/**
 * The awake clock of a thread: time that passed while the thread could act.
 *
 * A thread that was stopped (SIGSTOP, a paused machine, no CPU) wakes up to clocks that have gone on, and everybody whom it waits for
 * seems to have been silent for so long, though it was itself that did not listen. So the silence of others is judged by this
 * clock: it ticks a few times a second, and a tick that comes much too late counts as if it had come in time. It is monotonic. It must
 * not be used where real time counts: how old one's own knowledge is, what one has promised for how long, what others may have closed.
 *
 * Reading it costs what the clock beneath costs, and a comparison.
 */

/** How often it ticks, in ms. */
export const AWAKE_TICK = 250;

/** A tick that is later than so many ticks after the last one shows that the thread slept. */
const LATE_TICKS = 4;

export interface AwakeClock {
  /** In ms; not ahead of the clock beneath. */
  readonly now: () => number;
  /** Time slept since the start, in ms: the clock beneath less this one. Read it after `now`. */
  readonly slept: number;
  /** To be called every AWAKE_TICK ms. */
  tick(): void;
}

/** Where what the clock knows stands: what was slept; by this clock, the last tick, the last reading, and when a reading is late. */
const SLEPT = 0;
const TICKED = 1;
const SEEN = 2;
const LATEST = 3;

/** `real`: monotonic, in ms. */
export function createAwakeClock(real: () => number): AwakeClock {
  // Numbers of a closure would be made anew with every reading, of which each request has several.
  const state = new Float64Array(4);
  state.fill(real(), TICKED);
  state[LATEST]! += LATE_TICKS * AWAKE_TICK;

  function wake(time: number): number {
    const awake = Math.max(state[SEEN]!, state[TICKED]! + AWAKE_TICK);
    state[SLEPT]! += time - awake;
    state[TICKED] = awake;
    state[LATEST] = awake + LATE_TICKS * AWAKE_TICK;
    state[SEEN] = awake;
    return awake;
  }

  const now = (): number => {
    const time = real() - state[SLEPT]!;
    if (time > state[LATEST]!) return wake(time);
    state[SEEN] = time;
    return time;
  };

  return {
    now,
    get slept() {
      return state[SLEPT]!;
    },
    tick() {
      const time = now();
      state[TICKED] = time;
      state[LATEST] = time + LATE_TICKS * AWAKE_TICK;
    },
  };
}
