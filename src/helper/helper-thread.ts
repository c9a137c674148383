/** A helper thread: does the tasks that `helper.ts` sends, one after another. It must answer every one. */
import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';
import path from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { readBody } from './read-body.ts';
import { DocumentError } from '../schema/faults.ts';
import { compileNetworks } from '../ip/network.ts';
import type { HelperData, Task } from './helper.ts';
import type { LaneMessage } from './lane.ts';
import { prepareRollout } from './prepare.ts';

const port = parentPort;
if (port === null) throw new Error('helper-thread.ts runs as a worker thread only');

beNice((workerData as HelperData).niceness);
port.on('message', (task: Task) => port.postMessage(answer(task)));
port.postMessage(null satisfies LaneMessage);

/** Of this thread alone: Linux takes its number for that of a process. Elsewhere nothing is done. */
function beNice(niceness: number): void {
  if (niceness === 0) return;
  try {
    setPriority(Number(path.basename(readlinkSync('/proc/thread-self'))), niceness);
  } catch {
    // Without it the work is done as well, only sooner.
  }
}

function answer(task: Task): LaneMessage {
  try {
    return { ok: true, value: run(task) };
  } catch (error) {
    if (error instanceof DocumentError) {
      return { ok: false, code: error.code, message: error.summary, faults: error.faults };
    }
    return { ok: false, code: null, message: String(error), faults: [] };
  }
}

function run(task: Task): unknown {
  switch (task.kind) {
    case 'compile':
      return task.lists.map((list) => compileNetworks(list));
    case 'prepare':
      return prepareRollout(task.preparation);
    case 'read':
      return readBody(task.what, task.body);
  }
}
