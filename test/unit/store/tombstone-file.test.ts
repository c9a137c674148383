/** The file of tombstones: what was appended is read again after any crash, what is damaged is left out, what is not ours is left alone. */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { createTombstoneFile, type TombstoneLine } from '../../../src/store/file/tombstone-file.ts';
import { StoreError } from '../../../src/store/store.ts';
import { tombstone } from '../../support/rollback-parts.ts';
import { fault, memoryFiles } from './memory-files.ts';

const FILE = '/data/tombstones';

const line = (index: number): TombstoneLine =>
  index % 3 === 2
    ? { change: `c${index - 1}-00000000`, revision: index }
    : {
        tombstone: tombstone({
          rolloutId: `r${index}`,
          changeId: `c${index}-00000000`,
          reason: 'zu viele Fehler – 5 %',
        }),
      };

function opened(files = memoryFiles()) {
  const warnings: string[] = [];
  const file = createTombstoneFile({ file: FILE, files, warn: (message) => warnings.push(message) });
  return { file, files, warnings };
}

async function written(count: number) {
  const { file, files } = opened();
  assert.deepEqual(await file.read(), []);
  await file.replace([line(0)]);
  for (let index = 1; index < count; index++) await file.append([line(index)]);
  return { file, files };
}

const lines = (count: number): TombstoneLine[] => Array.from({ length: count }, (_, index) => line(index));

const isCode = (code: string) => (error: unknown) => error instanceof StoreError && error.code === code;

describe('a file of tombstones', () => {
  it('gives back what was appended, in order', async () => {
    const { files } = await written(7);
    const { file, warnings } = opened(files);
    assert.equal(file.isBroken, true, 'nobody has read it');
    assert.deepEqual(await file.read(), lines(7));
    assert.deepEqual([file.isBroken, warnings], [false, []]);
    await file.append([line(7), line(8)]);
    await file.close();
    assert.deepEqual(await opened(files).file.read(), lines(9));
  });

  it('is replaced whole', async () => {
    const { file, files } = await written(5);
    await file.replace([line(9)]);
    await file.append([line(10)]);
    assert.deepEqual(await opened(files).file.read(), [line(9), line(10)]);
  });

  it('has every appended line after a crash at any point, and none that was never written', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 40 }),
        fc.infiniteStream(fc.nat(1_000_000)),
        async (stop, picks) => {
          const files = memoryFiles();
          const { file } = opened(files);
          let done = 0;
          try {
            await file.read();
            files.before = () => {
              if (files.operations() > stop) throw fault('EIO');
            };
            await file.replace([line(0)]);
            for (done = 1; done < 8; done++) await file.append([line(done)]);
          } catch {
            // The machine loses power with the first fault.
          }
          files.before = () => {};
          const after = files.afterCrash((count) => Number(picks.next().value) % count);
          const again = opened(after);
          const found = await again.file.read();
          assert.deepEqual(found.slice(0, done), lines(done));
          assert.ok(found.length <= done + 1);
          // And it goes on.
          await again.file.replace(found);
          await again.file.append([line(20)]);
          assert.deepEqual(await opened(after).file.read(), [...found, line(20)]);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('leaves out a torn end and damaged lines, and keeps all others', async () => {
    const { files } = await written(4);
    const bytes = files.contents(FILE)!;
    files.put(FILE, bytes.subarray(0, bytes.length - 5));
    const torn = opened(files);
    assert.deepEqual(await torn.file.read(), lines(3));
    assert.deepEqual([torn.file.isBroken, torn.warnings], [true, []]);
    await assert.rejects(torn.file.append([line(4)]));

    for (let at = bytes.indexOf(0x0a) + 1; at < bytes.length - 1; at += 7) {
      const copy = Buffer.from(bytes);
      copy[at]! ^= 0x20;
      files.put(FILE, copy);
      const { file, warnings } = opened(files);
      const found = await file.read();
      assert.ok(found.length >= 2 && found.length <= 3, `damage at ${at}`);
      for (const one of found)
        assert.ok(lines(4).some((other) => JSON.stringify(other) === JSON.stringify(one)));
      assert.deepEqual([file.isBroken, warnings.length], [true, 1]);
    }
  });

  it('that is not ours, or of a newer version, is left alone', async () => {
    const sum = hash('sha256', 'serin-tombstones 2', 'base64url').slice(0, 22);
    for (const [text, code] of [
      ['# notes\n', 'foreign'],
      [`serin-tombstones 2 ${sum}\n`, 'newer'],
    ] as const) {
      const files = memoryFiles(new Map([[FILE, Buffer.from(text)]]));
      const { file } = opened(files);
      await assert.rejects(file.read(), isCode(code));
      await assert.rejects(file.replace([line(0)]), isCode(code));
      assert.equal(files.contents(FILE)?.toString(), text);
    }
  });

  it('whose disk fails says so, is unsure until it is replaced, and loses nothing', async () => {
    const { file, files } = await written(2);
    files.before = (operation) => {
      if (operation === 'sync') throw fault('EIO');
    };
    await assert.rejects(file.append([line(2)]), isCode('unavailable'));
    assert.equal(file.isBroken, true);
    await assert.rejects(file.replace(lines(3)), isCode('unavailable'));
    files.before = () => {};
    await file.replace(lines(3));
    await file.append([line(3)]);
    assert.deepEqual(await opened(files).file.read(), lines(4));
    files.before = (operation) => {
      if (operation === 'open') throw fault('EACCES');
    };
    await assert.rejects(opened(files).file.read(), isCode('unreadable'));
  });
});
