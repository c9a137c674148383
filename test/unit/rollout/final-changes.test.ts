/** The register with a recorder: it shows as final what is recorded, and the first word on each change stays. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Change } from '../../../src/rollout/change.ts';
import { createChanges, type JudgedBy, type Recorded } from '../../../src/rollout/changes.ts';
import { type FinalChange, finalOf } from '../../../src/rollout/final-change.ts';
import { localReach } from '../../../src/rollout/reach.ts';
import type { Commit, ServiceDocument } from '../../../src/store/store.ts';
import { RUNNING } from '../../support/rollback-parts.ts';

const MADE = { percentage: null, decreases: [], warnings: [] };
const NEW = { service: 'notes', kind: 'rollout.put', actor: 'test', reason: null, requestId: null } as const;

function start() {
  const judged: (readonly [string, string, JudgedBy])[] = [];
  const updates: string[] = [];
  const ended = new Map<string, Change>();
  const held = { revisions: [0, 0], now: Date.parse('2026-01-01T00:00:00Z') };
  const changes = createChanges({
    wallNow: () => held.now,
    reach: localReach(() => held.revisions),
    onUpdate: ({ id, status }) => updates.push(`${id} ${status}`),
    record(change, by) {
      judged.push([change.id, change.status, by]);
      ended.set(change.id, change);
    },
  });
  const record = (id: string): Recorded => changes.recorded(finalOf(ended.get(id)!));
  return { changes, held, judged, updates, ended, record };
}

const commit = (revision: number, changeId: string): Commit => ({
  revision,
  ...NEW,
  at: '2026-01-01T00:00:00Z',
  changeId,
  document: { definition: null, rollout: null },
});

test('a judgement is shown when it is recorded, and judged once', () => {
  const { changes, ended, held, judged, record } = start();
  changes.addPending({ id: 'c1', ...NEW });
  changes.applying('c1', { revision: 1, ...MADE });
  held.revisions = [1, 1];
  changes.refresh();
  changes.refresh();
  changes.followCommit(commit(2, 'c2'), null);
  assert.deepEqual([changes.find('c1')?.status, changes.underWay()], ['APPLYING', ['c1', 'c2']]);
  assert.deepEqual(judged, [['c1', 'APPLIED', 'own']]);
  assert.doesNotMatch(ended.get('c1')!.progress, /recorded/, 'what is recorded waits for nothing');
  assert.equal(record('c1'), 'shown');
  assert.equal(changes.find('c1')?.status, 'APPLIED');
  held.revisions = [2, 2];
  changes.refresh();
  assert.deepEqual(judged.at(-1), ['c2', 'APPLIED', 'other']);
});

test('what is recorded counts, whatever was judged here, and it never moves again', () => {
  const { changes, held, ended } = start();
  changes.addPending({ id: 'c1', ...NEW });
  changes.applying('c1', { revision: 1, ...MADE });
  held.revisions = [1, 1];
  changes.refresh();
  const final = finalOf({ ...ended.get('c1')!, status: 'ROLLED_BACK', progress: 'elsewhere' });
  assert.equal(changes.recorded(final), 'shown');
  assert.deepEqual([changes.find('c1')?.status, changes.find('c1')?.progress], ['ROLLED_BACK', 'elsewhere']);
  assert.equal(changes.recorded({ ...final, status: 'APPLIED' }), 'contradicted');
  changes.fail('c1', 'late');
  changes.setDegraded('c1', true);
  changes.applying('c1', { revision: 1, ...MADE });
  assert.equal(changes.find('c1')?.status, 'ROLLED_BACK');
});

test('an end is known before its commit is, and of a change that is known in no other way', () => {
  const { changes, held, ended } = start();
  changes.followCommit(commit(1, 'c1'), null);
  held.revisions = [1, 1];
  changes.refresh();
  const final = finalOf({ ...ended.get('c1')!, id: 'c2', revision: 2, requestId: 'x', status: 'SUPERSEDED' });
  changes.recorded(final);
  assert.equal(changes.find('c2')?.status, 'SUPERSEDED');
  assert.equal(changes.byRequestId('notes', 'x')?.id, 'c2');
  changes.followCommit(commit(2, 'c2'), null);
  assert.equal(changes.find('c2')?.status, 'SUPERSEDED');
  assert.equal(changes.latest('notes')?.id, 'c2');
  changes.recorded({ ...final, id: 'c0', createdAt: '2025-12-30T00:00:00Z' });
  assert.equal(changes.find('c0'), undefined, 'it is older than a day');
});

test('after a restart an end that is known stays, and one that is not is judged by who remembers it', () => {
  const { changes, ended, judged, updates } = start();
  changes.followCommit(commit(1, 'c1'), null);
  const one = changes.find('c1')!;
  const again = start();
  again.changes.recorded(finalOf({ ...one, status: 'SUPERSEDED' }));
  again.changes.rebuild([commit(1, 'c1'), commit(2, 'c2'), commit(3, 'c3')]);
  assert.deepEqual(
    ['c1', 'c2', 'c3'].map((id) => again.changes.find(id)?.status),
    ['SUPERSEDED', 'APPLYING', 'APPLYING'],
  );
  assert.deepEqual(again.judged, [['c2', 'APPLIED', 'remembered']]);
  again.record('c2');
  assert.equal(again.changes.find('c2')?.status, 'APPLIED');
  assert.ok(!again.updates.includes('c2 APPLIED'), 'that was long ago');
  // What is older is learned later; the youngest stays the youngest.
  again.changes.rebuild([commit(1, 'c0')]);
  assert.equal(again.changes.latest('notes')?.id, 'c3');
  assert.equal(again.changes.find('c3')?.status, 'APPLYING');
  assert.ok(ended.size === 0 && judged.length === 0 && updates.length > 0);
});

test('a write that has begun is not canceled; one that was canceled does not begin', () => {
  const { changes, judged } = start();
  changes.addPending({ id: 'c1', ...NEW });
  assert.ok(changes.startWriting('c1'));
  assert.equal(changes.cancel('c1')?.status, 'PENDING');
  changes.addPending({ id: 'c2', ...NEW });
  assert.equal(changes.cancel('c2')?.status, 'CANCELED');
  assert.ok(!changes.startWriting('c2'));
  assert.deepEqual(judged, [['c2', 'CANCELED', 'own']]);
});

test('that a rollback is applied is shown while all that are known have applied it, also where that was heard', () => {
  const { changes, ended, held, judged, record } = start();
  changes.followCommit({ ...commit(1, 'r1'), kind: 'rollout.rollback' }, null);
  const heard: FinalChange = { ...finalOf(changes.find('r1')!), status: 'APPLIED' };
  assert.equal(changes.recorded(heard), 'early');
  assert.equal(changes.find('r1')?.status, 'APPLYING', 'one of its own workers has yet to apply it');
  held.revisions = [1, 1];
  changes.refresh();
  assert.deepEqual(judged, [['r1', 'APPLIED', 'other']]);
  assert.equal(changes.find('r1')?.status, 'APPLYING', 'it is not on the disk yet');
  // A worker begins anew while the disk writes.
  held.revisions = [1, -1];
  assert.equal(record('r1'), 'early');
  assert.equal(changes.find('r1')?.status, 'APPLYING');
  held.revisions = [1, 1];
  changes.refresh();
  assert.equal(judged.length, 2, 'it is judged again');
  assert.equal(record('r1'), 'shown');
  assert.equal(changes.find('r1')?.status, 'APPLIED');
  assert.equal(ended.get('r1')?.progress, '1 of 1 replicas');
});

test('an end that is on the disk of a replica stays after its restart, whatever its workers have yet to apply', () => {
  const before = start();
  const back = { ...commit(1, 'r1'), kind: 'rollout.rollback' } as const;
  before.changes.followCommit(back, null);
  before.held.revisions = [1, 1];
  before.changes.refresh();
  const after = start();
  assert.equal(after.changes.recorded(finalOf(before.ended.get('r1')!)), 'shown');
  after.changes.rebuild([back]);
  after.changes.followRollback({
    ...NEW,
    at: '2026-01-01T00:00:00Z',
    rolloutId: 'r',
    changeId: 'r1',
  });
  after.changes.refresh();
  assert.equal(after.changes.find('r1')?.status, 'APPLIED');
});

test('a rollback that was too late is remembered so', () => {
  const { changes, judged } = start();
  const idle: ServiceDocument = { definition: null, rollout: { ...RUNNING, phase: 'idle' } };
  changes.rebuild([{ ...commit(1, 'r1'), kind: 'rollout.rollback', document: idle }, commit(2, 'c2')]);
  assert.deepEqual(judged, [['r1', 'FAILED', 'other']]);
});

test('it is known which writes are on their way to the store', () => {
  const { changes } = start();
  changes.addPending({ id: 'c1', ...NEW });
  assert.ok(!changes.isWriting('notes', 'rollout.put'));
  changes.startWriting('c1');
  assert.ok(changes.isWriting('notes', 'rollout.put'));
  assert.ok(!changes.isWriting('notes', 'rollout.finish') && !changes.isWriting('other', 'rollout.put'));
  changes.applying('c1', { revision: 1, ...MADE });
  assert.ok(!changes.isWriting('notes', 'rollout.put'));
});
