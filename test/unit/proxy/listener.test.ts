/** The listener: who is let in, what is overdue, and how it ends; the clock is in the test's hand. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { listen, type Listener } from '../../../src/proxy/connection/listener.ts';
import { eventually, within } from '../../support/bounded.ts';
import { freePort } from '../../support/ports.ts';
import { proxyInMemory, type MemoryProxy } from '../../support/proxy-in-memory.ts';

interface Listening {
  readonly proxy: MemoryProxy;
  readonly listener: Listener;
  readonly connected: () => Promise<{ socket: Socket; text: () => string; over: Promise<unknown> }>;
  readonly ended: () => boolean;
}

async function listening(t: TestContext, mostConnections = 10): Promise<Listening> {
  const proxy = proxyInMemory();
  proxy.context.admission.configure({ maxConnections: mostConnections, maxRequests: 10 });
  const port = await freePort();
  const options = { host: '127.0.0.1', port, tls: null, ticketKeys: new Uint8Array(48), lingering: 4 };
  const listener = await listen(options, proxy.context);
  let ended = false;
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    for (const { socket } of listener.connections) socket.destroy();
    if (!ended) listener.drain(0, () => undefined);
  });
  const connected = async () => {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    sockets.push(socket);
    let text = '';
    socket.setEncoding('latin1').on('data', (piece: string) => (text += piece));
    socket.on('error', () => {});
    const over = new Promise((resolve) => socket.once('end', resolve));
    await within(once(socket, 'connect'), 'a connection');
    return { socket, text: () => text, over };
  };
  const drained = listener.drain.bind(listener);
  const watched: Listener = {
    ...listener,
    drain: (idle, whenEmpty) =>
      drained(idle, () => {
        ended = true;
        whenEmpty();
      }),
  };
  return { proxy, listener: watched, connected, ended: () => ended };
}

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

test('connections are counted while they are open, and ended when their time is up', async (t) => {
  const { proxy, listener, connected } = await listening(t);
  const { over } = await connected();
  await eventually(() => listener.connections.size === 1, 'a connection that is let in');
  assert.equal(proxy.counters.connectionsOpen, 1);
  const now = proxy.context.monotonicNow();
  listener.sweep(now + proxy.routing.proxy.keepAliveTimeout - 1);
  assert.equal([...listener.connections][0]!.idle, true);
  // What is due is looked at by the worker's own clock.
  proxy.pass(proxy.routing.proxy.keepAliveTimeout);
  listener.sweep(proxy.context.monotonicNow());
  await within(over, 'the end of an idle connection');
});

test('a request of a connection reaches an endpoint', async (t) => {
  const { proxy, connected } = await listening(t);
  const { socket, text } = await connected();
  socket.write(GET);
  await eventually(() => proxy.opened.length === 1, 'a connection to the endpoint');
  proxy.opened[0]!.ready();
  proxy.opened[0]!.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  await eventually(() => /^HTTP\/1\.1 200 OK[^]*ok$/.test(text()), 'the answer');
});

test('one connection too many is told so, and takes no place', async (t) => {
  const { proxy, listener, connected } = await listening(t, 1);
  await connected();
  await eventually(() => listener.connections.size === 1, 'a connection that is let in');
  const { text, over } = await connected();
  await within(over, 'the end of a connection that is turned away');
  assert.match(text(), /^HTTP\/1\.1 503[^]*overloaded/);
  assert.deepEqual([listener.connections.size, proxy.counters.connectionsOpen], [1, 1]);
});

test('a listener that drains lets running requests finish, and is over when no connection is left', async (t) => {
  const { proxy, listener, connected, ended } = await listening(t);
  const { socket, text, over } = await connected();
  socket.write(GET);
  await eventually(() => proxy.opened.length === 1, 'a connection to the endpoint');
  proxy.context.draining = true;
  let empty = false;
  listener.drain(0, () => (empty = true));
  // Until the listener has closed, which takes a quiet turn or this much of the worker's time.
  proxy.pass(500);
  proxy.opened[0]!.ready();
  proxy.opened[0]!.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  await within(over, 'the end of the connection');
  assert.match(text(), /Connection: close\r\n\r\nok$/);
  assert.equal(empty, false);
  socket.end();
  await eventually(() => empty && ended(), 'the end of the listener');
});
