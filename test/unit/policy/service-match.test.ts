import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { AMBIGUOUS_PATH, compileServiceMatcher, UNKNOWN_SERVICE } from '../../../src/policy/service-match.ts';
import { anyText } from './fixtures.ts';

const SERVICES = [
  { name: 'root', hosts: ['example.com', 'www.example.com'], pathPrefix: '/' },
  { name: 'api', hosts: ['example.com'], pathPrefix: '/api' },
  { name: 'api v2', hosts: ['example.com'], pathPrefix: '/api/v2' },
  { name: 'any sub', hosts: ['*.example.com'], pathPrefix: '/' },
  { name: 'deep', hosts: ['*.eu.example.com'], pathPrefix: '/' },
  { name: 'shop everywhere', hosts: ['*'], pathPrefix: '/shop' },
  { name: 'v6', hosts: ['[2001:db8::1]'], pathPrefix: '/' },
];
const matcher = compileServiceMatcher(SERVICES);

function find(host: string, path = '/'): string {
  const index = matcher.find(host, path);
  if (index === UNKNOWN_SERVICE) return 'unknown';
  return index === AMBIGUOUS_PATH ? 'ambiguous' : SERVICES[index]!.name;
}

test('exact hosts before the longest wildcard before *', () => {
  assert.equal(find('example.com'), 'root');
  assert.equal(find('www.example.com'), 'root');
  assert.equal(find('a.example.com'), 'any sub');
  assert.equal(find('a.b.example.com'), 'any sub');
  assert.equal(find('a.eu.example.com'), 'deep');
  assert.equal(find('eu.example.com'), 'any sub');
  assert.equal(find('other.org', '/shop'), 'shop everywhere');
  assert.equal(find('other.org'), 'unknown');
  assert.equal(find('notexample.com'), 'unknown');
});

test('hosts are compared in lower case, without port and trailing dot', () => {
  for (const host of ['EXAMPLE.com', 'example.com:8080', 'example.com.', 'Example.Com.:80'])
    assert.equal(find(host), 'root', host);
  for (const host of ['[2001:db8::1]', '[2001:DB8::1]:8080']) assert.equal(find(host), 'v6', host);
  assert.equal(find('', '/shop'), 'shop everywhere');
});

test('the longest prefix wins, bounded by segments', () => {
  assert.equal(find('example.com', '/api'), 'api');
  assert.equal(find('example.com', '/api/'), 'api');
  assert.equal(find('example.com', '/api/v2'), 'api v2');
  assert.equal(find('example.com', '/api/v2/x'), 'api v2');
  assert.equal(find('example.com', '/api/v20'), 'api');
  assert.equal(find('example.com', '/apix'), 'root');
  assert.equal(find('example.com', '/API'), 'root');
});

test('a host whose own services have no such prefix falls to the wider ones', () => {
  const wider = compileServiceMatcher([
    { hosts: ['a.org'], pathPrefix: '/api' },
    { hosts: ['*'], pathPrefix: '/' },
  ]);
  assert.equal(wider.find('a.org', '/api'), 0);
  assert.equal(wider.find('a.org', '/x'), 1);
});

test('a path that selects another service when it is normalised is ambiguous', () => {
  for (const path of [
    '/x/../api',
    '/%61pi',
    '/./api',
    '/api/../x',
    '/api/%2e%2e/x',
    '//api',
    '/x//../api',
    '/api/v2/..',
    '/api//v2',
    '/api/%76%32',
  ]) {
    assert.equal(find('example.com', path), 'ambiguous', path);
  }
});

test('a path that selects the same service either way is not', () => {
  assert.equal(find('example.com', '/x/../y'), 'root');
  assert.equal(find('example.com', '/api/x/../y'), 'api');
  assert.equal(find('example.com', '/api/%7Eme'), 'api');
  assert.equal(find('example.com', '/x//y'), 'root');
  assert.equal(find('example.com', '/.well-known/x'), 'root');
  assert.equal(find('example.com', '/api/v2/a%2Fb'), 'api v2');
  // A host of one service at / has nothing to confuse it with, but for what is served on every host.
  assert.equal(find('a.example.com', '/x/../../y'), 'any sub');
});

test('one service for all is found at once', () => {
  const only = compileServiceMatcher([{ hosts: ['*'], pathPrefix: '/' }]);
  assert.equal(only.find('anything at all', '/%2e%2e//'), 0);
});

test('no services: unknown', () => {
  assert.equal(compileServiceMatcher([]).find('example.com', '/'), UNKNOWN_SERVICE);
});

test('of two services with one host and prefix the first is found', () => {
  const twice = compileServiceMatcher([
    { hosts: ['a.org'], pathPrefix: '/x' },
    { hosts: ['a.org'], pathPrefix: '/x' },
  ]);
  assert.equal(twice.find('a.org', '/x'), 0);
});

test('answers are the same from memory, and after a flood of hosts', () => {
  const fresh = compileServiceMatcher(SERVICES);
  for (let index = 0; index < 5000; index++) fresh.find(`h${index}.example.com`, '/');
  for (let round = 0; round < 2; round++) assert.equal(fresh.find('example.com', '/api'), 1);
  assert.equal(fresh.find('x'.repeat(5000), '/shop'), 5);
});

test('no host or path makes it throw; the index is one of a service or a refusal', () => {
  fc.assert(
    fc.property(
      fc.oneof(anyText, fc.constantFrom('example.com', 'a.eu.example.com')),
      anyText,
      (host, path) => {
        const index = matcher.find(host, `/${path}`);
        assert.ok(index >= AMBIGUOUS_PATH && index < SERVICES.length);
      },
    ),
    { numRuns: 3000 },
  );
});

test('a path that is not ambiguous selects one service however a server reads it', () => {
  const piece = fc.constantFrom('/', '//', 'api', 'v2', '.', '..', '%2e', '%61pi', 'x');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 10 }), (parts) => {
      const path = `/${parts.join('')}`;
      const index = matcher.find('example.com', path);
      fc.pre(index !== AMBIGUOUS_PATH);
      // As the URL parser reads it, and as a server that merges slashes first does.
      const readings = [path, path.replace(/\/+/g, '/')].map((text) =>
        decodeURIComponent(new URL(`http://h${text.replace(/^\/\/+/, '/')}`).pathname),
      );
      if (path.startsWith('//')) readings.shift();
      for (const reading of readings) {
        assert.equal(
          compileServiceMatcher(SERVICES).find('example.com', reading.replaceAll(/\/+/g, '/')),
          index,
          `${path} as ${reading}`,
        );
      }
    }),
    { numRuns: 500 },
  );
});
