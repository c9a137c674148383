import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { adoptCircuit, Circuit, circuitBytes } from '../../../src/upstream/circuit.ts';
import { NO_LIMITS } from './support.ts';

const block = (workers: number): SharedArrayBuffer => new SharedArrayBuffer(circuitBytes(workers));

test('workers share a limit, variants and kinds do not', () => {
  const shared = block(2);
  const [one, other] = [new Circuit(shared, 0, 1), new Circuit(shared, 1, 1)];
  const limits = { maxConnections: 1, maxPending: 1, maxRequests: 2 };
  assert.equal(one.takeRequest(limits), true);
  assert.equal(other.takeRequest(limits), true);
  assert.equal(one.takeRequest(limits), false);
  assert.equal(other.takeRequest(limits), false);
  assert.equal(new Circuit(shared, 0, 0).takeRequest(limits), true);
  assert.equal(one.takePending(limits), true);
  assert.equal(other.takePending(limits), false);
  assert.equal(one.takeConnection(limits), true);
  assert.equal(other.takeConnection(limits), false);
  one.requestOver();
  one.pendingOver();
  one.connectionClosed();
  assert.equal(other.takeRequest(limits), true);
  assert.equal(other.takePending(limits), true);
  assert.equal(other.takeConnection(limits), true);
});

test('without a limit on connections there may be any number', () => {
  const circuit = new Circuit(block(1), 0, 0);
  for (let n = 0; n < 1000; n += 1) assert.equal(circuit.takeConnection(NO_LIMITS), true);
});

test('what a worker held is free once its successor is there', () => {
  const shared = block(2);
  const limits = { maxConnections: 2, maxPending: 2, maxRequests: 2 };
  const [one, other] = [new Circuit(shared, 0, 0), new Circuit(shared, 1, 0)];
  assert.ok(one.takeRequest(limits) && other.takeRequest(limits));
  adoptCircuit(shared, 0);
  assert.equal(other.takeRequest(limits), true);
  assert.equal(other.takeRequest(limits), false);
});

test('who lacks a connection is heard by all, once', () => {
  const shared = block(2);
  const limits = { ...NO_LIMITS, maxConnections: 1 };
  const [one, other] = [new Circuit(shared, 0, 1), new Circuit(shared, 1, 1)];
  const stable = new Circuit(shared, 0, 0);
  assert.ok(one.takeConnection(limits));
  assert.equal(one.connectionsWanted(), false);
  assert.equal(other.takeConnection(limits), false);
  assert.equal(one.connectionsWanted(), true);
  assert.equal(one.connectionsWanted(), false);
  assert.equal(other.connectionsWanted(), true);
  assert.equal(stable.connectionsWanted(), false);
});

/** Takes and gives back as fast as it can, and reports the most that it saw held by all at a time. */
const HAMMER = `
  import { workerData } from 'node:worker_threads';
  const { Circuit } = await import(workerData.module);
  const circuit = new Circuit(workerData.block, workerData.index, 0);
  const held = new Int32Array(workerData.held);
  const limits = { maxConnections: 0, maxPending: 0, maxRequests: 3 };
  let taken = 0;
  Atomics.add(held, 2, 1);
  while (Atomics.load(held, 2) < workerData.workers);
  for (let n = 0; n < 200000; n += 1) {
    if (!circuit.takeRequest(limits)) continue;
    taken += 1;
    const now = Atomics.add(held, 0, 1) + 1;
    if (now > 3) Atomics.store(held, 1, now);
    Atomics.sub(held, 0, 1);
    circuit.requestOver();
  }
  Atomics.add(held, 3, taken);
`;

test('threads that race for the last place never hold more than the limit', async () => {
  const workers = 5;
  const held = new SharedArrayBuffer(16);
  const shared = block(workers);
  const module = new URL('../../../src/upstream/circuit.ts', import.meta.url).href;
  const code = new URL(`data:text/javascript,${encodeURIComponent(HAMMER)}`);
  await Promise.all(
    Array.from({ length: workers }, (_, index) => {
      const worker = new Worker(code, { workerData: { module, block: shared, index, held, workers } });
      return new Promise<void>((resolve, reject) => {
        worker.once('error', reject);
        worker.once('exit', () => resolve());
      });
    }),
  );
  const [, tooMany, , taken] = new Int32Array(held);
  assert.equal(tooMany, 0);
  assert.ok(taken! > 1000, `${taken} taken`);
  const limits = { maxConnections: 0, maxPending: 0, maxRequests: 1 };
  assert.equal(new Circuit(shared, 0, 0).takeRequest(limits), true, 'all was given back');
});
