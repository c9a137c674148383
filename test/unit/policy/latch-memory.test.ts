import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compilePolicy } from '../../../src/policy/compile.ts';
import { takeOverLatch } from '../../../src/policy/latching.ts';
import type { Rule } from '../../../src/policy/schema.ts';
import { contextWithMemory, decideOnce, policy, rollout, service } from './fixtures.ts';

const OFFICE: Rule = { name: 'office', match: { segment: 'office' }, percentage: 100 };
const EVERYONE: Rule = { name: 'everyone', percentage: 20 };
const VIP = { name: 'vip', match: { header: { 'x-tier': { equals: 'vip' } } } };
const AT_OFFICE = { client: '203.0.113.7' };
const AT_HOME = { client: '192.0.2.1' };
const BY_HEADER = { identity: [{ header: 'x-user-id' }, { fingerprint: true }] as const };
const ME = { 'x-user-id': 'me' };

test('header identities that keep no cookies stay through the memory, on every worker', () => {
  const here = policy([OFFICE], BY_HEADER, [], contextWithMemory());
  const there = policy([OFFICE], BY_HEADER, [], contextWithMemory());
  const admitted = decideOnce(here, { ...AT_OFFICE, headers: ME });
  assert.equal(admitted.variant, 'canary');
  assert.notEqual(admitted.remember, '');
  assert.equal(decideOnce(here, { ...AT_HOME, headers: ME }).reason, 'latch');
  assert.equal(decideOnce(here, { ...AT_HOME, headers: ME }).remember, '');
  assert.equal(decideOnce(here, { ...AT_HOME, headers: { 'x-user-id': 'you' } }).variant, 'stable');
  assert.equal(decideOnce(there, { ...AT_HOME, headers: ME }).variant, 'stable');
  assert.ok(takeOverLatch(there, admitted.identityHash, admitted.remember));
  assert.equal(decideOnce(there, { ...AT_HOME, headers: ME }).reason, 'latch');
});

test('the memory takes nothing that is not genuine, nor of another rollout', () => {
  const memory = contextWithMemory();
  const rules = policy([OFFICE], BY_HEADER, [], memory);
  const admitted = decideOnce(policy([OFFICE], BY_HEADER, [], contextWithMemory()), {
    ...AT_OFFICE,
    headers: ME,
  });
  assert.ok(!takeOverLatch(rules, admitted.identityHash, `${admitted.remember}x`));
  const next = compilePolicy(
    service({ ...BY_HEADER, rollout: rollout([OFFICE], { id: 'rollout-2' }) }),
    memory,
  );
  assert.ok(!takeOverLatch(next, admitted.identityHash, admitted.remember));
  // One that was taken over does not count in the next rollout either, were the hash the same.
  assert.ok(takeOverLatch(rules, admitted.identityHash, admitted.remember));
  assert.equal(decideOnce(next, { ...AT_HOME, headers: ME }).variant, 'stable');
  assert.ok(!takeOverLatch(policy([OFFICE], BY_HEADER), admitted.identityHash, admitted.remember));
});

test('the memory keeps what can change under a header identity, and no more', () => {
  const pure = policy(
    [EVERYONE, { name: 'writes', match: { method: 'POST' }, percentage: 100 }],
    BY_HEADER,
    [],
    contextWithMemory(),
  );
  for (let number = 0; number < 50; number++) {
    for (const method of ['GET', 'POST']) {
      assert.equal(decideOnce(pure, { method, headers: { 'x-user-id': `${number}` } }).remember, '');
    }
  }
  const cookies = policy([OFFICE], {}, [], contextWithMemory());
  assert.equal(decideOnce(cookies, AT_OFFICE).remember, '');
  const without = policy([OFFICE], BY_HEADER);
  assert.equal(decideOnce(without, { ...AT_OFFICE, headers: ME }).remember, '');
});

test('an exclude wins for good in the memory, too', () => {
  const rules = policy([OFFICE], BY_HEADER, [VIP], contextWithMemory());
  decideOnce(rules, { ...AT_OFFICE, headers: ME });
  const hit = decideOnce(rules, { ...AT_OFFICE, headers: { ...ME, 'x-tier': 'vip' } });
  assert.notEqual(hit.remember, '');
  assert.notEqual(hit.identityHash, 0);
  assert.equal(decideOnce(rules, { ...AT_OFFICE, headers: ME }).reason, 'exclude');
});

test('an admission that another worker took at the same time does not undo an exclusion', () => {
  const here = policy([OFFICE], BY_HEADER, [VIP], contextWithMemory());
  const there = policy([OFFICE], BY_HEADER, [VIP], contextWithMemory());
  const elsewhere = decideOnce(there, { ...AT_OFFICE, headers: ME });
  decideOnce(here, { ...AT_OFFICE, headers: ME });
  decideOnce(here, { ...AT_OFFICE, headers: { ...ME, 'x-tier': 'vip' } });
  assert.ok(takeOverLatch(here, elsewhere.identityHash, elsewhere.remember));
  assert.equal(decideOnce(here, { ...AT_OFFICE, headers: ME }).reason, 'exclude');
});

test('the memory is for header identities alone: a cookie of the same name may be another device', () => {
  const identity = [{ header: 'x-user-id' }, { cookie: 'uid' }] as const;
  const rules = policy([OFFICE], { identity }, [], contextWithMemory());
  decideOnce(rules, { ...AT_OFFICE, headers: ME });
  assert.equal(decideOnce(rules, { ...AT_HOME, headers: ME }).variant, 'canary');
  assert.equal(decideOnce(rules, { ...AT_HOME, cookies: { uid: 'me' } }).variant, 'stable');
});
