/**
 * Timers and callbacks that survive faults of the surroundings.
 *
 * What is called by nobody but the event loop has nobody to catch what it throws: the error ends the thread, and on the main thread
 * the process with all its connections. So every such callback is guarded: a fault (see `faults.ts`) is counted and logged, a
 * bounded number of times, and the thread goes on; a timer that repeats tries again with its next turn. Any other error passes,
 * and ends the thread: its state is not known any more. The linter keeps the timers of Node.js out of everything else.
 *
 * State is kept once for each thread. Guarding allocates when it is done, not when the callback runs.
 */
import { faultCode } from './faults.ts';

declare const brand: unique symbol;

/** A callback that survives faults; made by `guarded`. */
export type Guarded = (() => void) & { readonly [brand]: true };

/** Told of a fault that was survived. `suppressed`: how many like it were not told since the last one. */
export interface FaultListener {
  /** Of every one. */
  count?(task: string): void;
  /** Of one a minute of each task and code. */
  tell(task: string, code: string, error: unknown, suppressed: number): void;
}

/** The same fault of the same task is told once in so many ms. */
const QUIET_TIME = 60_000;
/** Tasks and codes that are remembered; both are constants of the program and of the system, so there are few. */
const MOST_KINDS = 1000;

const survived = new Map<string, number>();
const told = new Map<string, { at: number; suppressed: number }>();
let listener: FaultListener | null = null;

/** Whoever tells people of faults on this thread. */
export function onFault(next: FaultListener | null): void {
  listener = next;
}

/** How many faults were survived on this thread, by task. */
export function survivedFaults(): ReadonlyMap<string, number> {
  return survived;
}

/**
 * Takes note of `error`, which `task` met, where it is a fault; throws it again where it is not. `now` is a monotonic clock in ms,
 * which bounds what is told.
 */
export function survive(task: string, error: unknown, now = performance.now()): void {
  const code = faultCode(error);
  if (code === null) throw error;
  survived.set(task, (survived.get(task) ?? 0) + 1);
  listener?.count?.(task);
  const kind = `${task} ${code}`;
  const last = told.get(kind);
  if (last !== undefined && now - last.at < QUIET_TIME) {
    last.suppressed += 1;
    return;
  }
  if (told.size >= MOST_KINDS) told.clear();
  told.set(kind, { at: now, suppressed: 0 });
  listener?.tell(task, code, error, last?.suppressed ?? 0);
}

/** `run` as a callback that survives faults. `task` says in a few words what it does, for the log and the metric. */
export function guarded(task: string, run: () => void): Guarded {
  return (() => {
    try {
      run();
    } catch (error) {
      survive(task, error);
    }
  }) as Guarded;
}

/** The same for a listener of one value: a message, an error, a signal. */
export function guardedListener<Value>(task: string, run: (value: Value) => void): (value: Value) => void {
  return (value) => {
    try {
      run(value);
    } catch (error) {
      survive(task, error);
    }
  };
}

/** For work that nobody waits for: a fault that it rejects with is survived. */
export function detached(task: string, work: Promise<unknown>): void {
  work.catch((error: unknown) => survive(task, error));
}

/** Every `ms` from now on. */
export function every(ms: number, run: Guarded): NodeJS.Timeout {
  return setInterval(run, ms);
}

/** Once, in `ms`. */
export function after(ms: number, run: Guarded): NodeJS.Timeout {
  return setTimeout(run, ms);
}

/** Once, after the next poll for I/O. */
export function soon(run: Guarded): void {
  setImmediate(run);
}

/**
 * The last resort of this thread: what nobody guarded, in a library or in Node.js itself. Faults are survived here too; any other
 * error goes to `fatal`, which is to end the thread.
 */
export function surviveUncaught(fatal: (error: unknown) => void): void {
  process.on('uncaughtException', (error) => {
    try {
      survive('unguarded', error);
    } catch {
      fatal(error);
    }
  });
}
