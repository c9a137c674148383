/** Rollbacks: in force before the store has them, whatever the store does; and what becomes of them afterwards. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { CONFIGURATION, problem, ROLLOUT, RULES, startApi } from '../../support/admin-api.ts';
import { eventually } from '../../support/bounded.ts';
import { memoryStore, type MemoryStore } from '../../support/memory-store.ts';
import { startRollbackParts } from '../../support/rollback-parts.ts';

test('a rollback that the store has is not called degraded, however long ago', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { rollback, changes, phase } = await startRollbackParts();
  const { id, status } = await rollback();
  assert.equal(status, 'APPLIED');
  // Longer than the answer would have been waited for.
  t.mock.timers.tick(10_000);
  assert.equal(changes.find(id)?.degraded, false);
  assert.equal(phase(), 'rolledBack');
});

test('no status of a rollback is taken back: it is never final before it is applied', async () => {
  const { rollback, updates } = await startRollbackParts();
  await rollback();
  const statuses = updates.map(({ status }) => status);
  assert.deepEqual([...new Set(statuses)], ['PENDING', 'APPLYING', 'APPLIED']);
});

test('a store that never answers holds up neither the rollback nor its answer', async () => {
  const hung = memoryStore();
  const { rollback, changes, phase, workers, activeState } = await startRollbackParts({
    store: hung,
    patience: 5,
  });
  const storing = new EventTarget();
  let store: () => void = () => {};
  const commit: MemoryStore['commit'] = hung.commit.bind(hung);
  hung.commit = async (one) => {
    await new Promise<void>((resolve) => {
      store = resolve;
      storing.dispatchEvent(new Event('begun'));
    });
    await commit(one);
  };
  const begun = once(storing, 'begun');
  const answer = rollback();
  // Before any turn of the event loop: the workers have it.
  assert.equal(phase(), 'rolledBack');
  assert.equal(workers.snapshots.at(-1)!.revision, 1);
  assert.equal(activeState.view('notes').rollout?.phase, 'rolledBack');
  await begun;
  const change = await answer;
  assert.deepEqual([change.status, change.degraded, change.revision], ['APPLYING', true, null]);
  assert.equal(changes.cancel(change.id)?.status, 'APPLYING', 'it is too late to cancel');

  store();
  await eventually(async () => changes.find(change.id)?.status === 'APPLIED', 'the stored rollback');
  const stored = changes.find(change.id);
  assert.deepEqual([stored?.degraded, stored?.revision], [false, 2]);
  assert.equal(hung.commits.length, 2);
});

test('a rollback overtakes the writes that wait', async () => {
  const store = memoryStore();
  const { call, workers } = await startApi(CONFIGURATION, store);
  await call('PUT', ROLLOUT, RULES);
  const commit: MemoryStore['commit'] = store.commit.bind(store);
  let release: () => void = () => {};
  const reached = new Promise<void>((begun) => {
    store.commit = async (one) => {
      store.commit = commit;
      await new Promise<void>((resolve) => {
        release = resolve;
        begun();
      });
      await commit(one);
    };
  });
  const first = call('POST', `${ROLLOUT}/percentage`, { percentage: 20 });
  await reached;
  const second = call('POST', `${ROLLOUT}/percentage`, { percentage: 50 });
  const rollback = call('POST', `${ROLLOUT}/rollback`, {});
  await eventually(
    async () => workers.snapshots.at(-1)!.services[0]!.rollout!.phase === 'rolledBack',
    'the rollback on the workers',
  );
  release();
  assert.equal((await first).status, 202);
  assert.equal((await rollback).status, 202);
  problem(await second, 409, 'wrong_phase');
  assert.deepEqual(
    store.commits.map(({ kind }) => kind),
    ['rollout.put', 'rollout.percentage', 'rollout.rollback'],
  );
});

test('a rollback with a stale ETag does nothing, not even for a moment', async () => {
  const { call, workers } = await startApi();
  await call('PUT', ROLLOUT, RULES);
  const before = workers.snapshots.length;
  problem(await call('POST', `${ROLLOUT}/rollback`, {}, { 'if-match': '"7"' }), 412, 'precondition_failed');
  assert.equal(workers.snapshots.length, before, 'no worker heard of it');
  assert.equal((await call('POST', `${ROLLOUT}/rollback`, {}, { 'if-match': '"1"' })).status, 202);
});

test('a rollback that the store does not have yet has no revision; then it is in the history, and can be restored from', async () => {
  const store = memoryStore();
  const { call } = await startApi(CONFIGURATION, store);
  await call('PUT', ROLLOUT, RULES);
  store.failing = true;
  const rollback = await call('POST', `${ROLLOUT}/rollback`, { reason: 'errors' });
  assert.deepEqual([rollback.body.degraded, rollback.body.revision], [true, null]);
  store.failing = false;
  const path = new URL(rollback.body.statusUrl).pathname;
  await eventually(async () => !(await call('GET', path)).body.degraded, 'the stored rollback');
  assert.equal((await call('GET', path)).body.revision, 2);
  const { history } = (await call('GET', '/v1/services/notes/history')).body;
  assert.deepEqual(
    history.map(({ revision, kind }) => [revision, kind]),
    [
      [2, 'rollout.rollback'],
      [1, 'rollout.put'],
    ],
  );
  assert.deepEqual(history[0]?.diff, [
    { op: 'replace', pointer: '/phase', from: 'running', to: 'rolledBack' },
  ]);
  const restored = await call('POST', '/v1/services/notes/history/2/restore', {});
  assert.equal(restored.status, 202);
  assert.deepEqual(
    store.commits.map(({ revision }) => revision),
    [1, 2, 3],
  );
});
