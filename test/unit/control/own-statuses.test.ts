/** A replica that is alone with its store: how changes ended is on its disk, and the same after a restart. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFinalLog } from '../../../src/store/file/final-log.ts';
import { CONFIGURATION, ROLLOUT, RULES, startApi } from '../../support/admin-api.ts';
import { eventually } from '../../support/bounded.ts';
import { memoryStore } from '../../support/memory-store.ts';
import { fault, memoryFiles } from '../store/memory-files.ts';

const open = (files = memoryFiles()) => createFinalLog({ file: '/data/finals', files, wallNow: Date.now });

async function statusIn(call: Awaited<ReturnType<typeof startApi>>['call'], id: string): Promise<unknown> {
  return (await call('GET', `/v1/changes/${id}`)).body.status;
}

test('a restart changes no final status', async () => {
  const files = memoryFiles();
  const store = memoryStore();
  const { call, workers, plane } = await startApi(CONFIGURATION, store, open(files));
  const statusOf = async (id: string): Promise<unknown> =>
    (await call('GET', `/v1/changes/${id}`)).body.status;
  workers.automatic = false;
  const superseded = (await call('PUT', ROLLOUT, RULES)).body.id;
  const rolledBack = (await call('POST', `${ROLLOUT}/percentage`, { percentage: 20 })).body.id;
  const rollback = (await call('POST', `${ROLLOUT}/rollback`, { reason: 'errors' })).body.id;
  let canceled = '';
  const unsubscribe = plane.subscribe(({ event }) => {
    if (event.type !== 'change' || event.change.status !== 'PENDING') return;
    canceled = event.change.id;
    void plane.cancelChange(canceled);
  }, null);
  assert.equal((await call('PUT', ROLLOUT, RULES, { 'if-match': '*' })).status, 409);
  unsubscribe();
  for (const index of [0, 1]) workers.acknowledge(index);
  const present = (await call('POST', `${ROLLOUT}/rollback`, {})).body.id;
  const expected = [
    [superseded, 'SUPERSEDED'],
    [rolledBack, 'ROLLED_BACK'],
    [rollback, 'APPLIED'],
    [canceled, 'CANCELED'],
    [present, 'APPLIED'],
  ] as const;
  for (const [id, status] of expected)
    await eventually(async () => (await statusOf(id)) === status, `${id} is ${status}`);

  // As after a crash; its workers have nothing yet.
  const again = await startApi(CONFIGURATION, memoryStore(store.commits), open(files.afterCrash(() => 0)));
  again.workers.appliedRevision = () => [{ index: 0, revision: -1, sequence: -1 }];
  for (const [id, status] of expected) {
    const { body } = await again.call('GET', `/v1/changes/${id}`);
    assert.equal(body.status, status, id);
  }
});

test('a status is final when it is on the disk', async () => {
  const files = memoryFiles();
  const { call } = await startApi(CONFIGURATION, memoryStore(), open(files));
  const { id, status } = (await call('PUT', ROLLOUT, RULES)).body;
  assert.equal(status, 'APPLYING');
  await eventually(async () => (await statusIn(call, id)) === 'APPLIED', 'it is applied');
  assert.match(
    files
      .afterCrash(() => 0)
      .contents('/data/finals')
      ?.toString() ?? '',
    new RegExp(id),
  );
});

test('a disk that fails holds up no status', async () => {
  const files = memoryFiles();
  const { call } = await startApi(CONFIGURATION, memoryStore(), open(files));
  files.before = (operation) => {
    if (operation === 'write') throw fault('ENOSPC');
  };
  const { id } = (await call('PUT', ROLLOUT, RULES)).body;
  await eventually(async () => (await statusIn(call, id)) === 'APPLIED', 'it is applied');
});
