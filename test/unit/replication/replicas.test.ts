/** Several replicas as one: writes, rollbacks without the store, what a store forgets, clocks, and who is missing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RefusedError } from '../../../src/rollout/refusal.ts';
import { eventually } from '../../support/bounded.ts';
import { body, type Replica, REQUEST, startReplicas } from '../../support/replicas.ts';

const RULES = { rules: [{ name: 'everyone', percentage: 10 }] };

const put = (replica: Replica, document: object = RULES) =>
  replica.plane.writeRollout('notes', { kind: 'put', body: body(document), allowDecrease: false }, REQUEST);
const percent = (replica: Replica, percentage: number, more: Partial<typeof REQUEST> = {}) =>
  replica.plane.writeRollout(
    'notes',
    { kind: 'percentage', rule: 'everyone', percentage, allowDecrease: true },
    { ...REQUEST, ...more },
  );
const rollback = (replica: Replica) => replica.plane.writeRollout('notes', { kind: 'rollback' }, REQUEST);

async function three() {
  const replicas = startReplicas();
  const a = await replicas.start({ name: 'a' });
  const b = await replicas.start({ name: 'b' });
  const c = await replicas.start({ name: 'c' });
  await eventually(
    async () => [a, b, c].every((one) => one.plane.fleet().replicas.length === 3),
    'the three know each other',
  );
  return { ...replicas, a, b, c, all: [a, b, c] };
}

async function status(replica: Replica, id: string): Promise<string> {
  return (await replica.plane.change(id)).status;
}

test('a change is applied when all replicas decide by it, and readable from each', async () => {
  const { a, b, c, all } = await three();
  c.workers.automatic = false;
  const { id } = await put(a);
  await eventually(async () => b.percentage() === 10, 'the policy at another replica');
  await eventually(async () => (await a.plane.change(id)).progress === '2 of 3 replicas', 'two of three');
  assert.equal(await status(b, id), 'APPLYING');
  assert.equal(await status(c, id), 'APPLYING');
  for (const index of [0, 1]) c.workers.acknowledge(index);
  for (const one of all) await eventually(async () => (await status(one, id)) === 'APPLIED', one.name);
});

test('two writers at once: each write on top of the other, one history', async () => {
  const { a, b, memory } = await three();
  await put(a);
  const writes = Array.from({ length: 20 }, (_, index) => percent(index % 2 ? a : b, index + 11));
  await Promise.all(writes);
  assert.deepEqual(
    memory.commits.map(({ revision }) => revision),
    Array.from({ length: 21 }, (_, index) => index + 1),
  );
  await eventually(async () => a.percentage() === b.percentage(), 'the same policy');
});

test('one request id, sent to two replicas at once, makes one change', async () => {
  const { a, b, memory } = await three();
  await put(a);
  const [one, two] = await Promise.all([
    percent(a, 20, { requestId: 'x' }),
    percent(b, 20, { requestId: 'x' }),
  ]);
  assert.equal(one.id, two.id);
  assert.equal(memory.commits.length, 2);
  assert.equal((await percent(b, 20, { requestId: 'x' })).id, one.id);
  await assert.rejects(percent(a, 30, { requestId: 'x' }), (error: RefusedError) => {
    return error.refusal.code === 'request_id_reused';
  });
});

test('a rollback needs no store: it reaches all, and one of them stores it', async () => {
  const { a, b, c, all, memory } = await three();
  await put(a);
  await eventually(async () => all.every((one) => one.phase() === 'running'), 'the rollout everywhere');
  for (const one of all) one.store.cut = true;
  await assert.rejects(percent(a, 20), (error: RefusedError) => error.refusal.code === 'store_unavailable');
  const change = await rollback(a);
  assert.equal(change.degraded, true);
  await eventually(async () => all.every((one) => one.phase() === 'rolledBack'), 'the rollback everywhere');
  await eventually(async () => (await status(a, change.id)) === 'APPLIED', 'its status here');
  await eventually(async () => (await status(b, change.id)) === 'APPLIED', 'its status elsewhere');
  for (const one of all) assert.equal(one.disk.tombstones.lines.length, 1);
  // The one that took it never comes back.
  a.kill();
  b.store.cut = false;
  c.store.cut = false;
  await eventually(
    async () => memory.commits.at(-1)?.kind === 'rollout.rollback',
    'the rollback in the store',
  );
  assert.equal(memory.commits.at(-1)?.changeId, change.id);
  assert.equal(memory.commits.length, 2);
  await eventually(async () => !(await b.plane.change(change.id)).degraded, 'it is owed no more');
});

test('a policy that is put after a rollback without the store begins a new rollout', async () => {
  const { a, b, memory } = await three();
  await put(a);
  await eventually(async () => b.phase() === 'running', 'the rollout');
  a.store.cut = true;
  await rollback(a);
  await eventually(async () => b.phase() === 'rolledBack', 'the rollback at b');
  await put(b, { rules: [{ name: 'everyone', percentage: 30 }] });
  assert.deepEqual(
    memory.commits.map(({ kind, document }) => [kind, document?.rollout?.epoch]),
    [
      ['rollout.put', 1],
      ['rollout.rollback', 1],
      ['rollout.put', 2],
    ],
  );
  a.store.cut = false;
  await eventually(async () => a.percentage() === 30 && a.phase() === 'running', 'the new rollout at a');
});

test('a rollback that one replica made without the store survives its restart', async () => {
  const { start, memory } = startReplicas();
  const a = await start({ name: 'a' });
  await put(a);
  await eventually(async () => a.disk.saved?.revision === 1, 'the state on disk');
  a.store.cut = true;
  await rollback(a);
  a.kill();
  const again = await start({ name: 'a', disk: a.disk, cut: true });
  assert.equal(again.phase(), 'rolledBack');
  again.store.cut = false;
  await eventually(
    async () => memory.commits.at(-1)?.kind === 'rollout.rollback',
    'the rollback in the store',
  );
});

test('an emptied store gets everything back', async () => {
  const { a, b, memory } = await three();
  await put(a);
  await percent(a, 20);
  await eventually(async () => b.percentage() === 20, 'the second replica');
  const { id } = memory;
  memory.flush();
  await eventually(async () => memory.commits.length === 2, 'the state in the store again');
  assert.equal(memory.id, id);
  assert.equal(a.percentage(), 20);
  await percent(b, 30);
  await eventually(async () => a.percentage() === 30, 'the next write');
});

test('writes that a failover lost are written again', async () => {
  const { a, b, memory } = await three();
  await put(a);
  await percent(a, 20);
  const change = await percent(a, 30);
  await eventually(async () => b.percentage() === 30, 'the second replica');
  memory.lose(2);
  await eventually(async () => memory.commits.length === 3, 'the lost writes');
  assert.equal(memory.commits.at(-1)?.changeId, change.id);
});

test('where others wrote after a failover, all come to the same, and a lost rollback stays', async () => {
  const { a, b, c, all, memory } = await three();
  await put(a);
  await eventually(async () => all.every((one) => one.percentage() === 10), 'the rollout everywhere');
  // c knows nothing of the rollback that a and b have seen.
  c.store.cut = true;
  c.alone = true;
  const change = await rollback(a);
  await eventually(async () => b.phase() === 'rolledBack', 'the rollback at b');
  for (const one of [a, b]) one.store.cut = true;
  memory.lose(1);
  c.store.cut = false;
  await eventually(async () => {
    try {
      await percent(c, 40);
      return true;
    } catch {
      return false;
    }
  }, 'a write of the one that missed it');
  c.alone = false;
  for (const one of [a, b]) one.store.cut = false;
  await eventually(async () => all.every((one) => one.phase() === 'rolledBack'), 'all rolled back');
  const revisions = memory.commits.map(({ revision }) => revision);
  assert.deepEqual(
    revisions,
    revisions.map((_, index) => index + 1),
  );
  assert.ok(change.revision !== null);
});

test('a replica that is cut off: others wait for its lease, then go on without it, and say so', async () => {
  const { a, c } = await three();
  await put(a);
  c.store.cut = true;
  c.alone = true;
  const { id } = await percent(a, 20);
  assert.equal(await status(a, id), 'APPLYING');
  await eventually(async () => (await status(a, id)) === 'APPLIED', 'the end of its lease');
  assert.match((await a.plane.change(id)).progress, /2 of 2 replicas; unreachable: c/);
  assert.equal(a.plane.fleet().replicas.find(({ name }) => name === 'c')?.state, 'unreachable');
  // A rollback is another matter: the one that is cut off may still give users the canary.
  const back = await rollback(a);
  await eventually(
    async () => (await a.plane.change(back.id)).progress.startsWith('2 of 3'),
    'the other two',
  );
  assert.equal(await status(a, back.id), 'APPLYING');
  c.store.cut = false;
  c.alone = false;
  await eventually(async () => (await status(a, back.id)) === 'APPLIED', 'its return');
});

test('without the store for too long, everybody gets stable, until it is back', async () => {
  const { start } = startReplicas();
  const a = await start({ name: 'a', maxStaleness: 300 });
  await put(a);
  assert.equal(a.phase(), 'running');
  a.store.cut = true;
  await eventually(async () => a.phase() === 'rolledBack', 'the fence');
  assert.equal(a.plane.service('notes').rollout?.phase, 'running');
  a.store.cut = false;
  await eventually(async () => a.phase() === 'running', 'the store again');
});

test('a start without the store serves by the disk, by stable when that is old', async () => {
  const { start } = startReplicas();
  const a = await start({ name: 'a' });
  await put(a);
  await eventually(async () => a.disk.saved?.revision === 1, 'the state on disk');
  const { saved } = a.disk;
  a.kill();
  const young = await start({ name: 'b', saved, cut: true });
  assert.equal(young.phase(), 'running');
  const old = { ...saved!, savedAt: new Date(Date.now() - 3_600_000).toISOString() };
  const late = await start({ name: 'c', saved: old, cut: true });
  assert.equal(late.phase(), 'rolledBack');
  late.store.cut = false;
  await eventually(async () => late.phase() === 'running', 'the store again');
});

test('a lost hint heals itself', async () => {
  const { a, b, c } = await three();
  for (const one of [b, c]) {
    one.store.deaf = true;
    one.alone = true;
  }
  await put(a);
  await eventually(async () => b.percentage() === 10 && c.percentage() === 10, 'the periodic read');
});

test('a document that cannot be read leaves its service as it was, and the change is not applied', async () => {
  const { a, b, memory } = await three();
  await put(a);
  await eventually(async () => b.percentage() === 10, 'the policy');
  memory.faults.push({
    service: 'notes',
    revision: 2,
    changeId: 'poison-00000000',
    detail: 'not a document',
  });
  await eventually(async () => b.plane.fleet().revision === 2, 'the revision that nobody can read');
  assert.equal(b.percentage(), 10);
  await eventually(
    async () => b.plane.fleet().replicas.every(({ faults }) => faults.length === 1),
    'all say so',
  );
  // What can be read again ends it.
  const { id } = await percent(a, 20);
  await eventually(async () => (await status(b, id)) === 'APPLIED', 'the next write');
  assert.deepEqual(
    b.plane.fleet().replicas.map(({ faults }) => faults.length),
    [0, 0, 0],
  );
});

test('what a newer version says beyond what this one knows is kept, and moves nobody', async () => {
  const { a, b, c, all, memory } = await three();
  await put(a);
  await eventually(async () => all.every((one) => one.percentage() === 10), 'the policy');
  const last = memory.commits.at(-1)!;
  const rollout = { ...last.document!.rollout!, laterField: { of: 'a newer version' } };
  // A newer replica's write, as this version reads it: more fields, and a kind that it does not know.
  const newer = {
    ...last,
    revision: 2,
    kind: 'rollout.later' as typeof last.kind,
    changeId: 'newer-00000000',
    document: { ...last.document!, rollout },
    note: 'more',
  };
  memory.commits.push(newer);
  memory.documents.set('notes', { revision: 2, document: newer.document });
  await eventually(async () => all.every((one) => one.plane.fleet().revision === 2), 'the newer write');
  assert.deepEqual(
    a.plane.fleet().replicas.flatMap(({ faults }) => faults),
    [],
  );
  await percent(b, 20);
  await eventually(async () => c.percentage() === 20, 'a write of this version');
  const document = memory.commits.at(-1)?.document;
  assert.deepEqual(document?.rollout && { ...document.rollout, laterField: undefined }, {
    ...last.document?.rollout,
    document: { rules: [{ name: 'everyone', percentage: 20 }] },
    laterField: undefined,
  });
  assert.deepEqual((document?.rollout as { laterField?: unknown } | null)?.laterField, rollout.laterField);
});

test('clocks five seconds apart: all begin at the same moment', async () => {
  const replicas = startReplicas();
  const seen = new Map<string, number>();
  const all: Replica[] = [];
  for (const [name, skew] of [
    ['a', 0],
    ['b', 5000],
    ['c', -5000],
  ] as const) {
    const replica = await replicas.start({ name, skew, activation: 100 });
    const apply = replica.workers.apply.bind(replica.workers);
    replica.workers.apply = (snapshot) => {
      const sequence = apply(snapshot);
      if (replica.percentage() === 33) seen.set(name, performance.now());
      return sequence;
    };
    all.push(replica);
  }
  await put(all[0]!);
  const begun = performance.now();
  await percent(all[0]!, 33);
  await eventually(async () => seen.size === 3, 'the activation');
  // Whoever went by a clock of its own would find the moment past, or so far away that it is not waited for: it would begin at once.
  for (const [name, at] of seen) assert.ok(at - begun >= 80, `${name} begins after ${at - begun} ms`);
});

test('a replica with another key ring or segment blocks raises, and nothing else', async () => {
  const { a, all, start } = await three();
  await put(a);
  const other = await start({ name: 'd', digests: { segments: { office: 'another' } } });
  let asked = 10;
  const blocked = async (): Promise<string> => {
    try {
      asked += 1;
      await percent(a, asked);
      return '';
    } catch (error) {
      return error instanceof RefusedError ? `${error.refusal.code}: ${error.message}` : String(error);
    }
  };
  await eventually(async () => (await blocked()).startsWith('fleet_disagrees'), 'the refusal');
  assert.match(await blocked(), /d .*segment.*office/);
  await percent(a, 5);
  await rollback(a);
  await other.close();
  await eventually(async () => all.every((one) => one.plane.fleet().replicas.length === 3), 'it has left');
});

test('the key that signs is the first one that all replicas have', async () => {
  const fresh = { id: 'k2', secret: new Uint8Array(32).fill(2) };
  const former = { id: 'k1', secret: new Uint8Array(32).fill(1) };
  const { start } = startReplicas();
  const a = await start({ name: 'a', keys: [fresh, former] });
  const signing = (replica: Replica) => replica.workers.snapshots.at(-1)?.keys[0]?.id;
  assert.equal(signing(a), 'k2');
  const b = await start({ name: 'b', keys: [former] });
  await eventually(async () => signing(a) === 'k1', 'the key that both have');
  await b.close();
  await start({ name: 'b', keys: [fresh, former] });
  await eventually(async () => signing(a) === 'k2', 'the new key');
});
