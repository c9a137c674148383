/** Servers beside the proxy's own: a newcomer finds a place, whatever others hold, and nobody holds one for ever. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { after, test } from 'node:test';
import {
  type SmallServer,
  type SmallServerOptions,
  startSmallServer,
} from '../../../src/server/small-server.ts';
import { eventually, within } from '../../support/bounded.ts';

const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing.toReversed()) await close();
});

async function server(more: Partial<SmallServerOptions> = {}): Promise<SmallServer> {
  const started = await startSmallServer({
    host: '127.0.0.1',
    port: 0,
    maxConnections: 8,
    maxOfOne: 4,
    silence: 60_000,
    keepAliveTimeout: 60_000,
    checkingInterval: 100,
    closeTime: 100,
    onError: () => {},
    handle: (_request, response) => response.end('fine'),
    ...more,
  });
  closing.push(() => started.close());
  return started;
}

/** A connection from that address of the loopback network. */
async function client(
  port: number,
  localAddress = '127.0.0.1',
): Promise<Socket & { readonly ended: Promise<unknown> }> {
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  closing.push(() => socket.destroy());
  // Also by a reset.
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.resume();
  return Object.assign(socket, { ended });
}

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

async function answered(socket: Socket): Promise<string> {
  socket.write(GET);
  const [bytes] = (await within(once(socket, 'data'), 'the answer')) as [Buffer];
  return bytes.toString();
}

test('where one address has its share, its connection that was idle for longest makes room', async () => {
  const { port } = await server();
  const silent = await client(port);
  const half = await client(port);
  half.write('GET / HT');
  const kept = [await client(port), await client(port)];
  // An answer shows that all of them are known.
  for (const one of kept) assert.match(await answered(one), /200 OK/);
  const next = await client(port);
  await within(silent.ended, 'the end of the silent connection');
  assert.match(await answered(next), /200 OK/);
  const another = await client(port);
  await within(half.ended, 'the end of the half request');
  assert.match(await answered(another), /200 OK/);
  for (const one of kept) assert.match(await answered(one), /200 OK/);
});

test('where all places are taken, the address that holds most makes room', async () => {
  const { port } = await server({ maxConnections: 4 });
  const greedy = [];
  for (let count = 0; count < 3; count++) greedy.push(await client(port, '127.0.0.2'));
  const modest = await client(port, '127.0.0.3');
  assert.match(await answered(modest), /200 OK/);
  const newcomer = await client(port);
  assert.match(await answered(newcomer), /200 OK/);
  await within(greedy[0]!.ended, 'the end of the oldest');
  assert.match(await answered(modest), /200 OK/);
  assert.match(await answered(greedy[1]!), /200 OK/);
});

test('connections whose answers are not made or not read make room too, the oldest first', async () => {
  const waiting: ServerResponse[] = [];
  const { port } = await server({
    maxOfOne: 2,
    handle: (request, response) =>
      void (request.url === '/slow' ? waiting.push(response) : response.end('fine')),
  });
  const slow = [await client(port), await client(port)];
  for (const one of slow) one.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n');
  await eventually(() => waiting.length >= 2, 'both wait');
  assert.match(await answered(await client(port)), /200 OK/);
  await within(slow[0]!.ended, 'the end of the oldest');
});

test('thousands of requests on one connection without waiting for answers end it', async () => {
  let handled = 0;
  const { port } = await server({ handle: () => void (handled += 1) });
  const socket = await client(port);
  socket.write(GET.repeat(3000));
  await within(socket.ended, 'the end of the connection');
  assert.equal(handled, 32);
});

test('who sends no byte, half a head or half a body is cut, and so is who reads nothing', async () => {
  const unread = Promise.withResolvers<void>();
  const { port } = await server({
    maxOfOne: 8,
    silence: 1000,
    handle: (request, response) => {
      if (request.url === '/large') {
        request.socket.once('close', () => unread.resolve());
        response.end(Buffer.alloc(64 * 1024 * 1024));
      } else request.on('end', () => response.end('fine')).resume();
    },
  });
  const texts = [
    '',
    'GET / HT',
    'GET / HTTP/1.1\r\nHost: a\r\n',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab',
  ];
  const ends = texts.map(async (text) => {
    const socket = await client(port);
    if (text !== '') socket.write(text);
    await within(socket.ended, `the end after ${JSON.stringify(text)}`);
  });
  const deaf = await client(port);
  deaf.pause();
  deaf.write('GET /large HTTP/1.1\r\nHost: a\r\n\r\n');
  await Promise.all(ends);
  await within(unread.promise, 'the end of the connection that was not read');
});

test('a field that may be there once only is refused where it is there twice', async () => {
  const { port } = await server();
  for (const field of [
    'Host: b',
    'Authorization: x\r\nauthorization: y',
    'Content-Type: a\r\nContent-type: b',
  ]) {
    const socket = await client(port);
    socket.write(`GET / HTTP/1.1\r\nHost: a\r\n${field}\r\n\r\n`);
    const [bytes] = (await within(once(socket, 'data'), 'the answer')) as [Buffer];
    assert.match(bytes.toString(), /^HTTP\/1\.1 400 .*may be there once only/s);
    await within(once(socket, 'end'), 'the end');
  }
});
