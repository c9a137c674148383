/** Bodies that come too slowly, answers that are read too slowly: cut, told apart and counted; whatever is merely slow lives. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { eventually, within } from '../support/bounded.ts';
import { http2Client } from '../support/http2-pair.ts';
import { answer, type Received } from '../support/origin.ts';
import { startPair } from '../support/pair.ts';
import { connect, request } from '../support/raw-client.ts';
import { value } from '../support/strict-head.ts';

const pair = startPair({
  service: {
    timeouts: { requestBodyIdle: '1200ms', responseIdle: '400ms', responseHead: '20s' },
    limits: { clientRate: 5000 },
  },
});

const counted = (reason: string): Promise<number> =>
  pair.serin.metric('serin_slow_clients_total', { service: 'notes', reason });

/** Writes again and again, a little apart, until it is told to stop or the test is over. */
function trickle(context: TestContext, write: () => void, milliseconds = 5): () => void {
  const timer = setInterval(write, milliseconds);
  const stop = (): void => clearInterval(timer);
  context.after(stop);
  return stop;
}

for (const framing of ['Content-Length: 100000', 'Transfer-Encoding: chunked']) {
  test(`a body that trickles, ${framing}: 408, and the endpoint is free`, async (context) => {
    const before = await counted('body_slow');
    const path = `/trickle/${framing.length}`;
    const client = await connect(pair.port);
    context.after(() => client.destroy());
    client.write(`POST ${path} HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`);
    const stop = trickle(context, () => client.write(framing.endsWith('chunked') ? '1\r\nx\r\n' : 'x'));
    const message = await client.answer();
    stop();
    assert.equal(message.status, 408);
    assert.equal((JSON.parse(message.body.toString()) as { code: string }).code, 'request_body_too_slow');
    assert.equal(value(message, 'connection'), 'close');
    client.destroy();
    const [received] = pair.origin.at(path) as [Received];
    await eventually(() => received.connection.closed, 'the end at the endpoint');
    assert.equal(received.message.complete, false);
    assert.equal(await counted('body_slow'), before + 1);
  });
}

test('a body that trickles over HTTP/2: the same', async (context) => {
  const before = await counted('body_slow');
  const client = await http2Client(pair.port);
  context.after(() => client.close());
  const stream = client.open({
    headers: { ':method': 'POST', ':path': '/trickle/h2', ':authority': 'a' },
    keepOpen: true,
  });
  let status = 0;
  stream.on('response', (headers) => (status = Number(headers[':status'])));
  const stop = trickle(context, () => stream.write('x'));
  await eventually(() => status, 'an answer');
  stop();
  assert.equal(status, 408);
  assert.equal(await counted('body_slow'), before + 1);
});

test('a body that stops is told apart', async (context) => {
  const before = [await counted('body_silent'), await counted('body_slow')];
  const client = await connect(pair.port);
  context.after(() => client.destroy());
  client.write('POST /stops HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nx');
  const message = await client.answer();
  assert.equal(message.status, 408);
  assert.equal((JSON.parse(message.body.toString()) as { code: string }).code, 'request_body_timeout');
  assert.deepEqual([await counted('body_silent'), await counted('body_slow')], [before[0]! + 1, before[1]]);
});

test('a body at a fair pace lives for much longer than a silent one may', async (context) => {
  const client = await connect(pair.port);
  context.after(() => client.destroy());
  client.write('POST /fair HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n');
  let sent = 0;
  const began = performance.now();
  // A piece for each of the pieces that the endpoint has had; 20 of them, each earns 200 ms.
  const stop = trickle(context, () => {
    if (sent < 20_000 && performance.now() - began > sent / 10) {
      client.write('x'.repeat(1000));
      sent += 1000;
    }
  });
  assert.equal((await client.answer()).status, 200);
  stop();
});

test('an answer that nobody reads is cut and counted, and is not called slow', async (context) => {
  pair.origin.route('/large', (received) => answer(received, { body: Buffer.alloc(8_000_000, 'x') }));
  const [before, slow] = [await counted('answer_unread'), await counted('answer_slow')];
  const client = await connect(pair.port, { paused: true });
  context.after(() => client.destroy());
  client.write(request('/large'));
  await eventually(async () => (await counted('answer_unread')) === before + 1, 'the count');
  client.socket.resume();
  assert.equal(await within(client.finished, 'the end'), 'reset');
  assert.equal(await counted('answer_slow'), slow);
});
