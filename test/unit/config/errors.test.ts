import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { it } from 'node:test';
import { STATUS } from '../../../src/admin/problem.ts';
import { ERROR_RESPONSES } from '../../../src/proxy/exchange/error-responses.ts';
import { PROTOCOL_ERRORS } from '../../../src/http1/protocol-errors.ts';
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
  for (const { code, status } of PROTOCOL_ERRORS)
    assert.match(TEXT, new RegExp(`^\\| \`${code}\` +\\| ${status} `, 'm'));
  for (const [code, { status }] of Object.entries(ERROR_RESPONSES))
    assert.match(TEXT, new RegExp(`^\\| \`${code}\` +\\| ${status} `, 'm'));
  for (const code of Object.keys(STORE)) assert.match(TEXT, new RegExp(`^\\| \`${code}\` `, 'm'));
});

it('docs/errors.md lists exactly the codes of the admin API, each with its status', () => {
  const [, section = ''] = TEXT.split('## The admin API');
  const listed = [...section.matchAll(/^\| `([a-z_]+)` +\| (\d+) /gm)].map(([, code, status]) => [
    code,
    Number(status),
  ]);
  assert.deepEqual(Object.fromEntries(listed), STATUS);
  assert.equal(listed.length, Object.keys(STATUS).length);
});
