/** Conditions that can never hold are refused with what would be right; what holds for somebody is not, and what is doubtful is said. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { doubtsOf } from '../../../src/policy/doubts.ts';
import { DocumentError } from '../../../src/schema/faults.ts';
import { neverHolds, type Match } from '../../../src/policy/conditions/match.ts';
import { validateRollout } from '../../../src/policy/validate.ts';
import { anyMatch, anyRequest } from './generators.ts';
import { context, decideOnce, policy } from './fixtures.ts';

const KNOWN = { segments: ['office'], hasRegionDatabase: true };

function faults(match: unknown, context: object = {}): string[] {
  try {
    validateRollout({ rules: [{ name: 'r', match, percentage: 1 }] }, { ...KNOWN, ...context });
    return [];
  } catch (error) {
    assert.ok(error instanceof DocumentError, String(error));
    return error.faults.map(({ pointer, detail }) => `${pointer.replace('/rules/0/match', '')} ${detail}`);
  }
}

function refuses(match: unknown, ...expected: readonly RegExp[]): void {
  const found = faults(match);
  assert.equal(found.length, expected.length, found.join('\n') || `no fault: ${JSON.stringify(match)}`);
  for (const [index, pattern] of expected.entries()) assert.match(found[index]!, pattern);
}

const accepts = (match: unknown, context: object = {}): void => assert.deepEqual(faults(match, context), []);

test('countries have the codes that databases have', () => {
  refuses(
    { region: { country: 'UK' } },
    /^\/region\/country "UK" is no ISO 3166-1 alpha-2 code; write "GB" for United Kingdom/,
  );
  refuses({ region: { country: 'uk' } }, /write "GB"/);
  refuses({ region: { country: ['CN', 'EU'] } }, /^\/region\/country\/1 "EU" .* list its members/);
  refuses({ region: { country: 'CHN' } }, /write "CN" for China/);
  refuses({ region: { country: 'China' } }, /write "CN" for China/);
  refuses({ region: { country: 'CN-SH' } }, /write country: "CN", subdivision: "SH"/);
  refuses({ region: { country: 'EL' } }, /write "GR"/);
  refuses({ region: { country: 'ZZ' } }, /write one such as "CN"/);
  refuses({ region: { country: 'AN' } }, /"BQ", "CW" and "SX"/);
  for (const country of ['CN', 'cn', 'GB', 'XK', ['TW', 'HK', 'MO']]) accepts({ region: { country } });
});

test('subdivisions have their codes without the country, and those of today', () => {
  refuses(
    { region: { subdivision: 'CN-SH' } },
    /"CN-SH" is no ISO 3166-2 code without its country; write country: "CN", subdivision: "SH"/,
  );
  refuses({ region: { country: 'CN', subdivision: '31' } }, /"31" was CN-SH until 2017; write "SH"/);
  refuses({ region: { subdivision: 'Shanghai' } }, /such as "SH"/);
  // Elsewhere subdivisions do have numbers.
  accepts({ region: { country: 'FR', subdivision: '31' } });
  accepts({ region: { subdivision: '31' } });
  refuses({ region: { city: '上海' } }, /English names/);
  accepts({ region: { city: ['Shanghai', 'São Paulo'] } });
});

test('values that no header or cookie has', () => {
  refuses({ header: { 'x-a': { equals: ' v' } } }, /^\/header\/x-a\/equals .* without blanks/);
  refuses({ header: { 'x-a': { oneOf: ['v', 'v '] } } }, /^\/header\/x-a\/oneOf\/1 /);
  refuses({ header: { 'x-a': { equals: 'a\nb' } } }, /control characters/);
  refuses({ cookie: { c: { prefix: 'a;b' } } }, /semicolon ends a cookie/);
  refuses({ header: { 'x-a': { oneOf: [] } } }, /oneOf/);
  accepts({ header: { 'x-a': { prefix: 'v ' } } });
  accepts({ header: { 'x-a': { equals: 'a;b' } } });
  accepts({ query: { q: { equals: ' a;\n' } } });
  refuses(
    { header: { 'X-A': { present: false }, 'x-a': { equals: 'v' } } },
    /"X-A" and "x-a" are one header/,
  );
  refuses({ header: { 'X-A': { equals: 'v' }, 'x-a': { oneOf: ['w'] } } }, /no value meets all tests/);
  refuses({ header: { 'x-a': { equals: 'v' }, 'X-A': { oneOf: ['w'] } } }, /"x-a" and "X-A" are one header/);
  refuses(
    { header: { 'X-A': { equals: 'v' }, 'x-a': { prefix: 'v' }, 'X-a': { equals: 'w' } } },
    /"X-A", "x-a" and "X-a" are one header/,
  );
  refuses({ header: { 'X-A': { oneOf: ['a1', 'b2'] }, 'x-a': { prefix: 'c' } } }, /no value meets all tests/);
  refuses({ header: { 'X-A': { prefix: 'ab' }, 'x-a': { prefix: 'ac' } } }, /no value meets all tests/);
  refuses({ header: { 'X-A': { present: true }, 'x-a': { present: false } } }, /no value meets all tests/);
  for (const header of [
    { 'X-A': { prefix: 'v' }, 'x-a': { semver: '>=1' } },
    { 'X-A': { oneOf: ['a1', 'c2'] }, 'x-a': { prefix: 'c' }, 'X-a': { oneOf: ['c2'] } },
    { 'X-A': { prefix: 'ab' }, 'x-a': { prefix: 'a' } },
    { 'X-A': { present: false }, 'x-a': { present: false } },
    { 'X-A': { present: true }, 'x-a': { equals: 'v' } },
  ] as const)
    accepts({ header });
});

test('ranges that no version is in', () => {
  for (const range of ['>2 <1', '>=2.0.0 <2.0.0', '>2 <1 || >5 <4', '1.2.3 1.2.4', '<0.0.0-0'])
    refuses({ header: { v: { semver: range } } }, /^\/header\/v\/semver no version is in the range/);
  refuses({ device: { os: { name: 'ios', version: '>18 <17' } } }, /^\/device\/os\/version no version/);
  for (const range of ['>=1 <2', '>2 <1 || >=3', '*', '1.2.3', '^8.2', '>1.0.0 <1.0.1', '<1'])
    accepts({ header: { v: { semver: range } } });
});

test('methods and paths that no request of the service has', () => {
  refuses({ method: 'CONNECT' }, /^\/method CONNECT is refused/);
  refuses({ method: ['GET', 'post'] }, /^\/method\/1 methods are upper case/);
  refuses({ path: { equals: '/a?beta=1' } }, /^\/path\/equals .*put the query under "query"/);
  refuses({ path: { oneOf: ['/a', '/b#c'] } }, /^\/path\/oneOf\/1 /);
  const shop = { pathPrefix: '/shop' };
  assert.match(faults({ path: { prefix: '/beta' } }, shop)[0]!, /under \/shop alone/);
  assert.match(faults({ path: { equals: '/' } }, shop)[0]!, /write the whole path/);
  assert.match(faults({ path: { prefix: '/shopping' } }, shop)[0]!, /under \/shop alone/);
  for (const path of [
    { prefix: '/' },
    { prefix: '/shop/' },
    { prefix: '/shop/beta' },
    { equals: '/shop' },
    { equals: '/x/../shop/a' },
  ])
    accepts({ path }, shop);
  for (const prefix of ['/shop', '/shop/', '/'])
    accepts({ path: { prefix } }, { pathPrefix: '/shop/of/books' });
  assert.match(faults({ path: { prefix: '/shop/of/b' } }, { pathPrefix: '/shop/of/books' })[0]!, /alone/);
});

test('devices that there are not', () => {
  refuses({ device: { model: 'iPhone 15 Pro' } }, /^\/device\/model no iPhone tells which one/);
  refuses({ device: { model: ['Pixel 8', 'ipad air'] } }, /^\/device\/model\/1 no iPad tells/);
  refuses(
    { device: { model: 'iPhone', os: 'android' } },
    /^\/device an iPhone or iPad has the operating system "ios"/,
  );
  refuses({ device: { model: 'iPad', type: 'mobile' } }, /"tablet"/);
  refuses({ device: { os: 'andriod' } }, /did you mean "android"/);
  refuses({ device: { browser: 'chorme' } }, /did you mean "chrome"/);
  for (const device of [
    { model: ['iPhone', 'iPad'], type: 'tablet' },
    { model: 'iPad', os: { name: 'iOS', version: '>=17' } },
    { model: ['iPhone', 'SM-G991B'], os: 'android' },
    { model: 'iPhone', type: ['bot'] },
  ])
    accepts({ device });
});

test('what was accepted before is left alone', () => {
  accepts({ region: { country: 'UK' } }, { stored: true });
  const value = { rules: [{ name: 'r', match: { region: { country: 'UK' } }, percentage: 1 }] };
  assert.equal(validateRollout(value, null), value);
});

test('no condition that holds for a request is called one that never holds', () => {
  const match = anyMatch.map((each): Match => {
    const { segment: _segment, region: _region, ...rest } = each;
    return rest;
  });
  let held = 0;
  // Its caches are large: one for all.
  const within = context();
  fc.assert(
    fc.property(match, anyRequest, (each, request) => {
      fc.pre(Object.keys(each).length > 0);
      const source = { identity: [{ header: 'x-a' }] };
      const rules = policy([{ name: 'r', match: each, percentage: 100 }], source, [], within);
      if (decideOnce(rules, request).variant !== 'canary') return;
      held++;
      assert.deepEqual(neverHolds(each, '', '/'), [], JSON.stringify(each));
    }),
    { numRuns: 3000 },
  );
  assert.ok(held > 100, `${held}`);
});

test('doubts are said, and refuse nothing', () => {
  const doubts = (match: Match): string[] => doubtsOf({ rules: [{ name: 'r', match, percentage: 1 }] }, {});
  assert.deepEqual(
    doubts({ cidr: ['10.8.0.1/16', '10.8.0.0/16', '10.8.0.1', '2001:db8::1/32', '0.0.0.0/0'] }),
    [
      'rule "r": "10.8.0.1/16" is an address in a network; the whole network, 10.8.0.0/16, is what it means',
      'rule "r": "2001:db8::1/32" is an address in a network; the whole network, 2001:db8::/32, is what it means',
    ],
  );
  assert.match(doubts({ header: { 'Set-Cookie': { present: true } } })[0]!, /is one of answers/);
  assert.match(doubts({ header: { Upgrade: { equals: 'x' } } })[0]!, /HTTP\/2/);
  assert.deepEqual(doubts({ header: { 'x-a': { present: true }, etag: { present: false } } }), []);
  assert.deepEqual(doubtsOf({ rules: [{ name: 'everyone', percentage: 1 }] }, {}), []);
});
