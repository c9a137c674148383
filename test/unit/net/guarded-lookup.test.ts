import assert from 'node:assert/strict';
import type { LookupAddress } from 'node:dns';
import { test } from 'node:test';
import { guardedLookup } from '../../../src/net/guarded-lookup.ts';

type Result = [string | null, unknown];

function look(addresses: readonly string[], all: boolean, host = 'notes.internal'): Result {
  const found: LookupAddress[] = addresses.map((address) => ({
    address,
    family: address.includes(':') ? 6 : 4,
  }));
  let result: Result | null = null;
  guardedLookup((_host, _options, done) => done(null, found))(host, { all }, (error, address) => {
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

test('a name that leads to this machine is refused, but for those that mean it', () => {
  for (const address of ['127.0.0.1', '127.8.9.10', '::1', '::ffff:127.0.0.1', '64:ff9b::7f00:1']) {
    for (const host of ['notes.internal', 'localhost.evil.test', 'localhost-'])
      assert.equal(look([address], true, host)[0], 'destination_refused', `${host} ${address}`);
  }
  for (const host of ['localhost', 'LOCALHOST', 'notes.localhost', 'ip6-localhost', 'localhost.localdomain'])
    assert.deepEqual(look(['127.0.0.1'], false, host), [null, '127.0.0.1']);
  assert.equal(look(['169.254.169.254'], false, 'localhost')[0], 'destination_refused');
});

test('each connection is looked up anew, and what was looked at is what is given', () => {
  const answers = ['10.1.0.7', '127.0.0.1', '10.1.0.8'];
  const given: unknown[] = [];
  const lookup = guardedLookup((_host, _options, done) =>
    done(null, [{ address: answers.shift() ?? '', family: 4 }]),
  );
  for (let round = 0; round < 3; round++)
    lookup('rebinding.test', { all: false }, (error, address) => given.push(error?.code ?? address));
  assert.deepEqual(given, ['10.1.0.7', 'destination_refused', '10.1.0.8']);
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

test('what a resolver gives that is no address is left out', () => {
  assert.deepEqual(look(['metadata', '10.1.0.7'], false), [null, '10.1.0.7']);
  assert.equal(look(['0x7f.1'], true)[0], 'destination_refused');
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
