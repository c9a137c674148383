import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeDownstreamInfo } from '../../../src/proxy/connection/downstream-info.ts';
import { OWN_FIELDS } from '../../../src/proxy/exchange/field-guard.ts';
import {
  clientResponseHead,
  upstreamRequestHead,
  type ForwardFacts,
  type ResponseFacts,
} from '../../../src/proxy/exchange/forward-headers.ts';
import { makeVia } from '../../../src/proxy/exchange/via.ts';
import { parseRequestHead, RequestHead } from '../../../src/http1/request-head.ts';
import { parseResponseHead, ResponseHead } from '../../../src/http1/response-head.ts';
import { parseAddress } from '../../../src/ip/address.ts';

const LIMITS = { requestLine: 8192, head: 32_768, fields: 100 };

const VIA = makeVia([{ id: 'k', secret: new Uint8Array(32).fill(7) }]);

const FACTS: ForwardFacts = {
  downstream: makeDownstreamInfo(parseAddress('198.51.100.7')!, 8080, false),
  peerTrusted: false,
  secure: false,
  variant: 'canary',
  requestId: 'made-1',
  upgrade: false,
  stripCookie: '',
  guard: OWN_FIELDS,
  via: VIA,
  forwarded: () => undefined,
};

function request(lines: readonly string[], facts: Partial<ForwardFacts> = {}): string[] {
  const bytes = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  const head = new RequestHead();
  assert.equal(parseRequestHead(bytes, 0, bytes.length, LIMITS, head), bytes.length);
  const forwarded = (lowerName: string): string | undefined => head.header(lowerName);
  const text = upstreamRequestHead(head, { ...FACTS, forwarded, ...facts });
  assert.ok(text.endsWith('\r\n\r\n'));
  // What goes out must itself be a head that the strict parser takes.
  const sent = Buffer.from(text, 'latin1');
  assert.equal(parseRequestHead(sent, 0, sent.length, LIMITS, new RequestHead()), sent.length);
  return text.slice(0, -4).split('\r\n');
}

function response(lines: readonly string[], facts: Partial<ResponseFacts> = {}): string[] {
  const head = responseHead(lines);
  const text = clientResponseHead(head, {
    setCookies: '',
    cache: 'preserve',
    close: false,
    chunked: false,
    upgraded: false,
    date: '',
    ...facts,
  });
  assert.ok(text.endsWith('\r\n\r\n'));
  return text.slice(0, -4).split('\r\n');
}

function responseHead(lines: readonly string[]): ResponseHead {
  const bytes = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  const head = new ResponseHead();
  assert.equal(parseResponseHead(bytes, 0, bytes.length, LIMITS, head), bytes.length);
  return head;
}

const OURS = [
  'X-Forwarded-For: 198.51.100.7',
  'X-Forwarded-Proto: http',
  'X-Forwarded-Host: a.example',
  'X-Forwarded-Port: 8080',
  'X-Request-Id: made-1',
  `Via: 1.1 ${VIA.pseudonym}`,
  'X-Canary: canary',
];

test('lines that may pass go out as they came in, then ours', () => {
  const lines = ['GET /x?y=1 HTTP/1.1', 'Host: a.example', 'ACCEPT:  */* ', 'Cookie: a=1; b="2"'];
  assert.deepEqual(request(lines), [...lines, ...OURS]);
});

test('hop-by-hop fields and what Connection nominates are removed', () => {
  const lines = [
    'GET / HTTP/1.1',
    'Host: a.example',
    'Connection: keep-alive, x-secret',
    'Keep-Alive: timeout=5',
    'X-Secret: 1',
    'Proxy-Authorization: Basic eA==',
    'X-Stays: 2',
    'Upgrade: h2c',
    'HTTP2-Settings: AAMAAABkAAQAAP__',
  ];
  assert.deepEqual(request(lines), ['GET / HTTP/1.1', 'Host: a.example', 'X-Stays: 2', ...OURS]);
});

test('what a client cannot set: variant, override, forwarding fields and their look-alikes', () => {
  const lines = [
    'GET / HTTP/1.1',
    'Host: a.example',
    'X-Canary: canary',
    'x_canary: canary',
    'X-Serin-Override: t',
    'X-Forwarded-For: 10.0.0.1',
    'X_Forwarded-For: 10.0.0.1',
    'X-Forwarded-Proto: https',
    'Forwarded: for=10.0.0.1',
    'X-Real-IP: 10.0.0.1',
    'content_length: 5',
    'app_version: 3',
  ];
  assert.deepEqual(request(lines, { variant: 'stable' }), [
    'GET / HTTP/1.1',
    'Host: a.example',
    'app_version: 3',
    ...OURS.slice(0, -1),
    'X-Canary: stable',
  ]);
});

test('a client cannot nominate our fields away', () => {
  const out = request(['GET / HTTP/1.1', 'Host: a.example', 'Connection: x-canary, x-forwarded-for, via']);
  assert.deepEqual(out, ['GET / HTTP/1.1', 'Host: a.example', ...OURS]);
});

test("a trusted proxy's forwarding fields are kept and its address joins the chain", () => {
  const lines = [
    'GET / HTTP/1.1',
    'Host: a.example',
    'X-Forwarded-For: 203.0.113.9',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Host: shop.example',
    'X-Forwarded-Port: 443',
    'X-Request-Id: theirs',
    'Forwarded: for=203.0.113.9',
  ];
  assert.deepEqual(
    request(lines, {
      peerTrusted: true,
      downstream: makeDownstreamInfo(parseAddress('2001:db8::7')!, 8080, false),
    }),
    [
      'GET / HTTP/1.1',
      'Host: a.example',
      'X-Request-Id: theirs',
      'X-Forwarded-For: 203.0.113.9, 2001:db8::7',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: shop.example',
      'X-Forwarded-Port: 443',
      'Forwarded: for=203.0.113.9, for="[2001:db8::7]"',
      `Via: 1.1 ${VIA.pseudonym}`,
      'X-Canary: canary',
    ],
  );
});

test('absolute form and HTTP/1.0 go out in origin form and HTTP/1.1', () => {
  assert.equal(request(['GET http://a.example/p?q HTTP/1.1', 'Host: a.example'])[0], 'GET /p?q HTTP/1.1');
  assert.equal(request(['GET http://a.example HTTP/1.1', 'Host: a.example'])[0], 'GET / HTTP/1.1');
  assert.equal(request(['GET /p HTTP/1.0', 'Host: a.example'])[0], 'GET /p HTTP/1.1');
});

test('a target that ends in an empty query keeps its question mark', () => {
  for (const [target, forwarded] of [
    ['http://a.example/p?', '/p?'],
    ['http://a.example?', '/?'],
    ['http://a.example/p??', '/p??'],
    ['/p?', '/p?'],
  ] as const)
    assert.equal(request([`GET ${target} HTTP/1.1`, 'Host: a.example'])[0], `GET ${forwarded} HTTP/1.1`);
});

test('a request id that says nothing is replaced, one that says something is kept', () => {
  const ids = (...lines: string[]) =>
    request(['GET / HTTP/1.1', 'Host: a.example', ...lines]).filter((line) => /^x-request-id/i.test(line));
  assert.deepEqual(ids('X-Request-Id:'), ['X-Request-Id: made-1']);
  assert.deepEqual(ids('x-request-id: \t ', 'X-Request-Id:'), ['X-Request-Id: made-1']);
  assert.deepEqual(ids('X-Request-Id: theirs'), ['X-Request-Id: theirs']);
  assert.deepEqual(ids('X-Request-Id: theirs', 'Connection: x-request-id'), ['X-Request-Id: made-1']);
  // Look-alikes are dropped all the same where the id is made anew.
  assert.deepEqual(request(['GET / HTTP/1.1', 'Host: a.example', 'X-Request-Id:', 'X_Canary: canary']), [
    'GET / HTTP/1.1',
    'Host: a.example',
    ...OURS,
  ]);
});

test('the override cookie alone is taken out of the cookies', () => {
  const lines = ['GET / HTTP/1.1', 'Host: a.example', 'Cookie: a=1; serin_override=t; b=x,y', 'Cookie: c=3'];
  const out = request(lines, { stripCookie: 'serin_override' });
  assert.equal(out[2], 'Cookie: a=1; b=x,y; c=3');
  const latin1 = request(['GET / HTTP/1.1', 'Host: a.example', 'Cookie: serin_override=t; a=1\xa0'], {
    stripCookie: 'serin_override',
  });
  assert.equal(latin1[2], 'Cookie: a=1\xa0');
  const only = request(['GET / HTTP/1.1', 'Host: a.example', 'Cookie: serin_override=t'], {
    stripCookie: 'serin_override',
  });
  assert.ok(!only.some((line) => line.startsWith('Cookie')));
  const cookies: [before: string, after: string][] = [
    ['serin_override = t; a=1', 'a=1'],
    ['a=1;serin_override\t=t', 'a=1'],
    ['a=1;  ;b=2; serin_override=t;', 'a=1;  ;b=2'],
    ['serin_override=;serin_override=t;;a=serin_override=t', 'a=serin_override=t'],
    [
      'xserin_override=1; serin_override2=2; serin_override; a=1',
      'xserin_override=1; serin_override2=2; serin_override; a=1',
    ],
    ['x serin_override=1', 'x serin_override=1'],
  ];
  for (const [before, after] of cookies) {
    const lines = request(['GET / HTTP/1.1', 'Host: a.example', `Cookie: ${before}`], {
      stripCookie: 'serin_override',
    });
    assert.equal(lines[2], `Cookie: ${after}`);
  }
});

test('chunks, trailers and upgrades are announced anew', () => {
  const chunked = request([
    'POST / HTTP/1.1',
    'Host: a.example',
    'Transfer-Encoding:  Chunked',
    'TE: trailers, gzip',
    'Connection: TE',
  ]);
  assert.deepEqual(chunked.slice(2, 5), ['Transfer-Encoding: chunked', 'Connection: TE', 'TE: trailers']);
  const upgrade = request(
    ['GET / HTTP/1.1', 'Host: a.example', 'Connection: Upgrade', 'Upgrade: websocket'],
    {
      upgrade: true,
    },
  );
  assert.deepEqual(upgrade.slice(2, 4), ['Connection: Upgrade', 'Upgrade: websocket']);
});

test('a response loses its hop-by-hop fields and gains ours', () => {
  const lines = [
    'HTTP/1.0 200 Fine',
    'Connection: keep-alive, x-a',
    'Keep-Alive: timeout=5',
    'X-A: 1',
    'x_canary: 1',
    'Content-Length: 2',
  ];
  assert.deepEqual(response(lines, { setCookies: 'Set-Cookie: a=1\r\n', close: true }), [
    'HTTP/1.1 200 Fine',
    'x_canary: 1',
    'Content-Length: 2',
    'Set-Cookie: a=1',
    'Connection: close',
  ]);
});

test('cache: private takes out what lets shared caches store, vary adds a line', () => {
  const lines = [
    'HTTP/1.1 200 OK',
    'Cache-Control: public, max-age=60, s-maxage=600',
    'Expires: Thu, 01 Dec 2050 16:00:00 GMT',
  ];
  assert.deepEqual(response(lines, { cache: 'private' }), [
    'HTTP/1.1 200 OK',
    'Cache-Control: private, max-age=60',
  ]);
  assert.deepEqual(response(lines, { cache: 'vary' }), [...lines, 'Vary: Cookie']);
});
