/** Work in a thread of its own: it ends within its limit, callers take turns, and few tasks of one wait. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { createLane, type Lane, type LaneOptions } from '../../../src/helper/lane.ts';
import { within } from '../../support/bounded.ts';

/** Answers with the task and the thread's number; `spin` never ends, `grow` takes all memory, `die` ends the thread, `throw` by an error. */
const THREAD = `
  const { parentPort, threadId } = require('node:worker_threads');
  parentPort.on('message', (task) => {
    if (task === 'spin') for (;;);
    if (task === 'grow') for (const all = []; ; ) all.push(Array.from({ length: 1e5 }, (_, i) => ({ i })));
    if (task === 'die') process.exit(1);
    if (task === 'throw') throw new Error('a mistake');
    if (task === 'bad') parentPort.postMessage({ ok: false, code: 'malformed_body', message: 'no', faults: [] });
    else parentPort.postMessage({ ok: true, value: [task, threadId] });
  });
  parentPort.postMessage(null);
`;

/** `started` has its threads, of which none outlives the test. */
function lane(
  context: TestContext,
  more: Partial<LaneOptions> = {},
  code = THREAD,
  workerData: unknown = null,
): Lane<string> & { readonly started: readonly Worker[] } {
  const started: Worker[] = [];
  context.after(() => Promise.all(started.map((thread) => thread.terminate())));
  const lanes = createLane<string>({
    start: () => {
      const thread = new Worker(code, {
        eval: true,
        workerData,
        resourceLimits: { maxOldGenerationSizeMb: 32 },
      });
      started.push(thread);
      return thread;
    },
    limit: 10_000,
    idleTime: 60_000,
    mostOfOne: 3,
    mostOfAll: 5,
    tooCostly: () => new Error('too costly'),
    tooMany: (ofCaller) => new Error(ofCaller ? 'too many of one' : 'too many'),
    ...more,
  });
  return { ...lanes, started };
}

const of = async (result: Promise<unknown>): Promise<unknown> => ((await result) as [unknown, number])[0];

test('a task that does not end is given up and its thread ended, and the next one gets a new thread', async (context) => {
  const lanes = lane(context, { limit: 1000 });
  const [, first] = (await lanes.run('a', 'x')) as [string, number];
  const gone = once(lanes.started[0]!, 'exit');
  const spinning = lanes.run('spin', 'x');
  const next = lanes.run('b', 'y');
  await assert.rejects(within(spinning, 'the end of the task'), /too costly/);
  // What it may still have said is no result of the next one.
  lanes.started[0]!.emit('message', { ok: true, value: ['stale', 0] });
  await within(gone, 'the end of its thread');
  const [task, second] = (await within(next, 'the next task')) as [string, number];
  assert.equal(task, 'b');
  assert.notEqual(second, first);
  assert.equal(lanes.started.length, 2);
  await lanes.close();
});

test('a task that takes all memory, or ends the thread, fails alone', async (context) => {
  const lanes = lane(context, { limit: null });
  const run = (task: string): Promise<unknown> => within(lanes.run(task, 'x'), task);
  await assert.rejects(run('grow'), /too costly/);
  assert.equal(await of(run('a')), 'a');
  await assert.rejects(run('die'), /ended/);
  await assert.rejects(run('throw'), /a mistake/);
  await assert.rejects(run('bad'), { code: 'malformed_body' });
  assert.equal(await of(run('b')), 'b');
  assert.equal(lanes.started.length, 4);
  await lanes.close();
});

test('callers take turns, what is urgent goes first, and few tasks of one caller and of all wait', async (context) => {
  const lanes = lane(context);
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
});

test('of what is urgent no more waits than of all else', async (context) => {
  const lanes = lane(context);
  const all = Array.from({ length: 6 }, (_, index) => of(lanes.run(`${index}`, 'a', true)));
  await assert.rejects(lanes.run('more', 'a', true), /^Error: too many$/);
  // Others wait beside it.
  all.push(of(lanes.run('6', 'a')));
  assert.deepEqual(await within(Promise.all(all), 'all tasks'), ['0', '1', '2', '3', '4', '5', '6']);
  await lanes.close();
});

test('a lane that is closed rejects what is under way and all that waits, and begins anew with the next task', async (context) => {
  const lanes = lane(context, { limit: null });
  const left = [
    lanes.run('spin', 'a'),
    lanes.run('urgent', 'a', true),
    ...['a1', 'a2'].map((task) => lanes.run(task, 'a')),
    ...['b1', 'b2', 'b3'].map((task) => lanes.run(task, 'b')),
  ].map((result) => assert.rejects(within(result, 'the end'), /was ended/));
  await within(Promise.all([...left, lanes.close()]), 'the end of all');
  // As many as before may wait.
  const next = ['b', 'c', 'd', 'e', 'f', 'g'].map((task) => of(lanes.run(task, task)));
  assert.deepEqual(await within(Promise.all(next), 'all tasks'), ['b', 'c', 'd', 'e', 'f', 'g']);
  await lanes.close();
});

test('a thread without work ends after a while', async (context) => {
  const lanes = lane(context, { idleTime: 1 });
  assert.equal(await of(lanes.run('a', 'x')), 'a');
  await within(once(lanes.started[0]!, 'exit'), 'the end of the thread');
  assert.equal(await of(lanes.run('b', 'x')), 'b');
  assert.equal(lanes.started.length, 2);
  await lanes.close();
});

test('a thread keeps its process while it works, and no longer', async () => {
  const program = `
    const { Worker } = require('node:worker_threads');
    const start = () => new Worker(${JSON.stringify(THREAD)}, { eval: true });
    import(${JSON.stringify(import.meta.resolve('../../../src/helper/lane.ts'))})
      .then(({ createLane }) => createLane({ start, limit: null, idleTime: 3_600_000, mostOfOne: 1, mostOfAll: 1 }))
      .then((lanes) => lanes.run('a', 'x'))
      .then(([task]) => console.log(task));
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=commonjs', '-e', program], {
    timeout: 30_000,
  });
  assert.equal(stdout, 'a\n');
});

test('the time of a task begins when the thread is ready', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const late = `Atomics.wait(require('node:worker_threads').workerData, 0, 0); ${THREAD}`;
  const lanes = lane(context, { limit: 1000 }, late, gate);
  const result = of(lanes.run('a', 'x'));
  await once(lanes.started[0]!, 'online');
  context.mock.timers.tick(10_000);
  Atomics.store(gate, 0, 1);
  Atomics.notify(gate, 0);
  assert.equal(await result, 'a');
  await lanes.close();
});

test('a result that lies unread when the time is up counts: it was this thread that was late', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const said = new Int32Array(new SharedArrayBuffer(4));
  const telling = `
    const { parentPort, workerData } = require('node:worker_threads');
    parentPort.on('message', (task) => {
      parentPort.postMessage({ ok: true, value: [task] });
      Atomics.add(workerData, 0, 1);
      Atomics.notify(workerData, 0);
    });
    parentPort.postMessage(null);
  `;
  const lanes = lane(context, { limit: 1000 }, telling, said);
  await lanes.run('a', 'x');
  // From here the next look at what has come is before whatever is called soon, as it is where a timer is late.
  await new Promise((resolve) => setImmediate(resolve));
  const result = of(lanes.run('b', 'x'));
  for (let count = 0; (count = Atomics.load(said, 0)) < 2;)
    assert.notEqual(Atomics.wait(said, 0, count, 30_000), 'timed-out');
  context.mock.timers.tick(1000);
  assert.equal(await result, 'b');
  await lanes.close();
});
