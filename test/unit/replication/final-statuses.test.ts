/** Records of ended changes: who is first, what is shown when, what is said again, and what waits for whom. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BLANK_CHANGE, type Change } from '../../../src/rollout/change.ts';
import { type FinalChange, finalOf, parseFinal } from '../../../src/rollout/final-change.ts';
import { createFinalStatuses } from '../../../src/replication/final-statuses.ts';
import type { PeerMessage } from '../../../src/replication/peer-message.ts';
import { StoreError } from '../../../src/store/store.ts';
import { createLog } from '../../../src/telemetry/log.ts';
import { eventually } from '../../support/bounded.ts';
import { sharedMemory } from '../../support/shared-memory.ts';

const change = (id: string, status: Change['status'], more: Partial<Change> = {}): Change => ({
  ...BLANK_CHANGE,
  id,
  service: 'notes',
  kind: 'rollout.put',
  progress: '3 of 3 replicas',
  revision: 1,
  createdAt: '2026-01-01T00:00:00Z',
  updatedAt: '2026-01-01T00:00:00Z',
  actor: 'test',
  reason: null,
  requestId: null,
  ...more,
  status,
});

function start({ known = [] as readonly FinalChange[], memory = sharedMemory(() => 0) } = {}) {
  if (memory.id === '') memory.id = 'store-1';
  const store = memory.connect();
  const shown = new Map<string, FinalChange>();
  const said: PeerMessage[] = [];
  const held = {
    here: true,
    disk: [] as string[],
    busy: Promise.resolve(),
    underWay: [] as string[],
    /** Ids of rollbacks that one of its replicas has yet to apply. */
    early: new Set<string>(),
  };
  const finals = createFinalStatuses(
    {
      store,
      changes: {
        recorded(final) {
          const before = shown.get(final.id);
          if (before === undefined && held.early.has(final.id)) return 'early';
          if (before === undefined) shown.set(final.id, final);
          return before === undefined || before.status === final.status ? 'shown' : 'contradicted';
        },
        underWay: () => held.underWay,
        ended: () => [...shown.values()].map((final) => change(final.id, final.status)),
      },
      disk: {
        read: async () => [],
        async append(records) {
          await held.busy;
          held.disk.push(...records);
        },
        close: async () => {},
      },
      send: (message) => said.push(message),
      storeId: () => memory.id,
      areAllHere: () => held.here,
      log: createLog({ level: 'silent' }),
    },
    known,
  );
  const statusOf = (id: string): string | undefined => shown.get(id)?.status;
  const recorded = (id: string): string | undefined => parseFinal(memory.finals.get(id) ?? '')?.status;
  return { finals, store, memory, held, said, shown, statusOf, recorded };
}

test('who took the write records at once, another replica with its next beat, and the first counts', async () => {
  const { finals, memory, said, statusOf, recorded } = start();
  const other = start({ memory });
  finals.record(change('c1', 'APPLIED'), 'own');
  other.finals.record(change('c1', 'SUPERSEDED'), 'other');
  await other.finals.beat();
  await finals.beat();
  await other.finals.beat();
  assert.equal(recorded('c1'), statusOf('c1'));
  assert.equal(other.statusOf('c1'), statusOf('c1'));
  assert.ok(said.some(({ type }) => type === 'final'));
});

test('what is only remembered waits for those who were there', async () => {
  const { finals, held, statusOf, recorded } = start();
  finals.record(change('c1', 'APPLIED'), 'remembered');
  await finals.beat();
  await finals.beat();
  assert.equal(recorded('c1'), undefined);
  held.here = false;
  for (let count = 0; count < 19; count++) await finals.beat();
  assert.equal(recorded('c1'), undefined, 'one is not here');
  held.here = true;
  await finals.beat();
  assert.deepEqual([recorded('c1'), statusOf('c1')], ['APPLIED', 'APPLIED']);
});

test('a change that is under way is asked for, also while it is only remembered', async () => {
  const { finals, memory, held, statusOf } = start();
  held.underWay = ['c1', 'c2'];
  finals.record(change('c2', 'APPLIED'), 'remembered');
  for (const id of held.underWay) memory.finals.set(id, JSON.stringify(finalOf(change(id, 'ROLLED_BACK'))));
  await finals.beat();
  assert.deepEqual([statusOf('c1'), statusOf('c2')], ['ROLLED_BACK', 'ROLLED_BACK']);
});

test('nothing is shown before it is on the disk', async () => {
  const { finals, held, statusOf, recorded } = start();
  const disk = Promise.withResolvers<void>();
  held.busy = disk.promise;
  finals.record(change('c1', 'APPLIED'), 'own');
  const beat = finals.beat();
  finals.heard([finalOf(change('c2', 'SUPERSEDED'))]);
  await eventually(() => recorded('c1'), 'the end of c1 is recorded');
  await new Promise(setImmediate);
  assert.deepEqual([statusOf('c1'), statusOf('c2')], [undefined, undefined]);
  disk.resolve();
  await beat;
  await eventually(() => statusOf('c2'), 'the end of c2 is shown');
  assert.deepEqual([statusOf('c1'), held.disk.length], ['APPLIED', 2]);
});

test('without the store only a rollback ends, and its end goes before all else once the store is back', async () => {
  const { finals, store, memory, statusOf, recorded, said } = start();
  store.cut = true;
  await assert.rejects(store.sync(null));
  finals.record(change('c1', 'APPLIED'), 'own');
  finals.record(change('c2', 'APPLIED', { kind: 'rollout.rollback', revision: null }), 'other');
  finals.record(change('c3', 'FAILED', { kind: 'rollout.rollback', revision: null }), 'own');
  await finals.beat();
  assert.deepEqual([statusOf('c1'), statusOf('c2'), statusOf('c3')], [undefined, 'APPLIED', undefined]);
  assert.ok(said.some((one) => one.type === 'final' && one.finals[0]?.alone === true));
  memory.finals.set('c2', JSON.stringify(finalOf(change('c2', 'FAILED'))));
  store.cut = false;
  await store.sync(null);
  await finals.beat();
  assert.deepEqual([recorded('c1'), recorded('c2'), recorded('c3')], ['APPLIED', 'APPLIED', 'FAILED']);
});

test('that a rollback is applied waits for the disk, not for the store, and is told and recorded when it is shown', async () => {
  const { finals, memory, held, said, statusOf, recorded } = start();
  const disk = Promise.withResolvers<void>();
  held.busy = disk.promise;
  const back = (id: string): Change => change(id, 'APPLIED', { kind: 'rollout.rollback' });
  held.early.add('c2');
  finals.record(back('c1'), 'other');
  finals.record(back('c2'), 'other');
  await new Promise(setImmediate);
  assert.deepEqual([statusOf('c1'), recorded('c1')], [undefined, undefined], 'a restart would forget it');
  disk.resolve();
  await eventually(() => recorded('c1'), 'the end of c1 is recorded');
  assert.deepEqual([statusOf('c1'), statusOf('c2'), recorded('c2')], ['APPLIED', undefined, undefined]);
  assert.deepEqual(
    said.map((one) => (one.type === 'final' ? one.finals.map(({ id }) => id) : [])),
    [['c1']],
  );
  // It was withdrawn, and is judged again.
  held.early.clear();
  finals.record(back('c2'), 'other');
  await finals.beat();
  assert.deepEqual([statusOf('c2'), recorded('c2'), memory.finals.size], ['APPLIED', 'APPLIED', 2]);
});

test('what a failover or an emptied store forgets is said again', async () => {
  const { finals, memory, recorded } = start();
  finals.record(change('c1', 'SUPERSEDED'), 'own');
  await finals.beat();
  memory.finals.clear();
  await finals.beat();
  assert.equal(recorded('c1'), 'SUPERSEDED', 'it was a moment ago');
  for (let count = 0; count < 8; count++) await finals.beat();
  memory.finals.clear();
  await finals.beat();
  assert.equal(recorded('c1'), undefined, 'it is not said for ever');
  await finals.putBack('');
  assert.equal(recorded('c1'), 'SUPERSEDED');
});

test('in an emptied store nobody judges before those who know have put it back', async () => {
  const one = start();
  const two = start({ memory: one.memory });
  one.finals.record(change('c1', 'SUPERSEDED'), 'own');
  await one.finals.beat();
  one.memory.flush();
  two.finals.record(change('c1', 'APPLIED'), 'own');
  await two.finals.beat();
  await two.store.restore('store-1', { revision: 0, documents: new Map(), recent: [] });
  await two.finals.beat();
  const { restored } = await two.store.sync(null);
  await two.finals.putBack(restored);
  await two.finals.beat();
  assert.equal(two.statusOf('c1'), undefined);
  await one.finals.putBack(restored);
  for (let count = 0; count < 3; count++) await two.finals.beat();
  assert.deepEqual([one.recorded('c1'), two.statusOf('c1')], ['SUPERSEDED', 'SUPERSEDED']);
  two.finals.record(change('c2', 'APPLIED'), 'own');
  await two.finals.beat();
  assert.equal(two.statusOf('c2'), 'APPLIED');
});

test('an end that is not known here is looked up; a store that cannot be asked says so', async () => {
  const { finals, store, memory, statusOf } = start();
  memory.finals.set('c1', JSON.stringify(finalOf(change('c1', 'FAILED'))));
  await finals.lookUp('c1');
  await finals.lookUp('c2');
  assert.deepEqual([statusOf('c1'), statusOf('c2')], ['FAILED', undefined]);
  store.cut = true;
  await assert.rejects(finals.lookUp('c3'), (error) => error instanceof StoreError);
});
