/** What only some replicas know of the history: it goes back into an emptied store, and is found by those who lack it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RefusedError } from '../../../src/rollout/refusal.ts';
import { eventually } from '../../support/bounded.ts';
import { body, type Disk, type Replica, REQUEST, startReplicas } from '../../support/replicas.ts';

const put = (replica: Replica) =>
  replica.plane.writeRollout(
    'notes',
    { kind: 'put', body: body({ rules: [{ name: 'everyone', percentage: 10 }] }), allowDecrease: true },
    REQUEST,
  );
const percent = (replica: Replica, percentage: number, requestId: string | null = null) =>
  replica.plane.writeRollout(
    'notes',
    { kind: 'percentage', rule: 'everyone', percentage, allowDecrease: true },
    { ...REQUEST, requestId },
  );

/** So many writes; the ids of their changes. */
async function write(replica: Replica, count: number): Promise<string[]> {
  const ids = [(await put(replica)).id];
  for (let index = 1; index < count; index++)
    ids.push((await percent(replica, 11 + (index % 80), `request-${index}`)).id);
  return ids;
}

const is = (code: string) => (error: unknown) => error instanceof RefusedError && error.refusal.code === code;

test('an emptied store that got back a part has all of it as soon as somebody who knows more comes', async () => {
  const { start, memory } = startReplicas();
  const a = await start({ name: 'a' });
  const b = await start({ name: 'b' });
  const ids = await write(a, 241);
  await eventually(async () => b.disk.saved?.revision === 241, 'the state of b on its disk');
  assert.equal(b.disk.saved?.recent.length, 200);
  b.kill();
  a.store.cut = true;
  memory.flush();
  const again = await start({ name: 'b', disk: b.disk });
  await eventually(async () => memory.commits.length === 200, 'what the disk of b knows');
  await percent(again, 5);
  a.store.cut = false;
  await eventually(async () => memory.commits.length === 242, 'all that a knows');
  assert.deepEqual(
    memory.commits.map(({ revision }) => revision),
    Array.from({ length: 242 }, (_, index) => index + 1),
  );
  // It goes on being so, and b knows what it lacked.
  await percent(again, 6);
  await eventually(async () => memory.commits.length === 243, 'one more');
  for (const id of [ids[0]!, ids[20]!, ids[240]!]) assert.equal((await again.plane.change(id)).id, id);
  assert.equal((await percent(again, 11 + 20, 'request-20')).id, ids[20], 'a request id of then');
});

test('a replica that began by its disk finds older changes in the store', async () => {
  const { start } = startReplicas();
  const a = await start({ name: 'a' });
  const b = await start({ name: 'b' });
  const ids = await write(a, 230);
  await eventually(async () => b.disk.saved?.revision === 230, 'the state of b on its disk');
  b.kill();
  const disk: Disk = { ...b.disk, finals: [] };
  const again = await start({ name: 'b', disk, cut: true });
  await assert.rejects(again.plane.change(ids[0]!), is('store_unavailable'));
  assert.equal((await again.plane.change(ids[229]!)).id, ids[229], 'what it knows it answers');
  again.store.cut = false;
  await eventually(async () => {
    const change = await again.plane.change(ids[0]!).catch(() => null);
    return change?.status === (await a.plane.change(ids[0]!)).status;
  }, 'the first change at b');
  assert.equal((await percent(again, 11 + 3, 'request-3')).id, ids[3], 'a request id of then');
  await assert.rejects(again.plane.change('0123456789abcdef0123-00000000'), is('change_not_found'));
});

test('a change that has left the history is found by how it ended', async () => {
  const { start, memory } = startReplicas();
  const a = await start({ name: 'a' });
  const [first = '', second = ''] = await write(a, 2);
  await eventually(async () => memory.finals.has(second), 'the end of both');
  // Its bytes were too many.
  memory.commits = memory.commits.slice(1);
  const b = await start({ name: 'b' });
  const [here, there] = [await a.plane.change(first), await b.plane.change(first)];
  assert.deepEqual([there.status, there.revision, there.kind], [here.status, 1, 'rollout.put']);
});

test('a replica that is cut off does not say that there is no such change', async () => {
  const { start } = startReplicas();
  const a = await start({ name: 'a' });
  const b = await start({ name: 'b' });
  await put(a);
  await eventually(async () => b.percentage() === 10, 'the policy at b');
  b.store.cut = true;
  b.alone = true;
  const { id } = await percent(a, 20);
  await assert.rejects(b.plane.change(id), is('store_unavailable'));
  await assert.rejects(b.plane.cancelChange(id), is('store_unavailable'));
  b.store.cut = false;
  assert.equal((await b.plane.change(id)).id, id);
});
