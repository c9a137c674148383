import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { compilePolicy } from '../../../src/policy/compile.ts';
import { merged, type Latch } from '../../../src/policy/latch/latch.ts';
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
  const shared = contextWithMemory();
  const here = policy([OFFICE], BY_HEADER, [], shared);
  const there = policy([OFFICE], BY_HEADER, [], shared);
  const admitted = decideOnce(here, { ...AT_OFFICE, headers: ME });
  assert.equal(admitted.variant, 'canary');
  assert.notEqual(admitted.remember, '');
  assert.equal(decideOnce(here, { ...AT_HOME, headers: ME }).reason, 'latch');
  assert.equal(decideOnce(here, { ...AT_HOME, headers: ME }).remember, '');
  assert.equal(decideOnce(here, { ...AT_HOME, headers: { 'x-user-id': 'you' } }).variant, 'stable');
  assert.equal(decideOnce(there, { ...AT_HOME, headers: ME }).reason, 'latch');
  const alone = policy([OFFICE], BY_HEADER, [], contextWithMemory());
  assert.equal(decideOnce(alone, { ...AT_HOME, headers: ME }).variant, 'stable');
});

test('a latch of the memory is void in the next rollout', () => {
  const memory = contextWithMemory();
  decideOnce(policy([OFFICE], BY_HEADER, [], memory), { ...AT_OFFICE, headers: ME });
  const next = compilePolicy(
    service({ ...BY_HEADER, rollout: rollout([OFFICE], { id: 'rollout-2' }) }),
    memory,
  );
  assert.equal(decideOnce(next, { ...AT_HOME, headers: ME }).variant, 'stable');
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

test('an exclusion on one device holds on another that carries the latch of before in a cookie', () => {
  const rules = policy([OFFICE], BY_HEADER, [VIP], contextWithMemory());
  const admitted = decideOnce(rules, { ...AT_OFFICE, headers: ME });
  const cookies = { serin_latch_notes: admitted.remember };
  assert.equal(decideOnce(rules, { ...AT_HOME, headers: ME, cookies }).reason, 'latch');
  decideOnce(rules, { ...AT_OFFICE, headers: { ...ME, 'x-tier': 'vip' } });
  assert.equal(decideOnce(rules, { ...AT_HOME, headers: ME, cookies }).reason, 'exclude');
});

const mark = fc.constantFrom('rule-one', 'rule-two', 'rule-six');
const anyLatch: fc.Arbitrary<Latch> = fc.record({
  scope: fc.constant('s'),
  bucket: fc.nat(3),
  revision: fc.nat(3),
  admitted: fc.uniqueArray(mark),
  excluded: fc.uniqueArray(mark),
});
const sorted = ({ bucket, revision, admitted, excluded }: Latch): string =>
  JSON.stringify([bucket, revision, admitted.toSorted(), excluded.toSorted()]);

test('latches of one user come to the same, in whatever order and however often they are heard of', () => {
  fc.assert(
    fc.property(anyLatch, anyLatch, anyLatch, (a, b, c) => {
      assert.equal(sorted(merged(a, b)), sorted(merged(b, a)));
      assert.equal(sorted(merged(merged(a, b), c)), sorted(merged(a, merged(b, c))));
      assert.equal(sorted(merged(merged(a, b), b)), sorted(merged(a, b)));
      assert.equal(sorted(merged(a, a)), sorted(a));
    }),
  );
});

test('an admission that another worker made at the same time does not undo an exclusion, nor its end', () => {
  const latch: Latch = { scope: 's', bucket: 7, revision: 3, admitted: ['rule-one'], excluded: [] };
  const excluded = { ...latch, admitted: [], excluded: ['rule-six'] };
  assert.deepEqual(merged(latch, excluded), excluded);
  // Admitted anew, after the exclude rule was taken away.
  const again = { ...excluded, admitted: ['rule-two'] };
  assert.deepEqual(merged(merged(excluded, again), latch), again);
});

test('the memory is for header identities alone: a cookie of the same name may be another device', () => {
  const identity = [{ header: 'x-user-id' }, { cookie: 'uid' }] as const;
  const rules = policy([OFFICE], { identity }, [], contextWithMemory());
  decideOnce(rules, { ...AT_OFFICE, headers: ME });
  assert.equal(decideOnce(rules, { ...AT_HOME, headers: ME }).variant, 'canary');
  assert.equal(decideOnce(rules, { ...AT_HOME, cookies: { uid: 'me' } }).variant, 'stable');
});
