/** Rollbacks in a fleet of real processes: with the store, without it, and with a replica that dies on the way. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { eventually } from '../support/bounded.ts';
import {
  accepted,
  applied,
  changeAt,
  fleetOf,
  perform,
  startNotesFleet,
  type TestFleet,
  type TestReplica,
  together,
  write,
} from '../support/fleet.ts';

let fleet: TestFleet;
let a: TestReplica;
let b: TestReplica;
let c: TestReplica;

const EVERYONE = { rules: [{ name: 'everyone', percentage: 100 }] };

before(async () => {
  fleet = await startNotesFleet();
  [a, b, c] = fleet.replicas as [TestReplica, TestReplica, TestReplica];
});

after(async () => {
  await fleet?.close();
});

/** Everything is well again, whatever a test left behind. */
afterEach(async () => {
  for (const one of [a, b, c]) one.gate.open();
});

async function begin(): Promise<void> {
  await eventually(async () => (await write(a, 'PUT', '', EVERYONE)).status === 202, 'a new rollout');
  await everywhere('canary');
}

/** Every worker of the replicas gives that variant. */
async function everywhere(variant: string, replicas = [a, b, c]): Promise<void> {
  for (const replica of replicas) {
    await eventually(
      async () => (await replica.variants('someone', 12)).every((one) => one === variant),
      `${variant} from all workers of ${replica.name}`,
    );
  }
}

async function rolledBackInHistory(replica: TestReplica, changeId: string): Promise<boolean> {
  const { status, body } = await replica.serin.admin('GET', '/v1/services/notes/history?limit=20');
  // History is the store's: it needs one.
  if (status === 503) return false;
  const { history } = body as { history: { kind: string; changeId: string }[] };
  return history.some((one) => one.kind === 'rollout.rollback' && one.changeId === changeId);
}

test('a rollback reaches every worker of every replica, and is APPLIED then', async () => {
  await begin();
  const { id } = accepted(await write(b, 'POST', '/rollback'));
  await applied(c, id);
  for (const replica of [a, b, c])
    assert.deepEqual(new Set(await replica.variants('someone', 16)), new Set(['stable']));
});

test('with Redis killed it is in force everywhere, said to be degraded, and stored when Redis is back', async () => {
  await begin();
  await fleet.redis.kill();
  const change = accepted(await write(b, 'POST', '/rollback', { reason: 'errors' }));
  assert.equal(change.degraded, true);
  await everywhere('stable');
  for (const replica of [a, b, c]) {
    await eventually(
      async () => (await changeAt(replica, change.id)).status === 'APPLIED',
      `APPLIED at ${replica.name}, as all have it`,
    );
    assert.equal((await changeAt(replica, change.id)).degraded, true);
    const { store, replicas } = await fleetOf(replica);
    assert.equal(store.condition, 'unreachable');
    for (const one of replicas) assert.equal(one.rolledBack.length, 1, one.name);
  }
  assert.equal((await write(a, 'POST', '/percentage', { percentage: 50 })).status, 503);
  const history = await a.serin.admin('GET', '/v1/services/notes/history');
  assert.equal((history.body as { code: string }).code, 'store_unavailable');
  await fleet.redis.start();
  for (const replica of [a, b, c]) {
    await eventually(() => rolledBackInHistory(replica, change.id), `stored, says ${replica.name}`);
    await eventually(async () => !(await changeAt(replica, change.id)).degraded, 'not degraded any more');
    await eventually(
      async () => (await fleetOf(replica)).replicas.every((one) => one.rolledBack.length === 0),
      'nothing is ahead of the store',
    );
  }
  await everywhere('stable');
});

test('the replica that took it dies before Redis is back: the others store it', async () => {
  await begin();
  await fleet.redis.kill();
  const { id } = accepted(await write(c, 'POST', '/rollback'));
  await everywhere('stable');
  await c.kill();
  await fleet.redis.start();
  for (const replica of [a, b]) await eventually(() => rolledBackInHistory(replica, id), 'stored by others');
  await c.start();
  await together([a, b, c]);
  await everywhere('stable');
  assert.equal((await changeAt(c, id)).status, 'APPLIED');
});

test('all replicas die before Redis is back: it is on their disks', async () => {
  await begin();
  await fleet.redis.kill();
  const { id } = accepted(await write(a, 'POST', '/rollback'));
  await everywhere('stable');
  await Promise.all([a, b, c].map((replica) => replica.kill()));
  await Promise.all([b, c].map((replica) => replica.start()));
  await everywhere('stable', [b, c]);
  await fleet.redis.start();
  await a.start();
  await together([a, b, c]);
  for (const replica of [a, b, c]) await eventually(() => rolledBackInHistory(replica, id), 'stored');
  await everywhere('stable');
});

test('a replica that hangs keeps a rollback from being APPLIED, also after its lease', async () => {
  await begin();
  c.pause();
  const { id } = accepted(await write(a, 'POST', '/rollback'));
  await everywhere('stable', [a, b]);
  const progress = await eventually(async () => {
    const change = await changeAt(b, id);
    return change.progress.includes('unreachable: c') ? change : null;
  }, 'the lease of c is over');
  assert.equal(progress.status, 'APPLYING');
  assert.equal(progress.progress, '2 of 3 replicas; unreachable: c');
  c.resume();
  await applied(b, id);
  assert.deepEqual(new Set(await c.variants('someone', 12)), new Set(['stable']));
});

test('a replica that is cut off from Redis hears of it from its peers', async () => {
  await begin();
  c.gate.shut('silent');
  const { id } = accepted(await write(a, 'POST', '/rollback'));
  await everywhere('stable');
  await applied(b, id);
  c.gate.open();
  await eventually(
    async () => (await fleetOf(c)).replicas.every((one) => one.rolledBack.length === 0),
    'nothing is ahead of the store',
  );
  assert.deepEqual(new Set(await c.variants('someone', 12)), new Set(['stable']));
});

test('an emptied Redis gets everything back', async () => {
  await begin();
  const { revision } = await fleetOf(a);
  await fleet.redis.send('flushall');
  await eventually(async () => (await write(b, 'POST', '/pause')).status === 202, 'a write after it');
  const view = await eventually(async () => {
    const views = await Promise.all([a, b, c].map(fleetOf));
    return views.every((one) => one.revision > revision) ? views : null;
  }, 'all go on from where they were');
  assert.equal(new Set(view.map((one) => one.revision)).size, 1);
  await everywhere('canary');
  await perform(a, 'POST', '/rollback');
  await everywhere('stable');
});
