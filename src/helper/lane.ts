/**
 * A lane of the helper: one thread that does one task after another, away from the main thread.
 *
 * It promises that a task ends within its limit: the thread is ended then, whatever it does, and the next task gets a new one.
 * Callers take turns, so that none waits for more than one task of each other one, and few tasks of one caller wait. The thread
 * starts with the first task and ends after a quiet while, and keeps the process alive only while it works.
 */
import type { Worker } from 'node:worker_threads';
import { DocumentError, type Fault } from '../schema/faults.ts';
import { after, detached, guarded, guardedListener, soon } from '../runtime/guard.ts';

/** What the thread sends: `null` when it is ready for its first task, then a result for each. */
export type LaneMessage =
  | null
  | { readonly ok: true; readonly value: unknown }
  /** `code` is null for an error that is not about what was to be read. */
  | {
      readonly ok: false;
      readonly code: string | null;
      readonly message: string;
      readonly faults: readonly Fault[];
    };

export interface LaneOptions {
  readonly start: () => Worker;
  /** How long a task may take once the thread is ready, in ms; null: as long as it does. */
  readonly limit: number | null;
  /** How long a thread without work stays, in ms. */
  readonly idleTime: number;
  /** How many tasks of one caller, and of all, may wait. */
  readonly mostOfOne: number;
  readonly mostOfAll: number;
  /** Why a task was not done: it took longer than the limit or more memory than there is, or too many wait. */
  readonly tooCostly: () => Error;
  readonly tooMany: (ofCaller: boolean) => Error;
}

export interface Lane<Task> {
  /** The thread's result. `urgent`: before all that wait and are not. Rejects with DocumentError, or with the errors above. */
  run(task: Task, caller: string, urgent?: boolean): Promise<unknown>;
  /** Ends the thread; what is under way or waits is rejected. */
  close(): Promise<void>;
}

interface Job {
  readonly task: unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** What its callbacks are called where a fault of the system is survived. */
const TASK = 'the helper';

export function createLane<Task>(options: LaneOptions): Lane<Task> {
  const { start, limit, idleTime, mostOfOne, mostOfAll, tooCostly, tooMany } = options;
  let worker: Worker | null = null;
  let ready = false;
  let current: Job | null = null;
  let timer: NodeJS.Timeout | undefined;
  const urgents: Job[] = [];
  /** What waits, by its caller; the one whose turn is next comes first. */
  const waiting = new Map<string, Job[]>();
  let count = 0;

  function next(): Job | undefined {
    const urgent = urgents.shift();
    if (urgent !== undefined) return urgent;
    for (const [caller, jobs] of waiting) {
      waiting.delete(caller);
      const job = jobs.shift();
      if (jobs.length > 0) waiting.set(caller, jobs);
      count -= 1;
      return job;
    }
    return undefined;
  }

  function proceed(): void {
    if (current !== null) return;
    const job = next();
    clearTimeout(timer);
    if (job === undefined) {
      worker?.unref();
      timer = after(
        idleTime,
        guarded(TASK, () => detached(TASK, end())),
      ).unref();
      return;
    }
    current = job;
    worker ??= begin();
    worker.ref();
    if (ready) post(worker, job);
  }

  function post(thread: Worker, job: Job): void {
    thread.postMessage(job.task);
    if (limit === null) return;
    // Where this thread was held up itself, the result may be there already: it is taken before the task is given up.
    const giveUp = guarded(TASK, () => {
      if (current === job) fail(thread, tooCostly());
    });
    timer = after(
      limit,
      guarded(TASK, () => soon(giveUp)),
    );
  }

  /** The thread is of no use any more, and with it the task under way. */
  function fail(thread: Worker, error: Error): void {
    if (worker !== thread) return;
    worker = null;
    ready = false;
    detached(TASK, thread.terminate());
    const failed = current;
    current = null;
    failed?.reject(error);
    proceed();
  }

  function begin(): Worker {
    const thread = start();
    ready = false;
    const heard = (message: LaneMessage): void => {
      if (worker !== thread) return;
      if (message === null) {
        ready = true;
        if (current !== null) post(thread, current);
        return;
      }
      const done = current;
      current = null;
      if (message.ok) done?.resolve(message.value);
      else {
        const { code, message: text, faults } = message;
        done?.reject(code === null ? new Error(text) : new DocumentError(code, text, faults));
      }
      proceed();
    };
    thread.on('message', guardedListener(TASK, heard));
    thread.on('error', (error: Error & { code?: string }) => {
      fail(thread, error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? tooCostly() : error);
    });
    thread.on('exit', () => fail(thread, new Error('the helper thread ended')));
    return thread;
  }

  async function end(): Promise<void> {
    clearTimeout(timer);
    const ending = worker;
    worker = null;
    ready = false;
    const left = [
      ...(current === null ? [] : [current]),
      ...urgents.splice(0),
      ...[...waiting.values()].flat(),
    ];
    current = null;
    waiting.clear();
    count = 0;
    for (const { reject } of left) reject(new Error('the helper thread was ended'));
    await ending?.terminate();
  }

  return {
    run(task, caller, urgent = false) {
      return new Promise((resolve, reject) => {
        const job: Job = { task, resolve, reject };
        if (urgent) {
          if (urgents.length >= mostOfAll) throw tooMany(false);
          urgents.push(job);
        } else {
          const own = waiting.get(caller);
          if (own !== undefined && own.length >= mostOfOne) throw tooMany(true);
          if (count >= mostOfAll) throw tooMany(false);
          if (own === undefined) waiting.set(caller, [job]);
          else own.push(job);
          count += 1;
        }
        proceed();
      });
    },
    close: end,
  };
}
