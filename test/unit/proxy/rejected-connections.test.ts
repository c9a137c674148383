/** Connections that are turned away get their answer, linger, and are bounded in number and time. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { test } from 'node:test';
import { createTurnedAway } from '../../../src/proxy/connection/rejected-connections.ts';
import { within } from '../../support/bounded.ts';

async function client(port: number): Promise<{ socket: Socket; text: () => string; over: Promise<unknown> }> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  let text = '';
  socket.setEncoding('latin1').on('data', (piece: string) => (text += piece));
  socket.on('error', () => {});
  await within(once(socket, 'connect'), 'a connection');
  const over = new Promise((resolve) => socket.once('close', resolve));
  return { socket, text: () => text, over };
}

test('one answer, then they linger until the client closes or their time is over', async (t) => {
  const turnedAway = createTurnedAway(2);
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  let accepted = 0;
  server.on('connection', (socket) => {
    accepted += 1;
    turnedAway.take(socket, 'no\n', 0);
  });
  server.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  const polite = await client(port);
  await within(once(polite.socket, 'end'), 'the answer');
  assert.equal(polite.text(), 'no\n');
  polite.socket.end('late');
  await within(polite.over, 'the end of a client that closes');

  const slow = [await client(port), await client(port)];
  for (const { socket, text } of slow) {
    await within(once(socket, 'end'), 'the answer');
    assert.equal(text(), 'no\n');
  }
  // No room to linger is left: it is gone as soon as its answer is written.
  const beyond = await client(port);
  await within(once(beyond.socket, 'end'), 'the answer');
  assert.equal(beyond.text(), 'no\n');
  beyond.socket.end();
  await within(beyond.over, 'the end of the connection beyond the bound');
  assert.equal(accepted, 4);

  turnedAway.sweep(1999);
  for (const { socket } of slow) socket.write('still here');
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(slow.every(({ socket }) => !socket.destroyed));
  turnedAway.sweep(2000);
  for (const { socket, over } of slow) {
    socket.write('more');
    socket.end();
    await within(over, 'the end of a client that lingers for too long');
  }
});
