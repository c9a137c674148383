/** A tunnel: bytes unread both ways, each direction at the pace of its reader and with its own end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SocketWriter, type SocketWriterOwner } from '../../../src/net/socket-writer.ts';
import { Tunnel } from '../../../src/proxy/connection/tunnel.ts';
import type { UpstreamConnection } from '../../../src/upstream/connection.ts';
import { FakeSocket } from '../../support/proxy-in-memory.ts';

function setUp() {
  const client = new FakeSocket();
  const endpoint = new FakeSocket();
  const said: string[] = [];
  let tunnel: Tunnel | null = null;
  const owner = (stalled: () => void, drained: () => void): SocketWriterOwner => ({
    received: () => undefined,
    stalled,
    drained,
    writeFailed: () => false,
  });
  const toClient = new SocketWriter(
    client.asSocket(),
    owner(
      () => tunnel?.clientStalled(),
      () => tunnel?.clientDrained(),
    ),
  );
  const toEndpoint = new SocketWriter(
    endpoint.asSocket(),
    owner(
      () => tunnel?.upstreamStalled(),
      () => tunnel?.upstreamDrained(),
    ),
  );
  const up = { writer: toEndpoint, handler: null } as unknown as UpstreamConnection;
  tunnel = new Tunnel(toClient, up, {
    tunnelMoved: () => void said.push('moved'),
    tunnelOver: (inOrder) => void said.push(inOrder ? 'over in order' : 'over'),
  });
  const bytes = (text: string): [Buffer, number, number] => [Buffer.from(`#${text}#`), 1, text.length + 1];
  return { client, endpoint, tunnel, up, said, bytes };
}

test('it holds the connection of the endpoint, and each byte that moves keeps it alive', () => {
  const { client, endpoint, tunnel, up, said, bytes } = setUp();
  assert.equal(up.handler, tunnel);
  tunnel.fromClient(...bytes('ping'));
  tunnel.upstreamBytes(...bytes('pong'));
  assert.deepEqual([endpoint.written, client.written], ['ping', 'pong']);
  assert.deepEqual(said, ['moved', 'moved', 'moved']);
});

test('who reads slowly holds the other side up, and nobody else', () => {
  const { client, endpoint, tunnel, bytes } = setUp();
  endpoint.slow = true;
  tunnel.fromClient(...bytes('ping'));
  assert.deepEqual([client.paused, endpoint.paused], [true, false]);
  endpoint.drain();
  assert.equal(client.paused, false);
  client.slow = true;
  tunnel.upstreamBytes(...bytes('pong'));
  assert.deepEqual([client.paused, endpoint.paused], [false, true]);
  client.drain();
  assert.equal(endpoint.paused, false);
});

test('each side ends for itself; when both have, it is over in order', () => {
  const { client, endpoint, tunnel, said, bytes } = setUp();
  tunnel.clientEnded();
  assert.deepEqual([endpoint.ended, client.ended], [true, false]);
  tunnel.upstreamBytes(...bytes('last words'));
  assert.equal(client.written, 'last words');
  assert.ok(!said.includes('over in order'));
  tunnel.upstreamEnded();
  assert.equal(client.ended, true);
  assert.equal(said.at(-1), 'over in order');
});

test('an endpoint that is gone ends it at once', () => {
  const { tunnel, said } = setUp();
  tunnel.upstreamClosed();
  assert.equal(said.at(-1), 'over');
});
