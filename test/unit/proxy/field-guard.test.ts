import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allowedTrailers, FieldGuard, OWN_FIELDS } from '../../../src/proxy/exchange/field-guard.ts';
import { headersRead } from '../../../src/policy/headers-read.ts';

test('a policy reads the headers of its identity, its rules and its excludes', () => {
  const rule = { name: 'a', match: { header: { 'X-Beta': 'yes' } }, percentage: 5 };
  const exclude = { name: 'b', match: { header: { 'X-Bot': { present: true } } } };
  const rollout = { document: { rules: [rule], exclude: [exclude] } };
  const source = { identity: [{ header: 'X-User-Id' }, { fingerprint: true }], rollout };
  const names = headersRead(source as unknown as Parameters<typeof headersRead>[0]);
  for (const name of ['x-user-id', 'x-beta', 'x-bot', 'user-agent', 'accept-language'])
    assert.ok(names.includes(name), name);
  assert.ok(headersRead({ identity: [], rollout: null }).includes('user-agent'));
});

test('a name is a look-alike of another one, never of itself', () => {
  const guard = new FieldGuard(['x-user-id', 'tenant_id']);
  for (const name of ['x_user_id', 'x.user-id', 'x_canary', 'tenant-id', 'content_type'])
    assert.equal(guard.isLookAlike(name), true, name);
  for (const name of ['x-user-id', 'tenant_id', 'x-canary', 'x_user', 'my_field', 'content-type'])
    assert.equal(guard.isLookAlike(name), false, name);
  assert.deepEqual([guard.odd, OWN_FIELDS.odd], [true, false]);
});

test('trailers that may not pass are taken out, others stay byte for byte', () => {
  const guard = new FieldGuard(['x-user-id']);
  const kept = 'X-Sum:1\r\nx_b:  2 \r\n';
  assert.equal(allowedTrailers(`${kept}\r\n`, guard), `${kept}\r\n`);
  assert.equal(
    allowedTrailers(`X-User-Id: a\r\n${kept}x_user_id:b\r\nX-Forwarded-User: c\r\n\r\n`, guard),
    `${kept}\r\n`,
  );
  assert.equal(allowedTrailers('x_canary: a\r\n\r\n', guard), '\r\n');
});
