import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openLog } from '../../../src/store/file/write-ahead-log.ts';
import type { Commit } from '../../../src/store/store.ts';
import { DIRECTORY, LOG, makeCommit } from './commits.ts';
import { fault, memoryFiles } from './memory-files.ts';

async function logWith(count: number) {
  const files = memoryFiles();
  const { log } = await openLog(files, DIRECTORY, () => {}, assert.fail);
  for (let revision = 1; revision <= count; revision++) {
    await log.append([JSON.stringify(makeCommit(revision))], revision);
  }
  return { files, log };
}

describe('a log that is compacted', () => {
  it('has the frames from the cut on, each where it says', async () => {
    const { files, log } = await logWith(6);
    await log.compact(3);
    assert.deepEqual(
      log.frames().map((place) => place.first),
      [4, 5, 6],
    );
    for (const place of log.frames()) assert.deepEqual(await log.read(place), [makeCommit(place.first)]);
    assert.equal(log.size(), files.contents(LOG)?.length);
    await log.append([JSON.stringify(makeCommit(7))], 7);
    await log.compact(2);
    assert.deepEqual(
      log.frames().map((place) => place.first),
      [6, 7],
    );
    const seen: Commit[] = [];
    const again = await openLog(files, DIRECTORY, (commit) => seen.push(commit), assert.fail);
    assert.deepEqual(seen, [makeCommit(6), makeCommit(7)]);
    assert.deepEqual(again.log.frames(), log.frames());
  });

  it('is as it was where it cannot be', async () => {
    const { files, log } = await logWith(4);
    const before = { contents: Buffer.from(files.contents(LOG) ?? ''), frames: log.frames() };
    for (const operation of ['create', 'write', 'sync', 'rename', 'read'] as const) {
      files.before = (one) => {
        if (one === operation) throw fault('EIO');
      };
      await assert.rejects(log.compact(2), /EIO/);
      assert.deepEqual({ contents: files.contents(LOG), frames: log.frames() }, before, operation);
    }
  });

  it('is not damaged further: what it would leave out is checked first', async () => {
    const { files, log } = await logWith(4);
    const contents = files.contents(LOG);
    if (contents !== undefined) contents[700]! ^= 1;
    await assert.rejects(log.compact(2), /is damaged at byte 512/);
    assert.deepEqual(files.contents(LOG), contents);
  });
});
