/**
 * How long each worker has been silent, as far as this thread can tell: by its own awake clock, and by whether heartbeats change.
 *
 * What a heartbeat says of the time is of no concern, so that neither a clock that is set nor a process that was stopped as a
 * whole makes a worker look hung. A worker that starts reads its program and compiles its policy first, and gets more time for
 * that: ending it would only begin the same work anew.
 */

/** How many times as long as one that serves a worker that starts may be silent. */
const START_FACTOR = 6;

export interface Silence {
  /** The worker begins now. */
  begin(index: number): void;
  /** It serves from now on. */
  serves(index: number): void;
  /** Looks at its heartbeat, any number that changes. How long it has been silent, in ms, where that is too long; else 0. */
  tooLong(index: number, heartbeat: number): number;
}

interface Heard {
  heartbeat: number;
  at: number;
  starting: boolean;
}

/** `now`: an awake clock, in ms. `hangTime`: a worker that serves may be silent for so long, in ms. */
export function createSilence(workers: number, monotonicNow: () => number, hangTime: number): Silence {
  const all: Heard[] = Array.from({ length: workers }, () => ({
    heartbeat: 0,
    at: monotonicNow(),
    starting: true,
  }));
  return {
    begin(index) {
      const heard = all[index]!;
      heard.at = monotonicNow();
      heard.starting = true;
    },
    serves(index) {
      const heard = all[index]!;
      heard.at = monotonicNow();
      heard.starting = false;
    },
    tooLong(index, heartbeat) {
      const heard = all[index]!;
      const at = monotonicNow();
      if (heartbeat !== heard.heartbeat) {
        heard.heartbeat = heartbeat;
        heard.at = at;
      }
      const silent = at - heard.at;
      return silent > (heard.starting ? START_FACTOR * hangTime : hangTime) ? silent : 0;
    },
  };
}
