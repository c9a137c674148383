/** Bodies through the proxy: whole, in every framing, in both directions, for slow and for many peers. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { eventually, within } from '../support/bounded.ts';
import { answer, reply, type Received } from '../support/origin.ts';
import { startPair } from '../support/pair.ts';
import { ask, connect, request, type RawClient } from '../support/raw-client.ts';
import { value } from '../support/strict-head.ts';

const pair = startPair({ service: { timeouts: { responseIdle: '20s', requestBodyIdle: '20s' } } });

const SIZES = [0, 1, 100, 8_191, 8_192, 8_193, 65_535, 65_536, 65_537, 300_000, 5_000_000];

const sha1 = (bytes: Buffer) => createHash('sha1').update(bytes).digest('hex');

/** `bytes` in chunks of about `size`. */
function chunked(bytes: Buffer, size: number): Buffer {
  const parts: Buffer[] = [];
  for (let from = 0; from < bytes.length; from += size) {
    const piece = bytes.subarray(from, from + size);
    parts.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'));
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
}

/** Resident memory of a process in bytes. */
function residentBytes(pid: number): number {
  const match = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(match?.[1]) * 1024;
}

/** Waits until a count stands still: unchanged over many turns of this process and answers of the proxy's metrics. */
async function settled(count: () => number, what: string): Promise<void> {
  let last = -1;
  let still = 0;
  await eventually(async () => {
    still = count() > 0 && count() === last ? still + 1 : 0;
    last = count();
    await pair.serin.metrics();
    return still >= 10;
  }, what);
}

test('request bodies of a length arrive whole', async () => {
  for (const size of SIZES) {
    const body = randomBytes(size);
    const path = `/up/length/${size}`;
    const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`;
    const message = await ask(pair.port, Buffer.concat([Buffer.from(head), body]));
    assert.equal(message.status, 200);
    const [received] = pair.origin.at(path) as [Received];
    assert.equal(received.message.bodyLength, size);
    assert.equal(received.message.bodyHash, sha1(body));
  }
});

test('chunked request bodies arrive whole and stay chunked', async () => {
  for (const [size, chunk] of [
    [0, 1],
    [1, 1],
    [1_000, 1],
    [100_000, 7_919],
    [3_000_000, 65_536],
    [3_000_000, 1_000_000],
  ] as const) {
    const body = randomBytes(size);
    const path = `/up/chunked/${size}/${chunk}`;
    const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n`;
    const message = await ask(pair.port, Buffer.concat([Buffer.from(head), chunked(body, chunk)]));
    assert.equal(message.status, 200, path);
    const [received] = pair.origin.at(path) as [Received];
    assert.equal(received.message.framing, 'chunked');
    assert.equal(received.message.bodyHash, sha1(body), path);
  }
});

test('a request is read the same in whatever pieces it comes', async () => {
  const length = request('/pieces', { method: 'POST', body: 'hello world' });
  const chunks = `POST /pieces HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6;x=y\r\nhello \r\n5\r\nworld\r\n0\r\nX-Sum: 1\r\n\r\n`;
  for (const bytes of [length, chunks]) {
    for (const size of [1, 2, 3, 7, 50]) {
      const client = await connect(pair.port);
      await client.writeSplit(bytes, size);
      assert.equal((await client.answer()).status, 200);
      client.destroy();
    }
  }
  for (const { message } of pair.origin.at('/pieces')) assert.equal(message.body.toString(), 'hello world');
  assert.equal(pair.origin.at('/pieces').length, 10);
});

test('trailers of a request are forwarded', async () => {
  await ask(
    pair.port,
    'POST /trailers HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\n\r\n',
  );
  assert.deepEqual(pair.origin.at('/trailers')[0]?.message.trailers, [['X-Sum', '1']]);
});

test('answers of a length arrive whole', async () => {
  for (const size of SIZES) {
    const body = randomBytes(size);
    pair.origin.route(`/down/length/${size}`, (received) => answer(received, { body }));
    const message = await ask(pair.port, request(`/down/length/${size}`));
    assert.equal(message.bodyLength, size);
    assert.equal(message.bodyHash, sha1(body));
    assert.equal(value(message, 'content-length'), String(size));
  }
});

test('an answer is read the same in whatever pieces it comes', async () => {
  const answers = [
    'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world',
    'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6;x=y\r\nhello \r\n5\r\nworld\r\n0\r\nX-Sum: 1\r\n\r\n',
  ];
  for (const [index, text] of answers.entries()) {
    for (const size of [1, 2, 3, 7, 50]) {
      const path = `/down/pieces/${index}/${size}`;
      pair.origin.route(path, (received) => {
        void (async () => {
          for (let from = 0; from < text.length; from += size) {
            reply(received, text.slice(from, from + size));
            await nextTurn();
          }
        })();
      });
      for (const version of ['1.1', '1.0']) {
        const message = await ask(pair.port, `GET ${path} HTTP/${version}\r\nHost: a\r\n\r\n`);
        assert.equal(message.body.toString(), 'hello world', `${path} for HTTP/${version}`);
      }
    }
  }
});

for (const [size, count] of [
  [1_000_000, 200],
  [12_000, 8_000],
] as const) {
  test(`a client that asks for ${count} answers of ${size} bytes and reads nothing is held up`, async () => {
    const path = `/greedy/${size}`;
    const body = randomBytes(size);
    pair.origin.route(path, (received) => answer(received, { body }));
    const client = await connect(pair.port);
    client.socket.pause();
    const before = residentBytes(pair.serin.pid);
    client.write(request(path).repeat(count));
    await settled(() => pair.origin.at(path).length, 'the origin to be asked no more');
    const asked = pair.origin.at(path).length;
    assert.ok(asked < count / 2, `${asked} of ${count} requests went on`);
    assert.ok(residentBytes(pair.serin.pid) - before < 24 * 1024 * 1024);
    client.socket.resume();
    for (let index = 0; index < count; index++) {
      assert.equal((await client.answer()).bodyLength, body.length);
    }
    client.destroy();
  });
}

test('chunked answers arrive whole', async () => {
  for (const [size, chunk] of [
    [0, 1],
    [1_000, 1],
    [100_000, 7_919],
    [5_000_000, 65_536],
    [5_000_000, 2_000_000],
  ] as const) {
    const body = randomBytes(size);
    const path = `/down/chunked/${size}/${chunk}`;
    pair.origin.route(path, (received) => {
      reply(received, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      reply(received, chunked(body, chunk));
    });
    const message = await ask(pair.port, request(path));
    assert.equal(message.bodyHash, sha1(body), path);
  }
});

test('answers that end by close arrive whole, and the client sees where they end', async () => {
  for (const size of [0, 1, 100_000, 5_000_000]) {
    const body = randomBytes(size);
    const path = `/down/close/${size}`;
    pair.origin.route(path, (received) => {
      reply(received, 'HTTP/1.1 200 OK\r\n\r\n');
      reply(received, body);
      received.connection.socket.end();
    });
    const message = await ask(pair.port, request(path));
    assert.equal(message.bodyHash, sha1(body), path);
  }
});

test('trailers of an answer are forwarded', async () => {
  pair.origin.route('/down/trailers', (received) =>
    reply(received, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n'),
  );
  const message = await ask(pair.port, request('/down/trailers'));
  assert.deepEqual(message.trailers, [['X-Sum', '1']]);
});

test('an HTTP/1.0 client gets a chunked answer without the chunks, ended by close', async () => {
  const body = randomBytes(200_000);
  pair.origin.route('/down/plain', (received) => {
    reply(received, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    reply(received, chunked(body, 9_000));
  });
  const message = await ask(pair.port, 'GET /down/plain HTTP/1.0\r\nHost: a\r\n\r\n');
  assert.equal(message.framing, 'close');
  assert.equal(value(message, 'transfer-encoding'), undefined);
  assert.equal(message.bodyHash, sha1(body));
});

test('a fast origin does not fill memory for a client that does not read', async () => {
  const piece = randomBytes(65_536);
  const total = 64 * 1024 * 1024;
  let sent = 0;
  pair.origin.route('/flood', (received) => {
    const { socket } = received.connection;
    reply(received, `HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`);
    const pump = () => {
      while (sent < total && socket.write(piece)) sent += piece.length;
      if (sent < total) {
        sent += piece.length;
        socket.once('drain', pump);
      }
    };
    pump();
  });
  const before = residentBytes(pair.serin.pid);
  const clients = [await connect(pair.port)];
  (clients[0] as RawClient).socket.pause();
  (clients[0] as RawClient).write(request('/flood'));
  await settled(() => sent, 'the origin to be held up');
  assert.ok(sent < total / 2, `${sent} of ${total} bytes were taken for a client that reads nothing`);
  const grown = residentBytes(pair.serin.pid) - before;
  assert.ok(grown < 24 * 1024 * 1024, `memory grew by ${grown} bytes`);
  const [client] = clients as [RawClient];
  client.socket.resume();
  const message = await client.answer();
  assert.equal(message.bodyLength, total);
  client.destroy();
});

test('a fast client does not fill memory for an origin that does not read', async () => {
  const total = 64 * 1024 * 1024;
  pair.origin.route('/sink', {
    head: (received) => received.connection.socket.pause(),
    end: (received) => answer(received, { body: String(received.message.bodyLength) }),
  });
  const before = residentBytes(pair.serin.pid);
  const client = await connect(pair.port);
  client.write(`POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: ${total}\r\n\r\n`);
  const piece = randomBytes(65_536);
  let sent = 0;
  const pump = async () => {
    while (sent < total) {
      sent += piece.length;
      if (!client.socket.write(piece)) await once(client.socket, 'drain');
    }
  };
  const pumping = pump();
  await settled(() => sent, 'the client to be held up');
  assert.ok(sent < total / 2, `${sent} of ${total} bytes were taken for an origin that reads nothing`);
  const grown = residentBytes(pair.serin.pid) - before;
  assert.ok(grown < 24 * 1024 * 1024, `memory grew by ${grown} bytes`);
  pair.origin.at('/sink')[0]?.connection.socket.resume();
  await within(pumping, 'the rest of the body to be taken');
  assert.equal((await client.answer()).body.toString(), String(total));
  client.destroy();
});

test('many slow clients with different bodies each get their own', async () => {
  const COUNT = 60;
  const bodies = Array.from({ length: COUNT }, (_, index) => Buffer.alloc(400_000, `<${index}>`));
  bodies.forEach((body, index) => {
    pair.origin.route(`/own/${index}`, (received) => {
      if (index % 2 === 0) answer(received, { body });
      else {
        reply(received, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
        reply(received, chunked(body, 10_000 + index));
      }
    });
  });
  /** Reads a little, rests for some turns, and so on: everybody is always half way. */
  async function readSlowly(index: number): Promise<void> {
    const client = await connect(pair.port);
    client.write(request(`/own/${index}`));
    const state = { over: false };
    const done = client.answer().finally(() => (state.over = true));
    while (!state.over) {
      client.socket.pause();
      for (let turn = 0; turn < (index % 7) + 1; turn++) await nextTurn();
      client.socket.resume();
      await nextTurn();
    }
    const message = await done;
    assert.equal(message.bodyHash, sha1(bodies[index] as Buffer), `the body of ${index}`);
    client.destroy();
  }
  await Promise.all(bodies.map((_, index) => readSlowly(index)));
});

/** Sends a body of its own in small pieces. */
async function sendSlowly(index: number): Promise<void> {
  const body = Buffer.alloc(50_000, `(${index})`);
  const client = await connect(pair.port);
  client.write(`POST /slow/${index} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`);
  await client.writeSplit(body, 1_500 + index * 13);
  const message = await client.answer();
  assert.equal(message.body.toString(), `stable POST /slow/${index} ${body.length} ${sha1(body)}`);
  client.destroy();
}

test('many slow senders with different bodies are not mixed up', async () => {
  const COUNT = 40;
  await Promise.all(Array.from({ length: COUNT }, (_, index) => sendSlowly(index)));
});

test('a body flows both ways at once', async () => {
  pair.origin.route('/both', {
    head: (received) => reply(received, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'),
    data: (received, bytes) =>
      reply(received, `${bytes.length.toString(16)}\r\n${bytes.toString('latin1')}\r\n`),
    end: (received) => reply(received, '0\r\n\r\n'),
  });
  const client = await connect(pair.port);
  client.write('POST /both HTTP/1.1\r\nHost: a\r\nContent-Length: 300\r\n\r\n');
  await eventually(() => client.answers[0], 'the head before the body');
  for (let part = 1; part <= 3; part++) {
    client.write('x'.repeat(100));
    await eventually(() => client.answers[0]?.bodyLength === part * 100, `the echo of part ${part}`);
  }
  assert.equal((await client.answer()).bodyLength, 300);
  client.destroy();
});
