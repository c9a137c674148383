/** The set of tombstones: it only grows, says what is to be stored, and what a rollback covers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RolloutState } from '../../../src/policy/rollout.ts';
import { rollbacksIn, Tombstones } from '../../../src/rollout/tombstones.ts';
import type { Commit, StoredDocument } from '../../../src/store/store.ts';
import { RUNNING, START, tombstone } from '../../support/rollback-parts.ts';

const DAY = 24 * 3_600_000;
const NOW = Date.parse('2026-02-01T00:00:00Z');

const documents = (rollout: RolloutState | null, revision = 1): ReadonlyMap<string, StoredDocument> =>
  new Map([['notes', { revision, document: { definition: null, rollout } }]]);
const ROLLED_BACK: RolloutState = { ...RUNNING, phase: 'rolledBack' };

test('one tombstone for each change and rollout; a rollout that has one is rolled back for good', () => {
  const set = new Tombstones();
  assert.equal(set.has('r1'), false);
  assert.equal(set.add(tombstone()), true);
  assert.equal(set.add(tombstone({ reason: 'told again' })), false);
  assert.equal(set.add(tombstone({ changeId: 'c2-00000000' })), true);
  assert.equal(set.add(tombstone({ rolloutId: 'r2' })), true);
  assert.deepEqual([set.has('r1'), set.has('r2'), set.all().length], [true, true, 3]);
  assert.deepEqual(set.rolloutsOf('c1-00000000'), ['r1', 'r2']);
  assert.deepEqual(set.rolloutsOf('none'), []);
});

test('what the store does not have is owed, and what it has forgotten', () => {
  const set = new Tombstones();
  set.add(tombstone());
  set.add(tombstone({ service: 'shop', rolloutId: 's1', changeId: 'c2-00000000' }));
  const owed = (of: ReadonlyMap<string, StoredDocument>, service: string | null = null) =>
    set.owed(of, service).map(({ changeId }) => changeId);
  assert.deepEqual(owed(documents(RUNNING)), ['c1-00000000', 'c2-00000000']);
  assert.deepEqual(owed(documents(RUNNING), 'notes'), ['c1-00000000']);
  assert.equal(set.setRevision('c1-00000000', 2), true);
  assert.equal(set.setRevision('c1-00000000', 2), false);
  assert.deepEqual([set.isAheadOfStore('r1'), set.isAheadOfStore('s1')], [false, true]);
  assert.deepEqual(owed(documents(ROLLED_BACK, 2)), ['c2-00000000']);
  assert.deepEqual(owed(documents(RUNNING, 2), 'notes'), ['c1-00000000'], 'under way again');
  set.setRevision('c1-00000000', null);
  assert.deepEqual(owed(documents(ROLLED_BACK, 2), 'notes'), ['c1-00000000'], 'its commit is lost');
});

test('a rollback covers what had begun before it, unless the store has it', () => {
  const set = new Tombstones();
  const at = '2026-01-02T00:00:00Z';
  const older: RolloutState = { ...RUNNING, id: 'r2', startedAt: '2026-01-01T23:59:59Z' };
  const later: RolloutState = { ...RUNNING, id: 'r3', startedAt: '2026-01-02T00:00:01Z' };
  const over: RolloutState = { ...older, id: 'r4', phase: 'idle' };
  const one = tombstone({ at });
  set.add(one);
  assert.deepEqual(
    set.cover(one, [RUNNING, older, later, over]).map(({ rolloutId, changeId }) => [rolloutId, changeId]),
    [['r2', 'c1-00000000']],
  );
  assert.deepEqual(set.cover(one, [older]), [], 'once');
  const stored = tombstone({ rolloutId: 'r0', changeId: 'c2-00000000', at: '2026-03-01T00:00:00Z' });
  set.setRevision('c2-00000000', 5);
  set.add(stored);
  assert.deepEqual(set.cover(stored, [later]), [], 'what is under way began knowing of it');
  const unreadable = tombstone({ changeId: 'c3-00000000', at: 'yesterday' });
  set.add(unreadable);
  assert.deepEqual(set.cover(unreadable, [later]), []);
});

test('the same request under another change', () => {
  const set = new Tombstones();
  const one = tombstone({ requestId: 'x' });
  const two = tombstone({ requestId: 'x', changeId: 'c2-00000000' });
  for (const each of [one, two, tombstone({ changeId: 'c3-00000000' })]) set.add(each);
  assert.equal(
    set.twinOf(two, () => true),
    null,
    'none of them is stored',
  );
  set.setRevision('c1-00000000', 2);
  set.setRevision('c3-00000000', 3);
  assert.equal(
    set.twinOf(two, () => true),
    'c1-00000000',
  );
  assert.equal(
    set.twinOf(two, () => false),
    null,
    'it asked for something else',
  );
  assert.equal(
    set.twinOf(tombstone({ changeId: 'c4-00000000' }), () => true),
    null,
    'without a request id',
  );
});

test('only what is over, stored and old is let go', () => {
  const set = new Tombstones();
  const old = new Date(NOW - 8 * DAY).toISOString();
  set.add(tombstone({ rolloutId: 'over', changeId: 'c1-00000000', at: old }));
  set.add(tombstone({ rolloutId: 'r1', changeId: 'c2-00000000', at: old }));
  set.add(tombstone({ rolloutId: 'young', changeId: 'c3-00000000', at: new Date(NOW - DAY).toISOString() }));
  set.add(tombstone({ rolloutId: 'owed', changeId: 'c4-00000000', at: old }));
  for (const [index, id] of ['c1', 'c2', 'c3'].entries()) set.setRevision(`${id}-00000000`, index + 1);
  assert.equal(set.prune(documents(ROLLED_BACK), NOW), true);
  assert.deepEqual(
    ['over', 'r1', 'young', 'owed'].map((id) => set.has(id)),
    [false, true, true, true],
  );
  assert.equal(set.prune(documents(ROLLED_BACK), NOW), false);
});

test('however many there are, the set is bounded by what is over and stored', () => {
  const set = new Tombstones();
  for (let index = 0; index < 10_010; index++) {
    const changeId = `c${index}-00000000`;
    set.add(tombstone({ rolloutId: `r${index}`, changeId, at: new Date(NOW).toISOString() }));
    if (index > 0) set.setRevision(changeId, index);
  }
  set.prune(documents(null), NOW);
  assert.equal(set.all().length, 10_000);
  assert.deepEqual([set.has('r0'), set.has('r1'), set.has('r11')], [true, false, true]);
});

test('what a state and its commits show to be rolled back', () => {
  const commit = (more: Partial<Commit>): Commit => ({
    ...START,
    kind: 'rollout.rollback',
    document: { definition: null, rollout: ROLLED_BACK },
    ...more,
  });
  const commits = [
    START,
    commit({ revision: 2, changeId: 'c2-00000000', actor: 'somebody' }),
    // A second one of the same rollout, and one of a rollout that was over.
    commit({ revision: 3, changeId: 'c3-00000000' }),
    commit({ revision: 4, changeId: 'c4-00000000', document: { definition: null, rollout: RUNNING } }),
  ];
  const shop = { revision: 7, document: { definition: null, rollout: { ...ROLLED_BACK, id: 's1' } } };
  const found = rollbacksIn(new Map([...documents(ROLLED_BACK, 2), ['shop', shop]]), commits);
  assert.deepEqual(
    found.map(({ revision, tombstone: { service, rolloutId, actor, changeId } }) => [
      service,
      rolloutId,
      revision,
      actor,
      changeId,
    ]),
    [
      ['notes', 'r1', 2, 'somebody', 'c2-00000000'],
      ['shop', 's1', 7, 'serin', 'revived-s1-00000000'],
    ],
  );
  assert.deepEqual(rollbacksIn(documents(RUNNING), [START]), []);
});
