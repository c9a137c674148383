/** Clients of HTTP/2: what is asked and answered arrives, and what is cut looks cut. */
import assert from 'node:assert/strict';
import { constants } from 'node:http2';
import { after, before, describe, test } from 'node:test';
import { eventually, within } from '../support/bounded.ts';
import { codeOf, resultOf, type Http2Client } from '../support/http2-pair.ts';
import { answer, reply, type Origin } from '../support/origin.ts';
import { ask, request } from '../support/raw-client.ts';
import { head, startHttp2Serin, type Http2Serin } from '../support/http2-serin.ts';
import type { Serin } from '../support/serin.ts';
import { value, values } from '../support/strict-head.ts';

let h1: Origin;
let serin: Serin;
let client: Http2Client;

let all: Http2Serin | undefined;

before(async () => {
  all = await startHttp2Serin();
  ({ h1, serin, client } = all);
});

after(() => all?.stop());

describe('HTTP/2 to an endpoint of HTTP/1.1', () => {
  test('head, cookies and answer', async () => {
    h1.route('/head', (received) =>
      answer(received, {
        status: 201,
        headers: [
          ['X-Answer', 'caf\u00e9'],
          ['Keep-Alive', 'timeout=5'],
        ],
        body: 'made',
      }),
    );
    const more = { cookie: ['a=1', 'b=2'], 'x-value': 'na\u00efve', 'x-twice': ['1', '2'], te: 'trailers' };
    const result = await client.ask({ headers: head('/head?q=1', 'one.test', more) });
    assert.deepEqual([result.status, result.body.toString(), result.rstCode], [201, 'made', 0]);
    assert.equal(result.headers['x-answer'], 'caf\u00e9');
    assert.equal(result.headers['keep-alive'], undefined);
    assert.equal(result.headers['connection'], undefined);
    assert.match(String(result.headers['set-cookie']), /^serin_id=/);
    const [received] = h1.at('/head');
    const sent = received?.message ?? { fields: [] };
    assert.equal(received?.message.target, '/head?q=1');
    assert.equal(value(sent, 'host'), 'one.test');
    assert.equal(value(sent, 'cookie'), 'a=1; b=2');
    assert.equal(value(sent, 'x-value'), 'na\u00efve');
    assert.equal(value(sent, 'te'), 'trailers');
    assert.equal(value(sent, 'x-forwarded-proto'), 'http');
    assert.deepEqual(values(sent.fields, 'x-twice'), ['1', '2']);
  });

  test('as many cookies as a browser has, each in a field of its own', async () => {
    const cookie = Array.from({ length: 180 }, (_, index) => `name-${index}=value`);
    assert.equal((await client.ask({ headers: head('/cookies', 'one.test', { cookie }) })).status, 200);
    assert.equal(value(h1.at('/cookies')[0]?.message ?? { fields: [] }, 'cookie'), cookie.join('; '));
  });

  test('bodies with a length, and without one in chunks with trailers', async () => {
    const post = { ':method': 'POST', 'content-length': '11' };
    assert.equal(
      (await client.ask({ headers: head('/sized', 'one.test', post), body: 'hello world' })).status,
      200,
    );
    const sized = h1.at('/sized')[0]?.message;
    assert.equal(sized?.body.toString(), 'hello world');
    assert.equal(value(sized, 'content-length'), '11');
    const chunked = {
      headers: head('/chunked', 'one.test', { ':method': 'POST' }),
      body: 'x'.repeat(200_000),
    };
    await client.ask({ ...chunked, trailers: { 'x-sum': '42', host: 'evil.test' } });
    const message = h1.at('/chunked')[0]?.message;
    assert.equal(message?.bodyLength, 200_000);
    assert.equal(value(message, 'transfer-encoding'), 'chunked');
    assert.deepEqual(message?.trailers, [['x-sum', '42']]);
  });

  test('HEAD, 204, 304 and interim answers', async () => {
    h1.route('/none', (received) => reply(received, 'HTTP/1.1 204 No Content\r\n\r\n'));
    h1.route('/same', (received) => reply(received, 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n'));
    h1.route('/early', (received) =>
      reply(
        received,
        'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
      ),
    );
    h1.route('/long', (received) => reply(received, 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n'));
    const none = await client.ask({ headers: head('/none', 'one.test') });
    assert.deepEqual([none.status, none.body.length, none.ended], [204, 0, true]);
    const same = await client.ask({ headers: head('/same', 'one.test') });
    assert.deepEqual([same.status, same.headers['etag'], same.ended], [304, '"a"', true]);
    const early = await client.ask({ headers: head('/early', 'one.test') });
    assert.deepEqual([early.interim, early.status, early.body.toString()], [[103], 200, 'ok']);
    const long = await client.ask({ headers: head('/long', 'one.test', { ':method': 'HEAD' }) });
    assert.deepEqual([long.status, long.headers['content-length'], long.ended], [200, '1000', true]);
  });

  test('an answer that ends with its connection, and one that breaks off', async () => {
    h1.route('/closing', (received) => {
      reply(received, 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it');
      received.connection.socket.end();
    });
    h1.route('/broken', (received) => {
      reply(received, 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart');
      received.connection.socket.end();
    });
    h1.route('/torn', (received) => {
      reply(received, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n');
      received.connection.socket.end();
    });
    const closing = await client.ask({ headers: head('/closing', 'one.test') });
    assert.deepEqual([closing.body.toString(), closing.ended, closing.rstCode], ['all of it', true, 0]);
    for (const path of ['/broken', '/torn']) {
      const cut = await client.ask({ headers: head(path, 'one.test') });
      assert.equal(cut.status, 200, path);
      assert.equal(cut.rstCode, constants.NGHTTP2_INTERNAL_ERROR, path);
    }
  });

  test('an answer before the end of the request resets the rest of it in order', async () => {
    h1.route('/enough', { head: (received) => answer(received, { status: 413, body: 'too much' }) });
    const stream = client.open({
      headers: head('/enough', 'one.test', { ':method': 'POST' }),
      body: 'x',
      keepOpen: true,
    });
    const result = await within(resultOf(stream), 'the end of the stream');
    assert.deepEqual([result.status, result.body.toString(), result.rstCode], [413, 'too much', 0]);
  });

  test('what the proxy answers itself', async () => {
    const unknown = await client.ask({ headers: head('/', 'nobody.test') });
    assert.deepEqual([unknown.status, unknown.headers['content-type']], [404, 'application/problem+json']);
    const posted = await client.ask({
      headers: head('/', 'nobody.test', { ':method': 'POST' }),
      body: 'body',
    });
    assert.equal(posted.status, 404);
    assert.equal(codeOf(posted), 'no_service');
    const bad = await client.ask({ headers: head('/', 'one.test:x') });
    assert.equal(bad.status, 400);
    assert.equal(codeOf(bad), 'bad_host');
    const other = await client.ask({ headers: head('/', 'one.test', { host: 'two.test' }) });
    assert.equal(codeOf(other), 'host_mismatch');
    // A refused stream ends nothing but itself.
    assert.equal((await client.ask({ headers: head('/after', 'one.test') })).status, 200);
  });

  test('a client that resets its stream is seen to leave by the endpoint', async () => {
    const started = Promise.withResolvers<void>();
    const left = Promise.withResolvers<void>();
    h1.route('/slow', (received) => {
      received.connection.socket.on('close', () => left.resolve());
      started.resolve();
    });
    const stream = client.open({ headers: head('/slow', 'one.test') });
    await within(started.promise, 'the request');
    stream.close(constants.NGHTTP2_CANCEL);
    await within(left.promise, 'the end of the connection to the endpoint');
  });
});

test('the access log says the version', async () => {
  await client.ask({ headers: head('/logged', 'two.test') });
  await ask(serin.proxyPort, request('/logged', { host: 'two.test' }));
  await eventually(() => serin.output().split('"url.path":"/logged"').length > 2, 'the lines');
  const lines = serin
    .output()
    .split('\n')
    .filter((line) => line.includes('"url.path":"/logged"'));
  const versions = lines.map(
    (line) => (JSON.parse(line) as Record<string, unknown>)['network.protocol.version'],
  );
  assert.deepEqual(versions, ['2', '1.1']);
});
