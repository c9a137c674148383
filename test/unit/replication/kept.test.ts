/** What is applied is on the disk of every replica that counts: all may end and the store forget, and nothing of it is lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../../support/bounded.ts';
import { memoryTombstones } from '../../support/memory-tombstones.ts';
import { body, type Replica, REQUEST, startReplicas } from '../../support/replicas.ts';

const put = (replica: Replica, percentage = 10) =>
  replica.plane.writeRollout(
    'notes',
    { kind: 'put', body: body({ rules: [{ name: 'everyone', percentage }] }), allowDecrease: true },
    REQUEST,
  );
const percent = (replica: Replica, percentage: number) =>
  replica.plane.writeRollout(
    'notes',
    { kind: 'percentage', rule: 'everyone', percentage, allowDecrease: true },
    REQUEST,
  );
const status = async (replica: Replica, id: string): Promise<string> =>
  (await replica.plane.change(id)).status;

async function three() {
  const replicas = startReplicas();
  const all: Replica[] = [];
  for (const name of ['a', 'b', 'c']) all.push(await replicas.start({ name }));
  await eventually(
    async () => all.every((one) => one.plane.fleet().replicas.length === 3),
    'the three know each other',
  );
  const [a, b, c] = all as [Replica, Replica, Replica];
  return { ...replicas, all, a, b, c };
}

const applied = (replica: Replica, id: string) =>
  eventually(async () => (await status(replica, id)) === 'APPLIED', `${id} is applied`);

test('a change is applied when it is on the disk of all, and not before', async (t) => {
  const { a, b } = await three();
  await applied(a, (await put(a)).id);
  const disk = Promise.withResolvers<void>();
  t.after(() => disk.resolve());
  b.disk.busy = disk.promise;
  const { id } = await percent(a, 20);
  await eventually(async () => b.percentage() === 20, 'its workers decide by it');
  await eventually(async () => (await a.plane.change(id)).progress === '2 of 3 replicas', 'all but b');
  disk.resolve();
  await applied(a, id);
});

test('nothing that was applied is forgotten when all replicas end at once and the store is emptied', async () => {
  for (const first of [0, 1, 2]) {
    const { start, memory, all, a } = await three();
    await applied(a, (await put(a)).id);
    let last = 0;
    for (last = 20; last < 26; last++) await applied(a, (await percent(a, last)).id);
    for (const one of all) one.kill();
    memory.flush();
    const again = await start({ name: all[first]!.name, disk: all[first]!.disk });
    assert.equal(again.percentage(), 25);
    await eventually(async () => memory.commits.length === 7, 'all of it in the store');
    await again.close();
  }
});

test('the whole state and what was followed since fit together, however they are mixed', async () => {
  const { start, memory } = startReplicas();
  const a = await start({ name: 'a' });
  const b = await start({ name: 'b' });
  await put(a);
  const sizes = new Set<number>();
  for (let round = 0; round < 60; round++) {
    const { id } = await percent(round % 2 ? a : b, 10 + round);
    // A service of its own, so that documents of different revisions are mixed.
    if (round % 7 === 0)
      await a.plane.putService(
        `made-${round}`,
        body({ hosts: [`${round}.test`], stable: { endpoints: ['10.1.0.7:1'] } }),
        REQUEST,
      );
    if (round % 20 === 19) {
      await applied(b, id);
      sizes.add(b.disk.followed.length);
      const disk = {
        ...structuredClone({ saved: b.disk.saved, followed: b.disk.followed, finals: [] }),
        tombstones: memoryTombstones(b.disk.tombstones.lines),
      };
      const other = await start({ name: `x${round}`, disk, cut: true });
      assert.equal(other.percentage(), 10 + round);
      assert.deepEqual(other.plane.service('notes'), b.plane.service('notes'));
      assert.equal(other.plane.services().length, b.plane.services().length);
      other.kill();
    }
  }
  assert.ok(memory.commits.length > 60);
  await eventually(async () => b.disk.followed.length === 0, 'the log is cleared');
  assert.equal(b.disk.saved?.revision, memory.commits.length);
  assert.ok([...sizes].some((size) => size > 0));
});

test('a disk that fails holds up nobody', async () => {
  const { a, b } = await three();
  await applied(a, (await put(a)).id);
  b.disk.broken = true;
  await applied(a, (await percent(a, 20)).id);
  await applied(b, (await percent(b, 30)).id);
  b.disk.broken = false;
  await applied(a, (await percent(a, 40)).id);
  await eventually(async () => b.disk.saved?.revision === 4 || b.disk.followed.length > 0, 'the disk of b');
});

test('a rollback waits for no disk', async (t) => {
  const { a, b, c, all } = await three();
  await applied(a, (await put(a)).id);
  const disk = Promise.withResolvers<void>();
  t.after(() => disk.resolve());
  for (const one of all) one.disk.busy = disk.promise;
  const change = a.plane.writeRollout('notes', { kind: 'rollback' }, REQUEST);
  await eventually(
    async () => [a, b, c].every((one) => one.phase() === 'rolledBack'),
    'the rollback everywhere',
  );
  disk.resolve();
  await applied(a, (await change).id);
});
