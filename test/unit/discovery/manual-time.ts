/** Time that passes only when a test says so. */
import type { After } from '../../../src/discovery/time.ts';

export interface ManualTime {
  /** In ms. */
  readonly monotonicNow: () => number;
  readonly after: After;
  /** Timers that are due by then run, in the order in which they were made. */
  pass(ms: number): void;
  /** Timers that have not run and were not cancelled. */
  readonly timers: number;
}

export function manualTime(start = 0): ManualTime {
  let now = start;
  let timers: { at: number; run: () => void }[] = [];
  return {
    monotonicNow: () => now,
    after(ms, run) {
      const timer = { at: now + ms, run };
      timers.push(timer);
      return () => void (timers = timers.filter((one) => one !== timer));
    },
    pass(ms) {
      now += ms;
      for (const timer of timers.filter(({ at }) => at <= now)) {
        timers = timers.filter((one) => one !== timer);
        timer.run();
      }
    },
    get timers() {
      return timers.length;
    },
  };
}
