/**
 * A path that is let through means the same to every server behind the proxy: the same service, and the same side of each rule's
 * path. The servers are written down here one by one, apart from the code that they check.
 */
import assert from 'node:assert/strict';
import { posix } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { readingsAgree } from '../../src/policy/path-readings.ts';
import { AMBIGUOUS_PATH, compileServiceMatcher } from '../../src/policy/service-match.ts';
import type { Match } from '../../src/policy/conditions/match.ts';
import { policy } from '../unit/policy/fixtures.ts';

const bytes = (path: string): string =>
  path.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
const unicode = (path: string): string => Buffer.from(bytes(path), 'latin1').toString('utf8');
const merge = (path: string): string => path.replace(/\/+/g, '/');
const parameters = (path: string): string => path.replace(/;[^/]*/g, '');
const slashes = (path: string): string => path.replaceAll('\\', '/');
const truncate = (path: string): string => path.split('\0', 1)[0]!;
const windowsNames = (path: string): string =>
  path
    .split('/')
    .map((name) => (/^\.+$/.test(name) ? name : name.replace(/[. ]+$/, '')))
    .join('/');
const percentU = (path: string): string =>
  path.replace(/%u([0-9a-f]{4})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
/** As decoders did that took any continuation of a first byte, however short the character could have been. */
const overlong = (path: string): string =>
  bytes(path)
    .replace(/[\xc0\xc1]([\x80-\xbf])/g, (whole, next: string) =>
      String.fromCharCode(((whole.charCodeAt(0) & 1) << 6) | (next.charCodeAt(0) & 63)),
    )
    .replace(/\xe0[\x80\x81]([\x80-\xbf])/g, (whole, last: string) =>
      String.fromCharCode(((whole.charCodeAt(1) & 1) << 6) | (last.charCodeAt(0) & 63)),
    );
/** Dot segments, empty ones kept. */
const dots = (path: string): string => {
  const out: string[] = [];
  const segments = path.split('/').slice(1);
  for (const [index, segment] of segments.entries()) {
    const last = index === segments.length - 1;
    if (segment === '..') out.pop();
    if (segment !== '.' && segment !== '..') out.push(segment);
    else if (last) out.push('');
  }
  return `/${out.join('/')}`;
};
const clean = (path: string): string => {
  const normal = posix.normalize(path);
  return normal.startsWith('//') ? normal.slice(1) : normal;
};

const SERVERS: Readonly<Record<string, (path: string) => string>> = {
  'reads it as it comes (Express, Koa)': (path) => path,
  'merges slashes of the raw path': merge,
  'removes dots of the raw path': dots,
  'WHATWG URL': (path) => new URL(`http://h.test${path.replace(/^\/\/+/, '/')}`).pathname,
  nginx: (path) => dots(merge(bytes(path))),
  'nginx with merge_slashes off': (path) => dots(bytes(path)),
  'nginx before another that decodes': (path) => dots(merge(bytes(dots(merge(bytes(path)))))),
  Tomcat: (path) => dots(merge(bytes(parameters(path)))),
  'Tomcat with backslashes': (path) => dots(merge(slashes(bytes(parameters(path))))),
  'Spring behind Tomcat': (path) => dots(merge(parameters(bytes(parameters(path))))),
  'Jetty: dots before escapes': (path) => bytes(parameters(dots(path))),
  'decodes, then parameters': (path) => dots(parameters(bytes(path))),
  'Go ServeMux': (path) => clean(bytes(path)),
  Python: (path) => clean(unicode(path)),
  'PHP on Windows': (path) => dots(merge(windowsNames(slashes(bytes(path))))),
  IIS: (path) => dots(merge(windowsNames(slashes(percentU(overlong(path)))))),
  'IIS with double decoding': (path) => dots(merge(slashes(bytes(bytes(path))))),
  'an old decoder of UTF-8': (path) => dots(overlong(path)),
  'a program in C': (path) => dots(truncate(bytes(path))),
  NFKC: (path) => dots(merge(unicode(path).normalize('NFKC'))),
  'a query in escapes': (path) => dots(bytes(path).split(/[?#]/, 1)[0]!),
  'thrice decoded': (path) => dots(bytes(bytes(bytes(path)))),
};

const SERVICES = ['/', '/admin', '/a/b', '/a%20c', '/x.y'].map((pathPrefix) => ({
  hosts: ['h.test'],
  pathPrefix,
}));
const matcher = compileServiceMatcher([...SERVICES, { hosts: ['*'], pathPrefix: '/' }]);
const under = (path: string, prefix: string): boolean =>
  prefix === '/' || path === prefix || path.startsWith(`${prefix}/`);
const selected = (server: (path: string) => string, path: string): number => {
  const read = server(path);
  const found = SERVICES.map(({ pathPrefix }, index) => ({ prefix: server(pathPrefix), index }))
    .filter(({ prefix }) => under(read, prefix))
    .toSorted((a, b) => b.prefix.length - a.prefix.length);
  return found[0]!.index;
};

const CONDITIONS: NonNullable<Match['path']>[] = [
  { prefix: '/admin' },
  { prefix: '/a/b' },
  { equals: '/x' },
  { oneOf: ['/beta', '/a/é'] },
];
const rules = policy(
  CONDITIONS.map((path, index) => ({ name: `r${index}`, match: { path }, percentage: 100 })),
).rules!;
const holds = (server: (path: string) => string, path: string): string => {
  const read = server(path);
  return CONDITIONS.map((condition) => {
    if (condition.prefix !== undefined) return under(read, condition.prefix);
    const wanted = condition.oneOf ?? [condition.equals!];
    return wanted.some((each) => server(encodeURI(each)) === read);
  }).join();
};

function check(path: string): boolean {
  const index = matcher.find('h.test', path);
  if (index !== AMBIGUOUS_PATH) {
    for (const [name, server] of Object.entries(SERVERS))
      assert.equal(selected(server, path), index, `${path} as ${name} reads it: ${server(path)}`);
  }
  const ambiguous = rules.isAmbiguous(path);
  if (!ambiguous) {
    const first = holds(SERVERS['nginx']!, path);
    for (const [name, server] of Object.entries(SERVERS))
      assert.equal(holds(server, path), first, `${path} as ${name} reads it: ${server(path)}`);
  }
  return index !== AMBIGUOUS_PATH && !ambiguous;
}

const PIECES =
  '/,//,admin,a,b,x,beta,c,.,..,...,%2e,%2E%2e,%2f,%2F,%5c,\\,;,;v=1,%3b,%252e,%252f,%25252f,%00,%c0%af,%c0%ae,%e0%80%af,%u002f,%uff0f,%ef%bc%8f,%ef%bc%8e,%20,+,%61,%61dmin,%3f,%23,%,%zz,%e9,%C3%A9,~,=,:,%41,%25,%u002e'.split(
    ',',
  );

test('every two pieces, wherever they stand, are refused or read alike by all', () => {
  let passed = 0;
  for (const one of PIECES) {
    for (const two of PIECES) {
      for (const path of [
        `/${one}${two}admin`,
        `/x/${one}${two}/admin`,
        `/admin/${one}${two}x`,
        `/a${one}b${two}`,
      ])
        if (check(path)) passed++;
    }
  }
  assert.ok(passed > 1000, `${passed}`);
});

test('so is any longer one', () => {
  const path = fc.array(fc.constantFrom(...PIECES, '/', '/', '/admin', '..'), { maxLength: 12 });
  fc.assert(
    fc.property(path, (pieces) => void check(`/${pieces.join('')}`)),
    { numRuns: 2000 },
  );
});

test('what is named, each by itself', () => {
  const find = (path: string): number => matcher.find('h.test', path);
  for (const path of [
    '/x/..%2fadmin',
    '/x\\..\\admin',
    '/x/..;/admin',
    '/admin%2fx',
    '/admin;x=1',
    '/admin%5cx',
    '/x/%252e%252e/admin',
    '/x/..%252fadmin',
    '/%c0%afadmin',
    '/x/%c0%ae%c0%ae/admin',
    '/x/..%c1%9cadmin',
    '/admin%00',
    '/admin%00.png',
    '/admin.',
    '/admin%20',
    '/admin./x',
    '/x/..%ef%bc%8fadmin',
    '/%ef%bc%8e%ef%bc%8e/admin',
    '/x/..%u2215admin',
    '/x/.%u002e/admin',
    '/admin%3fx',
    '/admin%23x',
    '/x/%2e%2e%5cadmin',
    '/;/admin',
    '/.;/admin',
    '//admin',
    '/./admin',
    '/admin/..',
    '/admin/.;/..',
    '/admin/x/../..',
    '/a//b',
    '/a/;x/b',
    '/a%2fb',
    '/%61dmin',
    '/admin/..%00/',
    '/x/\u0025%32%65%2e/admin',
    '/x/%25%32%66..%25%32%66admin',
    '/x/..%f0%80%80%afadmin',
  ]) {
    assert.equal(find(path), AMBIGUOUS_PATH, path);
  }
  for (const [path, index] of [
    ['/docs/a%2fb', 0],
    ['/docs/x;v=1/y', 0],
    ['/docs//x', 0],
    ['/docs/..%2fx', 0],
    ['/admin/a%2fb', 1],
    ['/admin/x;jsessionid=1', 1],
    ['/admin/a/../b', 1],
    ['/admin//x', 1],
    ['/admin/%E6%96%87%e4%bb%b6.txt', 1],
    ['/admin/x.', 1],
    ['/a%20c/x', 3],
    ['/Admin', 0],
    ['/admins', 0],
    ['/x%40y', 0],
    ['/x/...', 0],
  ] as const) {
    assert.equal(find(path), index, path);
  }
  // Nothing else is served there.
  assert.equal(matcher.find('other.test', '/x/..%2f..%2f/admin'), SERVICES.length);
});

test('a rule for a path, or an exclude rule, is neither left nor entered by another way to write it', () => {
  const beta = policy([{ name: 'r', match: { path: { prefix: '/beta' } }, percentage: 100 }]).rules!;
  for (const path of [
    '//beta',
    '/beta//../x',
    '/beta/..;/x',
    '/x/..%2fbeta',
    '/beta%2fx',
    '/beta;a/x',
    '/beta%00',
  ])
    assert.equal(beta.isAmbiguous(path), true, path);
  for (const path of [
    '/beta',
    '/beta/x;a',
    '/beta//x',
    '/x//y',
    '/x%2fy',
    '/beta/a%2fb',
    '/x/%E6%96%87',
    '*',
    '',
  ])
    assert.equal(beta.isAmbiguous(path), false, path);
  const everyone = policy([{ name: 'r', percentage: 50 }]).rules!;
  assert.equal(everyone.isAmbiguous('/x/..%2fbeta'), false);
  const named = policy([
    { name: 'r', match: { path: { oneOf: ['/a b', '/é', '/'] } }, percentage: 100 },
  ]).rules!;
  for (const path of ['/a%20b', '/%c3%a9', '/%C3%A9', '/'])
    assert.equal(named.isAmbiguous(path), false, path);
  // A prefix is read as the path may have been.
  const spaced = policy([{ name: 'r', match: { path: { prefix: '/a%20b' } }, percentage: 100 }]).rules!;
  for (const path of ['/a%20b', '/a%20b/x', '/x/a%20b']) assert.equal(spaced.isAmbiguous(path), false, path);
});

test('a path with more readings than are looked at is refused, though all that were looked at agree', () => {
  // The first has too many readings, the second too many characters in few of them.
  for (const path of [
    `/${['a;b', '%25252e', 'a\\b', '%c0%ae', 'x.', '%3f', '%00'].join('//')}`.repeat(3),
    `/${'a%2525;b//'.repeat(400)}`,
  ]) {
    const seen = new Set<string>();
    assert.equal(
      readingsAgree(path, (reading) => {
        seen.add(reading);
        return 'the same';
      }),
      false,
      path.slice(0, 80),
    );
    assert.ok(seen.size >= 3, `${seen.size} readings`);
  }
});

test('however many readings a path has, few of them are looked at', () => {
  const pieces = [
    '/%25252e;a\\..',
    '/.%2e',
    '/a;b',
    '//',
    '\\',
    '/%c0%ae.',
    '/..%2f',
    '%25',
    ';',
    '/.',
    '%u002f',
  ];
  for (const piece of pieces) {
    for (const length of [200, 2000, 8000]) {
      const path = `/${piece.repeat(length)}`.slice(0, length);
      let characters = 0;
      let readings = 0;
      readingsAgree(path, (reading) => {
        characters += reading.length;
        readings++;
        return 0;
      });
      assert.ok(readings <= 64, piece);
      assert.ok(characters <= Math.max(8192, 3 * length), `${piece}: ${characters}`);
    }
  }
});
