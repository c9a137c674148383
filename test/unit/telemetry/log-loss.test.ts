import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '../../../src/telemetry/log.ts';
import { eventually } from '../../support/bounded.ts';

test('lines lost to a reader that is too slow are reported when it is back', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'serin-log-'));
  const path = join(folder, 'pipe');
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const fd = openSync(path, constants.O_WRONLY);
  context.after(() => {
    closeSync(fd);
    closeSync(reader);
    rmSync(folder, { recursive: true });
  });
  const log = createLog({ level: 'info', destination: fd });
  const total = 20_000;
  for (let n = 0; n < total; n++) log.info({ n, filling: 'x'.repeat(100) }, 'line');

  let text = '';
  const buffer = Buffer.alloc(65_536);
  const drain = (): void => {
    try {
      for (let size; (size = readSync(reader, buffer)) > 0;) text += buffer.toString('latin1', 0, size);
    } catch {
      // Empty for now.
    }
  };
  let flushed = false;
  log.flush(() => (flushed = true));
  await eventually(() => (drain(), flushed), 'what waited is written');
  log.info({}, 'the first after the gap');
  drain();

  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { msg: string; n?: number; 'serin.lost_lines'?: number });
  const kept = lines.filter(({ msg }) => msg === 'line').length;
  assert.ok(kept < total);
  assert.equal(lines.at(-2)?.msg, 'the first after the gap');
  assert.equal(lines.at(-1)?.['serin.lost_lines'], total - kept);
});
