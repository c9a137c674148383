/** Commits that were followed since the state was written: they are added to it where they follow it, and nowhere else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFollowedLog, withFollowed } from '../../../src/store/file/followed-log.ts';
import type { SavedState } from '../../../src/store/file/state-file.ts';
import { documentsAfter, makeCommit } from './commits.ts';
import { memoryFiles } from './memory-files.ts';

const commits = Array.from({ length: 8 }, (_, index) => makeCommit(index + 1));

function savedAt(revision: number): SavedState {
  const recent = commits.slice(0, revision);
  return {
    savedAt: '2026-03-01T12:00:00.000Z',
    storeId: 's1',
    revision,
    changeId: recent.at(-1)?.changeId ?? '',
    documents: documentsAfter(recent),
    recent,
    rollbacks: [],
    peers: {},
  };
}

test('the state and what was followed since make the state of now', async () => {
  const files = memoryFiles();
  const log = createFollowedLog({ file: '/data/followed', files });
  assert.deepEqual(await log.read(), []);
  await log.append('s1', commits.slice(3, 5));
  await log.append('s1', commits.slice(5));
  const followed = await createFollowedLog({
    file: '/data/followed',
    files: files.afterCrash(() => 0),
  }).read();
  assert.deepEqual(withFollowed(savedAt(3), followed), savedAt(8));
  // The state was written meanwhile, and a crash kept them from being taken out.
  assert.deepEqual(withFollowed(savedAt(6), followed), savedAt(8));
  assert.deepEqual(withFollowed(savedAt(8), followed), savedAt(8));
  await log.clear();
  assert.deepEqual(await createFollowedLog({ file: '/data/followed', files }).read(), []);
});

test('a gap, and another store, are not followed', () => {
  const of = (storeId: string, revisions: readonly number[]) =>
    revisions.map((revision) => ({ storeId, commit: commits[revision - 1]! }));
  assert.equal(withFollowed(savedAt(3), of('s1', [5, 6])).revision, 3);
  assert.equal(withFollowed(savedAt(3), of('s1', [4, 6])).revision, 4);
  assert.equal(withFollowed(savedAt(3), of('s2', [4, 5])).revision, 3);
});
