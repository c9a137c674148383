/** A client connection: bytes cut into requests, what waits, its deadlines and its end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proxyInMemory } from '../../support/proxy-in-memory.ts';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n';

test('a head that comes byte by byte is one request; until it is whole no exchange is kept for it', () => {
  const { connect, context, opened } = proxyInMemory();
  const client = connect();
  for (const byte of GET.slice(0, -1)) client.send(byte);
  assert.equal(client.connection.exchange, context.exchanges.none);
  assert.equal(opened.length, 0);
  assert.equal(client.connection.idle, false);
  client.send('\n');
  assert.equal(opened.length, 1);
});

test('between requests a connection holds no exchange', () => {
  const { connect, context, opened } = proxyInMemory();
  const client = connect();
  client.send(GET);
  assert.notEqual(client.connection.exchange, context.exchanges.none);
  opened[0]!.ready();
  opened[0]!.send(`${OK}ok`);
  assert.equal(client.connection.exchange, context.exchanges.none);
});

test('a head that is refused is answered once, what follows is dropped, and no endpoint hears of it', () => {
  const { connect, opened } = proxyInMemory();
  const client = connect();
  client.send(`GET / HTTP/1.1\r\n\r\n${GET}`);
  assert.match(client.got(), /^HTTP\/1\.1 400 [^]*connection: close/i);
  client.send(GET);
  assert.equal(client.got(), '');
  assert.deepEqual([client.socket.ended, opened.length], [true, 0]);
});

test('bytes after the last request of a connection are dropped', () => {
  const { connect, opened } = proxyInMemory();
  const client = connect();
  client.send(`GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n${GET}`);
  opened[0]!.ready();
  opened[0]!.send(`${OK}ok`);
  assert.match(client.got(), /Connection: close\r\n\r\nok$/);
  assert.deepEqual([client.socket.ended, opened.length], [true, 1]);
  assert.equal(opened[0]!.socket.written.match(/GET/g)?.length, 1);
});

test('while a request runs the next ones wait, and reading stops when there are too many', () => {
  const { connect, opened } = proxyInMemory();
  const client = connect();
  client.send(GET);
  client.send(GET);
  assert.equal(client.socket.paused, false);
  client.send(GET.replace('Host', `X: ${'x'.repeat(20_000)}\r\nHost`));
  assert.equal(client.socket.paused, true);
  opened[0]!.ready();
  opened[0]!.send(`${OK}ok`);
  assert.equal(client.socket.paused, true, 'the large one still waits');
  opened[0]!.send(`${OK}ok`);
  assert.equal(client.socket.paused, false);
});

test('a client that does not read its answers gets no further ones', () => {
  const { connect, opened } = proxyInMemory();
  const client = connect();
  client.send(GET + GET);
  opened[0]!.ready();
  client.socket.slow = true;
  opened[0]!.send(`${OK}ok`);
  assert.equal(opened[0]!.socket.written.match(/GET/g)?.length, 1);
  client.socket.drain();
  assert.equal(opened[0]!.socket.written.match(/GET/g)?.length, 2);
});

test('a body waits while its endpoint is being connected to, and is not read on', () => {
  const { connect, opened } = proxyInMemory();
  const client = connect();
  client.send('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab');
  assert.equal(client.socket.paused, true);
  opened[0]!.ready();
  assert.match(opened[0]!.socket.written, /ab$/);
  assert.equal(client.socket.paused, false);
});

test('a head that is not complete in time is answered with 408, an idle connection ends without a word', () => {
  const proxy = proxyInMemory();
  const { requestHeadTimeout, keepAliveTimeout } = proxy.routing.proxy;
  const slow = proxy.connect();
  slow.send('GET /');
  proxy.pass(requestHeadTimeout);
  assert.match(slow.got(), /^HTTP\/1\.1 408/);
  const idle = proxy.connect();
  proxy.pass(keepAliveTimeout - 1);
  assert.equal(idle.socket.ended, false);
  proxy.pass(1);
  assert.deepEqual([idle.got(), idle.socket.ended], ['', true]);
});

test('the time of an idle connection begins anew with the end of each request', () => {
  const proxy = proxyInMemory();
  const { keepAliveTimeout } = proxy.routing.proxy;
  const client = proxy.connect();
  proxy.pass(keepAliveTimeout - 1);
  client.send(GET);
  proxy.opened[0]!.ready();
  proxy.opened[0]!.send(`${OK}ok`);
  proxy.pass(keepAliveTimeout - 1);
  assert.equal(client.socket.ended, false);
  proxy.pass(1);
  assert.equal(client.socket.ended, true);
});

test('a connection that ends is read on while the client sends, and then closed', () => {
  const proxy = proxyInMemory();
  const client = proxy.connect();
  client.send('nonsense\r\n\r\n');
  assert.equal(client.socket.ended, true);
  proxy.pass(1500);
  client.send('more');
  proxy.pass(1500);
  assert.equal(client.socket.destroyed, false);
  proxy.pass(500);
  assert.equal(client.socket.destroyed, true);
});

test('a client that has sent all and waits is taken to have left', () => {
  const { connect, opened } = proxyInMemory();
  const client = connect();
  client.send(GET);
  opened[0]!.ready();
  client.socket.emit('end');
  assert.deepEqual([client.socket.destroyed, opened[0]!.socket.destroyed], [true, true]);
});

test('a request that begins while the worker drains is the last of its connection, unless one waits already', () => {
  const { connect, context, opened } = proxyInMemory();
  const client = connect();
  context.draining = true;
  client.send(GET);
  client.send(GET);
  opened[0]!.ready();
  opened[0]!.send(`${OK}ok`);
  assert.doesNotMatch(client.got(), /Connection: close/);
  opened[0]!.send(`${OK}ok`);
  assert.match(client.got(), /Connection: close/);
  assert.equal(client.socket.ended, true);
});

test('what is buffered is what waits here and what the endpoint may still need', () => {
  const { connect, opened } = proxyInMemory();
  const client = connect();
  client.send('PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\n\r\n');
  opened[0]!.ready();
  client.send('x'.repeat(1500));
  assert.equal(client.connection.bufferedBytes, 2048, 'kept for another endpoint, in a buffer that doubles');
  client.send('x'.repeat(500));
  opened[0]!.send(`${OK}ok`);
  assert.equal(client.connection.bufferedBytes, 0);
});
