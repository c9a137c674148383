import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compilePolicy } from '../../../src/policy/compile.ts';
import type { DescribedRequest } from '../../../src/policy/described.ts';
import { explain } from '../../../src/policy/explain.ts';
import { DocumentError } from '../../../src/schema/faults.ts';
import { createOverride } from '../../../src/policy/override.ts';
import { sharedCopy, writeMmdb } from '../../support/mmdb-writer.ts';
import { Browser, context, decideOnce, IPHONE, mint, NOW, policy, service, userRequest } from './fixtures.ts';

const OPTIONS = { nowSeconds: NOW, random: mint };
const rules = policy(
  [
    { name: 'office', match: { segment: 'office' }, percentage: 100 },
    {
      name: 'iPhones',
      match: { device: { model: 'iPhone' }, header: { 'x-app': { semver: '>=8.2' } } },
      percentage: 50,
    },
    { name: 'everyone', percentage: 1 },
  ],
  { identity: [{ header: 'x-user-id' }, { cookie: 'serin_id', mint: true }, { fingerprint: true }] },
  [{ name: 'vip', match: { header: { 'x-tier': { equals: 'vip' } } } }],
);

test('tells the decision, and every rule with every condition', () => {
  const {
    decision,
    rules: explained,
    exclude,
    identity,
    latch,
    override,
  } = explain(
    rules,
    {
      path: '/x?y=1',
      headers: { 'User-Agent': IPHONE, 'X-App': '8.1', 'X-User-Id': 'Zoë' },
      clientAddress: '203.0.113.7',
    },
    OPTIONS,
  );
  assert.equal(`${decision.variant} ${decision.reason} ${decision.rule}`, 'canary rule office');
  assert.deepEqual(identity, {
    tier: 'header',
    name: 'x-user-id',
    value: 'Zoë',
    bucket: decision.bucket,
    forged: false,
  });
  assert.deepEqual(latch, { state: 'none', bucket: null, revision: null });
  assert.equal(override, 'none');
  assert.deepEqual(
    explained.map(({ name, percentage, matches }) => [name, percentage, matches]),
    [
      ['office', 100, true],
      ['iPhones', 50, false],
      ['everyone', 1, true],
    ],
  );
  assert.deepEqual(explained[0]!.conditions, [
    { kind: 'segment', name: '', expected: 'in "office"', seen: '203.0.113.7', holds: true },
  ]);
  assert.deepEqual(explained[1]!.conditions, [
    { kind: 'header', name: 'x-app', expected: 'a version >=8.2', seen: '8.1', holds: false },
    {
      kind: 'device',
      name: '',
      expected: 'model "iPhone"',
      seen: 'type mobile, os ios 17.5.1, model iphone, browser mobile safari',
      holds: true,
    },
  ]);
  assert.deepEqual(exclude, [
    {
      name: 'vip',
      conditions: [{ kind: 'header', name: 'x-tier', expected: '"vip"', seen: null, holds: false }],
      matches: false,
      latched: false,
    },
  ]);
});

test('an identity in UTF-8 has the bucket that the same bytes on the wire have', () => {
  const { decision } = explain(rules, { identity: 'Zoë 上海' }, OPTIONS);
  const wire = Buffer.from('Zoë 上海', 'utf8').toString('latin1');
  assert.equal(decision.bucket, decideOnce(rules, { headers: { 'x-user-id': wire } }).bucket);
});

test('an identity speaks in the first tier that can say it', () => {
  const cookie = policy([{ name: 'everyone', percentage: 1 }], {
    identity: [{ cookie: 'serin_id' }, { cookie: 'uid' }],
  });
  assert.equal(explain(cookie, { identity: 'me' }, OPTIONS).identity.name, 'uid');
  const minted = policy([{ name: 'everyone', percentage: 1 }]);
  const id = 'abcdefghijklmnopqrstuv';
  assert.deepEqual(explain(minted, { identity: id }, OPTIONS).identity.value, id);
  assert.throws(
    () => explain(minted, { identity: 'short' }, OPTIONS),
    /identities of this service are minted/,
  );
});

test("a browser's own cookies are understood", () => {
  const browser = new Browser(userRequest(rules, 1));
  browser.send(rules, { client: '203.0.113.7' });
  const cookie = Object.entries({ ...browser.request.cookies, ...browser.cookies })
    .map(([name, value]) => `${name}=${String(value)}`)
    .join('; ');
  const { decision, latch, rules: explained } = explain(rules, { headers: { cookie } }, OPTIONS);
  assert.equal(`${decision.variant} ${decision.reason} ${decision.rule}`, 'canary latch office');
  assert.deepEqual(latch, { state: 'valid', bucket: decision.bucket, revision: 1 });
  assert.equal(explained[0]!.latched, true);
  assert.equal(explained[0]!.matches, false);
  const junk = explain(rules, { headers: { cookie: 'serin_latch_notes=junk; serin_id=forged' } }, OPTIONS);
  assert.equal(junk.latch.state, 'void');
  assert.equal(junk.identity.forged, true);
});

test('tells what became of an override', () => {
  const ask = (token: string): string =>
    explain(rules, { headers: { 'x-serin-override': token } }, OPTIONS).override;
  assert.equal(ask(createOverride(rules.context.keys, 'notes', 'always', NOW, 60)), 'always');
  assert.equal(ask(createOverride(rules.context.keys, 'notes', 'always', NOW - 100, 60)), 'invalid');
  assert.equal(ask('junk'), 'invalid');
});

test('an excluded user still sees what the rules would say', () => {
  const {
    decision,
    rules: explained,
    exclude,
  } = explain(rules, { headers: { 'x-tier': 'vip' }, clientAddress: '203.0.113.7', identity: 'me' }, OPTIONS);
  assert.equal(`${decision.variant} ${decision.reason} ${decision.rule}`, 'stable exclude vip');
  assert.equal(exclude[0]!.matches, true);
  assert.ok(explained[0]!.matches && explained[0]!.admitsBucket);
});

test('outside of a rollout there are no rules to explain', () => {
  const { decision, phase, rules: explained } = explain(compilePolicy(service(), context()), {}, OPTIONS);
  assert.equal(`${phase} ${decision.variant} ${explained.length}`, 'idle stable 0');
});

test('usable endpoints can be said', () => {
  const { decision } = explain(rules, { clientAddress: '203.0.113.7' }, { ...OPTIONS, usable: 1 });
  assert.equal(`${decision.assigned} ${decision.variant} ${decision.fallback}`, 'canary stable true');
});

test('what no request could say is refused, with a pointer', () => {
  const bad: DescribedRequest = {
    method: 'G T',
    path: 'x',
    headers: { 'a b': '1', ok: 'line\r\nbreak' },
    clientAddress: '1.2.3',
    peerAddress: 'x',
    identity: '',
  };
  assert.throws(
    () => explain(rules, bad, OPTIONS),
    (error: unknown) => {
      assert.ok(error instanceof DocumentError);
      assert.equal(error.code, 'request_invalid');
      assert.deepEqual(
        error.faults.map(({ pointer }) => pointer),
        ['/method', '/path', '/headers/a b', '/headers/ok', '/clientAddress', '/peerAddress', '/identity'],
      );
      return true;
    },
  );
});

test('several lines of a header are joined, cookies as cookies', () => {
  const several = policy([
    {
      name: 'r',
      match: { header: { 'x-a': { equals: '1, 2' } }, cookie: { b: { equals: '2' } } },
      percentage: 100,
    },
  ]);
  const { decision } = explain(several, { headers: { 'X-A': ['1', '2'], Cookie: ['a=1', 'b=2'] } }, OPTIONS);
  assert.equal(decision.variant, 'canary');
});

test('shows what a request has of each kind, and long lists cut', () => {
  const database = sharedCopy(
    writeMmdb(
      [
        [
          '1.2.0.0/16',
          {
            country: { iso_code: 'CN' },
            subdivisions: [{ iso_code: 'SH' }],
            city: { names: { en: 'Shanghai' } },
          },
        ],
      ],
      {
        recordSize: 24,
        ipVersion: 4,
      },
    ),
  );
  const every = policy(
    [
      {
        name: 'r',
        match: {
          cidr: Array.from({ length: 11 }, (_, index) => `10.${index}.0.0/16`),
          device: { type: 'mobile', os: { name: 'ios', version: '>=17' }, browser: ['safari', 'chrome'] },
          region: { country: 'CN', subdivision: 'SH', city: 'Shanghai' },
          header: {
            a: { oneOf: Array.from({ length: 12 }, (_, index) => `${index}`) },
            b: { prefix: 'x' },
            c: { present: true },
            d: { present: false },
          },
          query: { q: { equals: 'é' } },
          method: ['GET', 'POST'],
          path: { prefix: '/a' },
        },
        percentage: 100,
      },
    ],
    {},
    [],
    context({ regionDatabase: database }),
  );
  const { rules: explained } = explain(
    every,
    { path: '/a/../b?q=%C3%A9', clientAddress: '1.2.3.4' },
    OPTIONS,
  );
  const lines = explained[0]!.conditions.map(
    ({ kind, name, expected, seen, holds }) => `${kind} ${name}|${expected}|${seen}|${holds}`,
  );
  assert.deepEqual(lines, [
    'method |one of "GET", "POST"|GET|true',
    'path |under /a|/b|false',
    'header a|one of "0", "1", "2", "3", "4", "5", "6", "7", "8", "9" and 2 more|null|false',
    'header b|begins with "x"|null|false',
    'header c|present|null|false',
    'header d|absent|null|true',
    'query q|"é"|é|true',
    'cidr |in one of 11 networks|1.2.3.4|false',
    'device |type "mobile", os "ios" >=17, browser one of "safari", "chrome"|null|false',
    'region |country "CN", subdivision "SH", city "Shanghai"|CN, SH, shanghai|true',
  ]);
});

test('values are read as a request has them: only spaces and tabs around them go', () => {
  const rules = policy([
    { name: 'header', match: { header: { 'x-a': { equals: '\u00a0v\u00a0' } } }, percentage: 100 },
    { name: 'cookie', match: { cookie: { c: { equals: '\u00a0w' } } }, percentage: 100 },
  ]);
  const headers = { 'x-a': ' \t\u00a0v\u00a0 ', cookie: 'b=1;\tc = \u00a0w ' };
  const { rules: explained } = explain(rules, { headers }, OPTIONS);
  assert.deepEqual(
    explained.map(({ matches }) => matches),
    [true, true],
  );
});
