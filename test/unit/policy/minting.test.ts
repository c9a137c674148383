import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { compilePolicy } from '../../../src/policy/compile.ts';
import { decide } from '../../../src/policy/decide.ts';
import { newDecision } from '../../../src/policy/decision.ts';
import { MintedIds } from '../../../src/policy/identity/identity-chain.ts';
import { KeyRing } from '../../../src/policy/keys.ts';
import {
  anyText,
  Browser,
  characters,
  context,
  decideOnce,
  facts,
  idOf,
  IPHONE,
  KEYS,
  mint,
  mintedCookie,
  NOW,
  policy,
  rollout,
  service,
  serviceCookie,
} from './fixtures.ts';

const HALF = [{ name: 'everyone', percentage: 50 }];
const half = policy(HALF);
const idle = compilePolicy(service(), context());
/** Another replica: everything compiled anew from the same documents and keys. */
const replica = (): typeof half => policy(HALF, {}, [], context());

const next = (within = context()): typeof half =>
  compilePolicy(service({ rollout: rollout(HALF, { id: 'rollout-2', epoch: 2, seed: 'ff' }) }), within);

test('an id is minted where none is sent, once', () => {
  const browser = new Browser();
  assert.equal(browser.send(half).tier, 'fingerprint');
  assert.match(browser.lines.join(), /^Set-Cookie: serin_id=/);
  assert.equal(browser.send(half).tier, 'minted');
  assert.deepEqual(
    browser.lines.filter((line) => line.includes('serin_id')),
    [],
  );
});

test('also between rollouts, when promoted and when rolled back', () => {
  for (const phase of ['idle', 'promoted', 'rolledBack'] as const) {
    const between = compilePolicy(service({ rollout: rollout(HALF, { phase }) }), context());
    const browser = new Browser();
    assert.equal(browser.send(between).tier, 'none');
    assert.match(browser.lines.join(), /^Set-Cookie: serin_id=[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{22};/, phase);
    browser.send(between);
    assert.deepEqual(browser.lines, []);
  }
});

test('parallel first requests, cookie-refusing clients and other replicas decide alike', () => {
  const other = replica();
  for (let number = 0; number < 200; number++) {
    const request = {
      client: `192.0.2.${number}`,
      headers: { 'user-agent': IPHONE, 'accept-language': 'de' },
    };
    const first = decideOnce(half, request);
    const parallel = decideOnce(half, request);
    const elsewhere = decideOnce(other, request);
    const later = new Browser(request);
    later.send(half);
    const withCookie = later.send(other);
    for (const decision of [parallel, elsewhere, withCookie]) {
      assert.equal(decision.variant, first.variant);
      assert.equal(decision.bucket, first.bucket);
    }
    // The ids differ, so that later rollouts tell the clients apart.
    assert.notEqual(first.setCookies, parallel.setCookies);
  }
});

test('which of two parallel answers the client keeps makes no difference', () => {
  for (let number = 0; number < 100; number++) {
    const browser = new Browser({ client: `192.0.2.${number}` });
    const other = new Browser({ client: `192.0.2.${number}` });
    const a = browser.send(half);
    const b = other.send(half);
    assert.notEqual(browser.cookies['serin_id'], other.cookies['serin_id']);
    assert.equal(browser.send(half).variant, a.variant);
    assert.equal(other.send(half).variant, b.variant);
    assert.equal(a.variant, b.variant);
  }
});

test('the cookie keeps its fingerprint for this rollout when the client moves', () => {
  const moved = { client: '2001:db8:77::1', headers: { 'user-agent': 'updated browser' } };
  let differing = 0;
  for (let number = 0; number < 100; number++) {
    const browser = new Browser({ client: `192.0.2.${number}`, headers: { 'user-agent': IPHONE } });
    const before = browser.send(half);
    // Without its latch, so that the cookie alone has to tell.
    const after = decideOnce(half, { ...moved, cookies: { serin_id: browser.cookies['serin_id']! } });
    assert.equal(after.bucket, before.bucket);
    assert.equal(after.variant, before.variant);
    if (decideOnce(half, moved).variant !== before.variant) differing++;
  }
  assert.ok(differing > 20);
});

test('after the rollout the random id counts: people behind one address part', () => {
  const browsers = Array.from({ length: 100 }, () => new Browser({ client: '192.0.2.1' }));
  const now = new Set(browsers.map((browser) => browser.send(half).bucket));
  assert.equal(now.size, 1);
  const after = next();
  const later = new Set(browsers.map((browser) => browser.send(after).bucket));
  assert.equal(later.size, 100);
  // The cookie is not set again: its id is known already.
  assert.ok(browsers.every(({ lines }) => !lines.join().includes('serin_id')));
});

test('who was known before the rollout is decided by the random id at once', () => {
  const browsers = Array.from({ length: 100 }, () => new Browser({ client: '192.0.2.1' }));
  for (const browser of browsers) browser.send(idle);
  assert.equal(new Set(browsers.map((browser) => browser.send(half).bucket)).size, 100);
  const other = replica();
  for (const browser of browsers) {
    const { bucket, tier } = browser.send(half);
    assert.equal(tier, 'minted');
    assert.equal(browser.send(other).bucket, bucket);
  }
});

test('a fingerprint is of the address (IPv6: its /64), user agent and language', () => {
  const base = { client: '2001:db8:1:2::1', headers: { 'user-agent': 'a', 'accept-language': 'de' } };
  const bucket = (over: object): number => decideOnce(half, { ...base, ...over }).bucket;
  assert.equal(bucket({ client: '2001:db8:1:2:ffff::9' }), bucket({}));
  assert.notEqual(bucket({ client: '2001:db8:1:3::1' }), bucket({}));
  assert.notEqual(bucket({ client: '192.0.2.1' }), bucket({ client: '192.0.2.2' }));
  assert.notEqual(bucket({ headers: { 'user-agent': 'b', 'accept-language': 'de' } }), bucket({}));
  assert.notEqual(bucket({ headers: { 'user-agent': 'a', 'accept-language': 'fr' } }), bucket({}));
  // The parts do not run into each other.
  const split = (userAgent: string, language: string): object => ({
    headers: { 'user-agent': userAgent, 'accept-language': language },
  });
  assert.notEqual(bucket(split('ab', 'c')), bucket(split('a', 'bc')));
  assert.equal(bucket({ headers: {} }), bucket({ headers: { 'user-agent': '' } }));
});

test("the fingerprint key of the rollout counts, not the ring's first", () => {
  const rotated = context({ keys: [{ id: 'k2', secret: new Uint8Array(32).fill(9) }, ...KEYS] });
  const after = policy(HALF, {}, [], rotated);
  for (let number = 0; number < 50; number++) {
    const browser = new Browser({ client: `192.0.2.${number}` });
    const { bucket } = browser.send(half);
    assert.equal(decideOnce(after, { client: `192.0.2.${number}` }).bucket, bucket);
    // Cookies of the older key go on counting.
    assert.equal(browser.send(after).bucket, bucket);
    assert.ok(!browser.lines.join().includes('serin_id'));
  }
});

test('the first tier that speaks counts, and an empty one does not speak', () => {
  const chain = policy(HALF, {
    identity: [
      { header: 'X-User-Id' },
      { cookie: 'uid' },
      { cookie: 'serin_id', mint: true },
      { fingerprint: true },
    ],
  });
  const serinId = mintedCookie(chain, idOf(1));
  const all = { headers: { 'x-user-id': 'h' }, cookies: { uid: 'c', serin_id: serinId } };
  assert.equal(decideOnce(chain, all).tier, 'header');
  assert.equal(decideOnce(chain, { ...all, headers: {} }).tier, 'cookie');
  assert.equal(decideOnce(chain, { ...all, headers: { 'x-user-id': '' } }).tier, 'cookie');
  assert.equal(decideOnce(chain, { cookies: { serin_id: serinId } }).tier, 'minted');
  assert.equal(decideOnce(chain, { cookies: { uid: '' } }).tier, 'fingerprint');
  // One identity has one bucket, whichever tier tells it.
  assert.equal(
    decideOnce(chain, { headers: { 'x-user-id': 'zo\xc3\xab' } }).bucket,
    decideOnce(chain, { cookies: { uid: 'zo\xc3\xab' } }).bucket,
  );
});

test('no id is minted where another tier speaks, before or after', () => {
  const before = policy(HALF, { identity: [{ header: 'x-user-id' }, { cookie: 'serin_id', mint: true }] });
  assert.ok(!decideOnce(before, { headers: { 'x-user-id': 'a' } }).setCookies.includes('serin_id'));
  const after = policy(HALF, {
    identity: [{ cookie: 'serin_id', mint: true }, { cookie: 'uid' }, { fingerprint: true }],
  });
  const browser = new Browser({ cookies: { uid: 'a' } });
  const { bucket } = browser.send(after);
  assert.ok(!browser.lines.join().includes('serin_id'));
  assert.equal(browser.send(after).bucket, bucket);
});

test('without a fingerprint the new id itself counts at once', () => {
  const chain = policy(HALF, { identity: [{ cookie: 'serin_id', mint: true }] });
  for (let number = 0; number < 20; number++) {
    const browser = new Browser();
    const { bucket, tier } = browser.send(chain);
    assert.equal(tier, 'minted');
    assert.equal(browser.send(chain).bucket, bucket);
    assert.equal(browser.send(next()).tier, 'minted');
  }
});

test('the minting tier may have another name; serin_id mints unless it is told not to', () => {
  const named = policy(HALF, { identity: [{ cookie: 'visitor', mint: true }, { fingerprint: true }] });
  assert.match(decideOnce(named).setCookies, /^Set-Cookie: visitor=/);
  const unsaid = policy(HALF, { identity: [{ cookie: 'serin_id' }, { fingerprint: true }] });
  assert.match(decideOnce(unsaid).setCookies, /^Set-Cookie: serin_id=/);
  const never = policy(HALF, { identity: [{ cookie: 'serin_id', mint: false }, { fingerprint: true }] });
  assert.ok(!decideOnce(never).setCookies.includes('serin_id'));
});

test('a request without any identity gets what every user gets', () => {
  const only = { identity: [{ header: 'x-user-id' }] };
  const all = policy([{ name: 'everyone', percentage: 100 }], only);
  const most = policy([{ name: 'everyone', percentage: 99.9999 }], only);
  assert.equal(decideOnce(all).variant, 'canary');
  assert.equal(decideOnce(most).variant, 'stable');
  for (const decision of [decideOnce(all), decideOnce(most)]) {
    assert.equal(decision.tier, 'none');
    assert.equal(decision.bucket, -1);
    assert.equal(decision.identityHash, 0);
  }
});

test('a forged, foreign or damaged id counts as absent and is replaced', () => {
  const genuine = mintedCookie(half, idOf(1));
  const [id = '', signature = ''] = genuine.split('.');
  const foreign = serviceCookie(policy(HALF, { name: 'other' }), idOf(1));
  const otherKeys = context({ keys: [{ id: 'k1', secret: new Uint8Array(32).fill(8) }] });
  const forged = [
    id,
    `${id}.`,
    `${idOf(2)}.${signature}`,
    `${genuine}x`,
    `x${genuine}`,
    foreign,
    mintedCookie(policy(HALF, {}, [], otherKeys), idOf(1)),
    `${id}.AAAAAAAA.${'B'.repeat(22)}.${signature}`,
    half.context.keys.sign('identity', id),
    'x'.repeat(5000),
    '',
  ];
  for (const value of forged) {
    const decision = decideOnce(half, { cookies: { serin_id: value } });
    assert.equal(decision.tier, 'fingerprint', value.slice(0, 60));
    assert.match(decision.setCookies, /^Set-Cookie: serin_id=/);
  }
});

test('nobody can move a fingerprint to another rollout or into an id of their own', () => {
  const browser = new Browser({ client: '192.0.2.1' });
  browser.send(half);
  const [id = '', tag = '', print = '', signature = ''] = browser.cookies['serin_id']!.split('.');
  const ids = new MintedIds(new KeyRing(KEYS));
  assert.notEqual(ids.open('notes', `${id}.${tag}.${print}.${signature}`), null);
  for (const changed of [
    `${idOf(5)}.${tag}.${print}.${signature}`,
    `${id}.AAAAAAAA.${print}.${signature}`,
    `${id}.${tag}.${'A'.repeat(22)}.${signature}`,
    `${id}.${signature}`,
  ]) {
    assert.equal(ids.open('notes', changed), null);
  }
});

test('random is called only to mint, and what it gives is checked', () => {
  let calls = 0;
  const counting = (): string => {
    calls++;
    return mint();
  };
  decide(
    half,
    facts({ cookies: { serin_id: mintedCookie(half, idOf(1)) } }),
    3,
    NOW,
    counting,
    newDecision(),
  );
  assert.equal(calls, 0);
  decide(half, facts(), 3, NOW, counting, newDecision());
  assert.equal(calls, 1);
  assert.throws(() => decide(half, facts(), 3, NOW, () => 'short', newDecision()), /16 to 64/);
  // A decision after one that failed is not disturbed by it.
  assert.equal(decideOnce(half).tier, 'fingerprint');
});

test('a CORS preflight gets no cookie and mints nothing', () => {
  const preflight = { method: 'OPTIONS', headers: { 'access-control-request-method': 'PUT' } };
  const decision = decideOnce(half, preflight);
  assert.equal(decision.preflight, true);
  assert.equal(decision.setCookies, '');
  assert.equal(decideOnce(idle, preflight).setCookies, '');
  assert.equal(decideOnce(half, { method: 'OPTIONS' }).preflight, false);
});

test('Secure behind TLS; all paths of the host, whatever the prefix of the service', () => {
  const shop = policy(HALF, { pathPrefix: '/shop' });
  assert.match(decideOnce(shop, { secure: true }).setCookies, /; Path=\/; .*; Secure\r\n/);
  assert.ok(!decideOnce(shop).setCookies.includes('Secure'));
});

test('no cookie makes the reader throw', () => {
  const ids = new MintedIds(new KeyRing(KEYS));
  const genuine = mintedCookie(half, idOf(1));
  const junk = fc.oneof(
    anyText,
    fc.string({ unit: fc.constantFrom(...characters('aZ0_-.=')), maxLength: 140 }),
    fc
      .tuple(fc.nat(genuine.length), fc.constantFrom('', '.', 'a', 'é'))
      .map(([at, put]) => genuine.slice(0, at) + put + genuine.slice(at + 1)),
  );
  fc.assert(
    fc.property(junk, (value) => {
      fc.pre(value !== genuine);
      assert.equal(ids.open('notes', value), null);
    }),
    { numRuns: 5000 },
  );
});

test('a minting cookie of another name is verified and remembered as serin_id is', () => {
  const named = policy(HALF, { identity: [{ cookie: 'visitor', mint: true }, { fingerprint: true }] });
  const browser = new Browser();
  browser.send(named);
  assert.equal(browser.send(named).tier, 'minted');
  assert.equal(decideOnce(named, { cookies: { visitor: 'made up' } }).tier, 'fingerprint');
});

test('serin_id is verified also where it is not minted, and a forged one is then left alone', () => {
  const never = policy(HALF, { identity: [{ cookie: 'serin_id', mint: false }, { fingerprint: true }] });
  assert.equal(decideOnce(never, { cookies: { serin_id: mintedCookie(never, idOf(1)) } }).tier, 'minted');
  const forged = decideOnce(never, { cookies: { serin_id: 'made up' } });
  assert.equal(forged.tier, 'fingerprint');
  assert.ok(!forged.setCookies.includes('serin_id'));
});

test('the longest id is read, verified once while it is kept, and counts for no other service from memory', () => {
  const ids = new MintedIds(new KeyRing(KEYS));
  const value = ids.seal('notes', 'x'.repeat(64), 'A'.repeat(8), 'B'.repeat(22));
  const first = ids.open('notes', value);
  assert.equal(first?.id, 'x'.repeat(64));
  assert.equal(ids.open('notes', value), first);
  assert.equal(ids.open('other', value), null);
});

test('users of every tier have buckets of their own', () => {
  const chain = policy(HALF, { identity: [{ header: 'x-user-id' }, { cookie: 'uid' }] });
  const numbers = Array.from({ length: 50 }, (_, number) => `u${number}`);
  const byHeader = numbers.map((user) => decideOnce(chain, { headers: { 'x-user-id': user } }).bucket);
  const byCookie = numbers.map((uid) => decideOnce(chain, { cookies: { uid } }).bucket);
  assert.equal(new Set(byHeader).size, 50);
  assert.deepEqual(byCookie, byHeader);
});
