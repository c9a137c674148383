import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createWarnings } from '../../../src/telemetry/warnings.ts';

test('a message is written ten times a second, and the next line says how many were left out', () => {
  const lines: object[] = [];
  let now = 0;
  const log = { warn: (fields: object) => void lines.push(fields) };
  const warn = createWarnings(log as never, () => now);
  for (let n = 0; n < 25; n += 1) warn({ n }, 'an outage');
  assert.equal(lines.length, 10);
  warn({ other: true }, 'something else');
  assert.equal(lines.length, 11);
  now = 1000;
  warn({ n: 25 }, 'an outage');
  assert.deepEqual(lines.at(-1), { n: 25, 'serin.suppressed_lines': 15 });
  warn({ n: 26 }, 'an outage');
  assert.deepEqual(lines.at(-1), { n: 26 });
});
