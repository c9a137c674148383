import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { compilePolicy } from '../../../src/policy/compile.ts';
import { DocumentError } from '../../../src/schema/faults.ts';
import { validateRollout } from '../../../src/policy/validate.ts';
import { context, rollout, service } from './fixtures.ts';
import { excludesOf, rulesOf, userMatch } from './generators.ts';

const KNOWN = { segments: ['office', 'lab'], hasRegionDatabase: true };

/** The faults as `pointer detail` lines. */
function faults(value: unknown, known = KNOWN): string[] {
  try {
    validateRollout(value, known);
    return [];
  } catch (error) {
    assert.ok(error instanceof DocumentError, String(error));
    assert.equal(error.code, 'rollout_invalid');
    assert.ok(error.faults.length > 0);
    return error.faults.map(({ pointer, detail }) => `${pointer} ${detail}`);
  }
}

const everyone = { name: 'everyone', percentage: 1 };
const matching = (match: unknown): object => ({ rules: [{ name: 'r', match, percentage: 1 }] });

function refuses(value: unknown, ...expected: readonly RegExp[]): void {
  const found = faults(value);
  assert.equal(found.length, expected.length, found.join('\n') || 'no fault');
  for (const [index, pattern] of expected.entries()) assert.match(found[index]!, pattern);
}

test('the policies that people really write are valid', () => {
  const document = {
    rules: [
      { name: 'office', match: { segment: 'office' }, percentage: 100 },
      {
        name: 'campus iPhones',
        match: { cidr: ['10.8.0.0/16'], device: { model: 'iPhone' } },
        percentage: 50,
      },
      { name: 'shanghai', match: { region: { country: 'CN', subdivision: 'SH' } }, percentage: 1 },
      { name: 'shanghai by city', match: { region: { city: 'Shanghai' } }, percentage: 100 },
      { name: 'android', match: { device: { os: 'android' } }, percentage: 1 },
      {
        name: 'new iOS',
        match: { device: { os: { name: 'iOS', version: '>=17' }, type: ['mobile', 'tablet'] } },
        percentage: 1,
      },
      { name: 'new app', match: { header: { 'x-app-version': { semver: '>=8.2.0' } } }, percentage: 20 },
      {
        name: 'office and new app',
        match: { segment: ['office', 'lab'], header: { 'x-app-version': { semver: '>=8.2' } } },
        percentage: 100,
      },
      {
        name: 'beta',
        match: {
          cookie: { beta: { present: true } },
          query: { beta: { equals: '1' } },
          method: ['GET'],
          path: { prefix: '/b' },
        },
        percentage: 33.3333,
      },
      everyone,
    ],
    exclude: [{ name: 'vip', match: { header: { 'x-tier': { equals: 'vip' } } } }],
    steps: [
      { percentage: 1, bake: '10m' },
      { percentage: 10, bake: '30m' },
      { percentage: 20 },
      { percentage: 50 },
      { percentage: 100 },
    ],
    driver: 'external',
    analysis: {},
  };
  assert.equal(validateRollout(document, KNOWN), document);
});

test('faults of the schema come with the nearest valid name', () => {
  refuses(
    { rules: [{ name: 'a', percentge: 1 }] },
    /^\/rules\/0\/percentge unknown field "percentge"; did you mean "percentage"\?/,
  );
  refuses({ rules: [] }, /^\/rules /);
  refuses({ rules: [{ name: 'a', percentage: 101 }] }, /^\/rules\/0\/percentage /);
  refuses({ rules: [{ name: 'a', percentage: NaN }] }, /^\/rules\/0\/percentage /);
  refuses(null, /./);
});

test('names are unique over rules and excludes', () => {
  refuses(
    { rules: [everyone, everyone], exclude: [{ name: 'everyone', match: { method: 'GET' } }] },
    /^\/rules\/1\/name the name "everyone" is taken by \/rules\/0/,
    /^\/exclude\/0\/name the name "everyone" is taken by \/rules\/0/,
  );
});

test('segments exist', () => {
  refuses(
    matching({ segment: 'ofice' }),
    /^\/rules\/0\/match\/segment there is no segment "ofice"; did you mean "office"\?/,
  );
  refuses(
    matching({ segment: ['office', 'warehouse'] }),
    /^\/rules\/0\/match\/segment\/1 there is no segment "warehouse"; define it/,
  );
});

test('networks are networks', () => {
  refuses(matching({ cidr: '10.0.0.0/40' }), /^\/rules\/0\/match\/cidr "10\.0\.0\.0\/40".*0 to 32/);
  refuses(
    matching({ cidr: ['10.0.0.0/8', 'x', '::/129'] }),
    /\/cidr\/1 "x" is not a network/,
    /\/cidr\/2 .*0 to 128/,
  );
});

test('a region needs a database and codes', () => {
  assert.match(
    faults(matching({ region: { country: 'CN' } }), { ...KNOWN, hasRegionDatabase: false })[0] ?? '',
    /^\/rules\/0\/match\/region a region needs a database/,
  );
  refuses(
    matching({ region: { country: 'China' } }),
    /\/region\/country "China" is no ISO 3166-1 alpha-2 code/,
  );
  refuses(
    matching({ region: { subdivision: ['SH', 'CN-SH'] } }),
    /\/subdivision\/1 "CN-SH" is no ISO 3166-2 code without its country/,
  );
});

test('devices have names that user agents tell', () => {
  refuses(
    matching({ device: { os: 'andriod' } }),
    /\/device\/os no user agent tells an operating system "andriod"; did you mean "android"\?/,
  );
  refuses(matching({ device: { os: ['ios', 'ipados'] } }), /\/device\/os\/1 iPads are told as/);
  refuses(
    matching({ device: { os: { name: 'iso', version: '>=17' } } }),
    /\/device\/os\/name .*did you mean "ios"\?/,
  );
  refuses(matching({ device: { browser: 'fierfox' } }), /\/device\/browser .*did you mean "firefox"\?/);
  refuses(
    matching({ device: { os: { name: 'ios', version: 'new' } } }),
    /\/device\/os\/version "new" is no version range/,
  );
});

test('ranges, names and methods are what they should be', () => {
  refuses(
    matching({ header: { v: { semver: 'latest' } } }),
    /\/header\/v\/semver "latest" is no version range; write one like ">=8\.2\.0"/,
  );
  refuses(matching({ header: { v: { semver: `>=1 ${'|| >=1 '.repeat(100)}` } } }), /at most 256 characters/);
  refuses(
    matching({ header: { 'a b': { present: true } } }),
    /\/header\/a b "a b" cannot be the name of a header/,
  );
  refuses(
    matching({ cookie: { 'a;b/~': { present: true } } }),
    /\/cookie\/a;b~1~0 .* cannot be the name of a cookie/,
  );
  refuses(matching({ method: ['GET', 'post'] }), /\/method\/1 methods are upper case: "POST", not "post"/);
  refuses(matching({ method: 'G T' }), /\/method "G T" cannot be a method/);
});

test('texts and lists are bounded', () => {
  refuses(
    matching({ header: { v: { equals: 'x'.repeat(9000) } } }),
    /\/equals at most 8192 characters; this has 9000/,
  );
  refuses(matching({ header: { v: { prefix: 'x'.repeat(9000) } } }), /\/prefix at most 8192/);
  refuses(matching({ header: { v: { oneOf: ['a', 'x'.repeat(9000)] } } }), /\/oneOf\/1 at most 8192/);
  refuses(
    matching({ header: { v: { oneOf: Array.from({ length: 10_001 }, () => 'a') } } }),
    /\/oneOf at most 10000 values; this has 10001/,
  );
});

test('percentages are no finer than a bucket', () => {
  refuses(
    { rules: [{ name: 'a', percentage: 0.00001 }] },
    /^\/rules\/0\/percentage 0\.00001 is finer than a bucket; .*four decimals/,
  );
  assert.deepEqual(faults({ rules: [{ name: 'a', percentage: 0.0001 }] }), []);
  assert.deepEqual(faults({ rules: [{ name: 'a', percentage: 0.07 }] }), []);
  refuses(
    { rules: [everyone], steps: [{ percentage: 1.000001 }] },
    /^\/steps\/0\/percentage .* finer than a bucket/,
  );
});

test('steps name a rule and never lower it', () => {
  refuses(
    { rules: [{ name: 'office', percentage: 1 }], steps: [{ percentage: 1 }] },
    /^\/steps\/0\/rule there is no rule "everyone"/,
  );
  refuses(
    { rules: [everyone], steps: [{ rule: 'everone', percentage: 1 }] },
    /^\/steps\/0\/rule .*did you mean "everyone"\?/,
  );
  const rules = [everyone, { name: 'office', percentage: 1 }];
  refuses(
    { rules, steps: [{ percentage: 10 }, { percentage: 5 }] },
    /^\/steps\/1\/percentage steps never lower: "everyone"/,
  );
  assert.deepEqual(
    faults({ rules, steps: [{ percentage: 10 }, { rule: 'office', percentage: 5 }, { percentage: 10 }] }),
    [],
  );
});

test('all faults are told at once, at most fifty', () => {
  const rules = Array.from({ length: 100 }, (_, index) => ({
    name: `${index}`,
    match: { segment: 'gone', cidr: 'x' },
    percentage: 1,
  }));
  assert.equal(faults({ rules }).length, 50);
});

test('what is valid compiles', () => {
  fc.assert(
    fc.property(rulesOf(userMatch), excludesOf(userMatch), (rules, exclude) => {
      const segments = ['office', 'lab'];
      const valid = validateRollout({ rules, exclude }, { segments, hasRegionDatabase: false });
      const office = context().segments.get('office')!;
      const within = { ...context(), segments: new Map(segments.map((name) => [name, office])) };
      compilePolicy(service({ rollout: rollout(valid.rules, {}, valid.exclude) }), within);
    }),
    { numRuns: 50 },
  );
});

test('nothing makes it throw anything else', () => {
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.anything()), (value) => void faults(value)),
    { numRuns: 500 },
  );
  const odd = fc.dictionary(
    fc.constantFrom('name', 'match', 'percentage', 'header', 'segment', '__proto__'),
    fc.anything(),
    { maxKeys: 4 },
  );
  fc.assert(
    fc.property(fc.array(odd, { maxLength: 3 }), (rules) => void faults({ rules })),
    { numRuns: 500 },
  );
});

test('a list of networks that was found valid is not looked at again, and one that is new is', () => {
  const cidr = Array.from({ length: 1000 }, (_, index) => `10.0.${index >> 8}.${index & 255}`);
  let looks = 0;
  const watched = new Proxy(cidr, {
    get(target, key, receiver) {
      if (typeof key === 'string' && /^[0-9]+$/.test(key)) looks += 1;
      return Reflect.get(target, key, receiver) as unknown;
    },
  });
  const policy = (percentage: number, list: readonly string[]) => ({
    rules: [{ name: 'a', match: { cidr: list }, percentage }],
  });
  const document = policy(1, watched);
  assert.equal(validateRollout(document, null), document);
  assert.ok(looks >= 1000);
  looks = 0;
  for (let percentage = 2; percentage < 50; percentage++) validateRollout(policy(percentage, watched), null);
  assert.equal(looks, 0);
  assert.throws(() => validateRollout(policy(101, watched), null), DocumentError);
  assert.throws(() => validateRollout({ rules: [{ match: { cidr: watched } }] }, null), DocumentError);
  assert.throws(() => validateRollout(policy(1, [...cidr, 'banana']), null), DocumentError);
});

test('more rules than a thread can compile in one go are refused, but not where they were accepted before', () => {
  const rules = Array.from({ length: 1500 }, (_, index) => ({ name: `r${index}`, percentage: 1 }));
  const exclude = (count: number): object[] =>
    Array.from({ length: count }, (_, index) => ({ name: `x${index}`, match: { method: 'GET' } }));
  assert.deepEqual(faults({ rules, exclude: exclude(500) }), []);
  const more = { rules, exclude: exclude(501) };
  refuses(more, /^\/rules 2001 rules and excludes; expected at most 2000 together$/);
  assert.equal(validateRollout(more, { ...KNOWN, stored: true }).rules.length, 1500);
});
