import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { StoreError } from '../../../src/store/store.ts';
import { documentsAfter, LOG, makeCommit, storeOn, writtenLog } from './commits.ts';
import { fault, memoryFiles, type MemoryFiles } from './memory-files.ts';

const CORRUPT = new Set(['corrupt', 'foreign', 'newer']);

async function loadBytes(bytes: Buffer) {
  const opened = storeOn(memoryFiles(new Map([[LOG, bytes]])));
  return { ...opened, loaded: await opened.store.load() };
}

describe('a log cut at any byte', () => {
  it('opens with exactly the commits that are whole, and goes on from there', async () => {
    const { bytes, commits, ends } = await writtenLog(6, [1, 3, 2]);
    const places = [...ends].sort(([a], [b]) => a - b);
    for (let length = 0; length <= bytes.length; length++) {
      const [count] = places.findLast(([, end]) => end <= length) ?? [0];
      const { store, files, warnings, loaded } = await loadBytes(bytes.subarray(0, length));
      const whole = commits.slice(0, count);
      assert.equal(loaded.revision, count, `cut at ${length}`);
      assert.deepEqual(loaded.documents, documentsAfter(whole));
      assert.deepEqual(loaded.recent, whole);
      assert.equal(
        warnings.length,
        places.some(([, end]) => end === length) ? 0 : 1,
        `a warning where bytes were lost, at ${length}`,
      );
      if (length % 16 > 1) continue;
      await store.commit(makeCommit(count + 1));
      assert.equal((await storeOn(files).store.load()).revision, count + 1);
    }
  });

  it('is refused where the cut goes through the snapshot of a compacted log', async () => {
    const { bytes, snapshotEnd } = await compactedLog();
    for (let length = 512; length < snapshotEnd; length += 7) {
      await assert.rejects(
        loadBytes(bytes.subarray(0, length)),
        (error) => error instanceof StoreError && error.code === 'corrupt',
      );
    }
    assert.ok((await loadBytes(bytes.subarray(0, snapshotEnd))).loaded.revision > 0);
  });
});

describe('a log with damaged bytes', () => {
  it('any one byte: refused, and never a shorter or another state', async () => {
    const { bytes } = await writtenLog(4, [1, 2]);
    for (let at = 0; at < bytes.length; at++) {
      for (const flip of [1 + (at % 255), bytes[at] ?? 1]) {
        const damaged = Buffer.from(bytes);
        damaged[at]! ^= flip;
        await assert.rejects(
          loadBytes(damaged),
          (error) => error instanceof StoreError && CORRUPT.has(error.code),
          `byte ${at} flipped by ${flip}`,
        );
      }
    }
  });

  it('any one byte of a compacted log', async () => {
    const { bytes } = await compactedLog();
    for (let at = 0; at < Math.min(bytes.length, 3000); at += 3) {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= 1 + (at % 255);
      await assert.rejects(
        loadBytes(damaged),
        (error) => error instanceof StoreError && CORRUPT.has(error.code),
        `byte ${at}`,
      );
    }
  });

  it('property: any several bytes', async () => {
    const { bytes } = await writtenLog(4, [1, 2]);
    const flip = fc.record({ at: fc.nat(bytes.length - 1), by: fc.integer({ min: 1, max: 255 }) });
    const flips = fc.uniqueArray(flip, { minLength: 1, maxLength: 40, selector: (one) => one.at });
    await fc.assert(
      fc.asyncProperty(flips, async (all) => {
        const damaged = Buffer.from(bytes);
        for (const { at, by } of all) damaged[at]! ^= by;
        await assert.rejects(
          loadBytes(damaged),
          (error) => error instanceof StoreError && CORRUPT.has(error.code),
        );
      }),
      { numRuns: 500 },
    );
  });

  it('property: a part overwritten with zeros: refused, or taken for a torn tail where nothing whole comes after', async () => {
    const { bytes, ends } = await writtenLog(6);
    const places = [...ends];
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 2000 }), async (at, length) => {
        const damaged = Buffer.from(bytes);
        damaged.fill(0, at, Math.min(bytes.length, at + length));
        try {
          const { loaded } = await loadBytes(damaged);
          assert.equal(loaded.revision, places.findLast(([, end]) => end <= at)?.[0]);
          assert.ok(at + length > (ends.get(5) ?? 0));
        } catch (error) {
          if (!(error instanceof StoreError)) throw error;
          assert.ok(CORRUPT.has(error.code));
        }
      }),
      { numRuns: 300 },
    );
  });

  it('sectors of the last frame that a crash kept from being written are a torn tail', async () => {
    const { bytes, commits, ends } = await writtenLog(4);
    const large = makeCommit(5, { reason: 'x'.repeat(3000) });
    const { store, files } = await loadBytes(bytes);
    await store.commit(large);
    const whole = files.contents(LOG) ?? Buffer.alloc(0);
    const start = ends.get(4) ?? 0;
    for (const [from, to] of [
      [start, whole.length],
      [start, start + 512],
      [start + 512, start + 1024],
      [whole.length - 512, whole.length],
    ] as const) {
      const torn = Buffer.from(whole).fill(0, from, to);
      const { loaded, warnings } = await loadBytes(torn);
      assert.equal(loaded.revision, 4);
      assert.deepEqual(loaded.documents, documentsAfter(commits));
      assert.match(warnings[0] ?? '', /a crash cut off before it was accepted/);
    }
  });
});

describe('a machine that loses power', () => {
  it('property: whatever failed before and whatever of the disk survives, no accepted commit is lost', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.infiniteStream(fc.nat(1_000_000)),
        fc.integer({ min: 0, max: 120 }),
        fc.integer({ min: 0, max: 3 }),
        async (stream, crashAfter, weather) => {
          const pick = (count: number): number => (stream.next().value ?? 0) % count;
          const files = memoryFiles();
          const { store } = storeOn(files, {
            compaction: { from: 2500, keep: 4 },
            wallNow: () => Date.parse('2026-04-01T00:00:00Z'),
          });
          const crash = new AbortController();
          let accepted = 0;
          files.before = (operation) => {
            if (files.operations() > crashAfter) crash.abort();
            if (crash.signal.aborted) throw fault('EIO');
            if (weather > 0 && operation !== 'open' && operation !== 'read' && pick(12) < weather)
              throw fault(pick(2) === 0 ? 'ENOSPC' : 'EIO');
          };
          const load = async (): Promise<boolean> =>
            store.load().then(
              () => true,
              () => false,
            );
          let loaded = await load();
          while (!loaded && !crash.signal.aborted) loaded = await load();
          for (let turn = 0; turn < 500 && !crash.signal.aborted; turn++) {
            const size = 1 + pick(3);
            const batch = Array.from({ length: size }, (_, index) =>
              store.commit(makeCommit(accepted + index + 1)),
            );
            const results = await Promise.allSettled(batch);
            const good = results.filter((result) => result.status === 'fulfilled').length;
            assert.ok(good === 0 || good === size);
            accepted += good;
          }
          await reopened(files.afterCrash(pick), accepted);
        },
      ),
      { numRuns: 400 },
    );
  });
});

async function reopened(files: MemoryFiles, accepted: number): Promise<void> {
  const { store } = storeOn(files);
  const { revision, documents } = await store.load();
  assert.ok(revision >= accepted, `${accepted} were accepted, ${revision} are there`);
  const commits = Array.from({ length: revision }, (_, index) => makeCommit(index + 1));
  assert.deepEqual(documents, documentsAfter(commits));
  await store.commit(makeCommit(revision + 1));
  assert.equal((await storeOn(files).store.load()).revision, revision + 1);
}

/** A log that begins with a snapshot. */
async function compactedLog(): Promise<{ bytes: Buffer; snapshotEnd: number }> {
  const { store, files } = storeOn(memoryFiles(), {
    compaction: { from: 1, keep: 10 },
    wallNow: () => Date.parse('2026-04-01T00:00:00Z'),
  });
  await store.load();
  for (let revision = 1; revision <= 60; revision += 3) {
    await Promise.all(
      Array.from({ length: 3 }, (_, index) => store.commit(makeCommit(revision + index, { reason: null }))),
    );
  }
  await store.close();
  const bytes = files.contents(LOG) ?? Buffer.alloc(0);
  const base = Number(/^serin-store 1 ([0-9]+)/.exec(bytes.toString('latin1', 0, 60))?.[1]);
  assert.ok(base > 0, 'the log was compacted');
  const snapshotSize = 512 + 41 + Number.parseInt(bytes.toString('latin1', 512, 520), 16) + 1;
  return { bytes, snapshotEnd: snapshotSize };
}
