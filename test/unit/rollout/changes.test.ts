/** Changes: forward only, one for a request id, kept for a day, and the same after a restart. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RolloutState } from '../../../src/policy/rollout.ts';
import { type Change, isFinal } from '../../../src/rollout/change.ts';
import { changeId } from '../../../src/rollout/change-id.ts';
import { createChanges } from '../../../src/rollout/changes.ts';
import { parsePresentId, presentChange } from '../../../src/rollout/present-change.ts';
import { localReach } from '../../../src/rollout/reach.ts';
import type { Commit } from '../../../src/store/store.ts';

const HOUR = 3_600_000;
const MADE = { percentage: null, decreases: [], warnings: [] };

function start(workers = 2) {
  const updates: { readonly change: Change; readonly before: string | null }[] = [];
  const held = {
    now: Date.parse('2026-01-01T00:00:00Z'),
    revisions: Array.from({ length: workers }, () => 0),
  };
  const changes = createChanges({
    wallNow: () => held.now,
    reach: localReach(() => held.revisions),
    onUpdate: (change, before) => updates.push({ change, before }),
  });
  let count = 0;
  const begin = (fields: Partial<Parameters<typeof changes.addPending>[0]> = {}): string => {
    count += 1;
    const id = changeId(`c${count}`, 'abcdef0123');
    const common = {
      service: 'notes',
      kind: 'rollout.put',
      actor: 'test',
      reason: null,
      requestId: null,
    } as const;
    changes.addPending({ id, ...common, ...fields });
    return id;
  };
  return { changes, begin, held, updates };
}

test('a change goes from pending to applied as the workers acknowledge it', () => {
  const { changes, begin, held, updates } = start();
  const id = begin();
  assert.equal(changes.find(id)?.status, 'PENDING');
  changes.applying(id, { revision: 1, ...MADE });
  assert.equal(changes.find(id)?.progress, '0 of 1 replicas (0 of 2 workers)');
  held.revisions = [1, 0];
  changes.refresh();
  assert.equal(changes.find(id)?.progress, '0 of 1 replicas (1 of 2 workers)');
  held.revisions = [1, 2];
  changes.refresh();
  assert.deepEqual([changes.find(id)?.status, changes.find(id)?.progress], ['APPLIED', '1 of 1 replicas']);
  // A worker that is replaced decides by nothing for a moment: what was applied stays so.
  held.revisions = [-1, 2];
  changes.refresh();
  assert.equal(changes.find(id)?.status, 'APPLIED');
  assert.deepEqual(
    updates.map(({ change, before }) => [before, change.status]),
    [
      [null, 'PENDING'],
      ['PENDING', 'APPLYING'],
      ['APPLYING', 'APPLYING'],
      ['APPLYING', 'APPLIED'],
    ],
  );
});

test('no workers at all is not all workers', () => {
  const { changes, begin } = start(0);
  const id = begin();
  assert.equal(changes.applying(id, { revision: 1, ...MADE }).status, 'APPLYING');
});

test('a later write to the same service supersedes, a rollback rolls back, other services do not care', () => {
  const { changes, begin } = start();
  const [first, other, second, rollback] = [
    begin(),
    begin({ service: 'shop' }),
    begin(),
    begin({ kind: 'rollout.rollback' }),
  ];
  for (const [index, id] of [first, other, second, rollback].entries()) {
    changes.applying(id, { revision: index + 1, ...MADE });
  }
  const statuses = [first, other, second, rollback].map((id) => changes.find(id)?.status);
  assert.deepEqual(statuses, ['SUPERSEDED', 'APPLYING', 'ROLLED_BACK', 'APPLYING']);
  assert.equal(changes.latest('notes')?.id, rollback);
});

test('a cancel is heard while the change is pending, and harmless afterwards', () => {
  const { changes, begin, held } = start();
  const pending = begin();
  assert.equal(changes.cancel(pending)?.status, 'CANCELED');
  assert.equal(changes.cancel(pending)?.status, 'CANCELED');
  const applying = begin();
  changes.applying(applying, { revision: 1, ...MADE });
  assert.equal(changes.cancel(applying)?.status, 'APPLYING');
  held.revisions = [1, 1];
  changes.refresh();
  assert.equal(changes.cancel(applying)?.status, 'APPLIED');
  assert.equal(changes.cancel('nobody-00000000'), undefined);
});

test('a final status never moves again', () => {
  const { changes, begin, updates } = start();
  const canceled = begin();
  changes.cancel(canceled);
  changes.fail(canceled, 'too late');
  assert.equal(changes.find(canceled)?.status, 'CANCELED');
  const final = updates.filter(({ before }) => before !== null && isFinal(before as Change['status']));
  assert.deepEqual(final, []);
});

test('changes are kept for 24 hours, and those under way for as long as they take', () => {
  const { changes, begin, held } = start();
  const done = begin({ requestId: 'one' });
  changes.applying(done, { revision: 1, ...MADE });
  held.revisions = [1, 1];
  changes.refresh();
  held.now += 23 * HOUR;
  const waits = begin();
  changes.applying(waits, { revision: 2, ...MADE });
  assert.ok(changes.find(done));
  held.now += 2 * HOUR;
  begin();
  assert.equal(changes.find(done), undefined);
  assert.equal(changes.byRequestId('notes', 'one'), undefined);
  held.now += 48 * HOUR;
  begin();
  assert.equal(changes.find(waits)?.status, 'APPLYING');
});

test('a refused write leaves nothing behind; one that had nothing to do leaves its request id', () => {
  const { changes, begin, updates } = start();
  const refused = begin({ requestId: 'a' });
  changes.removeRefused(refused);
  assert.equal(changes.find(refused), undefined);
  assert.equal(changes.byRequestId('notes', 'a'), undefined);
  assert.equal(updates.at(-1)?.change.status, 'CANCELED', 'who follows hears of its end');
  const idle = begin({ requestId: 'b' });
  const present = presentChange(
    { service: 'notes', kind: 'rollout.promote', revision: 4 },
    localReach(() => [4, 4]),
  );
  changes.replaceBy(idle, present);
  assert.deepEqual(changes.byRequestId('notes', 'b'), { id: present.id, digest: 'abcdef01' });
  assert.equal(changes.byRequestId('shop', 'b'), undefined, 'another service has ids of its own');
  assert.deepEqual(parsePresentId(present.id), { service: 'notes', kind: 'rollout.promote', revision: 4 });
  assert.equal(parsePresentId('c1-abcdef01'), null);
});

function rollout(percentage: number): RolloutState {
  return {
    id: 'r1',
    epoch: 1,
    seed: '00',
    bucketAlgorithm: 'xxh64-1',
    fingerprintKey: 'k1',
    phase: 'running',
    document: { rules: [{ name: 'everyone', percentage }] },
    step: -1,
    startedAt: '2026-01-01T00:00:00Z',
  };
}

test('after a restart changes are what they were', () => {
  const { changes, held } = start();
  const commit = (revision: number, kind: Commit['kind'], percentage: number): Commit => ({
    revision,
    service: 'notes',
    kind,
    at: new Date(held.now).toISOString(),
    actor: 'spinnaker',
    reason: 'ramp',
    requestId: `request-${revision}`,
    changeId: changeId(`c${revision}`, `${revision}0000000`),
    document: { definition: null, rollout: rollout(percentage) },
  });
  changes.rebuild([
    commit(1, 'rollout.put', 10),
    commit(2, 'rollout.percentage', 50),
    commit(3, 'rollout.percentage', 20),
  ]);
  const [first, second, third] = [1, 2, 3].map((revision) => {
    const known = changes.byRequestId('notes', `request-${revision}`);
    return changes.find(known?.id ?? '');
  });
  assert.equal(first?.status, 'APPLIED');
  assert.deepEqual(second?.percentage, { rule: 'everyone', from: 10, to: 50 });
  assert.deepEqual([third?.status, third?.decreaseCount, third?.actor], ['APPLYING', 1, 'spinnaker']);
  assert.equal(changes.latest('notes')?.revision, 3);
  held.revisions = [3, 3];
  changes.refresh();
  assert.equal(changes.find(third?.id ?? '')?.status, 'APPLIED');
});

test('a rollback of what was over overtakes nothing that is under way; one that ends it does', () => {
  const { changes, begin } = start();
  const under = begin();
  changes.applying(under, { revision: 1, rollout: rollout(10), ...MADE });
  const back = (revision: number, phase: RolloutState['phase']): Commit => ({
    revision,
    service: 'notes',
    kind: 'rollout.rollback',
    at: '2026-01-01T00:00:00Z',
    actor: 'test',
    reason: null,
    requestId: null,
    changeId: changeId(`b${revision}`, '00000000'),
    document: { definition: null, rollout: { ...rollout(10), phase } },
  });
  changes.followCommit(back(2, 'running'), rollout(10));
  assert.equal(changes.find(under)?.status, 'APPLYING');
  changes.followCommit(back(3, 'rolledBack'), rollout(10));
  assert.equal(changes.find(under)?.status, 'ROLLED_BACK');
  // A second one leaves the first as it is.
  changes.followCommit(back(4, 'rolledBack'), rollout(10));
  assert.equal(changes.find(changeId('b3', '00000000'))?.status, 'APPLYING');
  changes.followCommit(back(5, 'idle'), rollout(10));
  assert.equal(changes.find(changeId('b5', '00000000'))?.status, 'FAILED');
});
