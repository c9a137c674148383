import { test } from 'node:test';
import assert from 'node:assert/strict';
import { STATUS_CODES } from 'node:http';
import { STATUS_LABELS, statusSlot } from '../../../src/telemetry/status-codes.ts';

const labelOf = (status: number): string | undefined => STATUS_LABELS[statusSlot(status)];

test('every code that Node.js knows keeps its number', () => {
  for (const code of Object.keys(STATUS_CODES)) {
    // 509 is in no registry.
    if (code !== '509') assert.equal(labelOf(Number(code)), code);
  }
  assert.equal(labelOf(499), '499');
});

test('other codes count under their class, which a matcher by the first digit still finds', () => {
  assert.equal(labelOf(299), '2xx');
  assert.equal(labelOf(420), '4xx');
  assert.equal(labelOf(599), '5xx');
  for (let status = 100; status < 600; status++) assert.equal(labelOf(status)?.[0], String(status)[0]);
});

test('what is no status counts as other', () => {
  for (const odd of [0, 99, 600, 999, -1, 1e9, NaN, 200.5]) assert.equal(labelOf(odd), 'other');
});

test('the set of labels is bounded and has no doubles', () => {
  assert.equal(new Set(STATUS_LABELS).size, STATUS_LABELS.length);
  assert.ok(STATUS_LABELS.length < 80);
});
