/** The helper thread: runs the tasks that `helper.ts` sends, one after another. It must answer every one. */
import { parentPort } from 'node:worker_threads';
import { DocumentError } from '../policy/faults.ts';
import { compileNetworks } from '../policy/network.ts';
import type { Task, TaskMessage, TaskResult } from './helper.ts';
import { prepareRollout } from './prepare.ts';

const port = parentPort;
if (port === null) throw new Error('helper-thread.ts runs as a worker thread only');

port.on('message', ({ id, task }: TaskMessage) => {
  port.postMessage(answer(id, task));
});

function answer(id: number, task: Task): TaskResult {
  try {
    return { id, ok: true, value: run(task) };
  } catch (error) {
    if (error instanceof DocumentError) {
      return { id, ok: false, code: error.code, message: error.summary, faults: error.faults };
    }
    return { id, ok: false, code: null, message: String(error), faults: [] };
  }
}

function run(task: Task): unknown {
  return task.kind === 'compile'
    ? task.lists.map((list) => compileNetworks(list))
    : prepareRollout(task.preparation);
}
