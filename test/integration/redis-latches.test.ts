/** Latches of header identities through a real Redis: replicas that come later, lost messages, a Redis that is gone or forgets. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { createLatchReplicator, type LatchReplicator } from '../../src/latches/replicator.ts';
import { connectRedis } from '../../src/store/redis/redis-connection.ts';
import { createRedisLatches } from '../../src/latches/redis-latches.ts';
import { StoreCounters } from '../../src/telemetry/store-counters.ts';
import { eventually } from '../support/bounded.ts';
import { latchingReplica, type LatchingReplica } from '../support/latching.ts';
import { startRedis } from '../support/redis.ts';

interface Replica extends LatchingReplica {
  readonly replicator: LatchReplicator;
}

let boots = 0;

/** `takesOver` is told of each batch that the replica verifies in one go. */
function startReplica(
  t: TestContext,
  url: string,
  { limit = 10_000, stored = 200_000, takesOver = (_size: number): void => {} } = {},
): Replica {
  const replica = latchingReplica(limit);
  replica.run('r1');
  const connection = connectRedis({ url, prefix: 'serin', counters: new StoreCounters() });
  const store = createRedisLatches({ connection, boot: `boot-${boots++}`, limit: stored });
  const log = { warn() {}, info() {} };
  const replicator = createLatchReplicator({
    latches: {
      ...replica.held,
      takeOver(batch) {
        takesOver(batch.length);
        return replica.held.takeOver(batch);
      },
    },
    push: null,
    store,
    monotonicNow: () => performance.now(),
    log,
  });
  t.after(async () => {
    await replicator.close();
    connection.close();
  });
  return { ...replica, replicator };
}

const users = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => (from + index) * 2_147_483_659 + 7);
const all = (replica: Replica, hashes: readonly number[]): boolean =>
  hashes.every((hash) => replica.knows('r1', hash) !== 'no');

test('a replica learns from the others, and one that comes later learns it all', async (t) => {
  const redis = await startRedis(t);
  const one = startReplica(t, redis.url);
  const two = startReplica(t, redis.url);
  one.decide('r1', users(0, 1000));
  two.decide('r1', users(2000, 10));
  await eventually(() => all(two, users(0, 1000)) && all(one, users(2000, 10)), 'what the other decided');
  const three = startReplica(t, redis.url);
  await eventually(() => three.replicator.complete, 'all of it');
  assert.ok(all(three, [...users(0, 1000), ...users(2000, 10)]));
  assert.equal(three.figures().refused, 0);
  // What it decided itself it is not told again; what the other did may come by a reading of the stream that had begun.
  assert.ok(one.figures().takenOver < 1000, `${one.figures().takenOver} taken over`);
});

test('an exclusion is not undone by an admission that another replica stores later', async (t) => {
  const redis = await startRedis(t);
  const one = startReplica(t, redis.url);
  const two = startReplica(t, redis.url);
  two.decide('r1', [7]);
  one.decide('r1', [7], { excluded: true });
  await eventually(() => two.knows('r1', 7) === 'excluded', 'the exclusion');
  two.decide('r1', [7]);
  const three = startReplica(t, redis.url);
  await eventually(() => three.replicator.complete, 'all of it');
  assert.equal(three.knows('r1', 7), 'excluded');
  assert.equal(one.knows('r1', 7), 'excluded');
});

test('while Redis is gone latches are kept, and stored when it is back', async (t) => {
  const redis = await startRedis(t);
  const one = startReplica(t, redis.url);
  const two = startReplica(t, redis.url);
  one.decide('r1', [1]);
  await eventually(() => two.knows('r1', 1) === 'admitted', 'the first');
  await redis.kill();
  one.decide('r1', users(10, 600));
  await eventually(() => one.replicator.waiting === 600, 'those that wait');
  // More than may wait: then all that is held is stored anew.
  for (let round = 0; round < 11; round++) one.decide('r1', users(10, 5000));
  assert.ok(one.replicator.waiting <= 50_000);
  await redis.start();
  await eventually(() => all(two, users(10, 600)), 'what was decided meanwhile');
  const three = startReplica(t, redis.url);
  await eventually(() => three.replicator.complete && three.knows('r1', 1) === 'admitted', 'the first, too');
});

test('what Redis forgets is put back by a replica that holds it', async (t) => {
  const redis = await startRedis(t);
  const one = startReplica(t, redis.url);
  const two = startReplica(t, redis.url);
  one.decide('r1', users(0, 3000));
  await eventually(() => all(two, users(0, 3000)), 'all of them');
  await redis.send('flushall');
  await eventually(async () => Number(await redis.send('xlen', '{serin}:latches:r1')) > 0, 'a stream again');
  await eventually(async () => {
    const three = startReplica(t, redis.url);
    await eventually(() => three.replicator.complete, 'all of it');
    return all(three, users(0, 3000));
  }, 'a replica that knows all');
});

test('a rollout keeps a bounded number in Redis, and goes from there when it is over', async (t) => {
  const redis = await startRedis(t);
  const one = startReplica(t, redis.url, { stored: 1000 });
  for (let round = 0; round < 10; round++) {
    one.decide('r1', users(round * 500, 500));
    await eventually(() => one.replicator.waiting === 0, 'the store');
  }
  const count = Number(await redis.send('get', '{serin}:latches:r1:count'));
  assert.ok(count > 500 && count <= 1000, `${count} are kept`);
  assert.ok(Number(await redis.send('pttl', '{serin}:latches:r1')) > 86_400_000);
  one.run('r2');
  await eventually(async () => Number(await redis.send('pttl', '{serin}:latches:r1')) <= 600_000, 'its end');
});

test('strangers in the stream are refused, and stop nothing', async (t) => {
  const redis = await startRedis(t);
  const key = '{serin}:latches:r1';
  for (const text of ['', 'x', 'zz forged\n1 1.a.b.c\n', `${'z'.repeat(5000)} y\n`])
    await redis.send('xadd', key, '*', 'boot', 'b', 'count', '1', 'latches', text);
  await redis.send('xadd', key, '*', 'other', 'fields');
  const one = startReplica(t, redis.url);
  const two = startReplica(t, redis.url);
  one.decide('r1', [5]);
  await eventually(() => two.knows('r1', 5) === 'admitted', 'the genuine one');
  assert.equal(two.figures().held, 1);
  assert.ok(two.figures().refused > 0);
});

test('a new replica takes over a hundred thousand latches in slices', async (t) => {
  const redis = await startRedis(t);
  const one = startReplica(t, redis.url, { limit: 200_000 });
  const hashes = users(0, 100_000);
  for (let from = 0; from < hashes.length; from += 25_000) {
    one.decide('r1', hashes.slice(from, from + 25_000));
    await eventually(() => one.replicator.waiting === 0, 'the store');
  }
  // What a slice takes depends on the machine; that others have their turn after each does not.
  let turns = 0;
  let turning = true;
  const turn = (): void => {
    turns += 1;
    if (turning) setImmediate(turn);
  };
  turn();
  const slices: { readonly size: number; readonly turn: number }[] = [];
  const two = startReplica(t, redis.url, {
    limit: 200_000,
    takesOver: (size) => slices.push({ size, turn: turns }),
  });
  await eventually(() => two.replicator.complete, 'all of it');
  turning = false;
  assert.equal(two.figures().held, 100_000);
  assert.ok(Math.max(...slices.map(({ size }) => size)) <= 256);
  assert.equal(
    new Set(slices.map((slice) => slice.turn)).size,
    slices.length,
    'a turn for others after each',
  );
});
