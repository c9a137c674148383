/** How changes end: once, the same at all replicas, also where the store or peers are away, and after restarts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../../support/bounded.ts';
import { watchEndings } from '../../support/endings.ts';
import { body, type Replica, REQUEST, startReplicas } from '../../support/replicas.ts';

const RULES = { rules: [{ name: 'everyone', percentage: 10 }] };

const put = (replica: Replica, document: object = RULES) =>
  replica.plane.writeRollout('notes', { kind: 'put', body: body(document), allowDecrease: true }, REQUEST);
const percent = (replica: Replica, percentage: number) =>
  replica.plane.writeRollout(
    'notes',
    { kind: 'percentage', rule: 'everyone', percentage, allowDecrease: true },
    REQUEST,
  );
const rollback = (replica: Replica) => replica.plane.writeRollout('notes', { kind: 'rollback' }, REQUEST);
const status = async (replica: Replica, id: string): Promise<string> =>
  (await replica.plane.change(id)).status;

async function three() {
  const replicas = startReplicas();
  const endings = watchEndings();
  const start: typeof replicas.start = async (options) => {
    const replica = await replicas.start(options);
    endings.watch(replica);
    return replica;
  };
  const a = await start({ name: 'a' });
  const b = await start({ name: 'b' });
  const c = await start({ name: 'c' });
  await eventually(
    async () => [a, b, c].every((one) => one.plane.fleet().replicas.length === 3),
    'the three know each other',
  );
  return { ...replicas, start, endings, a, b, c, all: [a, b, c] };
}

/** Resolves when the change has ended at all of them; how. */
async function endOf(all: readonly Replica[], id: string): Promise<string> {
  let found: string[] = [];
  await eventually(async () => {
    // One that is cut off and has not heard of it yet says so.
    found = await Promise.all(all.map((one) => status(one, id).catch(() => 'PENDING')));
    return found.every((one) => one !== 'PENDING' && one !== 'APPLYING');
  }, `the end of ${id}`);
  assert.equal(new Set(found).size, 1, found.join(', '));
  return found[0]!;
}

test('a write that follows at once: the one before ends the same everywhere', async () => {
  const { a, b, c, all, endings } = await three();
  const ids = [(await put(a)).id];
  for (let round = 0; round < 24; round++) {
    const writer = all[round % 3]!;
    // Who hears nothing of its peers learns of them from the store, with its beats.
    b.alone = round % 4 === 1;
    c.alone = round % 5 === 2;
    if (round % 3 === 0) await pause(round * 4);
    ids.push((await percent(writer, round + 11)).id);
  }
  b.alone = false;
  c.alone = false;
  for (const id of ids) await endOf(all, id);
  assert.equal(await status(a, ids.at(-1)!), 'APPLIED');
  endings.check();
});

test('a change that all decide by is final only where it is recorded', async () => {
  const { a, b, memory } = await three();
  const { id } = await put(a);
  await endOf([a, b], id);
  assert.match(memory.finals.get(id) ?? '', /"APPLIED"/);
  // Somebody else was first with another word.
  const next = await percent(a, 20);
  memory.finals.set(next.id, memory.finals.get(id)!.replace(id, next.id).replace('APPLIED', 'SUPERSEDED'));
  assert.equal(await endOf([a, b], next.id), 'SUPERSEDED');
});

test('a rollback and the change before it end the same at all, whoever hears of which first', async () => {
  const { a, b, c, all, endings } = await three();
  const ids = [(await put(a)).id];
  for (let round = 0; round < 6; round++) {
    c.workers.automatic = round % 2 === 0;
    b.store.deaf = round % 3 === 0;
    ids.push((await percent(all[round % 3]!, round + 11)).id);
    ids.push((await rollback(all[(round + 1) % 3]!)).id);
    ids.push((await put(all[(round + 2) % 3]!)).id);
    c.workers.automatic = true;
    for (const index of [0, 1]) c.workers.acknowledge(index);
  }
  for (const id of ids) await endOf(all, id);
  endings.check();
});

test('while no replica reaches the store, a rollback that all have applied is applied', async () => {
  const { a, b, c, all, endings, memory } = await three();
  await endOf(all, (await put(a)).id);
  for (const one of all) one.store.cut = true;
  const { id } = await rollback(b);
  assert.equal(await endOf(all, id), 'APPLIED');
  assert.equal(memory.finals.get(id), undefined);
  for (const one of [a, c]) one.store.cut = false;
  await eventually(async () => memory.finals.has(id), 'the end in the store');
  b.store.cut = false;
  endings.check();
});

test('a rollback that was applied without the store stays so, whatever is recorded meanwhile', async () => {
  const { a, b, all, endings, memory } = await three();
  await endOf(all, (await put(a)).id);
  for (const one of all) one.store.cut = true;
  const { id } = await rollback(b);
  assert.equal(await endOf(all, id), 'APPLIED');
  // The answer to whoever recorded it was lost.
  const other = await a.plane.change(id);
  memory.finals.set(id, JSON.stringify({ ...other, status: 'SUPERSEDED' }));
  for (const one of all) one.store.cut = false;
  await eventually(async () => memory.finals.get(id)!.includes('APPLIED'), 'the one that was shown');
  assert.equal(await endOf(all, id), 'APPLIED');
  endings.check();
});

test('a replica that is cut off from the store decides nothing, and goes by what the others tell', async () => {
  const { a, b, c, all, endings } = await three();
  await endOf(all, (await put(a)).id);
  c.workers.automatic = false;
  const first = await percent(a, 20);
  await eventually(async () => b.percentage() === 20, 'the write at b');
  a.store.cut = true;
  const second = await percent(b, 30);
  c.workers.automatic = true;
  for (const index of [0, 1]) c.workers.acknowledge(index);
  assert.equal(await endOf([b, c], first.id), 'SUPERSEDED');
  await eventually(async () => (await status(a, first.id)) === 'SUPERSEDED', 'what b tells a');
  a.store.cut = false;
  assert.equal(await endOf(all, second.id), 'APPLIED');
  endings.check();
});

test('a replica that is alone with itself decides nothing', async () => {
  const { a, b, c, all, endings } = await three();
  await endOf(all, (await put(a)).id);
  c.workers.automatic = false;
  const first = await percent(a, 20);
  a.alone = true;
  a.store.cut = true;
  const second = await percent(b, 30);
  assert.equal(await endOf([b, c], first.id), 'SUPERSEDED');
  // Longer than a lease: a counts nobody but itself by now.
  await eventually(
    async () => a.plane.fleet().replicas.filter(({ state }) => state === 'live').length === 1,
    'a sees itself alone',
  );
  assert.equal(await status(a, first.id), 'APPLYING');
  a.alone = false;
  a.store.cut = false;
  c.workers.automatic = true;
  for (const index of [0, 1]) c.workers.acknowledge(index);
  assert.equal(await endOf(all, first.id), 'SUPERSEDED');
  assert.equal(await endOf(all, second.id), 'APPLIED');
  endings.check();
});

test('a restart changes no final status: neither with the store nor without it, nor where it was emptied', async () => {
  const { a, b, c, endings, start, memory } = await three();
  c.workers.automatic = false;
  const ids = [(await put(a)).id, (await percent(b, 20)).id, (await percent(a, 30)).id];
  const third = ids.at(-1)!;
  c.workers.automatic = true;
  for (const index of [0, 1]) c.workers.acknowledge(index);
  for (const id of ids) await endOf([a, b, c], id);
  const before = await Promise.all(ids.map((id) => status(a, id)));
  assert.deepEqual(before, ['SUPERSEDED', 'SUPERSEDED', 'APPLIED']);
  const check = async (one: Replica): Promise<void> => {
    for (const id of ids) endings.saw(one.name, id, await status(one, id));
    assert.deepEqual(await Promise.all(ids.map((id) => status(one, id))), before, one.name);
  };
  // Its disk and the store.
  c.kill();
  await check(await start({ name: 'c', disk: c.disk }));
  // The store alone.
  await check(await start({ name: 'd' }));
  // Its disk alone.
  b.kill();
  const again = await start({ name: 'b', disk: b.disk, cut: true });
  await check(again);
  again.kill();
  // All end, and the store forgets.
  a.kill();
  for (const one of [c, b, a]) one.kill();
  memory.flush();
  const last = await start({ name: 'b', disk: b.disk });
  await check(last);
  assert.equal(await status(last, third), 'APPLIED');
  endings.check();
});

test('an emptied store learns again how changes ended', async () => {
  const { a, b, c, endings, start, memory } = await three();
  c.workers.automatic = false;
  const first = (await put(a)).id;
  await percent(b, 20);
  assert.equal(await endOf([a, b, c], first), 'SUPERSEDED');
  memory.flush();
  const d = await start({ name: 'd' });
  assert.equal(await endOf([a, b, c, d], first), 'SUPERSEDED');
  assert.match(memory.finals.get(first) ?? '', /SUPERSEDED/);
  endings.check();
});

test('a change that found nothing to do stays applied while a worker is replaced', async () => {
  const { a, b, all } = await three();
  await endOf(all, (await put(a)).id);
  const { id } = await put(a);
  assert.match(id, /^present\./);
  assert.equal(await status(a, id), 'APPLIED');
  b.workers.appliedRevision = () => [{ index: 0, revision: -1, sequence: -1 }];
  await eventually(async () => {
    const view = a.plane.fleet().replicas.find(({ name }) => name === 'b');
    return view?.workers.some(({ revision }) => revision === -1) === true;
  }, 'the worker that is replaced');
  for (const one of all) assert.equal(await status(one, id), 'APPLIED', one.name);
});

test('a write that is on its way to the store cannot be canceled', async () => {
  const { a, b, all, endings } = await three();
  await endOf(all, (await put(a)).id);
  const commit = a.store.commit.bind(a.store);
  a.store.commit = async (one, options) => {
    a.store.commit = commit;
    assert.equal((await a.plane.cancelChange(one.changeId)).status, 'PENDING');
    await commit(one, options);
  };
  const { id } = await percent(a, 20);
  assert.equal(await endOf([a, b], id), 'APPLIED');
  endings.check();
});

test('a canceled change is canceled at every replica', async () => {
  const { a, b, all, endings, memory } = await three();
  await endOf(all, (await put(a)).id);
  let id = '';
  a.plane.subscribe(({ event }) => {
    if (event.type !== 'change' || event.change.status !== 'PENDING' || id !== '') return;
    id = event.change.id;
    void a.plane.cancelChange(id);
  }, null);
  await assert.rejects(percent(a, 20));
  assert.notEqual(id, '');
  await eventually(async () => memory.finals.has(id), 'the end in the store');
  for (const one of [a, b]) assert.equal(await status(one, id), 'CANCELED', one.name);
  endings.check();
});
