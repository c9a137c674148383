/** What shared caches may store, and what is done so that they do not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  heuristicallyCacheable,
  otherTargetedFields,
  privateCaching,
  sharedCacheable,
} from '../../../src/proxy/exchange/answer-caching.ts';
import { parseResponseHead, ResponseHead } from '../../../src/http1/response-head.ts';

const LIMITS = { requestLine: 8192, head: 32_768, fields: 100 };

function responseHead(lines: readonly string[]): ResponseHead {
  const bytes = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  const head = new ResponseHead();
  assert.equal(parseResponseHead(bytes, 0, bytes.length, LIMITS, head), bytes.length);
  return head;
}

const shared = (...fields: string[]): boolean =>
  sharedCacheable(responseHead(['HTTP/1.1 200 OK', ...fields]));

test('shared caches may store what says so', () => {
  const shared = (...fields: string[]): boolean =>
    sharedCacheable(responseHead(['HTTP/1.1 200 OK', ...fields]));
  assert.equal(shared(), false);
  assert.equal(shared('Cache-Control: public'), true);
  assert.equal(shared('Cache-Control: max-age=31536000, immutable'), true);
  assert.equal(shared('Cache-Control: immutable'), true);
  assert.equal(shared('Cache-Control: max-age=0, s-maxage=5'), true);
  assert.equal(shared('Cache-Control: max-age=0'), false);
  assert.equal(shared('Cache-Control: private, max-age=60'), false);
  assert.equal(shared('Cache-Control: No-Store'), false);
  assert.equal(shared('Expires: Thu, 01 Dec 2050 16:00:00 GMT'), true);
  assert.equal(shared('Expires: 0'), false);
});

test('a directive about some fields says nothing of the whole answer', () => {
  assert.equal(shared('Cache-Control: max-age=60, no-cache="set-cookie"'), true);
  assert.equal(shared('Cache-Control: private="x-user, set-cookie", max-age=60'), true);
  assert.equal(shared('Cache-Control: max-age=60, no-cache'), false);
  assert.equal(shared('Cache-Control: x="private, no-store", max-age=60'), true);
  assert.equal(shared('Cache-Control: privately, max-age=60'), true);
});

test('what shared caches go by comes before max-age, and a stale answer may be used too', () => {
  assert.equal(shared('Cache-Control: s-maxage=0, max-age=60'), false);
  assert.equal(shared('Cache-Control: max-age=0, stale-while-revalidate=60'), true);
  assert.equal(shared('Cache-Control: max-age=0', 'Expires: Thu, 01 Dec 2050 16:00:00 GMT'), false);
  assert.equal(shared('Cache-Control: no-transform', 'Expires: Thu, 01 Dec 2050 16:00:00 GMT'), true);
  assert.equal(shared('Cache-Control: no-transform'), false);
  assert.equal(shared('Cache-Control: no-store', 'Cache-Control: max-age=60'), false);
  assert.equal(shared('Cache-Control: max-age=60', 'Cache-Control: no-store'), false);
  assert.equal(shared('Cache-Control: no-transform', 'Cache-Control: max-age=60'), true);
});

test("Expires is a moment, compared with the answer's own", () => {
  const at = (expires: string): boolean =>
    shared('Date: Mon, 30 Nov 2026 12:00:00 GMT', `Expires: ${expires}`);
  assert.equal(at('Mon, 30 Nov 2026 12:00:01 GMT'), true);
  for (const past of ['Mon, 30 Nov 2026 12:00:00 GMT', 'Thu, 19 Nov 1981 08:52:00 GMT', '0', '-1', ''])
    assert.equal(at(past), false, past);
});

test('fields for some caches alone count, whatever Cache-Control says', () => {
  for (const field of [
    'CDN-Cache-Control: max-age=60',
    'cloudflare-cdn-cache-control: public',
    'Surrogate-Control: max-age=60+30, content="ESI/1.0"',
    'Edge-Control: !no-store, cache-maxage=1d',
    'X-Accel-Expires: 60',
    'X-Accel-Expires: @1900000000',
  ]) {
    assert.equal(shared(field), true, field);
    assert.equal(shared('Cache-Control: no-store', field), true, field);
  }
  for (const field of [
    'CDN-Cache-Control: no-store',
    'Surrogate-Control: max-age=0',
    'X-Accel-Expires: 0',
    'Edge-Control: no-store',
  ])
    assert.equal(shared(field), false, field);
  const head = responseHead([
    'HTTP/1.1 200 OK',
    'Vercel-CDN-Cache-Control: max-age=1',
    'CDN-Cache-Control: max-age=1',
    'X: 1',
    'X-LiteSpeed-Cache-Control: public',
    'Cache-Control: no-store',
  ]);
  assert.deepEqual(otherTargetedFields(head), ['vercel-cdn-cache-control', 'x-litespeed-cache-control']);
  assert.equal(otherTargetedFields(responseHead(['HTTP/1.1 200 OK', 'X: 1'])), null);
});

test('with Last-Modified alone caches make up how long an answer is fresh, for some statuses', () => {
  const made = (status: number, ...fields: string[]): boolean =>
    heuristicallyCacheable(
      responseHead([`HTTP/1.1 ${status} S`, 'Last-Modified: Mon, 30 Nov 2020 12:00:00 GMT', ...fields]),
    );
  for (const status of [200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501])
    assert.equal(made(status), true, `${status}`);
  for (const status of [201, 302, 303, 307, 400, 401, 403, 500, 503])
    assert.equal(made(status), false, `${status}`);
  assert.equal(made(200, 'Cache-Control: no-cache'), false);
  assert.equal(made(200, 'Expires: 0'), false);
  assert.equal(made(200, 'Set-Cookie: a=1'), false);
  assert.equal(heuristicallyCacheable(responseHead(['HTTP/1.1 200 OK'])), false);
});

test('private takes the place of what lets shared caches store', () => {
  for (const [control, expected] of [
    [undefined, 'private'],
    ['public, max-age=60, s-maxage=600', 'private, max-age=60'],
    ['private="a, b", max-age=60', 'private, max-age=60'],
    ['no-cache="set-cookie, x"', 'private, no-cache="set-cookie, x"'],
    ['Public , S-MaxAge = 5, immutable', 'private, immutable'],
    ['no-store', 'private, no-store'],
    ['proxy-revalidate, must-revalidate', 'private, must-revalidate'],
    ['publicly=1, ,', 'private, publicly=1'],
    ['x="a', 'private, x="a'],
  ] as const) {
    assert.equal(privateCaching(control), expected, control);
  }
});
