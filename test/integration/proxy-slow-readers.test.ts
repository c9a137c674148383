/** Whoever does not read holds no more than a bounded buffer of the proxy's memory, on every path that bytes can take. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { eventually } from '../support/bounded.ts';
import { reply, type Received } from '../support/origin.ts';
import { startPair } from '../support/pair.ts';
import { connect, request, type RawClient } from '../support/raw-client.ts';

const pair = startPair({
  service: { timeouts: { responseIdle: '60s', requestBodyIdle: '60s', responseHead: '60s' } },
});

/** What one connection may hold. */
const BOUND = 256 * 1024;
/** More than all socket buffers of the kernel on the way together. */
const MUCH = 48 * 1024 * 1024;

const clients: RawClient[] = [];
after(() => {
  for (const client of clients) client.destroy();
});

async function slowClient(): Promise<RawClient> {
  const client = await connect(pair.port);
  client.socket.pause();
  clients.push(client);
  return client;
}

const buffered = (): Promise<number> => pair.serin.metric('serin_buffered_bytes');

/** Watches what the proxy holds until nothing moves any more, and checks that it stayed within the bound. */
async function settled(moved: () => number): Promise<void> {
  let before = -1;
  let same = 0;
  let most = 0;
  await eventually(
    async () => {
      const held = await buffered();
      most = Math.max(most, held);
      assert.ok(held <= BOUND, `the proxy holds ${held} bytes for one connection`);
      same = held > 0 && moved() === before ? same + 1 : 0;
      before = moved();
      return same >= 8;
    },
    'the end of all movement',
    60_000,
    100,
  );
  assert.ok(most > 0);
}

/** Ends what a test began, so that the next one has the gauge for itself. */
async function finish(client: RawClient): Promise<void> {
  client.reset();
  await eventually(async () => (await buffered()) === 0, 'empty buffers');
}

test('an answer with a length', async () => {
  let asked: Received | undefined;
  pair.origin.route('/length', (received) => {
    asked = received;
    reply(received, `HTTP/1.1 200 OK\r\nContent-Length: ${MUCH}\r\n\r\n`);
    reply(received, Buffer.alloc(MUCH));
  });
  const client = await slowClient();
  client.write(request('/length'));
  await settled(() => asked?.connection.socket.writableLength ?? 0);
  await finish(client);
});

test('an answer in chunks, large and small', async () => {
  let asked: Received | undefined;
  const small = Buffer.from(`4\r\nabcd\r\n`.repeat(1000));
  const large = Buffer.concat([Buffer.from('80000\r\n'), Buffer.alloc(0x80000), Buffer.from('\r\n')]);
  pair.origin.route('/chunks', (received) => {
    asked = received;
    reply(received, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (let sent = 0; sent < MUCH; sent += small.length + large.length) {
      reply(received, small);
      reply(received, large);
    }
  });
  for (const version of ['HTTP/1.1', 'HTTP/1.0']) {
    asked = undefined;
    const client = await slowClient();
    client.write(`GET /chunks ${version}\r\nHost: notes.test\r\n\r\n`);
    await settled(() => asked?.connection.socket.writableLength ?? 0);
    await finish(client);
  }
});

test('an answer until the end of the connection', async () => {
  let asked: Received | undefined;
  pair.origin.route('/close', (received) => {
    asked = received;
    reply(received, 'HTTP/1.1 200 OK\r\n\r\n');
    reply(received, Buffer.alloc(MUCH));
  });
  const client = await slowClient();
  client.write(request('/close'));
  await settled(() => asked?.connection.socket.writableLength ?? 0);
  await finish(client);
});

test('many interim answers: no more than one head of them in all', async () => {
  pair.origin.route('/interim', (received) => {
    const hint = `HTTP/1.1 103 Early Hints\r\nLink: </${'a'.repeat(20_000)}.css>\r\n\r\n`;
    for (let count = 0; count < 10; count++) reply(received, hint);
  });
  const client = await connect(pair.port);
  clients.push(client);
  client.write(request('/interim'));
  assert.equal((await client.answer()).status, 502);
  assert.equal(client.interim.length, 1);
});

test('pipelined requests of a client that does not read their answers', async () => {
  const body = 'x'.repeat(30_000);
  pair.origin.route('/piped', (received) =>
    reply(received, `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`),
  );
  const client = await slowClient();
  const some = request('/piped').repeat(1000);
  let sent = 0;
  const send = async (): Promise<void> => {
    for (; sent < 40 && !client.socket.destroyed; sent++) {
      if (!client.socket.write(some)) await nextTurn();
    }
  };
  void send();
  await settled(() => pair.origin.at('/piped').length);
  assert.ok(pair.origin.at('/piped').length < 40_000);
  pair.origin.forget();
  await finish(client);
});

test('an upload to an endpoint that does not read, with a length and in chunks', async () => {
  let asked: Received | undefined;
  pair.origin.route('/upload', {
    head: (received) => {
      asked = received;
      received.connection.socket.pause();
    },
  });
  const chunk = Buffer.concat([Buffer.from('40000\r\n'), Buffer.alloc(0x40000), Buffer.from('\r\n')]);
  for (const framing of [`Content-Length: ${MUCH}`, 'Transfer-Encoding: chunked']) {
    const client = await slowClient();
    client.write(`POST /upload HTTP/1.1\r\nHost: notes.test\r\n${framing}\r\n\r\n`);
    if (framing.startsWith('C')) client.write(Buffer.alloc(MUCH));
    else for (let sent = 0; sent < MUCH; sent += 0x40000) client.write(chunk);
    await settled(() => client.socket.writableLength);
    asked?.connection.socket.destroy();
    await finish(client);
  }
});

test('an upload whose early answer is not read either', async () => {
  let asked: Received | undefined;
  pair.origin.route('/both', {
    head: (received) => {
      asked = received;
      received.connection.socket.pause();
      reply(received, `HTTP/1.1 200 OK\r\nContent-Length: ${MUCH}\r\n\r\n`);
      reply(received, Buffer.alloc(MUCH));
    },
  });
  const client = await slowClient();
  client.write(`POST /both HTTP/1.1\r\nHost: notes.test\r\nContent-Length: ${MUCH}\r\n\r\n`);
  client.write(Buffer.alloc(MUCH));
  await settled(() => client.socket.writableLength + (asked?.connection.socket.writableLength ?? 0));
  asked?.connection.socket.destroy();
  await finish(client);
});

test('a tunnel in which neither side reads', async () => {
  let asked: Received | undefined;
  pair.origin.route('/tunnel', {
    head: (received) => {
      asked = received;
      received.connection.socket.pause();
      reply(received, 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
      reply(received, Buffer.alloc(MUCH));
    },
  });
  const client = await slowClient();
  client.write(request('/tunnel', { headers: ['Connection: Upgrade', 'Upgrade: echo'] }));
  client.write(Buffer.alloc(MUCH));
  await settled(() => client.socket.writableLength + (asked?.connection.socket.writableLength ?? 0));
  asked?.connection.socket.destroy();
  await finish(client);
});
