/** Waiting, with the clock passed in. */

/** Calls `run` after so many ms, unless what it returns is called before. */
export type After = (ms: number, run: () => void) => () => void;

/** Resolves after so many ms, at once when the signal is given. */
export function pause(after: After, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const cancel = after(ms, end);
    signal.addEventListener('abort', end);
  });
}

const SHORTEST = 200;
const LONGEST = 10_000;

/**
 * How long to wait after so many failures in a row (1 or more), in ms: twice as long each time, up to ten seconds, and at random
 * between half of that and all of it, so that replicas that failed together do not come back together. `atLeast`: what the
 * server asked for.
 */
export function backoff(failures: number, random: () => number, atLeast = 0): number {
  const most = Math.min(LONGEST, SHORTEST * 2 ** Math.min(failures - 1, 20));
  const wait = most * (0.5 + random() / 2);
  return atLeast <= wait ? wait : atLeast * (1 + random() / 4);
}
