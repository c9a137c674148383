/**
 * The helper thread's main-thread side: work that would stall the main thread, done elsewhere.
 *
 * The thread starts with the first task and ends after a quiet while, so that an idle control plane has none. A thread
 * that dies fails its tasks, and the next task gets a new one. It keeps the process alive only while it works.
 */
import { Worker } from 'node:worker_threads';
import { DocumentError, type Fault } from '../policy/faults.ts';
import type { NetworkSetData } from '../policy/network.ts';
import type { RolloutDocument } from '../policy/schema.ts';
import type { Preparation } from './prepare.ts';
import { after, detached, guarded, guardedListener } from '../runtime/guard.ts';

export interface Helper {
  /** `compileNetworks` of each list. */
  compile(lists: readonly (readonly string[])[]): Promise<NetworkSetData[]>;
  /** `prepareRollout`. */
  prepare(preparation: Preparation): Promise<RolloutDocument>;
  close(): Promise<void>;
}

export type Task =
  | { readonly kind: 'compile'; readonly lists: readonly (readonly string[])[] }
  | { readonly kind: 'prepare'; readonly preparation: Preparation };

export interface TaskMessage {
  readonly id: number;
  readonly task: Task;
}

export type TaskResult =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  /** `code` is null for an error that is not about the document. */
  | {
      readonly id: number;
      readonly ok: false;
      readonly code: string | null;
      readonly message: string;
      readonly faults: readonly Fault[];
    };

/** How long a thread without work stays, in ms. */
const IDLE_TIME = 30_000;

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export function createHelper(idleTime = IDLE_TIME): Helper {
  let worker: Worker | null = null;
  let quiet: NodeJS.Timeout | undefined;
  let lastId = 0;
  const waiting = new Map<number, Waiting>();

  function settle(result: TaskResult): void {
    const task = waiting.get(result.id);
    waiting.delete(result.id);
    if (result.ok) task?.resolve(result.value);
    else {
      const { code, message, faults } = result;
      task?.reject(code === null ? new Error(message) : new DocumentError(code, message, faults));
    }
    if (waiting.size > 0) return;
    worker?.unref();
    quiet = after(
      idleTime,
      guarded('the end of the helper', () => detached('the end of the helper', end())),
    ).unref();
  }

  function failAll(error: Error): void {
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  }

  function begin(): Worker {
    const started = new Worker(new URL('./helper-thread.ts', import.meta.url), { name: 'serin-helper' });
    started.on('message', guardedListener('messages of the helper', settle));
    started.on('error', failAll);
    started.on('exit', () => {
      if (worker !== started) return;
      worker = null;
      failAll(new Error('the helper thread ended'));
    });
    return started;
  }

  function run(task: Task): Promise<unknown> {
    clearTimeout(quiet);
    worker ??= begin();
    worker.ref();
    const id = ++lastId;
    const message: TaskMessage = { id, task };
    const result = new Promise<unknown>((resolve, reject) => {
      waiting.set(id, { resolve, reject });
    });
    worker.postMessage(message);
    return result;
  }

  async function end(): Promise<void> {
    clearTimeout(quiet);
    const ending = worker;
    worker = null;
    failAll(new Error('the helper thread was ended'));
    await ending?.terminate();
  }

  return {
    compile: async (lists) => (await run({ kind: 'compile', lists })) as NetworkSetData[],
    prepare: async (preparation) => (await run({ kind: 'prepare', preparation })) as RolloutDocument,
    close: end,
  };
}
