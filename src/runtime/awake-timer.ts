/**
 * Timers that count only the time for which this thread was awake, for how long others may take to answer.
 *
 * When a thread wakes up, its timers are over before it has read what came meanwhile: a plain timer would say that nobody
 * answered. One of these goes on for the rest of its time, and is over only after another poll for I/O.
 */
import { AWAKE_TICK, type AwakeClock, createAwakeClock } from './awake-clock.ts';
import { after, every, guarded, type Guarded, soon } from './guard.ts';

/** Less than so much, in ms, is not waited for once more. */
const LEAST_REST = 1;

let own: AwakeClock | null = null;

/** The awake clock of this thread. It ticks from the first call on, and does not keep the thread alive. */
export function threadClock(): AwakeClock {
  if (own === null) {
    const clock = createAwakeClock(() => performance.now());
    own = clock;
    every(
      AWAKE_TICK,
      guarded('the awake clock', () => clock.tick()),
    ).unref();
  }
  return own;
}

/** What the timers stand on; tests put their own in its place. */
export interface AwakeTimerSystem {
  readonly now: () => number;
  readonly after: (ms: number, run: Guarded) => Disposable;
  readonly soon: (run: Guarded) => void;
}

/** Calls `run` after `ms` of being awake, unless what it returns is called before. It keeps the process alive. */
export function afterAwake(
  ms: number,
  run: Guarded,
  system: AwakeTimerSystem = { now: threadClock().now, after, soon },
): () => void {
  const begun = system.now();
  let over = false;
  let timer: Disposable;
  const finish = guarded('a time-out', () => {
    if (over) return;
    over = true;
    run();
  });
  const look = guarded('a time-out', () => {
    const rest = begun + ms - system.now();
    if (rest > LEAST_REST) timer = system.after(rest, look);
    else system.soon(finish);
  });
  timer = system.after(ms, look);
  return () => {
    over = true;
    timer[Symbol.dispose]();
  };
}

/** A signal that is given after `ms` of being awake. Call `cancel` when it is of no use any more. */
export function awakeSignal(ms: number): { readonly signal: AbortSignal; readonly cancel: () => void } {
  const controller = new AbortController();
  const cancel = afterAwake(
    ms,
    guarded('a time-out', () => controller.abort(new DOMException('It took too long.', 'TimeoutError'))),
  );
  return { signal: controller.signal, cancel };
}
