import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createLog } from '../../../src/telemetry/log.ts';
import { eventually } from '../../support/bounded.ts';
import { openPipe } from './pipe.ts';

test('lines lost to a reader that is too slow are reported when it is back', async (context) => {
  const { fd, taken } = openPipe(context);
  const log = createLog({ level: 'info', destination: fd });
  const total = 20_000;
  for (let n = 0; n < total; n++) log.info({ n, filling: 'x'.repeat(100) }, 'line');
  let flushed = false;
  log.flush(() => (flushed = true));
  await eventually(() => (taken(), flushed), 'what waited is written');
  log.info({}, 'the first after the gap');

  const lines = taken()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { msg: string; n?: number; 'serin.lost_lines'?: number });
  const kept = lines.filter(({ msg }) => msg === 'line').length;
  assert.ok(kept < total);
  assert.equal(lines.at(-2)?.msg, 'the first after the gap');
  assert.equal(lines.at(-1)?.['serin.lost_lines'], total - kept);
});
