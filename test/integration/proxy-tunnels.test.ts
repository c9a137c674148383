/** Upgraded connections: only after the origin's 101, both ways, with half-close, and counted. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { eventually, within } from '../support/bounded.ts';
import { reply, type Received } from '../support/origin.ts';
import { startPair } from '../support/pair.ts';
import { connect, request, type RawClient } from '../support/raw-client.ts';
import { value } from '../support/strict-head.ts';

const pair = startPair({ service: { timeouts: { tunnelIdle: '1s' } } });

const UPGRADE = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];
const SWITCH =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n';

/** Opens a tunnel through the proxy; `receive` gets what the origin gets of it. */
async function open(
  path: string,
  receive: (bytes: Buffer, received: Received) => void,
  first = '',
): Promise<[RawClient, Received]> {
  let there: Received | null = null;
  pair.origin.route(path, (received) => {
    there = received;
    received.connection.reader.tunnel((bytes) => receive(bytes, received));
    reply(received, SWITCH + first);
  });
  const client = await connect(pair.port);
  client.write(request(path, { headers: UPGRADE }));
  const message = await client.answer();
  assert.equal(message.status, 101);
  assert.match(value(message, 'upgrade') ?? '', /^websocket$/i);
  assert.match(value(message, 'connection') ?? '', /upgrade/i);
  assert.equal(value(message, 'sec-websocket-accept'), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
  return [client, there as unknown as Received];
}

const hash = (data: Buffer) => createHash('sha1').update(data).digest('hex');

const echo = (bytes: Buffer, received: Received) => received.connection.socket.write(bytes);

test('bytes go both ways, those that come with the 101 first', async () => {
  const [client, received] = await open('/echo', echo, 'hello ');
  assert.match(value(received.message, 'upgrade') ?? '', /^websocket$/i);
  client.write('world');
  await eventually(() => client.tunnelled().toString() === 'hello world', 'the echo');
  client.destroy();
  await eventually(() => received.connection.closed || received.connection.ended, 'the end at the origin');
});

test('megabytes go through unharmed, both ways at once', async () => {
  const bytes = randomBytes(4_000_000);
  const [client] = await open('/large', echo);
  client.write(bytes);
  await eventually(() => client.tunnelled().length >= bytes.length, 'the echo');
  assert.equal(hash(client.tunnelled()), hash(bytes));
  client.destroy();
});

test('bytes that the client sends before the 101 reach the origin after it', async () => {
  const seen: Buffer[] = [];
  pair.origin.route('/eager', {
    end(received) {
      received.connection.reader.tunnel((bytes) => seen.push(bytes));
      setImmediate(() => reply(received, SWITCH));
    },
  });
  const client = await connect(pair.port);
  client.write(`${request('/eager', { headers: UPGRADE })}early`);
  assert.equal((await client.answer()).status, 101);
  await eventually(() => Buffer.concat(seen).toString() === 'early', 'the early bytes');
  client.destroy();
});

test("the client's end reaches the origin, which may still speak", async () => {
  const [client, received] = await open('/half-client', () => {});
  client.end();
  await eventually(() => received.connection.ended, 'the end at the origin');
  received.connection.socket.write('last words');
  received.connection.socket.end();
  await eventually(() => client.tunnelled().toString() === 'last words', 'the last words');
  assert.equal(await within(client.over, 'the end of the tunnel'), 'end');
});

test("the origin's end reaches the client, which may still speak", async () => {
  const seen: Buffer[] = [];
  const [client, received] = await open('/half-origin', (bytes) => seen.push(bytes));
  received.connection.socket.end();
  assert.equal(await within(client.finished, 'the end at the client'), 'end');
  client.write('last words');
  await eventually(() => Buffer.concat(seen).toString() === 'last words', 'the last words');
  client.end();
  await eventually(() => received.connection.closed, 'the end of the tunnel');
});

test('the last words of the client arrive whole, however many', async () => {
  const bytes = randomBytes(8_000_000);
  const seen: Buffer[] = [];
  const [client, received] = await open('/last-words', (piece) => seen.push(piece));
  const { socket } = received.connection;
  socket.pause();
  socket.end();
  assert.equal(await within(client.finished, 'the end at the client'), 'end');
  client.write(bytes);
  client.end();
  await pair.serin.metrics();
  socket.resume();
  await eventually(() => received.connection.closed, 'the end of the tunnel');
  assert.equal(hash(Buffer.concat(seen)), hash(bytes));
});

test('a reset on one side ends the other', async () => {
  const [client, received] = await open('/reset', () => {});
  received.connection.socket.resetAndDestroy();
  await within(client.finished, 'the end at the client');
  const [other, there] = await open('/reset-client', () => {});
  other.reset();
  await eventually(() => there.connection.closed || there.connection.ended, 'the end at the origin');
});

test('a client that reads nothing holds up the origin, not the memory', async () => {
  const [client, received] = await open('/pressure', () => {});
  client.socket.pause();
  const piece = randomBytes(65_536);
  let sent = 0;
  const total = 64 * 1024 * 1024;
  const pump = () => {
    while (sent < total && !received.connection.socket.destroyed) {
      sent += piece.length;
      if (!received.connection.socket.write(piece)) {
        received.connection.socket.once('drain', pump);
        return;
      }
    }
  };
  pump();
  let still = 0;
  let last = -1;
  await eventually(async () => {
    still = sent === last ? still + 1 : 0;
    last = sent;
    await pair.serin.metrics();
    return still >= 10;
  }, 'the origin to be held up');
  assert.ok(sent < total / 2, `${sent} of ${total} bytes were taken`);
  client.destroy();
});

test('a silent tunnel ends after its idle time', async () => {
  const [client, received] = await open('/silent', () => {});
  await within(client.finished, 'the end at the client');
  await eventually(() => received.connection.closed || received.connection.ended, 'the end at the origin');
});

test('without a 101 there is no tunnel: the answer is an ordinary one', async () => {
  const client = await connect(pair.port);
  client.write(request('/no-upgrade', { headers: UPGRADE }));
  const message = await client.answer();
  assert.equal(message.status, 200);
  client.write(request('/next'));
  assert.match((await client.answer()).body.toString(), /^stable GET \/next/);
  client.destroy();
});

test('a 101 that nobody asked for is a bad answer', async () => {
  pair.origin.route('/unasked', (received) => reply(received, `${SWITCH}junk`));
  const client = await connect(pair.port);
  client.write(request('/unasked'));
  assert.equal((await client.answer()).status, 502);
  client.destroy();
});
