/**
 * Real time, for how old one's own knowledge is: the monotonic clock, and the time for which the machine was suspended on top.
 *
 * Linux' monotonic clock goes on while a process is stopped and stands still while the machine is suspended; its boot time, which
 * `os.uptime` gives, goes on. A clock that was set changes neither. Where the boot time can't be read, what was known last holds.
 */
import { uptime as systemUptime } from 'node:os';
import { survive } from './guard.ts';

/** The two are read one after the other, and one comes in hundredths of a second: less than so much, in ms, is no suspension. */
const LEAST = 1000;

/** In ms, from any moment on. `now`: monotonic, in ms; `uptime`: seconds since the machine started, may throw the system's error. */
export function createElapsed(monotonicNow: () => number, uptime: () => number = systemUptime): () => number {
  let base: number | null = null;
  let suspended = 0;
  return () => {
    const at = monotonicNow();
    try {
      const apart = uptime() * 1000 - at;
      base ??= apart;
      if (apart - base > suspended + LEAST) suspended = apart - base;
    } catch (error) {
      survive('reading the uptime', error);
    }
    return at + suspended;
  };
}
