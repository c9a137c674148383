/** The parts of the register of changes: request ids, what a commit remembers, what a record of an end says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BLANK_CHANGE, type Change } from '../../../src/rollout/change.ts';
import { changeId, digestOf, newChangeId } from '../../../src/rollout/change-id.ts';
import { changeOfFinal, finalOf, parseFinal } from '../../../src/rollout/final-change.ts';
import { createPresentChanges, parsePresentId, presentId } from '../../../src/rollout/present-change.ts';
import { localReach } from '../../../src/rollout/reach.ts';
import { percentageMove, rememberedChange, withLists } from '../../../src/rollout/remembered-change.ts';
import { createRequestIds } from '../../../src/rollout/request-ids.ts';
import type { RolloutState } from '../../../src/policy/rollout.ts';

const rollout = (percentage: number, id = 'r1'): RolloutState => ({
  id,
  epoch: 1,
  seed: '00',
  bucketAlgorithm: 'xxh64-1',
  fingerprintKey: 'k1',
  phase: 'running',
  document: { rules: [{ name: 'everyone', percentage }] },
  step: -1,
  startedAt: '2026-01-01T00:00:00Z',
});

test('the id of a change ends with the digest of what is asked for', () => {
  const id = newChangeId((size) => new Uint8Array(size).fill(7), 'abcdef0123456789');
  assert.equal(id, `${'07'.repeat(10)}-abcdef01`);
  assert.equal(digestOf(id), 'abcdef01');
  assert.equal(digestOf(newChangeId((size) => new Uint8Array(size))), '00000000');
  assert.equal(changeId('x', '123456789'), 'x-12345678');
});

test('a request id belongs to one service, and the oldest go first', () => {
  const ids = createRequestIds(2);
  ids.remember('notes', 'a', { id: '1', digest: 'd' });
  ids.remember('notes', null, { id: '9', digest: 'd' });
  ids.remember('shop', 'a', { id: '2', digest: 'd' });
  assert.equal(ids.find('notes', 'a')?.id, '1');
  assert.equal(ids.find('shop', 'a')?.id, '2');
  ids.remember('notes', 'a', { id: '3', digest: 'd' });
  ids.remember('notes', 'b', { id: '4', digest: 'd' });
  assert.equal(ids.find('shop', 'a'), undefined, 'it was the oldest by then');
  ids.forget('notes', 'a', '1');
  assert.equal(ids.find('notes', 'a')?.id, '3', 'it means another change by now');
  ids.forget('notes', 'a', '3');
  assert.equal(ids.find('notes', 'a'), undefined);
});

test('which percentage was moved is told of what moves one, and of nothing else', () => {
  assert.deepEqual(percentageMove('rollout.step', rollout(1), rollout(5)), {
    rule: 'everyone',
    from: 1,
    to: 5,
  });
  assert.equal(percentageMove('rollout.put', rollout(1), rollout(5)), null);
  assert.equal(percentageMove('rollout.percentage', null, rollout(5)), null);
  assert.equal(percentageMove('rollout.percentage', rollout(5), rollout(5)), null);
});

test('a commit remembers what its change took from users', () => {
  const commit = {
    revision: 3,
    service: 'notes',
    kind: 'rollout.percentage',
    at: '2026-01-01T00:00:00Z',
    actor: 'test',
    reason: 'too fast',
    requestId: 'x',
    changeId: 'c3-00000000',
    document: { definition: null, rollout: rollout(5) },
  } as const;
  const change = rememberedChange(commit, rollout(20));
  assert.deepEqual([change.status, change.revision, change.decreaseCount], ['APPLYING', 3, 1]);
  assert.equal(rememberedChange(commit, rollout(20, 'r0')).decreaseCount, 0, 'another rollout');
  const known = changeOfFinal(finalOf({ ...change, status: 'APPLIED' }));
  assert.equal(known.decreases.length, 0);
  assert.deepEqual(withLists(known, change).decreases, change.decreases);
  assert.equal(withLists(known, change).status, 'APPLIED');
});

const CHANGE: Change = {
  ...BLANK_CHANGE,
  id: 'c1-00000000',
  service: 'notes',
  kind: 'rollout.percentage',
  status: 'SUPERSEDED',
  progress: 'a later write came first',
  revision: 4,
  createdAt: '2026-01-01T00:00:00Z',
  updatedAt: '2026-01-01T00:00:01Z',
  actor: 'test',
  reason: null,
  requestId: 'x',
  percentage: { rule: 'everyone', from: 1, to: 5 },
};

test('a record of an end is the change again, and what is none is not read', () => {
  const text = JSON.stringify(finalOf(CHANGE));
  assert.deepEqual(changeOfFinal(parseFinal(text)!), CHANGE);
  assert.equal(parseFinal(JSON.stringify(finalOf(CHANGE, true)))?.alone, true);
  assert.equal(finalOf({ ...CHANGE, progress: 'x'.repeat(5000) }).progress.length, 1000);
  for (const wrong of [
    'x',
    '[]',
    'null',
    text.replace('SUPERSEDED', 'APPLYING'),
    text.replace('SUPERSEDED', 'DONE'),
    text.replace('"revision":4', '"revision":"4"'),
    text.replace('"from":1', '"from":null'),
    text.replace('"reason":null', '"reason":7'),
    text.replace('{"id"', '{"alone":false,"id"'),
  ])
    assert.equal(parseFinal(wrong), null, wrong);
});

test('a change that found nothing to do stays ended', () => {
  let revisions = [3, 3];
  const ended: string[] = [];
  const changes = createPresentChanges(
    localReach(() => revisions),
    ({ id }) => ended.push(id),
  );
  const present = { service: 'notes', kind: 'rollout.put', revision: 4 } as const;
  assert.equal(changes.find(present).status, 'APPLYING');
  revisions = [4, 4];
  assert.equal(changes.find(present).status, 'APPLIED');
  revisions = [-1, 4];
  assert.equal(changes.find(present).status, 'APPLIED');
  assert.deepEqual(ended, [presentId(present)]);
  assert.deepEqual(parsePresentId(presentId(present)), present);
});
