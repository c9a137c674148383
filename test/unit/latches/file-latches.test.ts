import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { FROM_THE_BEGINNING, type LatchEntry, type LatchStore } from '../../../src/latches/latch-store.ts';
import { createFileLatches } from '../../../src/latches/file-latches.ts';
import { StoreError } from '../../../src/store/store.ts';

async function directoryOf(t: TestContext): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'serin-latches-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return path.join(directory, 'latches');
}

async function readAll(store: LatchStore, rolloutId: string): Promise<LatchEntry[]> {
  const entries: LatchEntry[] = [];
  for (let cursor = FROM_THE_BEGINNING; ;) {
    const page = await store.read(rolloutId, cursor);
    entries.push(...page.entries);
    if (!page.more) return entries;
    ({ cursor } = page);
  }
}

const some = (from: number, count: number): LatchEntry[] =>
  Array.from({ length: count }, (_, index) => [from + index, `1.value.${from + index}.${'x'.repeat(60)}`]);

test('what one process wrote, the next one reads, in parts', async (t) => {
  const directory = await directoryOf(t);
  const first = createFileLatches({ directory, limit: 100_000 });
  assert.deepEqual(await readAll(first, 'r1'), []);
  await first.append('r1', some(0, 2000));
  await first.append('r1', some(2000, 1));
  await first.append('r2', some(5, 1));
  // It knows what it wrote itself.
  assert.deepEqual(await readAll(first, 'r1'), []);
  const second = createFileLatches({ directory, limit: 100_000 });
  assert.deepEqual(await readAll(second, 'r1'), some(0, 2001));
  assert.deepEqual(await readAll(second, 'r2'), some(5, 1));
  assert.equal((await stat(path.join(directory, (await readdir(directory))[0]!))).mode & 0o777, 0o600);
});

test('a torn last line costs that latch alone, whatever comes after it', async (t) => {
  const directory = await directoryOf(t);
  await createFileLatches({ directory, limit: 1000 }).append('r1', some(0, 3));
  const [name = ''] = await readdir(directory);
  await appendFile(path.join(directory, name), 'zz 1.torn');
  const second = createFileLatches({ directory, limit: 1000 });
  assert.deepEqual(await readAll(second, 'r1'), some(0, 3));
  await second.append('r1', some(10, 2));
  const third = createFileLatches({ directory, limit: 1000 });
  const entries = await readAll(third, 'r1');
  assert.deepEqual(
    entries.filter(([hash]) => hash < 100),
    [...some(0, 3), ...some(10, 2)],
  );
});

test('a line whose hash is not written as ours are is left out: it would be another user', async (t) => {
  const directory = await directoryOf(t);
  await createFileLatches({ directory, limit: 1000 }).append('r1', some(40, 1));
  const [name = ''] = await readdir(directory);
  const wrong = ['-5', '+5', '05', '1.5', 'Z', '5é', '', 'NaN!', 'zzzzzzzzzzzzzz', '0x5'];
  await appendFile(path.join(directory, name), wrong.map((hash) => `${hash} 1.value\n`).join(''));
  assert.deepEqual(await readAll(createFileLatches({ directory, limit: 1000 }), 'r1'), some(40, 1));
});

test('a rollout that is over leaves no file, nor one that nobody knows', async (t) => {
  const directory = await directoryOf(t);
  const store = createFileLatches({ directory, limit: 1000 });
  for (const rolloutId of ['r1', '../../r2', 'r3']) await store.append(rolloutId, some(0, 1));
  assert.equal((await readdir(directory)).length, 3);
  await store.end('r1');
  await store.keep(['../../r2']);
  assert.equal((await readdir(directory)).length, 1);
  assert.deepEqual(await readAll(createFileLatches({ directory, limit: 1000 }), '../../r2'), some(0, 1));
});

test('a file takes no more than it may', async (t) => {
  const directory = await directoryOf(t);
  const store = createFileLatches({ directory, limit: 10 });
  for (let round = 0; round < 100; round++) await store.append('r1', some(round, 5));
  const [name = ''] = await readdir(directory);
  assert.ok((await stat(path.join(directory, name))).size <= 4000);
});

test('a directory that cannot be used is a StoreError', async (t) => {
  const directory = await directoryOf(t);
  await writeFile(directory, 'a file');
  const store = createFileLatches({ directory: path.join(directory, 'below'), limit: 10 });
  await assert.rejects(store.append('r1', some(0, 1)), (error) => error instanceof StoreError);
});
