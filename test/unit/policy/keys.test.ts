import assert from 'node:assert/strict';
import { createHmac, hkdfSync } from 'node:crypto';
import { test } from 'node:test';
import { KeyRing, MAC_LENGTH } from '../../../src/policy/keys.ts';

const first = { id: 'a', secret: new Uint8Array(32).fill(1) };
const second = { id: 'b', secret: new Uint8Array(48).fill(2) };

test('signs by the formula: HKDF subkey, HMAC-SHA256, 16 bytes in base64url', () => {
  const subkey = Buffer.from(hkdfSync('sha256', first.secret, '', 'serin latch', 32));
  const expected = createHmac('sha256', subkey).update('text').digest().subarray(0, 16).toString('base64url');
  const signature = new KeyRing([first]).sign('latch', 'text');
  assert.equal(signature, expected);
  assert.equal(signature.length, MAC_LENGTH);
});

test('any text has the HMAC that node:crypto gives it', () => {
  const subkey = Buffer.from(hkdfSync('sha256', second.secret, '', 'serin identity', 32));
  const keys = new KeyRing([second]);
  const texts = Array.from({ length: 500 }, (_, n) => `text ${n}`);
  texts.push('', 'Zoë 上海', 'x'.repeat(1365), 'x'.repeat(1366), 'é'.repeat(5000));
  for (const text of texts) {
    const mac = createHmac('sha256', subkey).update(text, 'utf8').digest();
    assert.equal(keys.sign('identity', text), mac.subarray(0, 16).toString('base64url'));
  }
});

test('a signature counts for its text and purpose only', () => {
  const keys = new KeyRing([first]);
  const signature = keys.sign('latch', 'text');
  assert.ok(keys.verify('latch', 'text', signature));
  assert.ok(!keys.verify('latch', 'texu', signature));
  assert.ok(!keys.verify('identity', 'text', signature));
  assert.ok(!keys.verify('override', 'text', signature));
  assert.notEqual(keys.sign('identity', 'text'), signature);
});

test('texts beyond ASCII have signatures of their own', () => {
  const keys = new KeyRing([first]);
  // Cut to single bytes, these two would be one.
  assert.notEqual(keys.sign('latch', 'Ā'), keys.sign('latch', '\0'));
});

test('no change to a signature verifies, nor another length', () => {
  const keys = new KeyRing([first]);
  const signature = keys.sign('latch', 'text');
  for (let at = 0; at < signature.length; at++) {
    const changed = signature.slice(0, at) + (signature[at] === 'A' ? 'B' : 'A') + signature.slice(at + 1);
    assert.ok(!keys.verify('latch', 'text', changed), `at ${at}`);
  }
  for (const other of [
    '',
    signature.slice(1),
    `${signature}A`,
    `${signature}=`,
    'é'.repeat(22),
    '\u0141'.repeat(22),
  ]) {
    assert.ok(!keys.verify('latch', 'text', other));
  }
});

test('the first key signs, all verify', () => {
  const old = new KeyRing([first]);
  const rotated = new KeyRing([second, first]);
  assert.equal(rotated.currentId, 'b');
  assert.ok(rotated.verify('latch', 'text', old.sign('latch', 'text')));
  assert.ok(!old.verify('latch', 'text', rotated.sign('latch', 'text')));
  assert.ok(rotated.verify('latch', 'text', rotated.sign('latch', 'text')));
});

test('fingerprints keep to the named key, whatever signs', () => {
  const before = new KeyRing([first]);
  const after = new KeyRing([second, first]);
  assert.equal(after.fingerprint('a', 'text'), before.fingerprint('a', 'text'));
  assert.notEqual(after.fingerprint('b', 'text'), before.fingerprint('a', 'text'));
  assert.ok(after.has('a') && !after.has('c'));
  // A key that is gone: the first takes its place, on every replica alike.
  assert.equal(after.fingerprint('c', 'text'), after.fingerprint('b', 'text'));
});

test('knows what it was made of', () => {
  const keys = new KeyRing([first, second]);
  assert.ok(keys.isMadeOf([{ ...first, secret: Uint8Array.from(first.secret) }, second]));
  assert.ok(!keys.isMadeOf([second, first]));
  assert.ok(!keys.isMadeOf([first]));
  assert.ok(!keys.isMadeOf([first, { ...second, id: 'c' }]));
  assert.ok(!keys.isMadeOf([first, { ...second, secret: new Uint8Array(48).fill(3) }]));
  assert.ok(!keys.isMadeOf([first, { ...second, secret: new Uint8Array(32).fill(2) }]));
});

test('refuses an empty ring and short secrets', () => {
  assert.throws(() => new KeyRing([]), /no key/);
  assert.throws(() => new KeyRing([{ id: 'x', secret: new Uint8Array(31) }]), /"x" is shorter than 32 bytes/);
});
