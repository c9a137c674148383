import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isUnambiguous, isUnder, mergeSlashes, normalisePath } from '../../../src/policy/path.ts';
import { anyText, characters } from './fixtures.ts';

test('removes dot segments, decodes unreserved escapes, keeps the rest', () => {
  const cases: Record<string, string> = {
    '/': '/',
    '/a/b': '/a/b',
    '/a/./b': '/a/b',
    '/a/../b': '/b',
    '/a/b/..': '/a/',
    '/a/b/.': '/a/b/',
    '/..': '/',
    '/../../a': '/a',
    '/a/%2e%2E/b': '/b',
    '/a/.%2e/b': '/b',
    '/%61%7Eb%2d': '/a~b-',
    '/a%2fb': '/a%2Fb',
    '/a%2f..%2fb': '/a%2F..%2Fb',
    '/a/...': '/a/...',
    '/a/.b': '/a/.b',
    '/a/..b/': '/a/..b/',
    '/a//b': '/a//b',
    '/a//../b': '/a/b',
    '/%': '/%',
    '/%2': '/%2',
    '/%zz': '/%zz',
    '/%252e': '/%252e',
    '/a/%c3%a9': '/a/%C3%A9',
  };
  for (const [raw, expected] of Object.entries(cases)) assert.equal(normalisePath(raw), expected, raw);
});

/** Paths full of what normalisation is about. */
const anyPath = fc
  .array(
    fc.constantFrom(
      '/',
      '/',
      'a',
      'api',
      '.',
      '..',
      '%2e',
      '%2E',
      '%41',
      '%2f',
      '%2F',
      '%5c',
      '%',
      '~',
      '%7e',
      '%c3',
      ';',
      '=',
      ':',
    ),
    {
      maxLength: 16,
    },
  )
  .map((parts) => `/${parts.join('')}`);

test('agrees with the WHATWG URL parser on dot segments', () => {
  fc.assert(
    fc.property(anyPath, (raw) => {
      // A URL parser keeps escapes, but for dots in dot segments: decode what is unreserved on both sides.
      const decode = (path: string): string =>
        path.replace(/%[0-9a-f]{2}/gi, (escape) => {
          const character = String.fromCharCode(Number.parseInt(escape.slice(1), 16));
          return /[A-Za-z0-9._~-]/.test(character) ? character : escape.toUpperCase();
        });
      const expected = decode(new URL(`http://h${raw}`).pathname);
      assert.equal(normalisePath(raw), expected, raw);
    }),
    { numRuns: 20_000 },
  );
});

test('is idempotent, begins with a slash, and has no dot segment left', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        anyPath,
        fc.string({ unit: fc.constantFrom(...characters('/.%2eE5fF')) }).map((text) => `/${text}`),
      ),
      (raw) => {
        const normal = normalisePath(raw);
        assert.ok(normal.startsWith('/'));
        assert.ok(!/\/\.{1,2}(\/|$)/.test(normal), normal);
        // A stray percent sign can become an escape with what is decoded after it; that is not decoded again.
        if (!/%(?![0-9a-f]{2})/i.test(raw)) assert.equal(normalisePath(normal), normal);
      },
    ),
    { numRuns: 10_000 },
  );
});

test('what is called unambiguous is its own normal form, however slashes are read', () => {
  fc.assert(
    fc.property(anyPath, (raw) => {
      if (!isUnambiguous(raw)) return;
      assert.equal(normalisePath(raw), raw);
      assert.equal(mergeSlashes(raw), raw);
    }),
    { numRuns: 10_000 },
  );
});

test('no text makes it throw', () => {
  fc.assert(fc.property(anyText, (raw) => void normalisePath(raw)));
});

test('prefixes are bounded by segments', () => {
  assert.ok(
    isUnder('/api', '/api') && isUnder('/api/x', '/api') && isUnder('/api/x', '/api/') && isUnder('/x', '/'),
  );
  assert.ok(!isUnder('/apix', '/api') && !isUnder('/api', '/api/') && !isUnder('/', '/api'));
});
