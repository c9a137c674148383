import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { it } from 'node:test';
import { RESCUES } from '../../../src/data-plane/rescue.ts';
import { REFUSALS } from '../../../src/http1/refusal.ts';
import type { StoreErrorCode } from '../../../src/store/store.ts';

const TEXT = readFileSync(path.join(import.meta.dirname, '../../../docs/errors.md'), 'utf8');

/** A record, so that a new code cannot be forgotten here. */
const STORE: Record<StoreErrorCode, true> = {
  unavailable: true,
  conflict: true,
  corrupt: true,
  foreign: true,
  newer: true,
  locked: true,
  unreadable: true,
};

it('docs/errors.md lists every code of the codec with its status, of the proxy, and of the store', () => {
  for (const { code, status } of REFUSALS)
    assert.match(TEXT, new RegExp(`^\\| \`${code}\` +\\| ${status} `, 'm'));
  for (const [code, { status }] of Object.entries(RESCUES))
    assert.match(TEXT, new RegExp(`^\\| \`${code}\` +\\| ${status} `, 'm'));
  for (const code of Object.keys(STORE)) assert.match(TEXT, new RegExp(`^\\| \`${code}\` `, 'm'));
});
