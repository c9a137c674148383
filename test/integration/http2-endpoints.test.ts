/** Endpoints of HTTP/2, from clients of both: what is asked and answered arrives, and what is cut looks cut. */
import assert from 'node:assert/strict';
import { constants, type ServerHttp2Stream } from 'node:http2';
import { after, before, describe, test } from 'node:test';
import { eventually, within } from '../support/bounded.ts';
import { codeOf, resultOf, type Http2Client, type Http2Origin } from '../support/http2-pair.ts';
import type { Origin } from '../support/origin.ts';
import { ask, connect, request } from '../support/raw-client.ts';
import { head, startHttp2Serin, type Http2Serin } from '../support/http2-serin.ts';
import type { Serin } from '../support/serin.ts';

let h1: Origin;
let h2: Http2Origin;
let serin: Serin;
let client: Http2Client;

let all: Http2Serin | undefined;

before(async () => {
  all = await startHttp2Serin();
  ({ h1, h2, serin, client } = all);
});

after(() => all?.stop());

/** Echoes the body with its trailers. */
const echo = (stream: ServerHttp2Stream): void => {
  stream.respond({ ':status': 200 }, { waitForTrailers: true });
  let trailers: object = {};
  stream.on('trailers', (sent) => (trailers = sent));
  stream.on('wantTrailers', () => stream.sendTrailers({ ...trailers, 'x-echoed': 'yes' }));
  stream.pipe(stream);
};

describe('HTTP/2 to an endpoint of HTTP/2', () => {
  test('bodies and trailers both ways, many at once', async () => {
    h2.route('/echo', echo);
    const results = await Promise.all(
      Array.from({ length: 60 }, (_, index) =>
        client.ask({
          headers: head('/echo', 'two.test', { ':method': 'POST' }),
          body: Buffer.alloc(1000 * index, index),
          trailers: { 'x-number': String(index) },
        }),
      ),
    );
    for (const [index, result] of results.entries()) {
      assert.equal(result.status, 200);
      assert.ok(result.body.equals(Buffer.alloc(1000 * index, index)), `body ${index}`);
      assert.equal(result.trailers?.['x-number'], String(index));
      assert.equal(result.trailers?.['x-echoed'], 'yes');
    }
  });

  test('a body of 16 MiB arrives whole, at the pace of a reader that stops now and then', async () => {
    const size = 16 * 1024 * 1024;
    h2.route('/large', (stream) => {
      stream.respond({ ':status': 200, 'content-length': String(size) });
      stream.end(Buffer.alloc(size, 7));
    });
    const stream = client.open({ headers: head('/large') });
    let length = 0;
    stream.on('data', (piece: Buffer) => {
      length += piece.length;
      if (length % 3 === 0) {
        stream.pause();
        setImmediate(() => stream.resume());
      }
    });
    await within(new Promise((resolve) => stream.once('close', resolve)), 'the end of the body', 30_000);
    assert.deepEqual([length, stream.rstCode], [size, 0]);
  });

  test('an endpoint that does not read holds the client back, and what waits is bounded', async () => {
    let paused: ServerHttp2Stream | null = null;
    h2.route('/unread', (stream) => {
      stream.pause();
      paused = stream;
    });
    const stream = client.open({
      headers: head('/unread', 'two.test', { ':method': 'POST' }),
      keepOpen: true,
    });
    const size = 8 * 1024 * 1024;
    stream.end(Buffer.alloc(size, 5));
    await eventually(() => paused, 'the stream at the endpoint');
    let before = -1;
    const buffered = await eventually(
      async () => {
        const now = await serin.metric('serin_buffered_bytes');
        const still = now === before;
        before = now;
        return still && now > 0 ? now : null;
      },
      'the client to be held back',
      60_000,
      300,
    );
    assert.ok(buffered < 512 * 1024, `${buffered} bytes`);
    const reader = paused as unknown as ServerHttp2Stream;
    let length = 0;
    reader.on('data', (piece: Buffer) => (length += piece.length));
    reader.once('end', () => {
      reader.respond({ ':status': 200 });
      reader.end();
    });
    reader.resume();
    assert.equal((await within(resultOf(stream), 'the answer')).status, 200);
    assert.equal(length, size);
  });

  test('answers that the endpoint does not complete look cut, however it does that', async () => {
    const begun = (stream: ServerHttp2Stream): void => {
      // With trailers to come, Node.js does not end the answer before it resets the stream.
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.write('part');
    };
    const cuts: Record<string, (stream: ServerHttp2Stream) => void> = {
      internal: (stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR),
      cancel: (stream) => stream.close(constants.NGHTTP2_CANCEL),
      quiet: (stream) => stream.close(constants.NGHTTP2_NO_ERROR),
      session: (stream) => stream.session?.destroy(),
      socket: (stream) => stream.session?.socket.destroy(),
    };
    for (const [name, cut] of Object.entries(cuts)) {
      let atEndpoint: ServerHttp2Stream | null = null;
      h2.route(`/${name}`, (stream) => {
        atEndpoint = stream;
        begun(stream);
      });
      const stream = client.open({ headers: head(`/${name}`) });
      // Cut when the client has the head.
      stream.once('response', () => cut(atEndpoint!));
      const result = await within(resultOf(stream), name);
      assert.equal(result.status, 200, name);
      assert.equal(result.rstCode, constants.NGHTTP2_INTERNAL_ERROR, name);
    }
  });

  test('an endpoint that resets or refuses a request', async () => {
    h2.route('/reset', (stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR));
    const post = { ':method': 'POST' };
    const reset = await client.ask({ headers: head('/reset', 'two.test', post), body: 'x' });
    assert.deepEqual([reset.status, codeOf(reset)], [502, 'upstream_reset']);
    assert.equal(h2.at('/reset').length, 1);
    let refusals = 1;
    h2.route('/refuse', (stream) => {
      if (refusals-- > 0) stream.close(constants.NGHTTP2_REFUSED_STREAM);
      else echo(stream);
    });
    const again = await client.ask({ headers: head('/refuse', 'two.test', post), body: 'once' });
    assert.deepEqual([again.status, again.body.toString()], [200, 'once']);
    refusals = 100;
    const never = await client.ask({ headers: head('/refuse', 'two.test', post), body: 'never' });
    assert.deepEqual([never.status, never.rstCode], [502, 0]);
    // More than is kept for a repetition: the client has it, and may repeat it.
    h2.route('/refuse-late', (stream) => {
      let length = 0;
      stream.on('data', (piece: Buffer) => {
        length += piece.length;
        if (length > 100_000) stream.close(constants.NGHTTP2_REFUSED_STREAM);
      });
    });
    const large = await client.ask({
      headers: head('/refuse-late', 'two.test', post),
      body: Buffer.alloc(200_000),
    });
    assert.deepEqual([large.status, large.rstCode], [0, constants.NGHTTP2_REFUSED_STREAM]);
  });

  test('both directions at once, and an interim answer', async () => {
    h2.route('/duplex', (stream) => {
      stream.additionalHeaders({ ':status': 103, link: '</style.css>' });
      stream.respond({ ':status': 200 });
      stream.on('data', (piece: Buffer) => stream.write(`heard ${piece.toString()}`));
      stream.on('end', () => stream.end());
    });
    const stream = client.open({
      headers: head('/duplex', 'two.test', { ':method': 'POST' }),
      keepOpen: true,
    });
    const result = resultOf(stream);
    for (const word of ['one', 'two', 'three']) {
      stream.write(word);
      const heard = Promise.withResolvers<string>();
      stream.once('data', (piece: Buffer) => heard.resolve(piece.toString()));
      assert.equal(await within(heard.promise, `the answer to ${word}`), `heard ${word}`);
    }
    stream.end();
    const { interim, status, rstCode } = await result;
    assert.deepEqual([interim, status, rstCode], [[103], 200, 0]);
  });

  test('a session to the endpoint is shared', async () => {
    await Promise.all(Array.from({ length: 20 }, () => client.ask({ headers: head('/shared') })));
    assert.equal(h2.sessions.size, 1);
  });
});

describe('HTTP/1.1 to an endpoint of HTTP/2', () => {
  const get = (path: string, ...headers: string[]) =>
    ask(serin.proxyPort, request(path, { host: 'two.test', headers }));

  test('head and body', async () => {
    const message = await get('/plain', 'Connection: keep-alive, x-hop', 'X-Hop: 1', 'X-Kept: yes');
    assert.equal(message.status, 200);
    assert.equal(message.body.toString(), 'h2 /plain');
    const [received] = h2.at('/plain');
    assert.equal(received?.[':authority'], 'two.test');
    assert.equal(received?.['host'], undefined);
    assert.equal(received?.['x-hop'], undefined);
    assert.equal(received?.['x-kept'], 'yes');
  });

  test('chunks and trailers both ways', async () => {
    h2.route('/echo', echo);
    const raw = await connect(serin.proxyPort);
    raw.write(
      'POST /echo HTTP/1.1\r\nHost: two.test\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
    raw.write('5\r\nhello\r\n0\r\nX-Sent: yes\r\n\r\n');
    const message = await raw.answer();
    assert.equal(message.body.toString(), 'hello');
    assert.deepEqual(Object.fromEntries(message.trailers), { 'x-echoed': 'yes', 'x-sent': 'yes' });
    // The connection goes on.
    raw.write(request('/next', { host: 'two.test' }));
    assert.equal((await raw.answer()).body.toString(), 'h2 /next');
    raw.destroy();
  });

  test('HEAD, and an answer that breaks off', async () => {
    const message = await ask(serin.proxyPort, 'HEAD /head HTTP/1.1\r\nHost: two.test\r\n\r\n', {
      methods: ['HEAD'],
    });
    assert.equal(message.status, 200);
    let torn: ServerHttp2Stream | null = null;
    h2.route('/torn', (stream) => {
      torn = stream;
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.write('part');
    });
    const raw = await connect(serin.proxyPort);
    raw.write(request('/torn', { host: 'two.test' }));
    await eventually(() => raw.answers.length === 1, 'the head');
    (torn as unknown as ServerHttp2Stream).close(constants.NGHTTP2_NO_ERROR);
    await within(raw.finished, 'the end of the connection');
    assert.ok(!raw.raw().toString('latin1').includes('\r\n0\r\n'), 'the last chunk was sent');
  });

  test('a client that leaves in the middle of its body: what came of it does not look whole', async () => {
    for (const framing of ['Content-Length: 100', 'Transfer-Encoding: chunked']) {
      const path = `/upload/${framing.length}`;
      const seen = Promise.withResolvers<[ended: boolean, code: number]>();
      const begun = Promise.withResolvers<void>();
      h2.route(path, (stream) => {
        let ended = false;
        stream.on('data', () => begun.resolve());
        stream.on('end', () => (ended = !stream.aborted));
        stream.on('close', () => seen.resolve([ended, stream.rstCode ?? -1]));
      });
      const raw = await connect(serin.proxyPort);
      raw.write(`POST ${path} HTTP/1.1\r\nHost: two.test\r\n${framing}\r\n\r\n4\r\npart\r\n`);
      await within(begun.promise, 'the beginning');
      raw.reset();
      assert.deepEqual(await within(seen.promise, 'the end'), [false, constants.NGHTTP2_CANCEL]);
    }
  });

  test('a client that leaves cancels the stream at the endpoint', async () => {
    const closed = Promise.withResolvers<number>();
    h2.route('/left', (stream) => stream.on('close', () => closed.resolve(stream.rstCode ?? -1)));
    const raw = await connect(serin.proxyPort);
    raw.write(request('/left', { host: 'two.test' }));
    await eventually(() => h2.at('/left').length > 0, 'the request');
    raw.destroy();
    assert.equal(await within(closed.promise, 'the cancellation'), constants.NGHTTP2_CANCEL);
  });
});

test('an endpoint that does not speak HTTP/2 is one that cannot be connected to', async () => {
  const wrong = { hosts: ['wrong.test'], stable: { protocol: 'h2c', endpoints: [h1.endpoint] } };
  assert.equal((await serin.admin('PUT', '/v1/services/wrong', wrong)).status, 202);
  const result = await eventually(async () => {
    const one = await client.ask({ headers: head('/', 'wrong.test') });
    return one.status === 404 ? null : one;
  }, 'the service');
  assert.equal(result.status, 503);
  assert.equal(codeOf(result), 'connect_failed');
});
