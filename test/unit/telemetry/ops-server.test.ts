import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { startOps } from '../../../src/telemetry/ops-server.ts';
import type { SmallServer } from '../../../src/server/small-server.ts';
import { within } from '../../support/bounded.ts';

const state = { ready: true, reasons: [] as string[] };
let failure: Error | null = null;
const errors: unknown[] = [];
let ops: SmallServer;
let url: string;

before(async () => {
  ops = await startOps({
    host: '127.0.0.1',
    port: 0,
    ready: () => state,
    metrics: {
      contentType: 'text/plain; version=0.0.4; charset=utf-8',
      render: () => (failure === null ? Promise.resolve('serin_é 1\n') : Promise.reject(failure)),
    },
    onError: (error) => errors.push(error),
  });
  url = `http://127.0.0.1:${ops.port}`;
});

after(() => within(ops.close(), 'the ops server is closed'));

/** Sends `bytes` on a connection of their own and gives all that comes back until it is closed. */
async function raw(bytes: string): Promise<string> {
  const socket = connect(ops.port, '127.0.0.1');
  socket.end(bytes, 'latin1');
  return within(text(socket), 'the answer');
}

test('/livez is always fine', async () => {
  const response = await fetch(`${url}/livez`);
  assert.equal(response.status, 200);
  assert.equal(await response.text(), 'alive\n');
});

test('/readyz says 503 and why while the process is not ready', async () => {
  let response = await fetch(`${url}/readyz`);
  assert.equal(response.status, 200);
  assert.equal(await response.text(), 'ready\n');
  Object.assign(state, { ready: false, reasons: ['worker 1 has no policy', 'draining'] });
  try {
    response = await fetch(`${url}/readyz`);
    assert.equal(response.status, 503);
    assert.equal(await response.text(), 'not ready\n- worker 1 has no policy\n- draining\n');
    assert.equal((await fetch(`${url}/livez`)).status, 200);
  } finally {
    Object.assign(state, { ready: true, reasons: [] });
  }
});

test('/metrics has the exposition’s type and length in bytes; a query is ignored', async () => {
  const response = await fetch(`${url}/metrics?name=x`);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  assert.equal(response.headers.get('content-length'), '11');
  assert.equal(await response.text(), 'serin_é 1\n');
});

test('nothing may be cached', async () => {
  for (const path of ['/livez', '/readyz', '/metrics', '/absent']) {
    const response = await fetch(url + path);
    assert.equal(response.headers.get('cache-control'), 'no-store');
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
    await response.text();
  }
});

test('HEAD answers as GET does, without the body', async () => {
  const response = await raw('HEAD /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  assert.match(response, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(response, /\r\ncontent-length: 11\r\n/i);
  assert.ok(response.endsWith('\r\n\r\n'));
});

test('other methods are refused with 405, other paths with 404', async () => {
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    const response = await fetch(`${url}/metrics`, { method });
    assert.equal(response.status, 405);
    assert.equal(response.headers.get('allow'), 'GET, HEAD');
    await response.text();
  }
  for (const path of ['/', '/metrics/', '/livez/x', '/%6detrics', '//metrics']) {
    assert.equal((await fetch(url + path)).status, 404, path);
  }
});

test('a request with a body ends its connection, so that the body is never taken for a request', async () => {
  const inner = 'GET /livez HTTP/1.1\r\nHost: a\r\n\r\n';
  const outer = `POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: ${inner.length}\r\n\r\n`;
  const response = await raw(outer + inner);
  assert.equal(response.match(/HTTP\/1\.1 /g)?.length, 1);
  assert.match(response, /\r\nconnection: close\r\n/i);
});

test('a head that is too large is refused', async () => {
  const response = await raw(`GET /livez HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(9000)}\r\n\r\n`);
  assert.match(response, /^HTTP\/1\.1 431 /);
});

test('metrics that cannot be read are a 500 without details, and the error is told', async () => {
  failure = new Error('S3CRET');
  try {
    const response = await fetch(`${url}/metrics`);
    assert.equal(response.status, 500);
    assert.doesNotMatch(await response.text(), /S3CRET/);
    assert.deepEqual(errors, [failure]);
  } finally {
    failure = null;
  }
});

test('a port that is taken is an error of startOps', async () => {
  await assert.rejects(
    startOps({
      host: '127.0.0.1',
      port: ops.port,
      ready: () => state,
      metrics: { contentType: '', render: () => Promise.resolve('') },
    }),
    { code: 'EADDRINUSE' },
  );
});

test('close lets idle connections go and then resolves', async () => {
  const other = await startOps({
    host: '127.0.0.1',
    port: 0,
    ready: () => state,
    metrics: { contentType: 'text/plain', render: () => Promise.resolve('x 1\n') },
  });
  const socket = connect(other.port, '127.0.0.1');
  socket.write('GET /livez HTTP/1.1\r\nHost: a\r\n\r\n');
  await within(once(socket, 'data'), 'the answer');
  const closed = once(socket, 'close');
  await within(other.close(), 'the server is closed');
  await within(closed, 'the idle connection is closed');
  socket.destroy();
});

test('close waits for an answer under way and not for its connection; a request that does not come whole is cut', async () => {
  const rendered = Promise.withResolvers<string>();
  const other = await startOps({
    host: '127.0.0.1',
    port: 0,
    ready: () => state,
    metrics: { contentType: 'text/plain', render: () => rendered.promise },
  });
  const scrape = connect(other.port, '127.0.0.1');
  const half = connect(other.port, '127.0.0.1');
  scrape.write('GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n');
  half.write('GET /livez HTTP/1.1\r\n');
  // The answer to a third connection says that the first two have been read.
  const third = connect(other.port, '127.0.0.1');
  third.write('GET /livez HTTP/1.1\r\nHost: a\r\n\r\n');
  await within(once(third, 'data'), 'an answer');
  const closed = other.close();
  rendered.resolve('x 1\n');
  assert.match(await within(text(scrape), 'the answer and the end'), /\r\nconnection: close\r\n[^]*x 1\n$/i);
  await within(closed, 'the close');
  await within(text(half), 'the end of the half request');
  third.destroy();
});
