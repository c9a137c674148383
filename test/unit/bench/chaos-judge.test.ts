/** The judge of the chaos run must find what must not be: a proof that finds nothing because it looks at nothing is none. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readDeliveries } from '../../../bench/chaos/deliveries.ts';
import { judge } from '../../../bench/chaos/tally.ts';

const NOTHING = { times: new Map<string, number>(), duplicates: [], repeated: 0 };
const KILLED = {
  endpoint: 'stable-0',
  variant: 'stable',
  pid: 7,
  what: 'killed',
  from: 1000,
  to: 2000,
} as const;
const POST = {
  id: 'a',
  method: 'POST',
  kind: 'k',
  size: 10,
  from: 900,
  to: 1100,
  how: 'upstream_reset',
  status: 502,
  endpoint: '',
};

const verdict = (failure: typeof POST, delivered: readonly string[] = []) =>
  judge([failure], [KILLED], { ...NOTHING, times: new Map(delivered.map((id) => [id, 1])) }, 60_000, 500);

test('a POST that an endpoint may have had is explained by what happened to an endpoint meanwhile, and by nothing else', () => {
  assert.deepEqual(verdict(POST).violations, []);
  assert.match([...verdict(POST, ['a']).explained.keys()].join(), /was at work on it/);
  assert.match([...verdict(POST).explained.keys()].join(), /had not read it yet/);
  assert.match(verdict({ ...POST, from: 2600, to: 2700 }).violations.join(), /nothing happened/);
  assert.match(verdict({ ...POST, from: 100, to: 900 }).violations.join(), /nothing happened/);
});

test('what could have been repeated must not fail', () => {
  for (const method of ['GET', 'HEAD', 'PUT', 'DELETE'])
    assert.match(verdict({ ...POST, method }).violations.join(), /could have been repeated/);
  assert.deepEqual(verdict({ ...POST, method: 'PUT', size: 70_000 }).violations, []);
});

test('nothing may fail for which nothing was sent, nor without an answer', () => {
  assert.match(
    verdict({ ...POST, how: 'connect_failed', status: 503 }).violations.join(),
    /nothing was sent/,
  );
  assert.match(verdict({ ...POST, how: 'reset', status: 0 }).violations.join(), /no answer at all/);
});

test('an answer that was cut must come from an endpoint to which something happened', () => {
  const cut = { ...POST, method: 'GET', how: 'answer cut: end', status: 200, endpoint: 'stable-0:7' };
  assert.deepEqual(verdict(cut).violations, []);
  assert.match(verdict({ ...cut, endpoint: 'stable-0:8' }).violations.join(), /nothing happened/);
});

test('a second delivery shows across files; of a POST it is a duplicate', () => {
  const directory = mkdtempSync(join(tmpdir(), 'serin-deliveries-'));
  try {
    const files = ['one', 'two'].map((name) => join(directory, name));
    writeFileSync(files[0] as string, 'POST a 1\nPOST b 2\nGET c 3\n');
    writeFileSync(files[1] as string, 'POST b 4\nGET c 5\nPOST d');
    const { duplicates, repeated, times } = readDeliveries([...files, join(directory, 'none')]);
    assert.deepEqual(duplicates, ['b']);
    assert.equal(repeated, 1);
    assert.equal(times.get('a'), 1);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
