import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compilePolicy, type CompiledPolicy, type PolicySource } from '../../../src/policy/compile.ts';
import { compileNetworks } from '../../../src/ip/network.ts';
import { createOverride } from '../../../src/policy/override.ts';
import type { Phase } from '../../../src/policy/rollout.ts';
import type { Rule } from '../../../src/policy/schema.ts';
import {
  Browser,
  context,
  decideOnce,
  NOW,
  policy,
  rollout,
  service,
  userRequest,
  userWithBucket,
  type Request,
} from './fixtures.ts';

const ALL: Rule[] = [{ name: 'everyone', percentage: 100 }];
const NONE: Rule[] = [{ name: 'everyone', percentage: 0 }];
const VIP = [{ name: 'vip', match: { header: { 'x-tier': { equals: 'vip' } } } }];
const IS_VIP = { 'x-tier': 'vip' };

const STABLE = 1;
const CANARY = 2;

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

test('step 1: the phase', () => {
  assert.equal(says(compilePolicy(service(), context())), 'stable idle');
  assert.equal(says(inPhase('idle')), 'stable idle');
  assert.equal(says(inPhase('rolledBack')), 'stable rolledBack');
  assert.equal(says(inPhase('promoted')), 'canary promoted');
  assert.equal(says(inPhase('running')), 'canary rule everyone');
  assert.equal(says(inPhase('paused')), 'canary rule everyone');
});

test('no override, follow or latch moves anybody outside of a rollout', () => {
  const over = { follow: ['front'] };
  for (const phase of ['idle', 'rolledBack'] as const) {
    const fixed = inPhase(phase, over);
    const headers = { 'x-serin-override': token(fixed, 'always'), 'x-canary': 'canary' };
    assert.equal(says(fixed, { headers }), `stable ${phase}`);
  }
  const promoted = inPhase('promoted', over);
  assert.equal(
    says(promoted, { headers: { 'x-serin-override': token(promoted, 'never') } }),
    'canary promoted',
  );
});

test('step 2: an exclude comes before overrides, follow and rules', () => {
  const peers = context({ followPeers: compileNetworks(['10.0.0.0/8']) });
  const rules = policy(ALL, { follow: ['front'] }, VIP, peers);
  const headers = { ...IS_VIP, 'x-serin-override': token(rules, 'always'), 'x-canary': 'canary' };
  assert.equal(says(rules, { headers }), 'stable exclude vip');
  assert.equal(says(rules, { headers: {} }), 'canary rule everyone');
});

test('step 3: an override comes before follow, latch and rules', () => {
  const peers = context({ followPeers: compileNetworks(['10.0.0.0/8']) });
  const all = policy(ALL, { follow: ['front'] }, [], peers);
  const browser = new Browser();
  browser.send(all);
  const never = { headers: { 'x-serin-override': token(all, 'never'), 'x-canary': 'canary' } };
  const decision = browser.send(all, never);
  assert.equal(`${decision.variant} ${decision.reason}`, 'stable override');
  // It is a wish of this request: the latch stays.
  assert.deepEqual(browser.lines, []);
  assert.equal(browser.send(all).reason, 'latch');
  const none = policy(NONE);
  assert.equal(says(none, { headers: { 'x-serin-override': token(none, 'always') } }), 'canary override');
});

test('an override comes in a header or a cookie, the header first', () => {
  const none = policy(NONE);
  const always = token(none, 'always');
  const never = token(none, 'never');
  assert.equal(says(none, { cookies: { serin_override: always } }), 'canary override');
  assert.equal(
    says(none, { headers: { 'x-serin-override': never }, cookies: { serin_override: always } }),
    'stable override',
  );
  assert.equal(
    says(none, { headers: { 'x-serin-override': 'junk' }, cookies: { serin_override: always } }),
    'canary override',
  );
});

test('an override that is forged, expired or of another service does not count', () => {
  const none = policy(NONE);
  const other = token(policy(NONE, { name: 'other' }), 'always');
  for (const value of ['', 'always', other, `${token(none, 'always')}x`]) {
    assert.equal(says(none, { headers: { 'x-serin-override': value } }), 'stable noMatch', value);
  }
  const headers = { 'x-serin-override': token(none, 'always', 60) };
  assert.equal(decideOnce(none, { headers }, 3, NOW + 59).reason, 'override');
  assert.equal(decideOnce(none, { headers }, 3, NOW + 60).reason, 'noMatch');
});

test('an override cookie is always to be stripped, whatever it is worth and whatever the phase', () => {
  for (const compiled of [
    policy(NONE),
    inPhase('idle'),
    inPhase('promoted'),
    compilePolicy(service(), context()),
  ]) {
    assert.equal(decideOnce(compiled, { cookies: { serin_override: 'junk' } }).stripCookie, true);
    assert.equal(decideOnce(compiled).stripCookie, false);
  }
});

test('step 4: x-canary is followed from follow peers, for services that say so', () => {
  const peers = context({ followPeers: compileNetworks(['10.0.0.0/8']) });
  const follows = policy(NONE, { follow: ['front'] }, [], peers);
  assert.equal(says(follows, { headers: { 'x-canary': 'canary' } }), 'canary follow');
  assert.equal(
    says(policy(ALL, { follow: ['front'] }, [], peers), { headers: { 'x-canary': 'stable' } }),
    'stable follow',
  );
  assert.equal(says(follows, { headers: { 'x-canary': 'canary' }, peer: '192.0.2.9' }), 'stable noMatch');
  // It is the socket's other end that counts, not whom a header names.
  assert.equal(
    says(follows, { headers: { 'x-canary': 'canary' }, peer: '192.0.2.9', client: '10.0.0.1' }),
    'stable noMatch',
  );
  assert.equal(says(policy(NONE, {}, [], peers), { headers: { 'x-canary': 'canary' } }), 'stable noMatch');
  assert.equal(
    says(policy(NONE, { follow: ['front'] }), { headers: { 'x-canary': 'canary' } }),
    'stable noMatch',
  );
  for (const junk of ['Canary', '', 'canary, stable', '1'])
    assert.equal(says(follows, { headers: { 'x-canary': junk } }), 'stable noMatch');
});

test('neither follow nor override latches', () => {
  const peers = context({ followPeers: compileNetworks(['10.0.0.0/8']) });
  const follows = policy(NONE, { follow: ['front'] }, [], peers);
  for (const headers of [{ 'x-canary': 'canary' }, { 'x-serin-override': token(follows, 'always') }]) {
    assert.ok(!decideOnce(follows, { headers }).setCookies.includes('serin_latch'));
  }
});

test('step 6: the rule with the highest percentage decides, ties by name', () => {
  const rules = policy([
    { name: 'c', percentage: 30 },
    { name: 'b', percentage: 80 },
    { name: 'a', percentage: 80 },
    { name: 'never', match: { header: { 'x-no': { present: true } } }, percentage: 100 },
  ]);
  const low = userWithBucket(rules, 0, 300_000);
  const high = userWithBucket(rules, 300_000, 800_000);
  const none = userWithBucket(rules, 800_000, 1_000_000);
  assert.equal(says(rules, userRequest(rules, low)), 'canary rule a');
  assert.equal(says(rules, userRequest(rules, high)), 'canary rule a');
  assert.equal(says(rules, userRequest(rules, none)), 'stable noMatch');
});

test('a rule at 0 admits nobody, at 100 everybody', () => {
  const none = policy(NONE);
  const all = policy(ALL);
  for (let number = 0; number < 500; number++) {
    assert.equal(decideOnce(none, userRequest(none, number)).variant, 'stable');
    assert.equal(decideOnce(all, userRequest(all, number)).variant, 'canary');
  }
});

test('step 7: canary falls back to stable unless that is forbidden', () => {
  assert.equal(says(policy(ALL), {}, STABLE), 'stable rule everyone fallback');
  const { assigned } = decideOnce(policy(ALL), {}, STABLE);
  assert.equal(assigned, 'canary');
  const forbidden = { settings: { fallbackToStable: false, fallbackToCanary: false } };
  assert.equal(says(policy(ALL, forbidden), {}, STABLE), 'canary rule everyone unavailable');
  assert.equal(says(inPhase('promoted'), {}, STABLE), 'stable promoted fallback');
  assert.equal(says(policy(ALL), {}, 0), 'canary rule everyone unavailable');
});

test('stable falls back to canary only where the operator allows it, and only users of a running rollout', () => {
  assert.equal(says(policy(NONE), {}, CANARY), 'stable noMatch unavailable');
  const allowed = { settings: { fallbackToStable: true, fallbackToCanary: true } };
  assert.equal(says(policy(NONE, allowed), {}, CANARY), 'canary noMatch fallback');
  assert.equal(says(inPhase('idle', allowed), {}, CANARY), 'stable idle unavailable');
  assert.equal(says(inPhase('rolledBack', allowed), {}, CANARY), 'stable rolledBack unavailable');
  assert.equal(
    says(policy(NONE, allowed, VIP), { headers: IS_VIP }, CANARY),
    'stable exclude vip unavailable',
  );
});

test('an override is served as asked or not at all', () => {
  const allowed = policy(ALL, { settings: { fallbackToStable: true, fallbackToCanary: true } });
  assert.equal(
    says(allowed, { headers: { 'x-serin-override': token(allowed, 'always') } }, STABLE),
    'canary override unavailable',
  );
  assert.equal(
    says(allowed, { headers: { 'x-serin-override': token(allowed, 'never') } }, CANARY),
    'stable override unavailable',
  );
});

test('a user who falls back is admitted all the same', () => {
  const browser = new Browser();
  browser.send(policy(ALL), {}, STABLE);
  assert.ok(browser.lines.join().includes('serin_latch_notes=1.'));
});

test('a header flood or a huge cookie is just a request without a known user', () => {
  const rules = policy([
    {
      name: 'r',
      match: { device: { model: 'iPhone' }, header: { 'x-v': { semver: '>=1' } } },
      percentage: 100,
    },
  ]);
  const huge = 'x'.repeat(32_000);
  const decision = decideOnce(rules, {
    headers: { 'user-agent': huge, 'accept-language': huge, 'x-v': huge, 'x-serin-override': huge },
    cookies: { serin_id: huge, serin_latch_notes: huge, serin_override: huge },
  });
  assert.equal(`${decision.variant} ${decision.tier}`, 'stable fingerprint');
  assert.ok(decision.setCookies.length < 1000);
});
