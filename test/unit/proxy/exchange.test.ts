/** The life of a request, with clients, endpoints and time in the test's hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proxyInMemory, type MemoryOptions } from '../../support/proxy-in-memory.ts';

const GET = 'GET /a HTTP/1.1\r\nHost: h\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n';
const POST = 'POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n';

/** A request that an endpoint has. */
function asked(text = GET, options: MemoryOptions = {}) {
  const proxy = proxyInMemory(options);
  const client = proxy.connect();
  client.send(text);
  proxy.opened[0]!.ready();
  return { proxy, client, endpoint: proxy.opened[0]! };
}

function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1]);
}

test('a request goes to an endpoint when its connection stands, and the answer to the client as it comes', () => {
  const proxy = proxyInMemory();
  const client = proxy.connect();
  client.send(GET);
  const [endpoint] = proxy.opened;
  assert.equal(endpoint!.socket.written, '');
  endpoint!.ready();
  assert.match(endpoint!.socket.written, /^GET \/a HTTP\/1\.1\r\nHost: h\r\n/);
  endpoint!.send(OK.slice(0, 20));
  assert.equal(client.got(), '');
  endpoint!.send(`${OK.slice(20)}o`);
  assert.match(client.got(), /^HTTP\/1\.1 200 OK\r\nContent-Length: 2\r\nDate: now\r\n\r\no$/);
  endpoint!.send('k');
  assert.equal(client.got(), 'k');
  assert.equal(client.connection.idle, true);
});

test('requests that come at once are answered in their order, over one connection, and each sees only its own answer', () => {
  const { proxy, client, endpoint } = asked(GET + GET.replace('/a', '/b') + GET.replace('/a', '/c'));
  assert.equal(endpoint.socket.written.match(/GET/g)?.length, 1);
  endpoint.send(`${OK}1a`);
  assert.match(client.got(), /1a$/);
  assert.match(endpoint.socket.written, /GET \/b/);
  assert.doesNotMatch(endpoint.socket.written, /GET \/c/);
  endpoint.send(`${OK}1b`);
  endpoint.send(`${OK}1c`);
  assert.match(client.got(), /1bHTTP[^]*1c$/);
  assert.equal(proxy.opened.length, 1);
  assert.equal(client.connection.idle, true);
});

test('the head of an answer that came in pieces goes before the next request is begun', () => {
  const { client, endpoint } = asked(GET + GET.replace('/a', '/b'));
  endpoint.send(OK.slice(0, 30));
  endpoint.send(`${OK.slice(30)}ok`);
  endpoint.send(OK.slice(0, 10));
  endpoint.send(`${OK.slice(10)}OK`);
  const answers = client.got().split('HTTP/1.1 200 OK\r\n').slice(1);
  assert.deepEqual(
    answers.map((answer) => answer.slice(-2)),
    ['ok', 'OK'],
  );
});

test('an answer that is followed by more makes its connection the last, and the client sees nothing of it', () => {
  const { client, endpoint } = asked();
  endpoint.send(`${OK}okHTTP/1.1 200 OK\r\n`);
  assert.match(client.got(), /ok$/);
  assert.equal(endpoint.socket.destroyed, true);
  assert.equal(client.connection.idle, true);
});

test('an endpoint that goes away in the middle of an answer: the client is cut, not left with a part', () => {
  const { client, endpoint } = asked();
  endpoint.send(`${OK}o`);
  endpoint.close('ECONNRESET');
  assert.match(client.got(), /o$/);
  assert.deepEqual([client.socket.destroyed, client.socket.wasReset], [true, false]);
});

test('where only the end of the connection tells that something is missing, the client sees a reset', () => {
  const { client, endpoint } = asked('GET / HTTP/1.0\r\nHost: h\r\n\r\n');
  endpoint.send(`${OK}o`);
  endpoint.close('ECONNRESET');
  assert.equal(client.socket.wasReset, true);
});

test('nothing follows a reset: requests that wait behind it reach no endpoint', () => {
  const { proxy, client, endpoint } = asked(GET + GET);
  endpoint.send('HTTP/1.1 200 OK\r\n\r\na part');
  endpoint.close('ECONNRESET');
  assert.equal(client.socket.wasReset, true);
  assert.equal(proxy.opened.length, 1);
});

test('an answer whose end is the end of the connection is complete with it', () => {
  const { client, endpoint } = asked();
  endpoint.send('HTTP/1.1 200 OK\r\n\r\nall');
  endpoint.socket.emit('end');
  assert.match(client.got(), /Connection: close\r\n\r\nall$/);
  assert.deepEqual([client.socket.ended, client.socket.destroyed], [true, false]);
  assert.equal(endpoint.socket.destroyed, true);
});

test('an invalid answer is 502 before its head was passed on, and a cut after', () => {
  const before = asked();
  before.endpoint.send('SSH-2.0\r\n');
  assert.equal(statusOf(before.client.got()), 502);
  assert.equal(before.client.connection.idle, true);
  const after = asked();
  after.endpoint.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokX');
  assert.match(after.client.got(), /2\r\nok$|2\r\n$|\r\n\r\n$/);
  assert.equal(after.client.socket.destroyed, true);
});

test('101 that nobody asked for is no answer', () => {
  const { client, endpoint } = asked();
  endpoint.send('HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n');
  assert.equal(statusOf(client.got()), 502);
});

test('a body goes on as it comes; one that is incomplete when its answer is complete is read to its end, and the next request follows', () => {
  const { client, endpoint } = asked(`${POST}ab`);
  assert.match(endpoint.socket.written, /\r\n\r\nab$/);
  endpoint.send(`${OK}ok`);
  assert.match(client.got(), /ok$/);
  client.send('cd');
  assert.match(endpoint.socket.written, /abcd$/);
  client.send(GET);
  assert.match(endpoint.socket.written, /abcdGET/, 'its endpoint took the rest, and serves on');
});

test('a body that is invalid is refused before an answer, and cuts one that has begun', () => {
  const chunked = 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n';
  const before = asked(chunked);
  before.client.send('x');
  assert.equal(statusOf(before.client.got()), 400);
  assert.deepEqual([before.client.socket.ended, before.endpoint.socket.destroyed], [true, true]);
  const after = asked(chunked);
  after.endpoint.send(`${OK}o`);
  after.client.send('x');
  assert.equal(after.client.socket.destroyed, true);
});

test('the slower side sets the pace, both ways', () => {
  const { client, endpoint } = asked(POST);
  endpoint.socket.slow = true;
  client.send('ab');
  assert.equal(client.socket.paused, true);
  endpoint.socket.drain();
  assert.equal(client.socket.paused, false);
  client.send('cd');
  client.socket.slow = true;
  endpoint.send(`${OK}o`);
  assert.equal(endpoint.socket.paused, true);
  client.socket.drain();
  assert.equal(endpoint.socket.paused, false);
});

test('a client that leaves takes its request along, and nothing of it reaches whoever is lent the exchange next', () => {
  const { proxy, client, endpoint } = asked();
  client.socket.emit('close');
  assert.equal(endpoint.socket.destroyed, true);
  assert.equal(proxy.logged[0]!.status, 499);
  const next = proxy.connect();
  next.send(GET);
  proxy.opened[1]!.ready();
  proxy.opened[1]!.send(`${OK}ok`);
  assert.match(next.got(), /ok$/);
  assert.equal(next.connection.idle, true);
});

test('a tunnel whose client closes ends nobody else: the exchange comes back without an ending', () => {
  const upgrade = 'GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n';
  const { proxy, client, endpoint } = asked(upgrade);
  endpoint.send('HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nhello');
  assert.match(client.got(), /hello$/);
  client.send('there');
  assert.match(endpoint.socket.written, /there$/);
  client.socket.emit('close');
  assert.equal(endpoint.socket.destroyed, true);
  const next = proxy.connect();
  next.send(GET.slice(0, 9));
  next.send(GET.slice(9));
  assert.equal(next.socket.destroyed, false);
  proxy.opened[1]!.ready();
  proxy.opened[1]!.send(`${OK}ok`);
  assert.match(next.got(), /ok$/);
});

// ── deadlines ──

const TIMES = {
  connectTimeout: 100,
  responseHeadTimeout: 300,
  requestBodyIdleTimeout: 200,
  responseIdleTimeout: 400,
  tunnelIdleTimeout: 500,
  clientRate: 0,
  maxRetries: 0,
} as const;

test('an endpoint that accepts no connection in time: 504, not earlier', () => {
  const proxy = proxyInMemory({ settings: TIMES });
  const client = proxy.connect();
  client.send(GET);
  proxy.pass(99);
  assert.equal(client.got(), '');
  proxy.pass(1);
  assert.equal(statusOf(client.got()), 504);
  assert.equal(proxy.opened[0]!.socket.destroyed, true);
});

test('an endpoint that does not answer in time: 504', () => {
  const { proxy, client, endpoint } = asked(GET, { settings: TIMES });
  proxy.pass(299);
  assert.equal(client.got(), '');
  proxy.pass(1);
  assert.equal(statusOf(client.got()), 504);
  assert.equal(endpoint.socket.destroyed, true);
});

test('a client that does not go on with its body: 408, and its connection ends', () => {
  const { proxy, client, endpoint } = asked(`${POST}ab`, { settings: TIMES });
  proxy.pass(200);
  assert.equal(statusOf(client.got()), 408);
  assert.deepEqual([client.socket.ended, endpoint.socket.destroyed], [true, true]);
});

test('an endpoint that stops reading a body has the blame for it: 504', () => {
  const { proxy, client, endpoint } = asked(POST, { settings: TIMES });
  endpoint.socket.slow = true;
  client.send('ab');
  proxy.pass(200);
  assert.equal(statusOf(client.got()), 504);
});

test('a client that does not read its answer is reset', () => {
  const { proxy, client, endpoint } = asked(GET, { settings: TIMES });
  client.socket.slow = true;
  endpoint.send(`${OK}o`);
  proxy.pass(399);
  assert.equal(client.socket.wasReset, false);
  proxy.pass(1);
  assert.deepEqual([client.socket.wasReset, endpoint.socket.destroyed], [true, true]);
});

test('while nothing but the answer is expected, it may take as long as it likes', () => {
  const { proxy, client, endpoint } = asked(GET, { settings: TIMES });
  endpoint.send(`${OK}o`);
  proxy.pass(10_000_000);
  endpoint.send('k');
  assert.match(client.got(), /ok$/);
});

test('an exchange whose variant is no longer to be used is cut at its moment', () => {
  const waiting = asked();
  waiting.client.connection.exchange.cutAt = waiting.proxy.context.monotonicNow() + 50;
  waiting.proxy.pass(49);
  assert.equal(waiting.client.got(), '');
  waiting.proxy.pass(1);
  assert.equal(statusOf(waiting.client.got()), 503);
  const answering = asked();
  answering.endpoint.send(`${OK}o`);
  answering.client.connection.exchange.cutAt = answering.proxy.context.monotonicNow() + 50;
  answering.proxy.pass(50);
  assert.equal(answering.client.socket.destroyed, true);
});

// ── what the access log has ──

test('the access log has the bytes of both bodies, without heads and the framing of chunks', () => {
  const { proxy, client, endpoint } = asked(
    'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: u\r\n\r\n',
  );
  endpoint.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
  endpoint.send('0\r\n\r\n');
  client.send(GET);
  endpoint.send(`${OK}ok`);
  client.send(GET.replace('GET', 'HEAD'));
  endpoint.send(OK);
  assert.deepEqual(
    proxy.logged.map(({ requestBytes, responseBytes }) => [requestBytes, responseBytes]),
    [
      [3, 5],
      [0, 2],
      [0, 0],
    ],
  );
});

test('the access log has as many bytes as came of a body that was cut, and of an answer of our own', () => {
  const { proxy, client, endpoint } = asked(`${POST}abc`);
  endpoint.send(`${OK}o`);
  endpoint.close('ECONNRESET');
  const other = proxy.connect();
  other.send('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n');
  proxy.opened[1]!.close('ECONNREFUSED');
  const own = other.got();
  assert.match(client.got(), /o$/);
  assert.deepEqual(
    proxy.logged.map(({ status, requestBytes, responseBytes }) => [status, requestBytes, responseBytes]),
    [
      [200, 3, 1],
      [503, 0, own.slice(own.indexOf('\r\n\r\n') + 4).length],
    ],
  );
});

test('what goes through a tunnel is no body', () => {
  const upgrade = 'GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n';
  const { proxy, client, endpoint } = asked(upgrade, { settings: TIMES });
  endpoint.send('HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nhello');
  proxy.pass(500);
  assert.equal(client.socket.destroyed, true);
  const [{ status, requestBytes, responseBytes }] = proxy.logged as [(typeof proxy.logged)[0]];
  assert.deepEqual([status, requestBytes, responseBytes], [101, -1, -1]);
});
