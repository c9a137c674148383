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

/** `real`: monotonic, in ms. */
export function createAwakeClock(real: () => number): AwakeClock {
  let slept = 0;
  /** Both by this clock: the last tick, and the last time that it was read. */
  let ticked = real();
  let seen = ticked;
  let latest = ticked + LATE_TICKS * AWAKE_TICK;

  function wake(time: number): number {
    const awake = Math.max(seen, ticked + AWAKE_TICK);
    slept += time - awake;
    ticked = awake;
    latest = awake + LATE_TICKS * AWAKE_TICK;
    return awake;
  }

  const now = (): number => {
    const time = real() - slept;
    seen = time <= latest ? time : wake(time);
    return seen;
  };

  return {
    now,
    get slept() {
      return slept;
    },
    tick() {
      ticked = now();
      latest = ticked + LATE_TICKS * AWAKE_TICK;
    },
  };
}
