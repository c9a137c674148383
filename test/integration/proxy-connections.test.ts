/** Client connections: kept, pipelined, closed, left, timed out and limited. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, within } from '../support/bounded.ts';
import { answer, reply, type Received } from '../support/origin.ts';
import { startPair } from '../support/pair.ts';
import { ask, connect, request } from '../support/raw-client.ts';
import { value } from '../support/strict-head.ts';

const pair = startPair({
  configuration: { proxy: { timeouts: { requestHead: '400ms', keepAlive: '700ms' } } },
  service: { timeouts: { requestBodyIdle: '400ms', responseIdle: '500ms', responseHead: '10s' } },
});

const body = (message: { body: Buffer }) => message.body.toString('latin1');

test('a connection serves many requests, and so does one to the origin', async () => {
  const client = await connect(pair.port);
  for (let index = 0; index < 20; index++) {
    client.write(request(`/many/${index}`));
    const message = await client.answer();
    assert.match(body(message), new RegExp(`^stable GET /many/${index} `));
    assert.equal(value(message, 'connection'), undefined);
  }
  client.destroy();
  const used = new Set(
    pair.origin.requests.filter(({ path }) => path.startsWith('/many/')).map((one) => one.connection),
  );
  assert.equal(used.size, 1);
});

test('pipelined requests are answered in order, whatever the origin takes its time with', async () => {
  const waiting: Received[] = [];
  for (let index = 0; index < 16; index++) {
    pair.origin.route(`/pipe/${index}`, (received) => {
      if (index % 3 === 0) setImmediate(() => answer(received, { body: `answer ${index}` }));
      else answer(received, { body: `answer ${index}` });
      waiting.push(received);
    });
  }
  const client = await connect(pair.port);
  client.write(Array.from({ length: 16 }, (_, index) => request(`/pipe/${index}`)).join(''));
  for (let index = 0; index < 16; index++) assert.equal(body(await client.answer()), `answer ${index}`);
  assert.deepEqual(
    waiting.map(({ path }) => path),
    Array.from({ length: 16 }, (_, index) => `/pipe/${index}`),
  );
  client.destroy();
});

test('a pipelined request is not sent on before the one ahead of it is answered', async () => {
  let held: Received | null = null;
  pair.origin.route('/first', (received) => (held = received));
  const client = await connect(pair.port);
  client.write(request('/first') + request('/second'));
  await eventually(() => held, 'the first request');
  await pair.serin.metrics();
  assert.equal(pair.origin.at('/second').length, 0);
  answer(held as unknown as Received, { body: 'first' });
  assert.equal(body(await client.answer()), 'first');
  assert.match(body(await client.answer()), /^stable GET \/second/);
  client.destroy();
});

test('far more pipelined requests than may wait are all answered, in order, with bounded memory', async () => {
  const client = await connect(pair.port);
  const count = 2_000;
  const all = Array.from({ length: count }, (_, index) => request(`/far/${index}`)).join('');
  client.write(all);
  for (let index = 0; index < count; index++) {
    assert.match(body(await client.answer()), new RegExp(`^stable GET /far/${index} `));
  }
  client.destroy();
});

test('what follows a request with Connection: close is dropped, without an error', async () => {
  const client = await connect(pair.port);
  client.write(request('/last', { headers: ['Connection: close'] }) + request('/never') + '\x00junk');
  const message = await client.answer();
  assert.match(body(message), /^stable GET \/last/);
  assert.equal(value(message, 'connection'), 'close');
  assert.equal(await within(client.finished, 'the end of the connection'), 'end');
  assert.equal(client.answers.length, 1);
  assert.equal(pair.origin.at('/never').length, 0);
});

test('HTTP/1.0: closed after the answer, unless keep-alive was asked for', async () => {
  const once = await connect(pair.port);
  once.write('GET /old HTTP/1.0\r\nHost: a\r\n\r\n');
  assert.equal((await once.answer()).status, 200);
  assert.equal(await within(once.finished, 'the end of the connection'), 'end');
  assert.match(pair.origin.at('/old')[0]?.message.text ?? '', /^GET \/old HTTP\/1\.1\r\n/);

  const kept = await connect(pair.port);
  kept.write('GET /old HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n');
  const message = await kept.answer();
  if (value(message, 'connection')?.toLowerCase() === 'keep-alive') {
    kept.write('GET /old HTTP/1.0\r\nHost: a\r\n\r\n');
    assert.equal((await kept.answer()).status, 200);
  } else {
    assert.equal(await within(kept.finished, 'the end of the connection'), 'end');
  }
  kept.destroy();
});

test('an idle connection is closed after the keep-alive time, without a word', async () => {
  const client = await connect(pair.port);
  client.write(request('/idle'));
  await client.answer();
  assert.equal(await within(client.finished, 'the end of the idle connection'), 'end');
  assert.equal(client.answers.length, 1);
});

test('a head that does not arrive in time gets 408, however slowly it drips', async () => {
  const client = await connect(pair.port);
  client.write('GET /drip HTTP/1.1\r\nHost: a\r\n');
  const state = { over: false };
  const over = client.finished.then(() => (state.over = true));
  const drip = async () => {
    for (let count = 0; !state.over && count < 10_000; count++) {
      if (!client.socket.destroyed) client.socket.write('X');
      await pair.serin.metrics();
    }
  };
  const [message] = await Promise.all([client.answer(), drip(), over]);
  assert.equal(message.status, 408);
  assert.equal(value(message, 'connection'), 'close');
  client.destroy();
});

test('a body that stops arriving gets 408, and the origin never sees a whole request', async () => {
  const client = await connect(pair.port);
  client.write('POST /stuck HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf');
  const message = await client.answer();
  assert.equal(message.status, 408);
  assert.equal(value(message, 'connection'), 'close');
  await eventually(
    () => pair.origin.at('/stuck').every(({ connection }) => connection.closed || connection.ended),
    'the end at the origin',
  );
  assert.ok(pair.origin.at('/stuck').every((one) => !one.message.complete));
  client.destroy();
});

test('a client that leaves while it waits cancels its request at the origin', async () => {
  pair.origin.route('/left', { end: () => {} });
  const client = await connect(pair.port);
  client.write(request('/left'));
  const [received] = (await eventually(
    () => pair.origin.at('/left')[0] && pair.origin.at('/left'),
    'the request',
  )) as [Received];
  client.reset();
  await eventually(() => received.connection.closed || received.connection.ended, 'the end at the origin');
});

test('a client that leaves in the middle of an answer cancels it at the origin', async () => {
  pair.origin.route('/half', (received) =>
    reply(received, `HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(1000)}`),
  );
  const client = await connect(pair.port);
  client.write(request('/half'));
  await eventually(() => client.answers[0]?.bodyLength === 1000, 'half an answer');
  client.destroy();
  const [received] = pair.origin.at('/half') as [Received];
  await eventually(() => received.connection.closed || received.connection.ended, 'the end at the origin');
});

test('a client that leaves in the middle of its body: the origin never sees a whole request', async () => {
  const client = await connect(pair.port);
  client.write('POST /gone HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
  const [received] = (await eventually(
    () => pair.origin.at('/gone')[0] && pair.origin.at('/gone'),
    'the request',
  )) as [Received];
  client.end();
  await eventually(() => received.connection.closed || received.connection.ended, 'the end at the origin');
  assert.equal(received.message.complete, false);
  assert.equal(received.connection.fault, null);
});

test('a client that does not read its answer is cut off after the idle time', async () => {
  pair.origin.route('/unread', (received) => {
    reply(received, 'HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n');
    reply(received, Buffer.alloc(50_000_000));
  });
  const client = await connect(pair.port);
  client.socket.pause();
  client.write(request('/unread'));
  const [received] = (await eventually(
    () => pair.origin.at('/unread')[0] && pair.origin.at('/unread'),
    'the request',
  )) as [Received];
  await eventually(() => received.connection.closed, 'the end at the origin');
  client.socket.resume();
  await within(client.over, 'the end at the client');
  assert.equal(client.answers[0]?.complete, false);
});

test('an early answer while the body is still coming: the client gets it, and the connection is not used again', async () => {
  pair.origin.route('/early', { head: (received) => answer(received, { status: 413, body: 'too much' }) });
  const client = await connect(pair.port);
  client.write('POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nfirst bytes');
  const message = await client.answer();
  assert.equal(message.status, 413);
  assert.equal(body(message), 'too much');
  client.destroy();
  await ask(pair.port, request('/after-early'));
  const [early] = pair.origin.at('/early') as [Received];
  assert.equal(early.connection.requests.at(-1), early);
});

test('a path outside of every service gets 404, and the connection stays good', async () => {
  const client = await connect(pair.port);
  client.write(request('/fine'));
  assert.equal((await client.answer()).status, 200);
  client.destroy();
});
