import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import type { Commit, Store } from '../../../src/store/store.ts';
import { documentsAfter, LOG, makeCommit, NOW, revisions, storeOn } from './commits.ts';
import { fault, memoryFiles } from './memory-files.ts';

const DAY = 86_400_000;

/** Commits `count` times, in batches, each with the age in milliseconds that `age` gives its revision. */
async function fill(
  store: Store,
  count: number,
  age: (revision: number) => number,
  batch = 1,
): Promise<Commit[]> {
  const commits = Array.from({ length: count }, (_, index) =>
    makeCommit(index + 1, { at: new Date(NOW - age(index + 1)).toISOString() }),
  );
  for (let start = 0; start < count; start += batch) {
    await Promise.all(commits.slice(start, start + batch).map((commit) => store.commit(commit)));
  }
  return commits;
}

describe('compaction', () => {
  it('keeps the documents and at least the last commits that it must keep', async () => {
    const { store, files, warnings } = storeOn(memoryFiles(), { compaction: { from: 10_000, keep: 20 } });
    await store.load();
    const commits = await fill(store, 200, () => 2 * DAY);
    const size = files.contents(LOG)?.length ?? 0;
    assert.ok(size < 60_000, `${size} bytes are left of about 200,000`);
    const again = storeOn(files);
    const loaded = await again.store.load();
    assert.equal(loaded.revision, 200);
    assert.deepEqual(loaded.documents, documentsAfter(commits));
    const kept = await again.store.history('notes', Infinity, 1000);
    assert.ok(kept.length >= 6 && kept.length < 40);
    assert.deepEqual(
      kept,
      commits
        .filter((commit) => commit.service === 'notes')
        .toReversed()
        .slice(0, kept.length),
    );
    assert.deepEqual(
      await store.history('notes', Infinity, 1000),
      kept,
      'the store that compacted knows the same',
    );
    assert.deepEqual(warnings, []);
    await store.commit(makeCommit(201));
    assert.equal((await storeOn(files).store.load()).revision, 201);
  });

  it('keeps what is younger than 24 hours, however much it is', async () => {
    const { store, files } = storeOn(memoryFiles(), { compaction: { from: 10_000, keep: 1 } });
    await store.load();
    await fill(store, 150, (revision) => (revision <= 100 ? DAY + 1000 : DAY - 1000));
    const { recent } = await storeOn(files).store.load();
    assert.deepEqual(
      revisions(recent),
      Array.from({ length: 50 }, (_, index) => 101 + index),
    );
    assert.ok((files.contents(LOG)?.length ?? 0) < 100_000, 'the older ones are gone');
  });

  it('goes by the first young commit where the clock went back', async () => {
    const { store, files } = storeOn(memoryFiles(), { compaction: { from: 10_000, keep: 1 } });
    await store.load();
    await fill(store, 100, (revision) => (revision === 5 ? 1000 : 2 * DAY));
    assert.deepEqual(
      revisions(await storeOn(files).store.load()),
      Array.from({ length: 96 }, (_, index) => 5 + index),
    );
  });

  it('keeps 1000 commits unless told otherwise', async () => {
    const { store, files } = storeOn();
    await store.load();
    await fill(store, 3000, () => 2 * DAY, 10);
    const large = 'x'.repeat(4096);
    for (let revision = 3001; revision <= 4100; revision += 10) {
      const batch = Array.from({ length: 10 }, (_, index) =>
        makeCommit(revision + index, { reason: large, at: new Date(NOW - 2 * DAY).toISOString() }),
      );
      await Promise.all(batch.map((commit) => store.commit(commit)));
    }
    const again = storeOn(files);
    await again.store.load();
    const all = await Promise.all(
      ['notes', 'shop', 'mail'].map((service) => again.store.history(service, Infinity, 10_000)),
    );
    const count = all.flat().length;
    assert.ok(count >= 1000 && count < 4000, `${count} commits are kept`);
  });

  it('that fails is told of and harms nothing', async () => {
    for (const operation of ['create', 'rename'] as const) {
      const { store, files, warnings } = storeOn(memoryFiles(), { compaction: { from: 5000, keep: 2 } });
      await store.load();
      files.before = (one) => {
        if (one === operation) throw fault('ENOSPC');
      };
      const commits = await fill(store, 40, () => 2 * DAY);
      assert.match(warnings[0] ?? '', /could not be compacted; it goes on as it is: ENOSPC/);
      assert.ok(warnings.length < 15, 'it is not tried at every commit');
      assert.deepEqual((await storeOn(files).store.load()).documents, documentsAfter(commits));
      files.before = () => {};
      for (let revision = 41; revision <= 80; revision++) {
        await store.commit(makeCommit(revision, { at: new Date(NOW - 2 * DAY).toISOString() }));
      }
      assert.ok((files.contents(LOG)?.length ?? 0) < 40_000, 'it is made up for');
      assert.equal((await storeOn(files).store.load()).revision, 80);
    }
  });

  it('property: whatever is committed in whatever batches, the store after is the store before', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 0, max: 2 }),
        async (batches, keep, days) => {
          const { store, files } = storeOn(memoryFiles(), { compaction: { from: 2000, keep } });
          await store.load();
          const commits: Commit[] = [];
          for (const size of batches) {
            const batch = Array.from({ length: size }, (_, index) =>
              makeCommit(commits.length + index + 1, { at: new Date(NOW - days * DAY - 1).toISOString() }),
            );
            await Promise.all(batch.map((commit) => store.commit(commit)));
            commits.push(...batch);
          }
          const again = storeOn(files);
          const loaded = await again.store.load();
          assert.equal(loaded.revision, commits.length);
          assert.deepEqual(loaded.documents, documentsAfter(commits));
          const shown = await again.store.history('shop', Infinity, Infinity);
          const expected = commits.filter((commit) => commit.service === 'shop').toReversed();
          assert.deepEqual(shown, expected.slice(0, shown.length));
          const least = expected.filter(
            (commit) => commit.revision > commits.length - (days === 0 ? commits.length : keep),
          );
          assert.ok(shown.length >= least.length);
        },
      ),
      { numRuns: 100 },
    );
  });
});
