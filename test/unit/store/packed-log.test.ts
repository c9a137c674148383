/** The log of commits that are packed: what is read again, after crashes, compaction and damage, and by which version. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { importLog } from '../../../src/store/file/log-import.ts';
import { type Commit, StoreError } from '../../../src/store/store.ts';
import { DIRECTORY, documentsAfter, LOG, makeCommit, NOW, storeOn } from './commits.ts';
import { fresh, largeCommits } from './large-commits.ts';
import { fault, type MemoryFiles, memoryFiles } from './memory-files.ts';

const COMMITS = largeCommits(60);
const DATA = path.resolve(import.meta.dirname, '../../data/store');

async function written(commits: readonly Commit[], files: MemoryFiles = memoryFiles()) {
  const { store } = storeOn(files);
  await store.load();
  for (const commit of commits) await store.commit(commit);
  await store.close();
  return Buffer.from(files.contents(LOG) ?? '');
}

const versionOf = (bytes: Buffer | undefined): string | undefined =>
  /^serin-store ([0-9]+) /.exec(bytes?.toString('latin1', 0, 40) ?? '')?.[1];

async function check(files: MemoryFiles, commits: readonly Commit[], from = 1): Promise<void> {
  const { store } = storeOn(files);
  const loaded = await store.load();
  assert.equal(loaded.revision, commits.length);
  assert.deepEqual(loaded.documents, documentsAfter(commits));
  assert.deepEqual(loaded.recent, commits.slice(from - 1));
  for (const service of ['notes', 'shop', 'mail']) {
    const mine = commits.filter((one) => one.service === service && one.revision >= from).toReversed();
    assert.deepEqual(await store.history(service, Infinity, 1000), mine);
    assert.deepEqual(
      await store.history(service, 31, 3),
      mine.filter(({ revision }) => revision < 31).slice(0, 3),
    );
  }
  await store.close();
}

describe('a log of large policies', () => {
  it('holds what changed, and gives back every commit to the byte', async () => {
    for (const commits of [COMMITS, fresh(COMMITS)]) {
      const files = memoryFiles();
      const bytes = await written(commits, files);
      assert.ok(bytes.length < JSON.stringify(commits).length / 2, `${bytes.length} bytes`);
      await check(files, commits);
      const { store } = storeOn(files);
      const { recent } = await store.load();
      assert.equal(JSON.stringify(recent), JSON.stringify(commits));
    }
  });

  it('stays in the former format while nothing is packed, and says so once something is', async () => {
    const files = memoryFiles();
    assert.equal(versionOf(await written([makeCommit(1), makeCommit(2)], files)), '1');
    const large = largeCommits(9).map((commit) => ({ ...commit, revision: commit.revision + 2 }));
    const { store } = storeOn(files);
    await store.load();
    for (const commit of large) await store.commit(commit);
    assert.equal(versionOf(files.contents(LOG)), '2');
    await store.close();
    await check(files, [makeCommit(1), makeCommit(2), ...large]);
  });

  it('that the version before wrote is read, written on, and compacted', async () => {
    const bytes = readFileSync(path.join(DATA, 'commits-1.log'));
    assert.equal(versionOf(bytes), '1');
    const files = memoryFiles(new Map([[LOG, bytes]]));
    const first = storeOn(files);
    const { revision, documents, recent } = await first.store.load();
    assert.equal(revision, 12);
    assert.deepEqual(revision, recent.at(-1)?.revision);
    const shop = documents.get('shop')!.document;
    const { rules } = shop.rollout!.document;
    assert.equal(rules[0]?.match?.cidr?.length, 1500);
    await first.store.close();
    const { store } = storeOn(files, { compaction: { from: 1, keep: 2 }, wallNow: () => NOW + 1e9 });
    await store.load();
    const all: Commit[] = [];
    for (let next = 13; next <= 20; next++) {
      const rollout = {
        ...shop.rollout!,
        document: { rules: [{ ...rules[0], name: 'branches', percentage: next }] },
      };
      const commit = makeCommit(next, {
        service: 'shop',
        kind: 'rollout.put',
        document: { ...shop, rollout },
      });
      all.push(commit);
      await store.commit(commit);
    }
    assert.equal(versionOf(files.contents(LOG)), '2');
    assert.deepEqual(await store.history('shop', Infinity, 2), all.slice(-2).toReversed());
    await store.close();
    const again = storeOn(files);
    const loaded = await again.store.load();
    assert.deepEqual(loaded.documents.get('shop'), { revision: 20, document: all.at(-1)!.document });
    assert.deepEqual(loaded.documents.get('mail'), documents.get('mail'));
  });

  it('keeps the bases of what it keeps when it is compacted', async () => {
    for (const keep of [1, 2, 5, 13, 30]) {
      const files = memoryFiles();
      const { store, warnings } = storeOn(files, {
        compaction: { from: 1, keep },
        wallNow: () => NOW + 48 * 3_600_000,
      });
      await store.load();
      for (const commit of COMMITS) await store.commit(commit);
      assert.deepEqual(warnings, []);
      await store.close();
      const { store: next } = storeOn(files);
      const { recent } = await next.load();
      await next.close();
      const from = recent[0]!.revision;
      assert.ok(from > 1, `keeping ${keep}`);
      await check(files, COMMITS, from);
    }
  });

  it('takes no more than the history may, and a quarter', async () => {
    const historyBytes = 100_000;
    const files = memoryFiles();
    const { store } = storeOn(files, { historyBytes });
    await store.load();
    let most = 0;
    const commits = largeCommits(300);
    for (const commit of commits) {
      await store.commit(commit);
      most = Math.max(most, files.contents(LOG)?.length ?? 0);
    }
    // The documents of before: three, each with the base that others need, of 30 kB at most.
    assert.ok(most < historyBytes * 1.25 + 6 * 30_000 + 40_000, `${most} bytes`);
    await store.close();
    const { recent } = await storeOn(files).store.load();
    await check(files, commits, recent[0]!.revision);
    assert.ok(recent.length >= 10, 'as much as fits');
  });

  it('is whole after a crash at any moment, also while it changes its format', async () => {
    const crashes: Promise<void>[] = [];
    const files = memoryFiles();
    const { store } = storeOn(files, {
      compaction: { from: 1, keep: 3 },
      wallNow: () => NOW + 48 * 3_600_000,
    });
    await store.load();
    let accepted = 0;
    let seed = 7;
    const pick = (count: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return (seed >> 8) % count;
    };
    files.before = () => {
      const survivor = storeOn(files.afterCrash(pick));
      const least = accepted;
      crashes.push(
        survivor.store.load().then(({ revision, documents }) => {
          assert.ok(revision >= least && revision <= COMMITS.length);
          assert.deepEqual(documents, documentsAfter(COMMITS.slice(0, revision)));
        }),
      );
    };
    for (const commit of COMMITS) {
      await store.commit(commit);
      accepted = commit.revision;
    }
    await Promise.all(crashes);
    assert.ok(crashes.length > 100);
  });

  it('never packs against what a failed write lost', async () => {
    const files = memoryFiles();
    const { store } = storeOn(files);
    await store.load();
    let seed = 11;
    files.before = (operation) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      if (['write', 'sync', 'rename'].includes(operation) && (seed >> 16) % 4 === 0) throw fault('EIO');
    };
    for (const commit of COMMITS) {
      for (;;) {
        try {
          await store.commit(commit);
          break;
        } catch (error) {
          assert.ok(error instanceof StoreError && error.code === 'unavailable', String(error));
        }
      }
    }
    files.before = () => {};
    await store.close();
    await check(files, COMMITS);
  });

  it('is refused where anything of it is changed', async () => {
    const bytes = await written(COMMITS.slice(0, 20));
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const wrong = Buffer.from(bytes);
        wrong[at]! ^= flip;
        const { store } = storeOn(memoryFiles(new Map([[LOG, wrong]])));
        await assert.rejects(store.load(), (error) => error instanceof StoreError);
      }),
      { numRuns: 300 },
    );
  });

  it('is refused where a commit changes what is not there, though every sum is right', async () => {
    const files = memoryFiles();
    await written(COMMITS.slice(0, 8), files);
    const bytes = files.contents(LOG)!;
    const { encodeFrame, encodeHeader } = await import('../../../src/store/file/log-format.ts');
    const { document: _document, ...head } = makeCommit(9, { service: 'shop' });
    for (const wrong of [
      { ...head, base: 1, changes: [] },
      { ...head, base: 8, changes: [['set', ['x', 'y'], 1]] },
      { ...head, base: 8, changes: [['set', [], 1]] },
      { ...head, base: 9, changes: [] },
      { ...head, base: 0, changes: [] },
      { ...head, service: 'nobody', base: 8, changes: [] },
      { ...head, base: '8', changes: [] },
      { ...head, base: 8, changes: {} },
    ]) {
      const log = Buffer.concat([bytes, encodeFrame(JSON.stringify({ commits: [wrong] }))]);
      const { store } = storeOn(memoryFiles(new Map([[LOG, log]])));
      await assert.rejects(store.load(), (error) => error instanceof StoreError && error.code === 'corrupt');
    }
    assert.ok(encodeHeader(0, 2).toString().startsWith('serin-store 2 '));
  });

  it('that is made from another store is packed as well', async () => {
    for (const first of [1, 2, 30, 61]) {
      const files = memoryFiles();
      const history = COMMITS.slice(first - 1);
      await importLog(files, DIRECTORY, {
        id: '',
        revision: 60,
        documents: documentsAfter(COMMITS),
        history,
      });
      const size = files.contents(LOG)!.length;
      assert.ok(size < JSON.stringify(history).length / 2 + 150_000, `${size}`);
      const { store } = storeOn(files);
      const loaded = await store.load();
      assert.deepEqual(loaded.documents, documentsAfter(COMMITS));
      assert.deepEqual(loaded.recent, history);
      await store.commit(makeCommit(61));
    }
  });
});
