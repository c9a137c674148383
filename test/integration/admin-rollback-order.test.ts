/** Rollbacks and what else is under way: whatever the order, the canary stays off and every change ends once. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import type { WriteRequest } from '../../src/rollout/write-request.ts';
import { CONFIGURATION, ROLLOUT, RULES, startApi } from '../support/admin-api.ts';
import { type MemoryStore, memoryStore } from '../support/memory-store.ts';

/** A store whose commits wait until they are let through. */
function heldStore(): MemoryStore & { hold(): void; release(): void } {
  const inner = memoryStore();
  let gate: Promise<void> = Promise.resolve();
  let open = (): void => {};
  const commit = inner.commit.bind(inner);
  return Object.assign(inner, {
    hold() {
      gate = new Promise((resolve) => (open = resolve));
    },
    release: () => open(),
    async commit(one: Parameters<typeof commit>[0]) {
      await gate;
      await commit(one);
    },
  });
}

const WRITE: WriteRequest = {
  actor: 'somebody',
  reason: null,
  requestId: null,
  precondition: { ifMatch: null, ifNoneMatch: false, required: false },
};

function phaseOf(workers: Awaited<ReturnType<typeof startApi>>['workers']): string | undefined {
  return workers.snapshots.at(-1)!.services[0]!.rollout?.phase;
}

test('a rollback does not wait for a write before it, is overtaken by none, and makes it void', async () => {
  const store = heldStore();
  const { call, plane, workers } = await startApi(CONFIGURATION, store);
  await call('PUT', ROLLOUT, RULES);
  const statuses = new Map<string, string[]>();
  plane.subscribe(({ event }) => {
    if (event.type !== 'change') return;
    const { id, kind, status } = event.change;
    statuses.set(`${kind} ${id}`, [...(statuses.get(`${kind} ${id}`) ?? []), status]);
  }, null);

  store.hold();
  const raise = plane.writeRollout(
    'notes',
    { kind: 'percentage', rule: 'everyone', percentage: 50, allowDecrease: false },
    WRITE,
  );
  const back = plane.writeRollout('notes', { kind: 'rollback' }, WRITE);
  await Promise.resolve();
  assert.equal(phaseOf(workers), 'rolledBack', 'while the store holds the write before it');
  store.release();
  const [raised, rolledBack] = await Promise.all([raise, back]);
  assert.equal(raised.status, 'ROLLED_BACK');
  assert.deepEqual([rolledBack.status, rolledBack.revision], ['APPLIED', 3]);
  const seen = statuses.get(`rollout.rollback ${rolledBack.id}`)!;
  assert.deepEqual([...new Set(seen)], ['PENDING', 'APPLYING', 'APPLIED']);
  for (const snapshot of workers.snapshots.slice(2)) {
    assert.equal(snapshot.services[0]!.rollout!.phase, 'rolledBack', 'no snapshot brings the canary back');
  }
});

test('two rollbacks at once: neither waits for the store, and both can be polled to their end', async () => {
  const store = heldStore();
  const { call, plane, workers } = await startApi(CONFIGURATION, store);
  await call('PUT', ROLLOUT, RULES);
  store.hold();
  const raise = plane.writeRollout('notes', { kind: 'pause' }, WRITE);
  const replies = await Promise.all([
    call('POST', `${ROLLOUT}/rollback`, {}),
    call('POST', `${ROLLOUT}/rollback`, {}),
  ]);
  for (const { status, body } of replies) assert.deepEqual([status, body.degraded], [202, true]);
  assert.equal(phaseOf(workers), 'rolledBack');
  // Harmless: it is in force.
  const cancel = new URL(replies[1].body.statusUrl).pathname;
  assert.equal((await call('POST', `${cancel}/cancel`, {})).body.status, 'APPLYING');
  store.release();
  await raise;
  await plane.close();
  for (const { body } of replies) {
    const now = await call('GET', new URL(body.statusUrl).pathname);
    assert.deepEqual([now.status, now.body.status, now.body.degraded], [200, 'APPLIED', false]);
  }
  // Both were answered, so both are in the history.
  const stored = store.commits
    .filter(({ kind }) => kind === 'rollout.rollback')
    .map(({ changeId }) => changeId);
  assert.deepEqual(stored.toSorted(), replies.map(({ body }) => body.id).toSorted());
  assert.equal(phaseOf(workers), 'rolledBack');
});

test('a policy that is put while a rollback is on its way is a new rollout after it', async () => {
  const store = heldStore();
  const { call, plane, workers } = await startApi(CONFIGURATION, store);
  await call('PUT', ROLLOUT, RULES);
  store.hold();
  const back = plane.writeRollout('notes', { kind: 'rollback' }, WRITE);
  const put = call('PUT', ROLLOUT, RULES, { 'if-match': '*' });
  const stale = call('PUT', ROLLOUT, RULES, { 'if-match': '"1"' });
  store.release();
  assert.equal((await back).status, 'APPLIED');
  assert.equal((await put).status, 202);
  assert.equal((await stale).status, 412);
  const { id, phase, epoch } = workers.snapshots.at(-1)!.services[0]!.rollout!;
  assert.deepEqual([phase, epoch], ['running', 2]);
  assert.notEqual(id, store.commits[0]!.document!.rollout!.id);
});

test('a rollback that a finish came before: its change ends, and can be read', async () => {
  const stable = createServer().listen(0, '127.0.0.1');
  await once(stable, 'listening');
  const { port } = stable.address() as AddressInfo;
  const notes = { ...CONFIGURATION.services!['notes']!, stable: { endpoints: [`127.0.0.1:${port}`] } };
  const store = heldStore();
  const { call, plane, workers } = await startApi({ ...CONFIGURATION, services: { notes } }, store);
  await call('PUT', ROLLOUT, RULES);
  await call('POST', `${ROLLOUT}/promote`, {});
  store.hold();
  const finish = plane.writeRollout('notes', { kind: 'finish' }, WRITE);
  await once(stable, 'connection');
  const early = await plane.writeRollout('notes', { kind: 'rollback' }, WRITE);
  assert.deepEqual([early.status, early.degraded], ['APPLYING', true]);
  store.release();
  assert.equal((await finish).revision, 3);
  await plane.close();
  stable.close();
  const change = await plane.change(early.id);
  assert.equal(change.status, 'FAILED');
  assert.match(change.progress, /The rollout is idle/);
  assert.equal(phaseOf(workers), 'idle');
});
