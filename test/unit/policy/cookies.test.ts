import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { cookieWriter, latchCookie, type CookieOptions } from '../../../src/policy/cookies.ts';
import { anyText } from './fixtures.ts';

const OPTIONS: CookieOptions = { sameSite: 'Lax', secure: 'auto', partitioned: false, maxAge: 86_400 };
const set = (over: Partial<CookieOptions>, secure: boolean, path = '/'): string =>
  cookieWriter(path, { ...OPTIONS, ...over }).set('serin_id', 'v', secure);

test('a line is complete', () => {
  assert.equal(set({}, false), 'Set-Cookie: serin_id=v; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax\r\n');
  assert.equal(
    set({}, true),
    'Set-Cookie: serin_id=v; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax; Secure\r\n',
  );
});

test('expiring names the same cookie: path, Secure and Partitioned are those it was set with', () => {
  const writer = cookieWriter('/shop', { ...OPTIONS, partitioned: true });
  assert.equal(
    writer.expire('serin_latch_a', true),
    'Set-Cookie: serin_latch_a=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure; Partitioned\r\n' +
      'Set-Cookie: serin_latch_a=; Path=/shop; Max-Age=0; HttpOnly; SameSite=Lax; Secure; Partitioned\r\n',
  );
});

test('Secure goes with TLS, with the setting, and with what browsers refuse without it', () => {
  assert.ok(!set({}, false).includes('Secure'));
  assert.ok(set({ secure: 'always' }, false).includes('; Secure'));
  assert.ok(set({ sameSite: 'None' }, false).includes('; SameSite=None; Secure'));
  assert.ok(set({ partitioned: true }, false).includes('; Secure; Partitioned'));
  assert.ok(set({ sameSite: 'Strict' }, false).includes('; SameSite=Strict\r\n'));
});

test('the path is the whole host, or the prefix, and no prefix can break out of its attribute', () => {
  assert.ok(set({}, false, '/shop').includes('; Path=/;'));
  const setForService = (path: string): string =>
    cookieWriter(path, OPTIONS).setForService('serin_id', 'v', false);
  assert.ok(setForService('/shop').includes('; Path=/shop;'));
  fc.assert(
    fc.property(anyText, (path) => {
      const line = setForService(`/${path.toWellFormed()}`);
      assert.match(
        line,
        /^Set-Cookie: serin_id=v; Path=[\x21-\x3a\x3c-\x7e]+; Max-Age=86400; HttpOnly; SameSite=Lax\r\n$/,
      );
    }),
  );
});

test('the age is whole seconds and never expires what it sets', () => {
  assert.ok(set({ maxAge: 1.9 }, false).includes('; Max-Age=1;'));
  assert.ok(set({ maxAge: 0 }, false).includes('; Max-Age=1;'));
});

test('latches have a cookie per service', () => {
  assert.equal(latchCookie('notes'), 'serin_latch_notes');
  assert.match(latchCookie('a b;c'), /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/);
});
