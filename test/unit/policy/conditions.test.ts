import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { DocumentError } from '../../../src/schema/faults.ts';
import { compileNetworks } from '../../../src/ip/network.ts';
import type { Match } from '../../../src/policy/conditions/match.ts';
import { sharedCopy, writeMmdb } from '../../support/mmdb-writer.ts';
import { KINDS } from '../../../src/policy/conditions/kinds.ts';
import { anyMatch } from './generators.ts';
import { ANDROID, context, decideOnce, IPHONE, policy, type Request } from './fixtures.ts';

const REGION = sharedCopy(
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
      [
        '1.3.0.0/16',
        {
          country: { iso_code: 'GB' },
          subdivisions: [{ iso_code: 'ENG' }, { iso_code: 'LND' }],
          city: { names: { en: 'London' } },
        },
      ],
      ['2001:db8:5::/48', { country: { iso_code: 'CN' }, subdivisions: [{ iso_code: 'BJ' }] }],
    ],
    { recordSize: 28, ipVersion: 6 },
  ),
);
const withRegion = context({
  regionDatabase: REGION,
  segments: {
    office: compileNetworks(['203.0.113.0/24', '198.51.100.0/25', '2001:db8::/32']),
    lab: compileNetworks(['10.7.0.0/16']),
  },
});

/** Whether a rule for everybody with this match admits the request. */
function holds(match: Match, request: Request = {}): boolean {
  const compiled = policy([{ name: 'r', match, percentage: 100 }], {}, [], withRegion);
  return decideOnce(compiled, request).variant === 'canary';
}

function table(match: Match, cases: readonly (readonly [boolean, Request])[]): void {
  for (const [expected, request] of cases)
    assert.equal(holds(match, request), expected, JSON.stringify({ match, request }));
}

test('the property tests meet every kind of condition', () => {
  const met = new Set(fc.sample(anyMatch, { numRuns: 2000, seed: 1 }).flatMap((match) => Object.keys(match)));
  assert.deepEqual([...met].toSorted(), Object.keys(KINDS).toSorted());
});

test('segment: any of the named segments', () => {
  table({ segment: 'office' }, [
    [true, { client: '203.0.113.9' }],
    [true, { client: '2001:db8::9' }],
    [true, { client: '::ffff:198.51.100.5' }],
    [false, { client: '198.51.100.200' }],
  ]);
  table({ segment: ['office', 'lab'] }, [
    [true, { client: '203.0.113.9' }],
    [true, { client: '10.7.1.1' }],
    [false, { client: '10.8.1.1' }],
  ]);
});

test('cidr: any of the networks; together with a segment, both', () => {
  table({ cidr: ['10.8.0.0/16', '2001:db8:8::/48', '192.0.2.77'] }, [
    [true, { client: '10.8.1.1' }],
    [true, { client: '2001:db8:8::1' }],
    [true, { client: '192.0.2.77' }],
    [false, { client: '10.9.1.1' }],
  ]);
  table({ segment: 'office', cidr: '203.0.113.128/25' }, [
    [true, { client: '203.0.113.200' }],
    [false, { client: '203.0.113.1' }],
    [false, { client: '198.51.100.1' }],
  ]);
});

const ua = (userAgent: string): Request => ({ headers: { 'user-agent': userAgent } });

test('device: type, os, model and browser, in any case, all that are given', () => {
  table({ device: { model: 'iPhone' } }, [
    [true, ua(IPHONE)],
    [false, ua(ANDROID)],
    [false, {}],
  ]);
  table({ device: { model: ['IPHONE', 'pixel 8'] } }, [
    [true, ua(IPHONE)],
    [true, ua(ANDROID)],
  ]);
  table({ device: { os: 'Android' } }, [
    [true, ua(ANDROID)],
    [false, ua(IPHONE)],
  ]);
  table({ device: { type: 'mobile', os: ['ios', 'android'] } }, [
    [true, ua(ANDROID)],
    [true, ua(IPHONE)],
  ]);
  table({ device: { type: ['tablet', 'desktop'] } }, [
    [false, ua(IPHONE)],
    [false, {}],
  ]);
  table({ device: { browser: 'safari' } }, [
    [true, ua(IPHONE)],
    [false, ua(ANDROID)],
  ]);
  table({ device: { browser: 'Mobile Safari' } }, [
    [true, ua(IPHONE)],
    [false, ua(ANDROID)],
  ]);
  table({ device: { browser: 'chrome', os: 'ios' } }, [
    [false, ua(IPHONE)],
    [false, ua(ANDROID)],
  ]);
  table({ device: { os: 'linux' } }, [
    [true, ua('Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:126.0) Gecko/20100101 Firefox/126.0')],
    [false, ua(ANDROID)],
  ]);
});

test('device: ranges of operating system versions', () => {
  const ios = (version: string): Match => ({ device: { os: { name: 'iOS', version } } });
  table(ios('>=17'), [
    [true, ua(IPHONE)],
    [false, ua(ANDROID)],
    [false, {}],
  ]);
  table(ios('>=17.5.1 <18'), [[true, ua(IPHONE)]]);
  table(ios('<17.5.1'), [[false, ua(IPHONE)]]);
  table(ios('17.x'), [[true, ua(IPHONE)]]);
  const windows = 'Mozilla/5.0 (Windows NT 5.1) AppleWebKit/537.36 Chrome/49.0 Safari/537.36';
  // Windows XP has no number to compare.
  table({ device: { os: { name: 'windows', version: '>=0' } } }, [[false, ua(windows)]]);
});

test('region: country, subdivision and city, in any case, all that are given', () => {
  table({ region: { country: 'cn', subdivision: 'sh' } }, [
    [true, { client: '1.2.3.4' }],
    [false, { client: '1.3.3.4' }],
    [false, { client: '2001:db8:5::1' }],
    [false, { client: '9.9.9.9' }],
  ]);
  table({ region: { city: ['Shanghai', 'LONDON'] } }, [
    [true, { client: '1.2.3.4' }],
    [true, { client: '1.3.3.4' }],
    [false, { client: '2001:db8:5::1' }],
  ]);
  table({ region: { country: ['CN', 'GB'] } }, [
    [true, { client: '1.3.3.4' }],
    [true, { client: '2001:db8:5::1' }],
  ]);
  table({ region: { subdivision: 'LND' } }, [[true, { client: '1.3.3.4' }]]);
  table({ region: { subdivision: 'ENG' } }, [[true, { client: '1.3.3.4' }]]);
});

test('a region without a database is an error that names the rule, never a silent no-match', () => {
  assert.throws(
    () => policy([{ name: 'shanghai', match: { region: { country: 'CN' } }, percentage: 1 }]),
    (error: unknown) => {
      assert.ok(error instanceof DocumentError);
      assert.equal(error.code, 'region_database_missing');
      assert.match(error.message, /"shanghai".*database/s);
      return true;
    },
  );
});

test('a segment that is gone is an error that names it', () => {
  assert.throws(
    () => policy([{ name: 'r', match: { segment: 'offize' }, percentage: 1 }]),
    (error: unknown) =>
      error instanceof DocumentError && error.code === 'segment_unknown' && /"offize"/.test(error.message),
  );
});

for (const kind of ['header', 'cookie', 'query'] as const) {
  /** A request that has these values in its headers, cookies or query. */
  const having = (values: Record<string, string>): Request => {
    if (kind === 'query') return { query: new URLSearchParams(values).toString() };
    return kind === 'header' ? { headers: values } : { cookies: values };
  };
  test(`${kind}: present, equals, one of, prefix, semver`, () => {
    table({ [kind]: { v: { present: true } } }, [
      [true, having({ v: '1' })],
      [true, having({ v: '' })],
      [false, having({ w: '1' })],
    ]);
    table({ [kind]: { v: { present: false } } }, [
      [false, having({ v: '1' })],
      [true, having({ w: '1' })],
    ]);
    table({ [kind]: { v: { equals: 'a' } } }, [
      [true, having({ v: 'a' })],
      [false, having({ v: 'A' })],
      [false, having({ v: 'ab' })],
      [false, {}],
    ]);
    table({ [kind]: { v: { equals: '' } } }, [
      [true, having({ v: '' })],
      [false, {}],
    ]);
    table({ [kind]: { v: { oneOf: ['a', 'b'] } } }, [
      [true, having({ v: 'b' })],
      [false, having({ v: 'c' })],
      [false, {}],
    ]);
    table({ [kind]: { v: { prefix: 'ab' } } }, [
      [true, having({ v: 'abc' })],
      [false, having({ v: 'a' })],
      [false, {}],
    ]);
    table({ [kind]: { v: { semver: '>=8.2.0' } } }, [
      [true, having({ v: '8.10' })],
      [false, having({ v: '8.1.9' })],
      [false, having({ v: 'x' })],
      [false, {}],
    ]);
    table({ [kind]: { v: { equals: 'a' }, w: { equals: 'b' } } }, [
      [true, having({ v: 'a', w: 'b' })],
      [false, having({ v: 'a' })],
    ]);
  });
}

test('texts of documents are compared as the UTF-8 bytes that clients send', () => {
  table({ header: { 'X-City': { equals: 'Zürich' } } }, [
    [true, { headers: { 'x-city': 'Z\xc3\xbcrich' } }],
    [false, { headers: { 'x-city': 'Z\xfcrich' } }],
  ]);
  table({ cookie: { city: { prefix: '上海' } } }, [
    [true, { cookies: { city: Buffer.from('上海市').toString('latin1') } }],
  ]);
  table({ query: { größe: { oneOf: ['süß'] } } }, [
    [true, { query: 'gr%C3%B6%C3%9Fe=s%C3%BC%C3%9F' }],
    [false, { query: 'gr%F6%DFe=s%FC%DF' }],
  ]);
});

test('names of headers are compared in lower case, those of cookies and parameters as they are', () => {
  assert.ok(holds({ header: { 'X-App': { equals: '1' } } }, { headers: { 'x-app': '1' } }));
  assert.ok(!holds({ cookie: { App: { equals: '1' } } }, { cookies: { app: '1' } }));
  assert.ok(!holds({ query: { App: { equals: '1' } } }, { query: 'app=1' }));
});

test('method: one of the methods, as they are', () => {
  table({ method: 'POST' }, [
    [true, { method: 'POST' }],
    [false, { method: 'GET' }],
    [false, { method: 'post' }],
  ]);
  table({ method: ['GET', 'HEAD'] }, [
    [true, { method: 'HEAD' }],
    [false, { method: 'POST' }],
  ]);
});

test('path: equals, one of and segment-bounded prefix, on the normalised path', () => {
  table({ path: { prefix: '/api' } }, [
    [true, { path: '/api' }],
    [true, { path: '/api/x' }],
    [true, { path: '/x/../%61pi/y' }],
    [false, { path: '/apix' }],
    [false, { path: '/api/../x' }],
    [false, { path: '/' }],
  ]);
  table({ path: { prefix: '/' } }, [
    [true, { path: '/' }],
    [true, { path: '/x' }],
  ]);
  table({ path: { equals: '/a/./b' } }, [
    [true, { path: '/a/b' }],
    [false, { path: '/a/b/' }],
  ]);
  table({ path: { oneOf: ['/a', '/café'] } }, [
    [true, { path: '/a' }],
    [true, { path: '/caf%c3%a9' }],
    [false, { path: '/b' }],
  ]);
});

test('names that objects have of themselves are just names', () => {
  for (const name of ['constructor', '__proto__', 'toString']) {
    const match = JSON.parse(`{"header":{"${name}":{"present":true}}}`) as Match;
    assert.ok(!holds(match, {}), name);
    const headers = Object.fromEntries([[name.toLowerCase(), '1']]);
    assert.ok(holds(match, { headers }), name);
  }
});
