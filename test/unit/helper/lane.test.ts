/** Work in a thread of its own: it ends within its limit, callers take turns, and few tasks of one wait. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { createLane, type Lane, type LaneOptions } from '../../../src/helper/lane.ts';
import { within } from '../../support/bounded.ts';

/** Answers with the task and the thread's number; `spin` never ends, `grow` takes all memory, `die` ends the thread. */
const THREAD = `
  const { parentPort, threadId } = require('node:worker_threads');
  parentPort.on('message', (task) => {
    if (task === 'spin') for (;;);
    if (task === 'grow') for (const all = []; ; ) all.push(Array.from({ length: 1e5 }, (_, i) => ({ i })));
    if (task === 'die') process.exit(1);
    if (task === 'bad') parentPort.postMessage({ ok: false, code: 'malformed_body', message: 'no', faults: [] });
    else parentPort.postMessage({ ok: true, value: [task, threadId] });
  });
  parentPort.postMessage(null);
`;

function lane(more: Partial<LaneOptions> = {}): Lane<string> {
  return createLane<string>({
    start: () => new Worker(THREAD, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 32 } }),
    limit: 10_000,
    idleTime: 60_000,
    mostOfOne: 3,
    mostOfAll: 5,
    tooCostly: () => new Error('too costly'),
    tooMany: (ofCaller) => new Error(ofCaller ? 'too many of one' : 'too many'),
    ...more,
  });
}

const of = async (result: Promise<unknown>): Promise<unknown> => ((await result) as [unknown, number])[0];

test('a task that does not end is given up, and the next one gets a new thread', async () => {
  const lanes = lane({ limit: 1000 });
  const [, first] = (await lanes.run('a', 'x')) as [string, number];
  const spinning = lanes.run('spin', 'x');
  const next = lanes.run('b', 'y');
  await assert.rejects(within(spinning, 'the end of the task'), /too costly/);
  const [task, second] = (await next) as [string, number];
  assert.equal(task, 'b');
  assert.notEqual(second, first);
  await lanes.close();
});

test('a task that takes all memory, or ends the thread, fails alone', async () => {
  const lanes = lane({ limit: null });
  await assert.rejects(lanes.run('grow', 'x'), /too costly/);
  assert.equal(await of(lanes.run('a', 'x')), 'a');
  await assert.rejects(lanes.run('die', 'x'), /ended/);
  await assert.rejects(lanes.run('bad', 'x'), { code: 'malformed_body' });
  assert.equal(await of(lanes.run('b', 'x')), 'b');
  await lanes.close();
});

test('callers take turns, what is urgent goes first, and few tasks of one caller and of all wait', async () => {
  const lanes = lane();
  const order: unknown[] = [];
  const run = (task: string, caller: string, urgent = false): Promise<unknown> =>
    lanes.run(task, caller, urgent).then((result) => order.push((result as [unknown])[0]));
  // The first is under way at once; three may wait beside it.
  const all = ['a1', 'a2', 'a3', 'a4'].map((task) => run(task, 'a'));
  await assert.rejects(lanes.run('a5', 'a'), /too many of one/);
  all.push(run('b1', 'b'), run('c1', 'c'), run('now', 'd', true));
  await assert.rejects(lanes.run('d1', 'd'), /^Error: too many$/);
  await within(Promise.all(all), 'all tasks');
  assert.deepEqual(order, ['a1', 'now', 'a2', 'b1', 'c1', 'a3', 'a4']);
  await lanes.close();
  const late = lanes.run('late', 'a');
  await Promise.all([assert.rejects(late, /was ended/), lanes.close()]);
});
