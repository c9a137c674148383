/** Records of ended changes: on the disk, for a day at least, and no longer than two. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFinalLog } from '../../../src/store/file/final-log.ts';
import { memoryFiles } from './memory-files.ts';

const FILE = '/data/finals';
const HOUR = 3_600_000;

test('records stay for a day at least and go after two, and a restart changes nothing of that', async () => {
  const files = memoryFiles();
  let now = Date.parse('2026-01-01T00:00:00Z');
  const open = () => createFinalLog({ file: FILE, files, wallNow: () => now });
  let log = open();
  assert.deepEqual(await log.read(), []);
  await log.append(['{"id":"one"}', '{"id":"two"}']);
  now += 23 * HOUR;
  await log.append(['{"id":"three"}']);
  now += 2 * HOUR;
  log = open();
  assert.deepEqual(await log.read(), ['{"id":"one"}', '{"id":"two"}', '{"id":"three"}']);
  await log.append(['{"id":"four"}']);
  assert.equal((await open().read()).length, 4, 'three is two hours old');
  now += 25 * HOUR;
  await Promise.all([log.append(['{"id":"five"}']), log.append(['{"id":"six"}'])]);
  assert.deepEqual(await open().read(), ['{"id":"four"}', '{"id":"five"}', '{"id":"six"}']);
});

test('what was appended is there after a crash', async () => {
  const files = memoryFiles();
  const log = createFinalLog({ file: FILE, files, wallNow: () => 0 });
  await log.read();
  await log.append(['a', 'b']);
  const crashed = files.afterCrash(() => 0);
  assert.deepEqual(await createFinalLog({ file: FILE, files: crashed, wallNow: () => 0 }).read(), ['a', 'b']);
});
