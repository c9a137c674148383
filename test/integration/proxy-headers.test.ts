/** Header fields: what is forwarded, what is not, and what is added. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reply, type Received } from '../support/origin.ts';
import { startPair } from '../support/pair.ts';
import { ask, request } from '../support/raw-client.ts';
import { value, values } from '../support/strict-head.ts';
import type { Message } from '../support/strict-reader.ts';

const TRUSTED = '127.0.7.1';
const pair = startPair({ configuration: { trustedProxies: ['127.0.7.0/24'] } });
let count = 0;

/** The request as the origin got it, sent with these field lines. */
async function forwarded(
  headers: readonly string[],
  localAddress = '127.0.0.1',
  more = {},
): Promise<Message> {
  const path = `/headers/${count++}`;
  const answer = await ask(pair.port, request(path, { headers, ...more }), { localAddress });
  assert.equal(answer.status, 200);
  return (pair.origin.at(path)[0] as Received).message;
}

/** The answer as the client got it, where the origin sends these field lines. */
async function answered(headers: readonly string[]): Promise<Message> {
  const path = `/headers/${count++}`;
  const lines = headers.map((line) => `${line}\r\n`).join('');
  pair.origin.route(path, (received) =>
    reply(received, `HTTP/1.1 200 OK\r\n${lines}Content-Length: 2\r\n\r\nok`),
  );
  const message = await ask(pair.port, request(path));
  assert.equal(message.body.toString(), 'ok');
  return message;
}

test('end-to-end fields pass byte for byte, in order', async () => {
  const lines = [
    'X-B: 2',
    'x-a:1',
    'X-C:  spaced  value\t',
    'X-Empty:',
    'X-Bytes: \xe4\xff',
    'X-B: again',
    'Cookie: a=1; b="2"',
    'Cookie: c=3',
  ];
  const message = await forwarded(lines);
  for (const line of lines) assert.ok(message.text.split('\r\n').includes(line), line);
  assert.deepEqual(values(message.fields, 'x-b'), ['2', 'again']);
});

test('fields of one hop are not forwarded', async () => {
  const message = await forwarded([
    'Connection: keep-alive, X-Private',
    'Keep-Alive: timeout=5',
    'Proxy-Connection: keep-alive',
    'Proxy-Authorization: Basic eDp5',
    'TE: gzip',
    'X-Private: 1',
    'Upgrade: h2c',
    'HTTP2-Settings: AAMAAABk',
  ]);
  for (const name of [
    'keep-alive',
    'proxy-connection',
    'proxy-authorization',
    'te',
    'x-private',
    'upgrade',
    'http2-settings',
  ]) {
    assert.equal(value(message, name), undefined, name);
  }
  assert.doesNotMatch(value(message, 'connection') ?? '', /private|upgrade/i);
});

test('TE: trailers is the one TE that is forwarded', async () => {
  const message = await forwarded(['Connection: TE', 'TE: gzip, trailers']);
  assert.equal(value(message, 'te'), 'trailers');
  assert.match(value(message, 'connection') ?? '', /\bTE\b/i);
});

test('what Connection nominates cannot take away what the proxy adds', async () => {
  const names =
    'x-forwarded-for, x-forwarded-proto, x-forwarded-host, x-forwarded-port, x-canary, x-request-id, via';
  const message = await forwarded([`Connection: ${names}`, 'X-Canary: canary']);
  assert.equal(value(message, 'x-forwarded-for'), '127.0.0.1');
  assert.equal(value(message, 'x-forwarded-proto'), 'http');
  assert.equal(value(message, 'x-canary'), 'stable');
  assert.equal(value(message, 'host'), 'notes.test');
  assert.ok((value(message, 'x-request-id') ?? '') !== '');
});

test('what Connection nominates is taken out, and ours is put in its place', async () => {
  const message = await forwarded(['Connection: x-request-id, via', 'X-Request-Id: theirs', 'Via: 1.0 fred']);
  const id = value(message, 'x-request-id');
  assert.ok(id !== undefined && id !== '' && id !== 'theirs', `x-request-id: ${id}`);
  assert.equal(values(message.fields, 'x-request-id').length, 1);
  assert.match(value(message, 'via') ?? '', /^1\.1 \S+$/);
});

test('what Connection nominates cannot take away the framing', async () => {
  const length = await forwarded(['Connection: content-length'], '127.0.0.1', {
    method: 'POST',
    body: 'hello',
  }).catch(() => null);
  if (length !== null) assert.equal(length.body.toString(), 'hello');
  assert.deepEqual(pair.origin.faults, []);
});

test('an untrusted peer is not believed about addresses', async () => {
  const message = await forwarded([
    'X-Forwarded-For: 10.0.0.1',
    'X-Forwarded-For: 10.0.0.2',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Host: other.test',
    'X-Forwarded-Port: 443',
    'X-Real-IP: 10.0.0.3',
    'Forwarded: for=10.0.0.4;proto=https',
  ]);
  assert.deepEqual(values(message.fields, 'x-forwarded-for'), ['127.0.0.1']);
  assert.deepEqual(values(message.fields, 'x-forwarded-proto'), ['http']);
  assert.deepEqual(values(message.fields, 'x-forwarded-host'), ['notes.test']);
  assert.deepEqual(values(message.fields, 'x-forwarded-port'), [String(pair.port)]);
  assert.doesNotMatch(message.text, /10\.0\.0\.[1-4]/);
});

test('a trusted peer is believed, and its address joins the chain', async () => {
  const message = await forwarded(
    [
      'X-Forwarded-For: 10.0.0.1, 10.0.0.2',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: www.test',
      'X-Forwarded-Port: 443',
    ],
    TRUSTED,
  );
  assert.equal(value(message, 'x-forwarded-for'), `10.0.0.1, 10.0.0.2, ${TRUSTED}`);
  assert.deepEqual(values(message.fields, 'x-forwarded-proto'), ['https']);
  assert.deepEqual(values(message.fields, 'x-forwarded-host'), ['www.test']);
  assert.deepEqual(values(message.fields, 'x-forwarded-port'), ['443']);
});

test('of the lists of a trusted peer goes on what the client-facing hop added, in whatever case', async () => {
  const message = await forwarded(
    [
      `X-Forwarded-For: 6.6.6.6,, 203.0.113.7, ${TRUSTED}`,
      'X-Forwarded-Proto: http, HTTPS, http',
      'X-Forwarded-Host: evil.test, www.test, inner.test',
      'X-Forwarded-Port: 1, 443',
      'X-Forwarded-Port: 8080',
      'Forwarded: For="[2001:db8::7]:80";Proto=HTTPS',
    ],
    TRUSTED,
  );
  assert.deepEqual(values(message.fields, 'x-forwarded-proto'), ['https']);
  assert.deepEqual(values(message.fields, 'x-forwarded-host'), ['www.test']);
  assert.deepEqual(values(message.fields, 'x-forwarded-port'), ['443']);
  assert.deepEqual(values(message.fields, 'forwarded'), [
    `For="[2001:db8::7]:80";Proto=HTTPS, for=${TRUSTED}`,
  ]);
});

test('a client is secure by the scheme of its own hop', async () => {
  for (const [proto, secure] of [
    ['https', true],
    ['HTTPS', true],
    ['wss', true],
    ['https, http', false],
    ['http, https', true],
    ['', false],
  ] as const) {
    const { fields } = await ask(
      pair.port,
      request('/scheme', { headers: ['X-Forwarded-For: 203.0.113.7', `X-Forwarded-Proto: ${proto}`] }),
      { localAddress: TRUSTED },
    );
    assert.equal(/; Secure/i.test(value({ fields }, 'set-cookie') ?? ''), secure, proto);
  }
});

test('a trusted peer that says nothing gets the same as others', async () => {
  const message = await forwarded([], TRUSTED);
  assert.equal(value(message, 'x-forwarded-for'), TRUSTED);
  assert.equal(value(message, 'x-forwarded-proto'), 'http');
});

test('look-alikes with underscores are dropped, other underscores pass', async () => {
  const message = await forwarded([
    'X_Forwarded_For: 10.0.0.1',
    'x-forwarded_for: 10.0.0.2',
    'Content_Length: 5',
    'Transfer_Encoding: chunked',
    'X_Canary: canary',
    'X_Request_Id: 1',
    'My_Own: kept',
  ]);
  for (const name of [
    'x_forwarded_for',
    'x-forwarded_for',
    'content_length',
    'transfer_encoding',
    'x_canary',
    'x_request_id',
  ]) {
    assert.equal(value(message, name), undefined, name);
  }
  assert.equal(value(message, 'my_own'), 'kept');
});

test('x-canary of a client is replaced by the variant', async () => {
  const message = await forwarded(['X-Canary: canary', 'x-canary: canary']);
  assert.deepEqual(values(message.fields, 'x-canary'), ['stable']);
});

test('x-request-id is made where there is none, and kept where there is one', async () => {
  const made = value(await forwarded([]), 'x-request-id') ?? '';
  const other = value(await forwarded([]), 'x-request-id') ?? '';
  assert.ok(made.length >= 8 && made !== other);
  assert.deepEqual(values((await forwarded(['X-Request-Id: mine'])).fields, 'x-request-id'), ['mine']);
});

test('trace context passes', async () => {
  const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const message = await forwarded([`traceparent: ${trace}`, 'tracestate: a=b']);
  assert.equal(value(message, 'traceparent'), trace);
  assert.equal(value(message, 'tracestate'), 'a=b');
});

test('Via grows by one', async () => {
  assert.match(value(await forwarded([]), 'via') ?? '', /^1\.1 \S+$/);
  assert.match(value(await forwarded(['Via: 1.0 fred']), 'via') ?? '', /^1\.0 fred, 1\.1 \S+$/);
});

test('absolute-form becomes origin-form, with the query', async () => {
  const answer = await ask(pair.port, 'GET http://notes.test/abs?x=1 HTTP/1.1\r\nHost: notes.test\r\n\r\n');
  assert.equal(answer.status, 200);
  assert.equal(pair.origin.at('/abs')[0]?.message.target, '/abs?x=1');
});

test('the path is forwarded as it came', async () => {
  for (const target of ['/a/%2e%2e/b', '/a//b', '/a/./b', '/%7Euser', '/a;b=c?d=%zz']) {
    await ask(pair.port, request(target));
    assert.ok(
      pair.origin.requests.some(({ message }) => message.target === target),
      target,
    );
  }
});

test('the end-to-end fields of an answer pass byte for byte', async () => {
  const lines = [
    'Set-Cookie: a=1; Path=/',
    'Set-Cookie: b=2',
    'X-Bytes: \xe4',
    'Date: Tue, 01 Jul 2025 00:00:00 GMT',
    'Server: origin',
    'Cache-Control: no-store',
    'ETag: "x"',
  ];
  const message = await answered(lines);
  for (const line of lines) assert.ok(message.text.split('\r\n').includes(line), line);
});

test('fields of one hop in an answer stay where they are', async () => {
  const message = await answered([
    'Connection: keep-alive, X-Private',
    'Keep-Alive: timeout=5',
    'X-Private: 1',
    'Proxy-Authenticate: Basic',
  ]);
  for (const name of ['keep-alive', 'x-private', 'proxy-authenticate'])
    assert.equal(value(message, name), undefined, name);
});

test('an answer whose Connection nominates its framing is still read by the client as it was meant', async () => {
  const message = await answered(['Connection: content-length']).catch(() => null);
  if (message !== null) assert.equal(message.bodyLength, 2);
});
