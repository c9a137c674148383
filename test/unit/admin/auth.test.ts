/** Which names the API may be called by, and how tokens are compared. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { authenticate, checkOrigin, type Presented } from '../../../src/admin/auth.ts';

const NOBODY: Presented = { host: undefined, origin: undefined, authorization: undefined };
const SETTINGS = { publicUrl: 'https://canary.example.com' };

test('hosts: loopback in every spelling, the public name, nothing else', () => {
  const allowed = (host: string | undefined): boolean => {
    try {
      checkOrigin({ ...NOBODY, host }, SETTINGS);
      return true;
    } catch {
      return false;
    }
  };
  for (const host of ['localhost', 'LOCALHOST:9090', '127.0.0.1:1', '127.9.9.9', '[::1]', '[::1]:9090'])
    assert.ok(allowed(host), host);
  for (const host of ['canary.example.com', 'CANARY.Example.com', 'canary.example.com.', 'localhost.:9090'])
    assert.ok(allowed(host), host);
  for (const host of ['canary.example.com:443', 'canary.example.com.:443']) assert.ok(allowed(host), host);
  for (const host of [undefined, '', '[::2]', '::1', '[::1', '10.0.0.1', 'localhost.evil.example'])
    assert.ok(!allowed(host), String(host));
  for (const host of [
    'canary.example.com..',
    'canary.example.com@evil',
    'xcanary.example.com',
    '127.0.0.1:x',
  ])
    assert.ok(!allowed(host), host);
  for (const host of [
    'canary.example.com:80',
    'canary.example.com:4433',
    '.:443',
    ':443',
    'canary.example.com:443:443',
  ])
    assert.ok(!allowed(host), host);
});

test('hosts: a public URL with a port of its own, or over plain HTTP', () => {
  const check = (host: string, publicUrl: string): void => checkOrigin({ ...NOBODY, host }, { publicUrl });
  check('canary.example.com:8443', 'https://canary.example.com:8443');
  check('canary.example.com.:8443', 'https://canary.example.com:8443');
  check('canary.example.com:80', 'http://canary.example.com');
  check('[2001:db8::7]:443', 'https://[2001:db8::7]');
  for (const host of ['canary.example.com', 'canary.example.com:443'])
    assert.throws(() => check(host, 'https://canary.example.com:8443'), host);
  assert.throws(() => check('canary.example.com:443', 'http://canary.example.com'));
});

test('tokens: the whole token, and only as a bearer', () => {
  const sha256 = createHash('sha256').update('right').digest('hex');
  const settings = { tokens: [{ name: 'a', role: 'viewer' as const, sha256 }] };
  const name = (authorization: string | undefined): string | null => {
    try {
      return authenticate({ ...NOBODY, authorization }, settings).name;
    } catch {
      return null;
    }
  };
  assert.equal(name('Bearer right'), 'a');
  assert.equal(name('bearer  right'), 'a');
  for (const other of [undefined, '', 'right', 'Bearer', 'Bearer righ', 'Bearer right x', `Bearer ${sha256}`])
    assert.equal(name(other), null, other);
});
