import assert from 'node:assert/strict';
import type { LookupAddress } from 'node:dns';
import { test } from 'node:test';
import { guardedLookup } from '../../../src/upstream/guarded-lookup.ts';

type Result = [string | null, unknown];

function look(addresses: readonly string[], all: boolean): Result {
  const found: LookupAddress[] = addresses.map((address) => ({
    address,
    family: address.includes(':') ? 6 : 4,
  }));
  let result: Result | null = null;
  guardedLookup((_host, _options, done) => done(null, found))('notes.internal', { all }, (error, address) => {
    result = [error?.code ?? null, address];
  });
  assert.ok(result !== null);
  return result;
}

test('a name that leads to a link-local address is refused, whatever its notation', () => {
  for (const address of [
    '169.254.169.254',
    '::ffff:169.254.169.254',
    'fe80::1',
    '64:ff9b::a9fe:a9fe',
    '0.0.0.0',
  ]) {
    assert.equal(look([address], false)[0], 'destination_refused', address);
    assert.equal(look([address], true)[0], 'destination_refused', address);
  }
});

test('of several addresses those that are refused are left out', () => {
  assert.deepEqual(look(['169.254.169.254', '10.1.0.7'], false), [null, '10.1.0.7']);
  assert.deepEqual(look(['10.1.0.7', 'fe80::1', '2001:db8::7'], true), [
    null,
    [
      { address: '10.1.0.7', family: 4 },
      { address: '2001:db8::7', family: 6 },
    ],
  ]);
});

test("the resolver's own error is passed on", () => {
  let code: string | undefined;
  guardedLookup((_host, _options, done) => done(Object.assign(new Error('none'), { code: 'ENOTFOUND' }), []))(
    'none.internal',
    { all: true },
    (error) => {
      code = error?.code;
    },
  );
  assert.equal(code, 'ENOTFOUND');
});
