/** Connections to the admin API that nobody means well with: each is freed, and none of them keeps others out. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { startApi } from '../support/admin-api.ts';
import { within } from '../support/bounded.ts';

/** Keeps its own half open, whatever the server does with its. */
function halfOpen(port: number, text: string): Socket & { text: string } {
  const socket = Object.assign(connect({ port, host: '127.0.0.1', allowHalfOpen: true }), { text: '' });
  socket.on('data', (chunk: Buffer) => (socket.text += chunk.toString()));
  socket.on('error', () => {});
  socket.write(text);
  return socket;
}

/** Resolves when the server no longer takes what is written. */
async function freed(socket: Socket): Promise<void> {
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const writing = setInterval(() => socket.write('x'), 50);
  await within(closed, 'the end of the connection');
  clearInterval(writing);
}

test('what cannot be read is answered, and its connection is freed though the client keeps it', async () => {
  const { port } = await startApi();
  const bogus = halfOpen(port, 'BOGUS\r\n\r\n');
  const half = halfOpen(port, 'GET /v1/services HTTP/1.1\r\nHost: localhost\r\nx-half: ');
  const silent = halfOpen(port, '');
  await Promise.all([freed(bogus), within(once(half), 'the answer'), within(once(silent), 'the end')]);
  assert.match(bogus.text, /^HTTP\/1\.1 400 /);
  assert.match(half.text, /^HTTP\/1\.1 408 .*request_timeout/s);
  await freed(half);
});

function once(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('end', () => resolve());
    socket.once('close', () => resolve());
  });
}

test('a thousand idle connections and half requests of one address keep nobody out', async () => {
  const { call, port } = await startApi();
  const sockets: Socket[] = [];
  for (let count = 0; count < 1000; count++)
    sockets.push(halfOpen(port, count % 2 === 0 ? '' : 'GET /v1/services HTTP/1.1\r\n'));
  assert.equal((await call('GET', '/v1/services')).status, 200);
  for (const socket of sockets) socket.destroy();
});

test('fields that may be there once only are refused where they are there twice', async () => {
  const { port } = await startApi();
  for (const field of [
    'Host: localhost',
    'Authorization: Bearer a\r\nAuthorization: Bearer b',
    'Origin: http://a\r\nOrigin: http://b',
    'Content-Type: a/b\r\ncontent-type: c/d',
  ]) {
    for (const path of ['/v1/services', '/v1/events', '/nothing', '/openapi.json']) {
      const socket = halfOpen(
        port,
        `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${field}\r\nConnection: close\r\n\r\n`,
      );
      await within(once(socket), 'the answer');
      socket.destroy();
      assert.match(
        socket.text,
        /^HTTP\/1\.1 400 .*bad_request.*may be there once only|"detail": "The field \w/s,
        field,
      );
    }
  }
});
