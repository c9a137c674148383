/** Answers without a body, interim answers, and Expect: 100-continue. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../support/bounded.ts';
import { answer, reply, type Received } from '../support/origin.ts';
import { startPair } from '../support/pair.ts';
import { connect, request } from '../support/raw-client.ts';
import { value } from '../support/strict-head.ts';

const pair = startPair();

/** Sends the request and then a second one on the same connection, which shows that the first was read rightly. */
async function thenAnother(target: string, method = 'GET') {
  const client = await connect(pair.port, { methods: [method, 'GET'] });
  client.write(request(target, { method }));
  const first = await client.answer();
  client.write(request('/another'));
  const second = await client.answer();
  assert.match(second.body.toString(), /^stable GET \/another/);
  client.destroy();
  return { first, interim: client.interim };
}

test('HEAD keeps the length and has no body', async () => {
  pair.origin.route('/head/length', (received) => answer(received, { body: 'x'.repeat(1234) }));
  pair.origin.route('/head/chunked', (received) =>
    reply(received, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'),
  );
  pair.origin.route('/head/none', (received) => reply(received, 'HTTP/1.1 200 OK\r\n\r\n'));
  const { first } = await thenAnother('/head/length', 'HEAD');
  assert.equal(value(first, 'content-length'), '1234');
  assert.equal((await thenAnother('/head/chunked', 'HEAD')).first.status, 200);
  assert.equal((await thenAnother('/head/none', 'HEAD')).first.status, 200);
});

test('204 and 304 have no body, whatever they announce', async () => {
  pair.origin.route('/204', (received) => reply(received, 'HTTP/1.1 204 No Content\r\n\r\n'));
  pair.origin.route('/304', (received) =>
    reply(received, 'HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: "a"\r\n\r\n'),
  );
  assert.equal((await thenAnother('/204')).first.status, 204);
  const { first } = await thenAnother('/304');
  assert.equal(first.status, 304);
  assert.equal(value(first, 'etag'), '"a"');
});

test('several interim answers are relayed, with their fields', async () => {
  pair.origin.route('/hints', (received) => {
    reply(received, 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n');
    reply(received, 'HTTP/1.1 103 Early Hints\r\nLink: </b.css>; rel=preload\r\n\r\n');
    answer(received, { body: 'page' });
  });
  const { first, interim } = await thenAnother('/hints');
  assert.equal(first.body.toString(), 'page');
  assert.deepEqual(
    interim.map((message) => [message.status, value(message, 'link')]),
    [
      [103, '</a.css>; rel=preload'],
      [103, '</b.css>; rel=preload'],
    ],
  );
});

test('an interim answer reaches the client before the final one is there', async () => {
  let held: Received | null = null;
  pair.origin.route('/slow-hints', (received) => {
    reply(received, 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n');
    held = received;
  });
  const client = await connect(pair.port);
  client.write(request('/slow-hints'));
  await eventually(() => client.interim.length === 1, 'the interim answer');
  assert.equal(client.answers.length, 0);
  answer(held as unknown as Received, { body: 'done' });
  assert.equal((await client.answer()).body.toString(), 'done');
  client.destroy();
});

test('an HTTP/1.0 client gets no interim answers', async () => {
  pair.origin.route('/hints-old', (received) => {
    reply(received, 'HTTP/1.1 103 Early Hints\r\n\r\n');
    answer(received, { body: 'page' });
  });
  const client = await connect(pair.port);
  client.write('GET /hints-old HTTP/1.0\r\nHost: a\r\n\r\n');
  assert.equal((await client.answer()).body.toString(), 'page');
  assert.equal(client.interim.length, 0);
  client.destroy();
});

test('Expect: 100-continue: the origin decides, the client waits for it, nothing is stuck', async () => {
  pair.origin.route('/expect', {
    head: (received) => reply(received, 'HTTP/1.1 100 Continue\r\n\r\n'),
    end: (received) => answer(received, { body: received.message.body }),
  });
  const client = await connect(pair.port);
  client.write('POST /expect HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n');
  await eventually(() => client.interim.length === 1, '100 from the origin');
  assert.equal(client.interim[0]?.status, 100);
  client.write('hello');
  assert.equal((await client.answer()).body.toString(), 'hello');
  assert.equal(value(pair.origin.at('/expect')[0]?.message ?? { fields: [] }, 'expect'), '100-continue');
  client.destroy();
});

test('Expect: 100-continue: a refusal comes without the body, and that connection is not used again', async () => {
  pair.origin.route('/refuse', { head: (received) => answer(received, { status: 403, body: 'no' }) });
  const client = await connect(pair.port);
  client.write('POST /refuse HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n');
  const message = await client.answer();
  assert.equal(message.status, 403);
  // Whether the body comes or not is not known to the proxy: it must not wait for it on a connection it uses again.
  client.destroy();
  const next = await connect(pair.port);
  next.write(request('/after-refuse'));
  assert.equal((await next.answer()).status, 200);
  next.destroy();
  const [received] = pair.origin.at('/refuse') as [Received];
  assert.equal(received.connection.requests.at(-1), received);
});

test('Expect: 100-continue from a client that does not wait', async () => {
  pair.origin.route('/eager', {
    head: (received) => reply(received, 'HTTP/1.1 100 Continue\r\n\r\n'),
    end: (received) => answer(received, { body: received.message.body }),
  });
  const client = await connect(pair.port);
  client.write('POST /eager HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello');
  assert.equal((await client.answer()).body.toString(), 'hello');
  client.write(request('/eager-next'));
  assert.equal((await client.answer()).status, 200);
  client.destroy();
});

test('Expect: 100-continue with an origin that never says 100', async () => {
  pair.origin.route('/mute', (received) => answer(received, { body: received.message.body }));
  const client = await connect(pair.port);
  client.write('POST /mute HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n');
  await eventually(() => pair.origin.at('/mute').length === 1, 'the head at the origin');
  // RFC 9110 10.1.1: a client must not wait for ever; it sends the body after a while.
  client.write('hello');
  assert.equal((await client.answer()).body.toString(), 'hello');
  client.destroy();
});
