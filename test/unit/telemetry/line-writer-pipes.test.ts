import { test, type TestContext } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { closeOutput, LineWriter, openOutput } from '../../../src/telemetry/line-writer.ts';
import { within } from '../../support/bounded.ts';

function scratch(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'serin-log-'));
  context.after(() => {
    rmSync(folder, { recursive: true });
  });
  return folder;
}

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
  const path = join(scratch(context), 'pipe');
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const fd = openSync(path, constants.O_WRONLY);
  const output = openOutput(fd);
  context.after(() => {
    closeOutput(output, fd);
    closeSync(fd);
    closeSync(reader);
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
  const before = performance.now();
  let taken = 0;
  for (let n = 0; n < total; n++) if (lines.write(`${n} ${'x'.repeat(90)}\n`)) taken++;
  // A writer that blocks would be here for ever.
  assert.ok(performance.now() - before < 5000);
  assert.ok(dropped > 0);
  assert.equal(taken + dropped, total);

  const flushed = new Promise<void>((resolve) => lines.flush(resolve));
  let text = '';
  const buffer = Buffer.alloc(65_536);
  const drain = (): void => {
    for (;;) {
      try {
        const size = readSync(reader, buffer);
        if (size === 0) return;
        text += buffer.toString('latin1', 0, size);
      } catch {
        return;
      }
    }
  };
  const pump = setInterval(drain, 1);
  try {
    await within(flushed, 'the lines that waited are written');
  } finally {
    clearInterval(pump);
  }
  drain();
  const numbers = text
    .trimEnd()
    .split('\n')
    .map((line) => Number(line.split(' ')[0]));
  assert.deepEqual(
    numbers,
    Array.from({ length: taken }, (_, n) => n),
  );
});

test('lines of two threads to one pipe do not mix', async (context) => {
  const path = join(scratch(context), 'pipe');
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const fd = openSync(path, constants.O_WRONLY);
  context.after(() => {
    closeSync(fd);
    closeSync(reader);
  });
  const per = 400;
  const workers = ['a', 'b'].map(
    (letter) =>
      new Worker(new URL('./line-flood.ts', import.meta.url), { workerData: { fd, letter, lines: per } }),
  );
  let text = '';
  const buffer = Buffer.alloc(65_536);
  const pump = setInterval(() => {
    try {
      for (let size; (size = readSync(reader, buffer)) > 0;) text += buffer.toString('latin1', 0, size);
    } catch {
      // Nothing there just now.
    }
    if (text.split('\n').length > 2 * per) clearInterval(pump);
  }, 1);
  await within(Promise.all(workers.map((worker) => once(worker, 'exit'))), 'both threads have written');
  clearInterval(pump);
  try {
    for (let size; (size = readSync(reader, buffer)) > 0;) text += buffer.toString('latin1', 0, size);
  } catch {
    // Read to the end.
  }
  const lines = text.trimEnd().split('\n');
  assert.equal(lines.length, 2 * per);
  for (const line of lines) assert.match(line, /^(a{900,1400}|b{900,1400})$/);
});

test('a process that only waits to log again may end', () => {
  // The pipe is full and nobody reads: the retry must not hold the process.
  const script = `
    import { openOutput, LineWriter } from ${JSON.stringify(new URL('../../../src/telemetry/line-writer.ts', import.meta.url).href)};
    import { openSync, constants } from 'node:fs';
    const path = process.argv[1];
    openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const lines = new LineWriter({ output: openOutput(openSync(path, constants.O_WRONLY)), limit: 1e6, immediate: true });
    for (let n = 0; n < 5000; n++) lines.write('x'.repeat(100) + '\\n');
  `;
  const folder = mkdtempSync(join(tmpdir(), 'serin-log-'));
  try {
    const path = join(folder, 'pipe');
    execFileSync('mkfifo', [path]);
    execFileSync(process.execPath, ['--input-type=module', '-e', script, path], { timeout: 20_000 });
  } finally {
    rmSync(folder, { recursive: true });
  }
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
