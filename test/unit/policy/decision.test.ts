import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compilePolicy, type CompiledPolicy, type PolicySource } from '../../../src/policy/compile.ts';
import { decide } from '../../../src/policy/decide.ts';
import { newDecision, type Decision } from '../../../src/policy/decision.ts';
import { createOverride } from '../../../src/policy/override.ts';
import type { Phase } from '../../../src/policy/rollout.ts';
import type { Rule } from '../../../src/policy/schema.ts';
import {
  Browser,
  context,
  contextWithMemory,
  decideOnce,
  facts,
  idOf,
  mint,
  mintedCookie,
  NOW,
  policy,
  rollout,
  service,
  userRequest,
  type Request,
} from './fixtures.ts';

const ALL: Rule[] = [{ name: 'everyone', percentage: 100 }];
const NONE: Rule[] = [{ name: 'everyone', percentage: 0 }];
const VIP = [{ name: 'vip', match: { header: { 'x-tier': { equals: 'vip' } } } }];
const IS_VIP = { 'x-tier': 'vip' };

const STABLE = 1;

function inPhase(phase: Phase, over: Partial<PolicySource> = {}): CompiledPolicy {
  return compilePolicy(service({ rollout: rollout(ALL, { phase }), ...over }), context());
}

function token(policy: CompiledPolicy, mode: 'always' | 'never', life = 60): string {
  return createOverride(policy.context.keys, policy.service, mode, NOW, life);
}

function says(policy: CompiledPolicy, request: Request = {}, usable = 3): string {
  const { variant, reason, rule, fallback, unavailable } = decideOnce(policy, request, usable);
  return [variant, reason, rule, fallback && 'fallback', unavailable && 'unavailable']
    .filter(Boolean)
    .join(' ');
}

test('a decision names epoch, revision, tier, bucket and user', () => {
  const compiled = compilePolicy(service({ revision: 42, rollout: rollout(ALL, { epoch: 7 }) }), context());
  const decision = decideOnce(compiled, userRequest(compiled, 1));
  assert.equal(`${decision.epoch} ${decision.revision} ${decision.tier}`, '7 42 minted');
  assert.ok(decision.bucket >= 0 && decision.identityHash > 0);
  const idle = decideOnce(compilePolicy(service({ revision: 3 }), context()));
  assert.equal(
    `${idle.epoch} ${idle.revision} ${idle.tier} ${idle.bucket} ${idle.identityHash}`,
    '0 3 none -1 0',
  );
});

test('one decision object serves many requests: nothing of the one before is left', () => {
  const rules = policy(ALL, {}, VIP);
  const out = newDecision();
  const requests: Request[] = [
    { headers: IS_VIP, cookies: { serin_override: 'x' } },
    {},
    { method: 'OPTIONS', headers: { 'access-control-request-method': 'PUT' } },
    userRequest(rules, 1),
  ];
  for (const request of [...requests, ...requests.toReversed()]) {
    const reused = { ...decide(rules, facts(request), 3, NOW, () => idOf(1), out) };
    assert.deepEqual(
      reused,
      decide(rules, facts(request), 3, NOW, () => idOf(1), newDecision()),
    );
  }
  decide(rules, facts(), STABLE, NOW, mint, out);
  assert.equal(out.fallback, true);
  assert.equal(decide(inPhase('idle'), facts(), 3, NOW, mint, out).fallback, false);
});

test('after a decision that failed, the next one sees nothing of it', () => {
  const rules = policy(
    [{ name: 'r', match: { header: { 'x-a': { equals: '1' } } }, percentage: 100 }],
    {},
    VIP,
  );
  const failing = { ...facts({ headers: { 'x-a': '1' } }), cookie: () => undefined };
  const broken = {
    ...failing,
    header(name: string): string | undefined {
      if (name === 'x-a') throw new Error('broken');
      return failing.header(name);
    },
  };
  const fromVip = { ...facts({ headers: { ...IS_VIP, 'x-a': '1' } }) };
  assert.equal(decide(rules, fromVip, 3, NOW, mint, newDecision()).reason, 'exclude');
  assert.throws(() => decide(rules, broken, 3, NOW, mint, newDecision()), /broken/);
  // The request that failed had no x-tier; this one has.
  assert.equal(says(rules, { headers: IS_VIP }), 'stable exclude vip');
  assert.equal(says(rules, { headers: { 'x-a': '1' } }), 'canary rule r');
  assert.equal(says(rules, {}), 'stable noMatch');
});

test('what is compared is the user: comparable decisions', () => {
  const conditional = policy([{ name: 'r', match: { segment: 'office' }, percentage: 50 }]);
  const pure = policy([{ name: 'r', percentage: 50 }]);
  const byPath = policy([{ name: 'r', match: { path: { prefix: '/a' } }, percentage: 50 }]);
  assert.equal(decideOnce(pure).comparable, true);
  assert.equal(decideOnce(conditional).comparable, false);
  assert.equal(decideOnce(conditional, userRequest(conditional, 1)).comparable, true);
  assert.equal(decideOnce(byPath, userRequest(byPath, 1)).comparable, false);
  assert.equal(
    decideOnce(pure, { headers: { 'x-serin-override': token(pure, 'always') } }).comparable,
    false,
  );
  assert.equal(decideOnce(policy(ALL, {}, VIP), { headers: IS_VIP }).comparable, false);
  assert.equal(
    decideOnce(pure, { method: 'OPTIONS', headers: { 'access-control-request-method': 'GET' } }).comparable,
    false,
  );
  const cookie = { identity: [{ cookie: 'uid' }] as const };
  const shared = policy([{ name: 'r', match: { segment: 'office' }, percentage: 50 }], cookie);
  assert.equal(decideOnce(shared, { cookies: { uid: 'a' } }).comparable, false);
  assert.equal(
    decideOnce(policy([{ name: 'r', percentage: 50 }], cookie), { cookies: { uid: 'a' } }).comparable,
    true,
  );
});

test('people behind one fingerprint are told apart by their own ids', () => {
  const rules = policy([{ name: 'r', percentage: 50 }]);
  const one = new Browser();
  const two = new Browser();
  one.send(rules);
  two.send(rules);
  const first = one.send(rules);
  const second = two.send(rules);
  assert.equal(first.bucket, second.bucket);
  assert.notEqual(first.identityHash, second.identityHash);
  assert.equal(mintedCookie(rules, idOf(1)), mintedCookie(rules, idOf(1)));
});

test('every field is written anew, whatever stood in it', () => {
  const memory = contextWithMemory();
  const byHeader = { identity: [{ header: 'x-user-id' }] as const };
  const office: Rule[] = [{ name: 'office', match: { segment: 'office' }, percentage: 100 }];
  const rules = policy(office, byHeader, VIP, memory);
  const me = { 'x-user-id': 'me' };
  const dirty = (): Decision => ({
    ...decideOnce(rules, { client: '203.0.113.7', headers: { 'x-user-id': 'other' } }),
    fallback: true,
    unavailable: true,
    rule: 'left over',
    bucket: 7,
    tier: 'cookie',
    identityHash: 7,
    epoch: 7,
    revision: 7,
    setCookies: 'left over',
    stripCookie: true,
    preflight: true,
    comparable: true,
    remember: 'left over',
  });
  for (const compiled of [rules, inPhase('idle'), inPhase('promoted'), policy(NONE)]) {
    for (const headers of [me, { ...me, ...IS_VIP }, { 'x-serin-override': token(compiled, 'never') }]) {
      const request = facts({ headers, cookies: { serin_id: mintedCookie(compiled, idOf(1)) } });
      const clean = decide(compiled, request, 3, NOW, () => idOf(1), newDecision());
      assert.deepEqual(
        decide(compiled, request, 3, NOW, () => idOf(1), dirty()),
        clean,
      );
    }
  }
});

test('users known by a header are compared where every worker knows their latches', () => {
  const office: Rule[] = [{ name: 'office', match: { segment: 'office' }, percentage: 100 }];
  const byHeader = { identity: [{ header: 'x-user-id' }] as const };
  const me = { headers: { 'x-user-id': 'me' } };
  assert.equal(decideOnce(policy(office, byHeader, [], contextWithMemory()), me).comparable, true);
  assert.equal(decideOnce(policy(office, byHeader), me).comparable, false);
  const byCookie = policy(office, { identity: [{ cookie: 'uid' }] }, [], contextWithMemory());
  assert.equal(decideOnce(byCookie, { cookies: { uid: 'me' } }).comparable, false);
});
