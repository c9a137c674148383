import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { closeOutput, LineWriter, openOutput } from '../../../src/telemetry/line-writer.ts';
import { eventually } from '../../support/bounded.ts';
import { makePipe, openPipe, scratch } from './pipe.ts';

test('a file is appended to', (context) => {
  const path = join(scratch(context), 'log');
  for (const text of ['one\n', 'two\n']) {
    const output = openOutput(path);
    new LineWriter({ output, limit: 1000, immediate: true }).write(text);
    closeOutput(output, path);
  }
  assert.equal(readFileSync(path, 'utf8'), 'one\ntwo\n');
});

test('a destination that cannot be opened says so', (context) => {
  assert.throws(() => openOutput(join(scratch(context), 'absent', 'log')), { code: 'ENOENT' });
});

test('a real pipe that nobody reads is filled, then lines are dropped; once read, all is in order', async (context) => {
  const { fd, taken: takenFromPipe } = openPipe(context);
  const output = openOutput(fd);
  context.after(() => {
    closeOutput(output, fd);
  });
  assert.equal(output.kind, 'nonBlocking');
  assert.notEqual(output.fd, fd);

  let dropped = 0;
  const lines = new LineWriter({
    output,
    limit: 100_000,
    immediate: true,
    onDropped: (count) => (dropped += count),
  });
  const total = 5000;
  let taken = 0;
  for (let n = 0; n < total; n++) if (lines.write(`${n} ${'x'.repeat(90)}\n`)) taken++;
  // A writer that blocks would never come here: nobody reads yet.
  assert.ok(dropped > 0);
  assert.equal(taken + dropped, total);

  let flushed = false;
  lines.flush(() => (flushed = true));
  await eventually(() => (takenFromPipe(), flushed), 'the lines that waited are written');
  const numbers = takenFromPipe()
    .trimEnd()
    .split('\n')
    .map((line) => Number(line.split(' ')[0]));
  assert.deepEqual(
    numbers,
    Array.from({ length: taken }, (_, n) => n),
  );
});

test('lines of two threads to one pipe do not mix', async (context) => {
  const { fd, taken } = openPipe(context);
  const per = 400;
  let running = 2;
  for (const letter of ['a', 'b']) {
    const workerData = { fd, letter, lines: per };
    const worker = new Worker(new URL('./line-flood.ts', import.meta.url), { workerData });
    worker.once('exit', () => running--);
  }
  await eventually(() => (taken(), running === 0), 'both threads have written');
  const lines = taken().trimEnd().split('\n');
  assert.equal(lines.length, 2 * per);
  for (const line of lines) assert.match(line, /^(a{900,1400}|b{900,1400})$/);
});

test('a process that only waits to log again may end', (context) => {
  // The pipe is full and nobody reads: the retry must not hold the process.
  const script = `
    import { openOutput, LineWriter } from ${JSON.stringify(new URL('../../../src/telemetry/line-writer.ts', import.meta.url).href)};
    import { openSync, constants } from 'node:fs';
    const path = process.argv[1];
    openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const lines = new LineWriter({ output: openOutput(openSync(path, constants.O_WRONLY)), limit: 1e6, immediate: true });
    for (let n = 0; n < 5000; n++) lines.write('x'.repeat(100) + '\\n');
  `;
  const parameters = ['--input-type=module', '-e', script, makePipe(context)];
  execFileSync(process.execPath, parameters, { timeout: 120_000 });
});

test('a file opened by somebody else is written in turn with them, each line at once', (context) => {
  const path = join(scratch(context), 'log');
  const fd = openSync(path, 'w');
  const lines = new LineWriter({ output: openOutput(fd), limit: 1000, immediate: true });
  lines.write('one\n');
  writeSync(fd, 'between\n');
  lines.write('two\n');
  assert.equal(readFileSync(path, 'utf8'), 'one\nbetween\ntwo\n');
  closeSync(fd);
});
