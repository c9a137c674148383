import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeFrame, encodeHeader } from '../../../src/store/file/log-format.ts';
import { StoreError } from '../../../src/store/store.ts';
import { documentsAfter, LOG, makeCommit, NOW, revisions, storeOn, writtenLog } from './commits.ts';
import { fault, memoryFiles, type Operation } from './memory-files.ts';

const isCode = (code: string, text: RegExp) => (error: unknown) => {
  assert.ok(error instanceof StoreError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, text);
  return true;
};

describe('a file store', () => {
  it('begins empty', async () => {
    const { store, warnings } = storeOn();
    assert.deepEqual(await store.load(), { revision: 0, documents: new Map(), recent: [] });
    assert.deepEqual(warnings, []);
  });

  it('gives back what was committed, by another store on the same files', async () => {
    const { bytes, commits } = await writtenLog(20, [1, 3, 5, 1]);
    const { store, warnings } = storeOn(memoryFiles(new Map([[LOG, bytes]])));
    const loaded = await store.load();
    assert.equal(loaded.revision, 20);
    assert.deepEqual(loaded.documents, documentsAfter(commits));
    assert.deepEqual(loaded.recent, commits);
    assert.deepEqual(warnings, []);
  });

  it('resolves a commit only when it is on the disk', async () => {
    const { store, files } = storeOn();
    await store.load();
    for (let revision = 1; revision <= 5; revision++) {
      await store.commit(makeCommit(revision));
      const survivor = storeOn(files.afterCrash(() => 0));
      assert.equal((await survivor.store.load()).revision, revision);
    }
  });

  it('writes commits that come together with one sync', async () => {
    const { store, files } = storeOn();
    await store.load();
    let syncs = 0;
    files.before = (operation) => void (syncs += operation === 'sync' ? 1 : 0);
    await Promise.all(Array.from({ length: 50 }, (_, index) => store.commit(makeCommit(index + 1))));
    assert.equal(syncs, 1);
    assert.deepEqual(revisions(await store.history('notes', Infinity, 3)), [48, 45, 42]);
  });

  it('refuses a revision that is not the next', async () => {
    const { store } = storeOn();
    await store.load();
    await store.commit(makeCommit(1));
    await assert.rejects(
      store.commit(makeCommit(1)),
      isCode('conflict', /at revision 1, so the next is 2, not 1/),
    );
    await assert.rejects(store.commit(makeCommit(3)), isCode('conflict', /not 3/));
    await store.commit(makeCommit(2));
  });

  it('never writes what it could not read again', async () => {
    const { store } = storeOn();
    await store.load();
    // @ts-expect-error -- a caller without types
    await assert.rejects(store.commit({ ...makeCommit(1), document: undefined }), TypeError);
    await store.commit(makeCommit(1));
  });

  it('is unavailable before it is loaded and after it is closed', async () => {
    const { store } = storeOn();
    await assert.rejects(store.commit(makeCommit(1)), isCode('unavailable', /is not open/));
    await store.load();
    await store.close();
    await assert.rejects(store.commit(makeCommit(1)), isCode('unavailable', /is not open/));
    await assert.rejects(store.history('notes', 9, 9), isCode('unavailable', /is not open/));
  });

  it('writes what is under way before it closes', async () => {
    const { store, files } = storeOn();
    await store.load();
    const committed = store.commit(makeCommit(1));
    await store.close();
    await committed;
    assert.equal((await storeOn(files).store.load()).revision, 1);
  });

  it('pages through the history of a service, newest first', async () => {
    const { bytes } = await writtenLog(20, [4]);
    const { store } = storeOn(memoryFiles(new Map([[LOG, bytes]])));
    const loaded = await store.load();
    const all = await store.history('notes', Infinity, 100);
    assert.deepEqual(revisions(all), [18, 15, 12, 9, 6, 3]);
    assert.deepEqual(all[0], loaded.recent[17]);
    assert.deepEqual(revisions(await store.history('notes', Infinity, 2)), [18, 15]);
    assert.deepEqual(revisions(await store.history('notes', 15, 2)), [12, 9]);
    assert.deepEqual(revisions(await store.history('notes', 3, 2)), []);
    assert.deepEqual(revisions(await store.history('notes', 9, 0)), []);
    assert.deepEqual(revisions(await store.history('other', 9, 9)), []);
  });

  it('gives as recent the last 24 hours, and everything after their first commit', async () => {
    const { store, files } = storeOn();
    await store.load();
    const hoursAgo = [30, 25, 23, 26, 1];
    for (const [index, hours] of hoursAgo.entries()) {
      await store.commit(makeCommit(index + 1, { at: new Date(NOW - hours * 3_600_000).toISOString() }));
    }
    assert.deepEqual(revisions(await storeOn(files).store.load()), [3, 4, 5]);
  });

  it('releases the directory when it is closed or cannot be opened', async () => {
    let held = 0;
    const lock = async () => {
      held += 1;
      return () => void (held -= 1);
    };
    const good = storeOn(memoryFiles(), { lock });
    await good.store.load();
    assert.equal(held, 1);
    await good.store.close();
    assert.equal(held, 0);
    const bad = storeOn(
      memoryFiles(new Map([[LOG, Buffer.from('something else entirely, and long enough')]])),
      { lock },
    );
    await assert.rejects(bad.store.load(), isCode('foreign', /left alone/));
    assert.equal(held, 0);
  });

  it('can be loaded again after it could not', async () => {
    const { store, files } = storeOn();
    files.before = () => {
      throw fault('EACCES');
    };
    await assert.rejects(store.load(), isCode('unreadable', /EACCES.*store\.file/));
    files.before = () => {};
    assert.equal((await store.load()).revision, 0);
    await store.commit(makeCommit(1));
  });
});

describe('what cannot be opened is refused with the reason and the remedy', () => {
  for (const [operation, code] of [
    ['makeDirectory', 'EACCES'],
    ['open', 'EACCES'],
    ['read', 'EIO'],
  ] as const) {
    it(`${operation} fails with ${code}`, async () => {
      const { bytes } = await writtenLog(2);
      const { store, files } = storeOn(memoryFiles(new Map([[LOG, bytes]])));
      failOn(files, operation, code);
      await assert.rejects(
        store.load(),
        isCode('unreadable', new RegExp(`${code}.*Let the user|${code}.*Set store\\.file`, 's')),
      );
    });
  }

  it('a new log does not fit on the disk', async () => {
    const { store, files } = storeOn();
    files.capacity = 10;
    await assert.rejects(store.load(), isCode('unavailable', /ENOSPC.*free some space/));
    files.capacity = 1000;
    assert.equal((await store.load()).revision, 0);
  });

  it('a foreign file', async () => {
    for (const text of [
      '#!/bin/sh\necho hello to everybody out there\n',
      'serin-storage 1 0000000000000000 xxxxxxxx\n',
      '{}',
    ]) {
      const { store } = storeOn(memoryFiles(new Map([[LOG, Buffer.from(text)]])));
      await assert.rejects(store.load(), isCode('foreign', /not written by Serin.*store\.file/));
    }
  });

  it('a newer format', async () => {
    for (const text of ['serin-store 3 whatever comes then, in whatever shape\n', 'serin-store 12\n']) {
      const { store } = storeOn(memoryFiles(new Map([[LOG, Buffer.from(text)]])));
      await assert.rejects(
        store.load(),
        isCode('newer', /format (3|12); this one reads up to format 2.*Run that version/),
      );
    }
  });

  it('whole frames that say what no version writes: a revision or a snapshot that is none, no JSON', async () => {
    const document = { definition: null, rollout: null };
    const snapshot = (revision: unknown, of: unknown) => ({
      snapshot: { revision, documents: [['notes', { revision: of, document }]] },
    });
    for (const [base, frame] of [
      [0, JSON.stringify({ commits: [{ ...makeCommit(1), revision: 0 }] })],
      [0, JSON.stringify({ commits: [{ ...makeCommit(1), revision: 0.5 }] })],
      [0, 'no JSON'],
      [0, '[]'],
      [5, JSON.stringify(snapshot(5, 6))],
      [5, JSON.stringify(snapshot(5, 0))],
      [5, JSON.stringify(snapshot(5.5, 1))],
      [5, JSON.stringify(snapshot(-5, -6))],
    ] as const) {
      const bytes = Buffer.concat([encodeHeader(base), encodeFrame(frame)]);
      const { store, files } = storeOn(memoryFiles(new Map([[LOG, bytes]])));
      await assert.rejects(store.load(), isCode('corrupt', /no record of this version/), frame);
      assert.deepEqual(files.contents(LOG), bytes);
    }
  });

  it('damage in the middle: where it is, what can be done, and nothing is changed', async () => {
    const { bytes, ends } = await writtenLog(5);
    const at = ends.get(3) ?? 0;
    const damaged = Buffer.from(bytes);
    damaged[at + 60]! ^= 1;
    const { store, files } = storeOn(memoryFiles(new Map([[LOG, damaged]])));
    await assert.rejects(
      store.load(),
      isCode('corrupt', new RegExp(`at byte ${at}, after revision 3.*truncate -s ${at} ${LOG}`)),
    );
    assert.deepEqual(files.contents(LOG), damaged);
    // The remedy works.
    files.put(LOG, damaged.subarray(0, at));
    assert.equal((await storeOn(files).store.load()).revision, 3);
  });

  it('frames that are missing, doubled or swapped', async () => {
    const { bytes, ends } = await writtenLog(4);
    const part = (from: number, to: number) => bytes.subarray(ends.get(from), ends.get(to));
    const header = bytes.subarray(0, ends.get(0));
    for (const parts of [
      [header, part(1, 4)],
      [header, part(0, 1), part(2, 4)],
      [header, part(0, 2), part(1, 4)],
      [header, part(1, 2), part(0, 1)],
    ]) {
      const { store } = storeOn(memoryFiles(new Map([[LOG, Buffer.concat(parts)]])));
      await assert.rejects(store.load(), isCode('corrupt', /revision \d follows revision \d/));
    }
  });

  it('a frame that changes after it was loaded is not shown as history', async () => {
    const { bytes, ends } = await writtenLog(3);
    const { store, files } = storeOn(memoryFiles(new Map([[LOG, bytes]])));
    await store.load();
    const contents = files.contents(LOG);
    if (contents !== undefined) contents[(ends.get(2) ?? 0) + 60]! ^= 1;
    await assert.rejects(store.history('notes', Infinity, 9), isCode('corrupt', /a frame has changed/));
    assert.deepEqual(revisions(await store.history('shop', Infinity, 9)), [1]);
  });
});

describe('a disk that fails', () => {
  it('full: unavailable, and writes work again once there is space', async () => {
    const { store, files } = storeOn();
    await store.load();
    await store.commit(makeCommit(1));
    const before = files.contents(LOG)?.length ?? 0;
    for (const room of [0, 1, 100, 300]) {
      files.capacity = before + room;
      await assert.rejects(store.commit(makeCommit(2)), isCode('unavailable', /ENOSPC.*free some space/));
      assert.equal(files.contents(LOG)?.length, before, 'the space is given back');
      const survivor = storeOn(files.afterCrash(() => 1));
      assert.equal((await survivor.store.load()).revision, 1);
    }
    files.capacity = Infinity;
    await store.commit(makeCommit(2));
    assert.equal((await storeOn(files).store.load()).revision, 2);
  });

  it('never lets a good frame follow half a one, whatever fails beside', async () => {
    for (const beside of [['truncate'], ['sync'], ['truncate', 'sync']] as const) {
      const { store, files, warnings } = storeOn();
      await store.load();
      await store.commit(makeCommit(1));
      failOn(files, 'write', 'EIO', ...beside);
      await assert.rejects(store.commit(makeCommit(2)), isCode('unavailable', /EIO/));
      await assert.rejects(store.commit(makeCommit(2)), isCode('unavailable', /EIO/));
      files.before = () => {};
      // Shorter than what the failed one left behind.
      await store.commit(
        makeCommit(2, { reason: null, requestId: null, document: null, kind: 'service.delete' }),
      );
      await store.commit(makeCommit(3));
      const again = storeOn(files);
      assert.equal((await again.store.load()).revision, 3);
      assert.deepEqual(warnings.concat(again.warnings), []);
    }
  });

  it('fails the commits behind a failed one as well, and takes new ones in their place', async () => {
    const { store, files } = storeOn();
    await store.load();
    failOn(files, 'sync', 'EIO');
    const results = await Promise.allSettled([1, 2, 3].map((revision) => store.commit(makeCommit(revision))));
    assert.deepEqual(
      results.map((result) => result.status),
      ['rejected', 'rejected', 'rejected'],
    );
    files.before = () => {};
    await store.commit(makeCommit(1));
    assert.equal((await storeOn(files).store.load()).revision, 1);
  });

  it('fails what arrived while the failed one was being written', async () => {
    const { store, files } = storeOn();
    await store.load();
    const behind: Promise<void>[] = [];
    files.before = (operation) => {
      if (operation !== 'sync') return;
      files.before = () => {};
      behind.push(store.commit(makeCommit(2)), store.commit(makeCommit(3)));
      throw fault('EIO');
    };
    const results = await Promise.allSettled([store.commit(makeCommit(1))]);
    results.push(...(await Promise.allSettled(behind)));
    assert.deepEqual(
      results.map((result) => result.status),
      ['rejected', 'rejected', 'rejected'],
    );
    await store.commit(makeCommit(1));
    await store.commit(makeCommit(2));
    assert.equal((await storeOn(files).store.load()).revision, 2);
  });

  it('does not trust a later sync with what a failed sync lost', async () => {
    const { store, files } = storeOn();
    await store.load();
    await store.commit(makeCommit(1));
    let failures = 1;
    files.before = (operation) => {
      if (operation === 'sync' && failures-- > 0) throw fault('EIO');
    };
    await assert.rejects(store.commit(makeCommit(2)), isCode('unavailable', /EIO/));
    await store.commit(makeCommit(2));
    const survivor = storeOn(files.afterCrash(() => 0));
    assert.equal((await survivor.store.load()).revision, 2);
  });
});

function failOn(
  files: ReturnType<typeof memoryFiles>,
  operation: Operation,
  code: string,
  ...more: Operation[]
): void {
  files.before = (one) => {
    if (one === operation || more.includes(one)) throw fault(code);
  };
}
