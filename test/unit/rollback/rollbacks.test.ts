/** Rollbacks on one replica: what comes first, what waits for the disk, what a disk that fails means, and how they get into the store. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import pino from 'pino';
import type { RolloutState } from '../../../src/policy/rollout.ts';
import type { Commit } from '../../../src/store/store.ts';
import { eventually } from '../../support/bounded.ts';
import { memoryStore } from '../../support/memory-store.ts';
import { memoryTombstones } from '../../support/memory-tombstones.ts';
import { RUNNING, START, startRollbackParts, tombstone } from '../../support/rollback-parts.ts';

const R2: RolloutState = { ...RUNNING, id: 'r2', epoch: 2 };

/** A log whose messages a test can read. */
function readableLog() {
  const messages: string[] = [];
  const log = pino({ base: null }, { write: (line: string) => void messages.push(line) });
  return { log, messages };
}

test('in force and told in the very call, before the disk or the store is asked', async () => {
  const file = memoryTombstones();
  const store = memoryStore();
  const parts = await startRollbackParts({ file, store });
  const held = Promise.withResolvers<void>();
  file.held = held.promise;
  store.commit = () => Promise.reject(new Error('asked too early'));
  const kept = parts.rollbacks.rollBack(tombstone());
  assert.deepEqual([parts.phase(), parts.told.length, file.lines.length], ['rolledBack', 1, 0]);
  assert.deepEqual(parts.rollbacks.known(), [], 'it is not on the disk');
  held.resolve();
  assert.equal(await kept, true);
  assert.deepEqual(parts.rollbacks.known(), ['r1']);
  assert.deepEqual(file.lines, [{ tombstone: tombstone() }]);
});

test('it is known only when all workers decide by it', async () => {
  const parts = await startRollbackParts();
  parts.workers.automatic = false;
  await parts.rollbacks.rollBack(tombstone());
  parts.workers.acknowledge(0);
  assert.deepEqual(parts.rollbacks.known(), []);
  parts.workers.acknowledge(1);
  assert.deepEqual(parts.rollbacks.known(), ['r1']);
});

test('an answer waits for the disk', async () => {
  const file = memoryTombstones();
  const parts = await startRollbackParts({ file, patience: 60_000 });
  const held = Promise.withResolvers<void>();
  file.held = held.promise;
  let answered = false;
  const answer = parts.rollback().then((change) => {
    answered = true;
    return change;
  });
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(answered, false);
  held.resolve();
  assert.equal((await answer).status, 'APPLIED');
});

test('where neither the disk nor the store takes it, it is in force, and the log says what that means', async () => {
  const { log, messages } = readableLog();
  const file = memoryTombstones();
  const store = memoryStore();
  const parts = await startRollbackParts({ file, store, log });
  file.failing = true;
  store.failing = true;
  const change = await parts.rollback();
  assert.deepEqual([change.status, change.degraded, change.revision], ['APPLYING', true, null]);
  assert.equal(parts.phase(), 'rolledBack');
  assert.ok(
    messages.some((line) => line.includes('lost if this process ends') && line.includes('"level":50')),
  );
  // Both come back by themselves.
  file.failing = false;
  await eventually(() => file.lines.length > 0, 'the disk');
  store.failing = false;
  await eventually(() => parts.changes.find(change.id)?.status === 'APPLIED', 'the store');
  assert.equal(store.commits.at(-1)?.changeId, change.id);
});

test('what a disk failed to take is on it with the next try, all of it', async () => {
  const file = memoryTombstones();
  const parts = await startRollbackParts({ file });
  file.failing = true;
  assert.equal(await parts.rollbacks.rollBack(tombstone()), false);
  await assert.rejects(parts.rollbacks.learn([tombstone({ changeId: 'c2-00000000' })]));
  await assert.rejects(
    parts.rollbacks.learn([tombstone({ changeId: 'c2-00000000' })]),
    'not when it is told again either',
  );
  file.failing = false;
  await parts.rollbacks.learn([tombstone({ changeId: 'c3-00000000' })]);
  const ids = file.lines.flatMap((line) => ('tombstone' in line ? [line.tombstone.changeId] : []));
  assert.deepEqual(ids, ['c1-00000000', 'c2-00000000', 'c3-00000000']);
});

test('after a restart it is in force before the store has it, and can be polled', async () => {
  const file = memoryTombstones();
  const store = memoryStore();
  const parts = await startRollbackParts({ file, store });
  store.failing = true;
  const { id } = await parts.rollback();
  const again = await startRollbackParts({ file: memoryTombstones(file.lines), store });
  assert.deepEqual(
    again.workers.snapshots.map(({ services }) => services[0]!.rollout!.phase),
    ['rolledBack'],
  );
  store.failing = false;
  again.committer.wake();
  await eventually(() => store.commits.at(-1)?.changeId === id, 'the store');
  const twice = await startRollbackParts({ file: memoryTombstones(file.lines), store });
  assert.deepEqual(twice.tombstones.owed(twice.activeState.state.documents), []);
});

test('a peer that knows an older rollout ends the one that is under way here, in the same step', async () => {
  const parts = await startRollbackParts();
  const told = tombstone({ rolloutId: 'r0' });
  const kept = parts.rollbacks.learn([told]);
  assert.equal(parts.phase(), 'rolledBack');
  assert.deepEqual(parts.told, [tombstone()], 'the others hear what was covered');
  await kept;
  assert.deepEqual([...parts.rollbacks.known()].toSorted(), ['r0', 'r1']);
  assert.equal(parts.changes.find('c1-00000000')?.degraded, true);
});

test('what began later is not covered', async () => {
  const parts = await startRollbackParts();
  await parts.rollbacks.learn([tombstone({ rolloutId: 'r0', at: '2025-12-31T23:59:59Z' })]);
  assert.equal(parts.phase(), 'running');
  await parts.committer.commitOf('notes');
  const last = parts.store.commits.at(-1);
  assert.deepEqual([last?.changeId, last?.document?.rollout?.phase], ['c1-00000000', 'running']);
  assert.equal(parts.changes.find('c1-00000000')?.revision, 2);
});

test('the log shows a rollout that began before a rollback which the log does not have: it is covered before any worker has it', async () => {
  const parts = await startRollbackParts();
  await parts.rollbacks.rollBack(tombstone());
  const put: Commit = {
    ...START,
    revision: 2,
    document: { definition: null, rollout: R2 },
    changeId: 'p2-00000000',
  };
  const documents = new Map([['notes', { revision: 2, document: put.document! }]]);
  await parts.rollbacks.follow([put], documents);
  parts.activeState.enact({ ...parts.activeState.state, revision: 2, documents });
  assert.equal(parts.phase(), 'rolledBack');
});

test('the log has the rollback before the rollout: that began knowing of it', async () => {
  const parts = await startRollbackParts();
  await parts.rollbacks.rollBack(tombstone());
  const over: RolloutState = { ...RUNNING, phase: 'rolledBack' };
  const commits: Commit[] = [
    {
      ...START,
      revision: 2,
      kind: 'rollout.rollback',
      changeId: 'c1-00000000',
      document: { definition: null, rollout: over },
    },
    { ...START, revision: 3, changeId: 'p3-00000000', document: { definition: null, rollout: R2 } },
  ];
  const documents = new Map([['notes', { revision: 3, document: commits[1]!.document! }]]);
  // However often and late it is told, and whatever its clock says.
  await parts.rollbacks.follow(commits, documents);
  parts.activeState.enact({ ...parts.activeState.state, revision: 3, documents });
  await parts.rollbacks.learn([tombstone({ rolloutId: 'r0', at: '2030-01-01T00:00:00Z' })]);
  assert.equal(parts.phase(), 'running');
});

test('a rollback that the store forgot is stored again, under its change', async () => {
  const store = memoryStore();
  const parts = await startRollbackParts({ store });
  const { id } = await parts.rollback();
  store.commits.length = 1;
  const documents = new Map([['notes', { revision: 1, document: START.document! }]]);
  await parts.rollbacks.follow([], documents);
  parts.activeState.enact({ ...parts.activeState.state, revision: 1, documents });
  assert.equal(parts.phase(), 'rolledBack', 'whatever the store says');
  parts.committer.wake();
  await eventually(() => store.commits.at(-1)?.changeId === id, 'the store');
  assert.equal(store.commits.at(-1)?.document?.rollout?.phase, 'rolledBack');
});

test('a finish that was first: the change says so on every replica that reads the log', async () => {
  const store = memoryStore();
  const parts = await startRollbackParts({ store });
  await parts.rollbacks.learn([tombstone()]);
  const idle: Commit = {
    ...START,
    revision: 2,
    kind: 'rollout.finish',
    changeId: 'f2-00000000',
    document: { definition: null, rollout: { ...RUNNING, phase: 'idle' } },
  };
  await store.commit(idle);
  const documents = new Map([['notes', { revision: 2, document: idle.document! }]]);
  await parts.rollbacks.follow([idle], documents);
  parts.activeState.enact({ ...parts.activeState.state, revision: 2, documents });
  await parts.committer.commitOf('notes');
  assert.equal(store.commits.at(-1)?.document?.rollout?.phase, 'idle');
  assert.equal(parts.changes.find('c1-00000000')?.status, 'FAILED');
});

test('a rollout that is finished, or that a finish on its way may end, is not said to be known as rolled back', async () => {
  const store = memoryStore();
  const parts = await startRollbackParts({ store });
  const { changes, rollbacks, activeState } = parts;
  const finish = { id: 'f2-00000000', service: 'notes', kind: 'rollout.finish' } as const;
  const asked = { actor: 'test', reason: null, requestId: null };
  changes.addPending({ ...finish, ...asked });
  changes.startWriting(finish.id);
  await rollbacks.learn([tombstone()]);
  assert.deepEqual(rollbacks.known(), [], 'the store may have the finish already');
  changes.removeRefused(finish.id);
  assert.deepEqual(rollbacks.known(), ['r1']);
  const document = { definition: null, rollout: { ...RUNNING, phase: 'idle' as const } };
  const documents = new Map([['notes', { revision: 2, document }]]);
  activeState.enact({ ...activeState.state, revision: 2, documents });
  assert.deepEqual(rollbacks.known(), []);
  rollbacks.setRevision(tombstone().changeId, 1);
  assert.deepEqual(rollbacks.known(), ['r1'], 'the store had the rollback before');
});
