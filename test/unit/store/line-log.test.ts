/** Files of lines: what was appended is there after any crash, what is damaged is left out, what is foreign is refused. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { createLineLog } from '../../../src/store/file/line-log.ts';
import { StoreError } from '../../../src/store/store.ts';
import { fault, memoryFiles } from './memory-files.ts';

const FILE = '/data/lines';
const HEADER = 'serin-test 1\n';
const opened = (files = memoryFiles()) => createLineLog({ file: FILE, files, name: 'serin-test' });

async function linesOf(files: ReturnType<typeof memoryFiles>): Promise<readonly string[]> {
  return (await opened(files).open()).lines;
}

describe('a log of lines', () => {
  it('gives back what was appended, in its order', async () => {
    const files = memoryFiles();
    const log = opened(files);
    assert.deepEqual(await log.open(), { lines: [], damaged: 0 });
    await log.append(['one', 'zwölf']);
    await Promise.all([log.append(['three']), log.append(['four']), log.append([])]);
    assert.deepEqual(await linesOf(files), ['one', 'zwölf', 'three', 'four']);
  });

  it('writes together what comes while the disk is busy', async () => {
    const files = memoryFiles();
    const log = opened(files);
    await log.open();
    let syncs = 0;
    files.before = (operation) => {
      if (operation === 'sync') syncs += 1;
    };
    await Promise.all(Array.from({ length: 50 }, (_, index) => log.append([`line ${index}`])));
    assert.ok(syncs <= 2, `${syncs} syncs`);
    assert.equal((await linesOf(files)).length, 50);
  });

  it('has every line whose append resolved, whatever a crash leaves of the others', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: 'grapheme', maxLength: 900 }), { minLength: 1, maxLength: 8 }),
        fc.infiniteStream(fc.nat(1000)),
        async (texts, picks) => {
          const lines = texts.map((text) => JSON.stringify(text));
          const files = memoryFiles();
          const log = opened(files);
          await log.open();
          const kept: string[] = [];
          const survivors: { readonly crashed: typeof files; readonly kept: readonly string[] }[] = [];
          files.before = () => {
            const crashed = files.afterCrash((count) => picks.next().value % count);
            survivors.push({ crashed, kept: [...kept] });
          };
          for (const line of lines) {
            await log.append([line]);
            kept.push(line);
          }
          for (const { crashed, kept: known } of survivors) {
            const found = await linesOf(crashed);
            assert.deepEqual(found.slice(0, known.length), known);
            assert.ok(found.length <= known.length + 1);
            // It goes on from there.
            const again = opened(crashed);
            await again.open();
            await again.append(['more']);
            assert.equal((await linesOf(crashed)).at(-1), 'more');
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  it('leaves out a line that is damaged, and reads the others', async () => {
    const files = memoryFiles();
    const log = opened(files);
    await log.open();
    await log.append(['one', 'two', 'three']);
    const bytes = files.contents(FILE)!;
    bytes[bytes.indexOf('two')] = 0x54;
    const damaged = memoryFiles(new Map([[FILE, bytes]]));
    assert.deepEqual(await opened(damaged).open(), { lines: ['one', 'three'], damaged: 1 });
  });

  it('goes on after a write that failed, and rejects what was in it', async () => {
    const files = memoryFiles();
    const log = opened(files);
    await log.open();
    await log.append(['one']);
    files.before = (operation) => {
      if (operation === 'write') throw fault('ENOSPC');
    };
    await assert.rejects(
      log.append(['a line that is long and fails in its middle']),
      (error) => error instanceof StoreError && error.code === 'unavailable',
    );
    files.before = () => {};
    await log.append(['two']);
    assert.deepEqual(await linesOf(files), ['one', 'two']);
  });

  it('is empty once it is cleared, and takes lines again', async () => {
    const files = memoryFiles();
    const log = opened(files);
    await log.open();
    await log.append(['a long line that is longer than the next one']);
    await log.clear();
    assert.deepEqual(await linesOf(files), []);
    await log.append(['short']);
    assert.deepEqual(await linesOf(files), ['short']);
  });

  it('refuses what another program or a newer version wrote, and leaves it alone', async () => {
    for (const [text, code] of [
      ['{"a":1}\n', 'foreign'],
      ['serin-other 1\n', 'foreign'],
      ['serin-test 2\n', 'newer'],
    ] as const) {
      const files = memoryFiles(new Map([[FILE, Buffer.from(text)]]));
      const log = opened(files);
      await assert.rejects(log.open(), (error) => error instanceof StoreError && error.code === code, text);
      await assert.rejects(log.append(['x']), (error) => error instanceof StoreError);
      assert.equal(files.contents(FILE)?.toString(), text);
    }
  });

  it('makes itself anew where a crash left less than its first line', async () => {
    for (let size = 0; size < HEADER.length; size++) {
      const files = memoryFiles(new Map([[FILE, Buffer.from(HEADER.slice(0, size))]]));
      const log = opened(files);
      await log.open();
      await log.append(['one']);
      assert.deepEqual(await linesOf(files), ['one']);
    }
  });
});
