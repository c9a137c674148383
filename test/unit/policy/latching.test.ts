import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compilePolicy, type CompiledPolicy } from '../../../src/policy/compile.ts';
import { MOST_MARKS, tagOf } from '../../../src/policy/latch/latch.ts';
import type { Rule } from '../../../src/policy/schema.ts';
import {
  Browser,
  characters,
  context,
  decideOnce,
  KEYS,
  policy,
  rollout,
  service,
  userRequest,
  userWithBucket,
} from './fixtures.ts';

const OFFICE: Rule = { name: 'office', match: { segment: 'office' }, percentage: 100 };
const EVERYONE: Rule = { name: 'everyone', percentage: 20 };
const VIP = { name: 'vip', match: { header: { 'x-tier': { equals: 'vip' } } } };
const AT_OFFICE = { client: '203.0.113.7' };
const AT_HOME = { client: '192.0.2.1' };

/** A browser of a user whose bucket lies in [from, to), known since before the rollout. */
function user(policy: CompiledPolicy, from: number, to: number): Browser {
  return new Browser(userRequest(policy, userWithBucket(policy, from, to)));
}

function latchLine(browser: Browser): string {
  return browser.lines.filter((line) => line.includes('serin_latch_notes=')).join('\n');
}

test('an admission sets a latch, once', () => {
  const rules = policy([OFFICE]);
  const browser = new Browser(userRequest(rules, 1));
  const first = browser.send(rules, AT_OFFICE);
  assert.equal(`${first.variant} ${first.reason} ${first.rule}`, 'canary rule office');
  assert.match(
    latchLine(browser),
    /^Set-Cookie: serin_latch_notes=1\.[^;]+; Path=\/; Max-Age=86400; HttpOnly; SameSite=Lax$/,
  );
  const second = browser.send(rules, AT_OFFICE);
  assert.equal(`${second.variant} ${second.reason} ${second.rule}`, 'canary latch office');
  assert.deepEqual(browser.lines, []);
});

test('a user who goes home, upgrades or logs in stays on the canary', () => {
  const rules = policy(
    [OFFICE, { name: 'old iOS', match: { header: { 'x-app': { semver: '<8' } } }, percentage: 50 }],
    {
      identity: [{ header: 'x-user-id' }, { cookie: 'serin_id', mint: true }, { fingerprint: true }],
    },
  );
  const browser = user(rules, 900_000, 1_000_000);
  const { bucket } = browser.send(rules, AT_OFFICE);
  for (const later of [
    AT_HOME,
    { ...AT_HOME, headers: { 'x-app': '9.0.0' } },
    { ...AT_HOME, headers: { 'x-user-id': 'me' } },
  ]) {
    const decision = browser.send(rules, later);
    assert.equal(`${decision.variant} ${decision.reason}`, 'canary latch');
    assert.equal(decision.bucket, bucket);
  }
});

test('the latch fixes the bucket, whoever the user is later', () => {
  const rules = policy([EVERYONE], {
    identity: [{ header: 'x-user-id' }, { cookie: 'serin_id', mint: true }],
  });
  const browser = user(rules, 0, 200_000);
  const { bucket } = browser.send(rules);
  for (let number = 0; number < 20; number++) {
    const decision = browser.send(rules, { headers: { 'x-user-id': `user ${number}` } });
    assert.equal(`${decision.variant} ${decision.bucket}`, `canary ${bucket}`);
  }
});

test('lowering a percentage moves exactly the latched users beyond it', () => {
  const at = new Map(
    [0, 5, 10, 15, 20].map((percentage) => [percentage, policy([{ ...EVERYONE, percentage }])]),
  );
  const browsers = Array.from({ length: 400 }, (_, number) => new Browser(userRequest(at.get(20)!, number)));
  const buckets = browsers.map((browser) => browser.send(at.get(20)!).bucket);
  for (const percentage of [10, 5, 15, 20, 0, 20]) {
    for (const [number, browser] of browsers.entries()) {
      const { variant } = browser.send(at.get(percentage)!);
      assert.equal(variant, buckets[number]! < percentage * 10_000 ? 'canary' : 'stable');
    }
  }
});

test('removing a rule moves who was admitted by it alone, and nobody else', () => {
  const both = policy([OFFICE, EVERYONE]);
  const without = policy([EVERYONE]);
  const low = user(both, 0, 200_000);
  const high = user(both, 200_000, 1_000_000);
  for (const browser of [low, high]) assert.equal(browser.send(both, AT_OFFICE).rule, 'office');
  assert.equal(low.send(without).variant, 'canary');
  assert.equal(high.send(without).variant, 'stable');
  // The rule is back: the latch stands in for it again.
  assert.equal(high.send(both, AT_HOME).reason, 'latch');
});

test('a rule under another name is another rule', () => {
  const browser = user(policy([OFFICE]), 500_000, 1_000_000);
  browser.send(policy([OFFICE]), AT_OFFICE);
  assert.equal(browser.send(policy([{ ...OFFICE, name: 'offices' }]), AT_HOME).variant, 'stable');
});

test('a new rollout voids every latch, and stale ones are expired', () => {
  const first = policy([OFFICE]);
  const next = compilePolicy(service({ rollout: rollout([OFFICE], { id: 'rollout-2' }) }), context());
  const browser = new Browser(userRequest(first, 1));
  browser.send(first, AT_OFFICE);
  const stale = browser.cookies['serin_latch_notes'];
  assert.equal(browser.send(next, AT_HOME).variant, 'stable');
  assert.match(
    latchLine(browser),
    /^Set-Cookie: serin_latch_notes=; Path=\/; Max-Age=0; HttpOnly; SameSite=Lax$/,
  );
  assert.equal(browser.cookies['serin_latch_notes'], undefined);
  // Where the new rollout admits the user, the stale latch is simply overwritten.
  browser.cookies['serin_latch_notes'] = stale!;
  browser.send(next, AT_OFFICE);
  assert.equal(browser.lines.length, 1);
  assert.ok(!latchLine(browser).includes('Max-Age=0'));
});

test('a rollback and the time between rollouts expire latches; a promoted rollout keeps them', () => {
  const rules = policy([OFFICE]);
  for (const [phase, expired] of [
    ['rolledBack', true],
    ['idle', true],
    ['promoted', false],
    ['paused', false],
  ] as const) {
    const browser = new Browser(userRequest(rules, 1));
    browser.send(rules, AT_OFFICE);
    browser.send(compilePolicy(service({ rollout: rollout([OFFICE], { phase }) }), context()), AT_HOME);
    assert.equal(latchLine(browser).includes('Max-Age=0'), expired, phase);
  }
  const none = new Browser(userRequest(rules, 1));
  none.cookies['serin_latch_notes'] = 'junk';
  none.send(compilePolicy(service(), context()));
  assert.ok(latchLine(none).includes('Max-Age=0'));
});

test('method and path are always checked, never stood in for', () => {
  const rules = policy([
    {
      name: 'checkout',
      match: { segment: 'office', path: { prefix: '/checkout' }, method: ['GET', 'POST'] },
      percentage: 100,
    },
  ]);
  const browser = new Browser(userRequest(rules, 1));
  assert.equal(browser.send(rules, { ...AT_OFFICE, path: '/checkout/1' }).variant, 'canary');
  assert.equal(browser.send(rules, { ...AT_HOME, path: '/checkout' }).reason, 'latch');
  assert.equal(browser.send(rules, { ...AT_HOME, path: '/' }).variant, 'stable');
  assert.equal(browser.send(rules, { ...AT_HOME, path: '/checkout', method: 'DELETE' }).variant, 'stable');
  assert.equal(browser.send(rules, { ...AT_HOME, path: '/x/../checkout' }).reason, 'latch');
  assert.deepEqual(browser.lines, []);
});

test('a latch remembers each rule of a user who met several, within bounds', () => {
  const paths = ['/a', '/b', '/c', '/d', '/e'];
  const rules = policy(
    paths.map((path) => ({
      name: path,
      match: { segment: 'office', path: { prefix: path } },
      percentage: 100,
    })),
  );
  const browser = new Browser(userRequest(rules, 1));
  for (const path of paths.slice(0, MOST_MARKS)) browser.send(rules, { ...AT_OFFICE, path });
  for (const path of paths.slice(0, MOST_MARKS))
    assert.equal(browser.send(rules, { ...AT_HOME, path }).reason, 'latch', path);
  browser.send(rules, { ...AT_OFFICE, path: '/e' });
  assert.equal(browser.send(rules, { ...AT_HOME, path: '/e' }).reason, 'latch');
  // The oldest had to go.
  assert.equal(browser.send(rules, { ...AT_HOME, path: '/a' }).variant, 'stable');
});

test('an exclude that hits a latched user wins for good', () => {
  const rules = policy([OFFICE], {}, [VIP]);
  const browser = new Browser(userRequest(rules, 1));
  assert.equal(browser.send(rules, AT_OFFICE).variant, 'canary');
  const hit = browser.send(rules, { ...AT_OFFICE, headers: { 'x-tier': 'vip' } });
  assert.equal(`${hit.variant} ${hit.reason} ${hit.rule}`, 'stable exclude vip');
  assert.ok(latchLine(browser) !== '');
  for (const later of [AT_OFFICE, AT_HOME, AT_OFFICE]) {
    const decision = browser.send(rules, later);
    assert.equal(`${decision.variant} ${decision.reason} ${decision.rule}`, 'stable exclude vip');
    assert.deepEqual(browser.lines, []);
  }
});

test('an exclude leaves no mark on who was never admitted', () => {
  const rules = policy([OFFICE], {}, [VIP]);
  const browser = new Browser(userRequest(rules, 1));
  browser.send(rules, { ...AT_OFFICE, headers: { 'x-tier': 'vip' } });
  assert.deepEqual(browser.lines, []);
  assert.equal(browser.send(rules, AT_OFFICE).variant, 'canary');
});

test('who was excluded by a rule that is removed is admitted as anybody', () => {
  const rules = policy([OFFICE], {}, [VIP]);
  const browser = new Browser(userRequest(rules, 1));
  browser.send(rules, AT_OFFICE);
  browser.send(rules, { ...AT_OFFICE, headers: { 'x-tier': 'vip' } });
  const without = policy([OFFICE]);
  // The admission of before the exclude is gone; at the office there is a new one.
  assert.equal(browser.send(without, AT_HOME).variant, 'stable');
  assert.equal(browser.send(without, AT_OFFICE).variant, 'canary');
  assert.equal(browser.send(without, AT_HOME).variant, 'canary');
});

test('an exclude of method or path concerns these requests only', () => {
  const rules = policy([OFFICE], {}, [
    { name: 'admin', match: { path: { prefix: '/admin' } } },
    { name: 'vip writes', match: { method: 'POST', header: { 'x-tier': { equals: 'vip' } } } },
  ]);
  const browser = new Browser(userRequest(rules, 1));
  browser.send(rules, AT_OFFICE);
  assert.equal(browser.send(rules, { ...AT_OFFICE, path: '/admin' }).rule, 'admin');
  assert.deepEqual(browser.lines, []);
  assert.equal(browser.send(rules, AT_HOME).reason, 'latch');
  // Its other condition is remembered, its method is not stood in for.
  assert.equal(
    browser.send(rules, { ...AT_HOME, method: 'POST', headers: { 'x-tier': 'vip' } }).reason,
    'exclude',
  );
  assert.equal(browser.send(rules, { ...AT_HOME, method: 'POST' }).rule, 'vip writes');
  assert.equal(browser.send(rules, AT_HOME).reason, 'latch');
});

test('latches are signed for their service and rollout', () => {
  const rules = policy([OFFICE]);
  const browser = new Browser(userRequest(rules, 1));
  browser.send(rules, AT_OFFICE);
  const latch = browser.cookies['serin_latch_notes']!;
  const other = policy([OFFICE], { name: 'other' });
  const copied = decideOnce(other, { ...AT_HOME, cookies: { serin_latch_other: latch } });
  assert.equal(copied.variant, 'stable');
  const otherKeys = policy(
    [OFFICE],
    {},
    [],
    context({ keys: [{ id: 'k1', secret: new Uint8Array(32).fill(8) }] }),
  );
  assert.equal(
    decideOnce(otherKeys, { ...AT_HOME, cookies: { serin_latch_notes: latch } }).variant,
    'stable',
  );
  const rotated = policy(
    [OFFICE],
    {},
    [],
    context({ keys: [{ id: 'k2', secret: new Uint8Array(32).fill(9) }, ...KEYS] }),
  );
  assert.equal(decideOnce(rotated, { ...AT_HOME, cookies: { serin_latch_notes: latch } }).variant, 'canary');
});

test('no change to a latch verifies', () => {
  const rules = policy([OFFICE]);
  const browser = new Browser(userRequest(rules, 1));
  browser.send(rules, AT_OFFICE);
  const genuine = browser.cookies['serin_latch_notes']!;
  for (let at = 0; at < genuine.length; at++) {
    for (const character of characters('a0.x_Z')) {
      const changed = genuine.slice(0, at) + character + genuine.slice(at + 1);
      if (changed === genuine) continue;
      const decision = decideOnce(rules, { ...AT_HOME, cookies: { serin_latch_notes: changed } });
      assert.equal(decision.variant, 'stable', changed);
      assert.match(decision.setCookies, /serin_latch_notes=; .*Max-Age=0/);
    }
  }
});

test('a latch says nothing of rule names', () => {
  const rules = policy([{ ...OFFICE, name: 'customers about to leave' }]);
  const { setCookies } = decideOnce(rules, userRequest(rules, 1, AT_OFFICE));
  assert.ok(setCookies.includes('serin_latch_notes=') && !setCookies.includes('leave'));
});

test('a latch admits buckets below the threshold, not the threshold itself', () => {
  const rules = policy([EVERYONE]);
  for (const [bucket, variant] of [
    [199_999, 'canary'],
    [200_000, 'stable'],
  ] as const) {
    const latch = {
      scope: rules.latchScope,
      bucket,
      revision: 1,
      admitted: [tagOf('everyone')],
      excluded: [],
    };
    const value = rules.context.latches.seal(latch, rules.rolloutTag);
    assert.equal(decideOnce(rules, { cookies: { serin_latch_notes: value } }).variant, variant);
  }
});

test('of two excludes, one that is removed lets go while the other stays', () => {
  const other = { name: 'other', match: { header: { 'x-other': { present: true } } } };
  const both = policy([OFFICE], {}, [VIP, other]);
  const browser = new Browser(userRequest(both, 1));
  browser.send(both, AT_OFFICE);
  browser.send(both, { ...AT_OFFICE, headers: { 'x-tier': 'vip' } });
  // Who is excluded already is not marked again.
  browser.send(both, { ...AT_OFFICE, headers: { 'x-other': '1' } });
  assert.deepEqual(browser.lines, []);
  assert.equal(browser.send(policy([OFFICE], {}, [other]), AT_OFFICE).variant, 'canary');
});
