/** Rollbacks among replicas of which some are cut from the store or from each other: what they cover, where they show, what is left of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../../support/bounded.ts';
import { body, type Disk, type Replica, REQUEST, startReplicas } from '../../support/replicas.ts';

const put = (replica: Replica, percentage = 10) =>
  replica.plane.writeRollout(
    'notes',
    { kind: 'put', body: body({ rules: [{ name: 'everyone', percentage }] }), allowDecrease: true },
    REQUEST,
  );
const rollback = (replica: Replica, more: Partial<typeof REQUEST> = {}) =>
  replica.plane.writeRollout('notes', { kind: 'rollback' }, { ...REQUEST, ...more });

async function three(more: { readonly maxStaleness?: number } = {}) {
  const replicas = startReplicas();
  const a = await replicas.start({ name: 'a', ...more });
  const b = await replicas.start({ name: 'b', ...more });
  const c = await replicas.start({ name: 'c', ...more });
  const all = [a, b, c];
  await eventually(
    async () => all.every((one) => one.plane.fleet().replicas.length === 3),
    'they know each other',
  );
  return { ...replicas, a, b, c, all };
}

const everywhere = (all: readonly Replica[], phase: string, percentage: number) =>
  eventually(
    async () => all.every((one) => one.phase() === phase && one.percentage() === percentage),
    `${phase} at ${percentage} everywhere`,
  );

const isolate = (replica: Replica, on = true): void => {
  replica.store.cut = on;
  replica.alone = on;
};

async function status(replica: Replica, id: string): Promise<string> {
  return (await replica.plane.change(id)).status;
}

async function history(replica: Replica): Promise<string[]> {
  return (await replica.plane.history('notes', Infinity, 20)).entries.map(({ changeId }) => changeId);
}

test('an isolated rollback of what is over makes no later rollout void', async () => {
  const { a, b, c, all } = await three();
  await put(a);
  await everywhere(all, 'running', 10);
  isolate(c);
  const stale = await rollback(c);
  assert.equal(stale.degraded, true);
  // The others are done with that rollout, and begin another after it, without knowing.
  await rollback(a);
  await put(a, 20);
  isolate(c, false);
  await everywhere(all, 'running', 20);
  await eventually(async () => {
    const found = await a.plane.change(stale.id).catch(() => null);
    return found !== null && found.revision !== null && !found.degraded;
  }, 'the stale one in the store');
  assert.ok((await history(a)).includes(stale.id));
  const later = await put(b, 30);
  assert.notEqual(later.status, 'ROLLED_BACK');
  await everywhere(all, 'running', 30);
  for (const one of all) await eventually(async () => (await status(one, later.id)) === 'APPLIED', one.name);
});

test('an isolated rollback after another rollout began ends that one, and nothing that is put then', async () => {
  const { a, b, c, all, memory } = await three();
  await put(a);
  await everywhere(all, 'running', 10);
  isolate(c);
  await rollback(a);
  await put(a, 20);
  const { id } = await rollback(c);
  isolate(c, false);
  await everywhere(all, 'rolledBack', 20);
  for (const one of all) await eventually(async () => (await status(one, id)) === 'APPLIED', one.name);
  const next = await put(b, 30);
  await everywhere(all, 'running', 30);
  await eventually(async () => (await status(c, next.id)) === 'APPLIED', 'the next one');
  // Its rollback stands in the log before it, so it goes on whatever is told again.
  const kinds = memory.commits.map(({ kind, changeId }) => (changeId === id ? 'this' : kind));
  assert.ok(
    kinds.indexOf('this') > 0 && kinds.indexOf('this') < kinds.lastIndexOf('rollout.put'),
    kinds.join(),
  );
});

test('a rollback at a replica cut from the store ends what its peers have under way, before it says so', async () => {
  const { a, b, c, all } = await three();
  await put(a);
  await everywhere(all, 'running', 10);
  isolate(c);
  await rollback(a);
  await put(a, 20);
  await everywhere([a, b], 'running', 20);
  // It hears its peers again, and still knows only the older rollout.
  c.alone = false;
  let early = false;
  c.plane.subscribe(({ event }) => {
    if (event.type !== 'change' || event.change.kind !== 'rollout.rollback') return;
    if (event.change.status === 'APPLIED') early ||= [a, b].some((one) => one.phase() !== 'rolledBack');
  }, null);
  assert.equal(c.percentage(), 10);
  const { id } = await rollback(c);
  await eventually(async () => (await status(c, id)) === 'APPLIED', 'applied');
  assert.equal(early, false, 'it was said before it was so');
  for (const one of [a, b]) assert.deepEqual([one.phase(), one.percentage()], ['rolledBack', 20]);
  c.store.cut = false;
  await everywhere(all, 'rolledBack', 20);
  for (const one of all)
    await eventually(async () => !(await one.plane.change(id)).degraded, `stored, says ${one.name}`);
});

test('a rollback is possible at a replica that knows no rollout under way, where others may have one', async () => {
  const { a, b, c, all } = await three();
  isolate(c);
  await put(a, 20);
  await everywhere([a, b], 'running', 20);
  c.alone = false;
  assert.equal(c.phase(), undefined);
  const { id } = await rollback(c);
  await eventually(async () => (await status(c, id)) === 'APPLIED', 'applied');
  for (const one of [a, b]) assert.equal(one.phase(), 'rolledBack');
  c.store.cut = false;
  await everywhere(all, 'rolledBack', 20);
});

test('where a worker of a peer has not let go of the other rollout, the rollback is not applied', async () => {
  const { a, b, c, all } = await three();
  await put(a);
  await everywhere(all, 'running', 10);
  isolate(c);
  await rollback(a);
  await put(a, 20);
  await everywhere([a, b], 'running', 20);
  b.workers.automatic = false;
  c.alone = false;
  const { id } = await rollback(c);
  await eventually(async () => (await c.plane.change(id)).progress.startsWith('2 of 3'), 'two of three');
  b.workers.acknowledge(0);
  assert.equal(await status(c, id), 'APPLYING');
  b.workers.acknowledge(1);
  await eventually(async () => (await status(c, id)) === 'APPLIED', 'the last worker');
});

test('each of two degraded rollbacks is in the history and has its revision on every replica', async () => {
  const { a, b, c, all } = await three();
  await put(a);
  await everywhere(all, 'running', 10);
  for (const one of all) one.store.cut = true;
  const changes = [await rollback(a, { reason: 'one' }), await rollback(b, { reason: 'two' })];
  for (const { degraded, revision } of changes) assert.deepEqual([degraded, revision], [true, null]);
  for (const one of all)
    for (const { id } of changes) {
      await eventually(async () => (await status(one, id)) === 'APPLIED', `${id} at ${one.name}`);
      const { degraded, revision, reason } = await one.plane.change(id);
      assert.deepEqual([degraded, revision, reason], [true, null, id === changes[0]!.id ? 'one' : 'two']);
    }
  for (const one of [c, b, a]) one.store.cut = false;
  for (const one of all) {
    for (const { id } of changes)
      await eventually(async () => {
        const { degraded, revision, status: now } = await one.plane.change(id);
        return !degraded && revision !== null && now === 'APPLIED';
      }, `${id} stored, says ${one.name}`);
    const found = await history(one);
    for (const { id } of changes) assert.equal(found.filter((other) => other === id).length, 1);
  }
});

test('one request id at two replicas without the store is one entry of the history, and both changes have its revision', async () => {
  const { a, b, all } = await three();
  await put(a);
  await everywhere(all, 'running', 10);
  for (const one of all) isolate(one);
  const one = await rollback(a, { requestId: 'x' });
  const two = await rollback(b, { requestId: 'x' });
  for (const replica of all) isolate(replica, false);
  for (const replica of all) {
    for (const { id } of [one, two])
      await eventually(
        async () => (await replica.plane.change(id)).revision !== null,
        `${id} at ${replica.name}`,
      );
    const [first, second] = [await replica.plane.change(one.id), await replica.plane.change(two.id)];
    assert.equal(first.revision, second.revision);
  }
  const found = await history(a);
  assert.equal(found.filter((id) => id === one.id || id === two.id).length, 1);
});

test('all replicas killed and the store emptied after a rollback was applied: no one forgets it', async () => {
  const { a, all, memory, start } = await three();
  await put(a);
  await everywhere(all, 'running', 10);
  // Their states were saved before the rollback.
  await eventually(async () => all.every((one) => one.disk.saved?.revision === 1), 'the states on disk');
  const saved = all.map((one) => one.disk.saved);
  const { id } = await rollback(a);
  await eventually(async () => (await status(a, id)) === 'APPLIED', 'applied');
  const disks: Disk[] = all.map(({ disk }, index) => ({
    ...disk,
    saved: saved[index]!,
  }));
  for (const one of all) one.kill();
  memory.flush();
  for (const [index, disk] of disks.entries()) {
    const again = await start({ name: `d${index}`, disk, cut: true });
    assert.equal(again.phase(), 'rolledBack', `by the disk of ${all[index]!.name}`);
    again.store.cut = false;
    if (index === 0)
      await eventually(async () => memory.commits.at(-1)?.changeId === id, 'the rollback in the store again');
  }
});

test('a replica says that it knows a rollback only when it is on its disk', async () => {
  const { a, b, all } = await three();
  await put(a);
  await everywhere(all, 'running', 10);
  for (const one of all) one.store.cut = true;
  const held = Promise.withResolvers<void>();
  b.disk.tombstones.held = held.promise;
  const { id } = await rollback(a);
  await eventually(async () => (await a.plane.change(id)).progress.startsWith('2 of 3'), 'all but b');
  assert.equal(b.phase(), 'rolledBack', 'it does not wait for the disk');
  assert.equal(await status(a, id), 'APPLYING');
  held.resolve();
  await eventually(async () => (await status(a, id)) === 'APPLIED', 'the disk of b');
});

test('nor does it acknowledge the revision of a rollback before', async () => {
  const { a, b, all } = await three();
  await put(a);
  await everywhere(all, 'running', 10);
  const held = Promise.withResolvers<void>();
  b.disk.tombstones.held = held.promise;
  const { id, revision } = await rollback(a);
  assert.equal(revision, 2);
  await eventually(async () => b.phase() === 'rolledBack', 'the rollback at b');
  await eventually(async () => (await a.plane.change(id)).progress === '2 of 3 replicas', 'all but b');
  // Two beats later it has followed, and still does not say so.
  const sync = b.store.sync.bind(b.store);
  let beats = 0;
  b.store.sync = (beat) => {
    if (beat !== null) beats += 1;
    return sync(beat);
  };
  await eventually(async () => beats >= 3, 'its beats');
  assert.equal(await status(a, id), 'APPLYING');
  held.resolve();
  await eventually(async () => (await status(a, id)) === 'APPLIED', 'the disk of b');
});

test('a rollback that a failover lost is stored once more, under its change', async () => {
  const { a, b, c, all, memory } = await three();
  await put(a);
  await everywhere(all, 'running', 10);
  const { id } = await rollback(a);
  await everywhere(all, 'rolledBack', 10);
  for (const one of all) one.store.cut = true;
  memory.lose(1);
  memory.commits.push({
    ...memory.commits[0]!,
    revision: 2,
    kind: 'rollout.percentage',
    changeId: 'stranger-00000000',
  });
  for (const one of all) one.store.cut = false;
  await eventually(async () => memory.commits.some(({ changeId }) => changeId === id), 'the rollback');
  await everywhere([a, b, c], 'rolledBack', 10);
  assert.equal(memory.documents.get('notes')?.document.rollout?.phase, 'rolledBack');
});
