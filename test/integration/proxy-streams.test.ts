/**
 * What was sent and is valid arrives, whatever comes next: every event of a stream is awaited at the other end, to its last byte,
 * before the next one is sent. A byte that is held back for the next event would be awaited for ever.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import type { ServerHttp2Stream } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/bounded.ts';
import { makeAuthority } from '../support/certificates.ts';
import { head, startHttp2Serin, type Http2Serin } from '../support/http2-serin.ts';
import { reply, startOrigin, type Origin, type Received } from '../support/origin.ts';
import { connect, type RawClient } from '../support/raw-client.ts';
import { startSecureSerin, writeCertificate, type Secured } from '../support/tls.ts';

const EVENTS = ['data: one\n\n', 'data: two\n\n', 'data: three\n\n'];

const chunk = (data: string): string => `${data.length.toString(16)}\r\n${data}\r\n`;

let all: Http2Serin;

before(async () => {
  all = await startHttp2Serin();
});

after(() => all?.stop());

/** The request of a path, once its head has come. */
async function arrival(origin: Origin, path: string): Promise<Received> {
  return eventually(() => origin.at(path)[0], `the request for ${path}`);
}

const ends = (client: RawClient, text: string): Promise<boolean> =>
  eventually(
    () => client.raw().toString('latin1').endsWith(text),
    `${JSON.stringify(text)} at the client, which has ${JSON.stringify(client.raw().toString('latin1'))}`,
  );

/** The answer to a request for `path`, which is sent by `send` in parts. */
async function held(path: string, version = '1.1'): Promise<{ client: RawClient; received: Received }> {
  all.h1.route(path, { end() {} });
  const client = await connect(all.serin.proxyPort);
  client.write(`GET ${path} HTTP/${version}\r\nHost: one.test\r\n\r\n`);
  return { client, received: await arrival(all.h1, path) };
}

describe('answers over HTTP/1.1', () => {
  test('the head alone, each chunk with its line end, the last chunk, the trailers', async () => {
    const { client, received } = await held('/down');
    reply(received, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    await ends(client, '\r\n\r\n');
    for (const event of EVENTS) {
      reply(received, chunk(event));
      await ends(client, chunk(event));
    }
    reply(received, '5\r\n');
    await ends(client, '5\r\n');
    reply(received, 'he');
    await ends(client, 'he');
    reply(received, 'llo\r');
    await ends(client, 'llo');
    reply(received, '\n');
    await ends(client, 'llo\r\n');
    reply(received, '0\r\n');
    await ends(client, '0\r\n');
    reply(received, 'X-Sum: 1\r\n\r\n');
    await ends(client, '0\r\nX-Sum: 1\r\n\r\n');
    assert.equal((await client.answer()).complete, true);
    client.destroy();
  });

  test('the first event in one piece with the head', async () => {
    const { client, received } = await held('/with-head');
    const first = chunk(EVENTS[0]!);
    reply(received, `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${first}`);
    await ends(client, first);
    client.destroy();
  });

  test('bodies of a length, and bodies that the end of the connection ends', async () => {
    for (const [name, framing] of [
      ['length', 'Content-Length: 1000\r\n'],
      ['close', ''],
    ] as const) {
      const { client, received } = await held(`/down/${name}`);
      reply(received, `HTTP/1.1 200 OK\r\n${framing}\r\n`);
      await ends(client, '\r\n\r\n');
      for (const event of EVENTS) {
        reply(received, event);
        await ends(client, event);
      }
      client.destroy();
    }
  });

  test('a client of HTTP/1.0 gets the data of each chunk', async () => {
    const { client, received } = await held('/down/old', '1.0');
    reply(received, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (const event of EVENTS) {
      reply(received, chunk(event));
      await ends(client, event);
    }
    client.destroy();
  });

  test('interim answers, each for itself', async () => {
    const { client, received } = await held('/down/hints');
    for (const hint of ['</a>', '</b>']) {
      reply(received, `HTTP/1.1 103 Early Hints\r\nLink: ${hint}\r\n\r\n`);
      await ends(client, `Link: ${hint}\r\n\r\n`);
    }
    client.destroy();
  });

  test('a trailer that is not forwarded takes nothing else along', async () => {
    for (const name of ['Set-Cookie', 'Date', 'Vary', 'Content-Length', 'Location', 'X-Canary']) {
      const path = `/down/trailer/${name}`;
      const { client, received } = await held(path);
      const end = `0\r\nX-Sum: 1\r\n${name}: 0\r\n\r\n`;
      reply(received, `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk('hello')}${end}`);
      const message = await client.answer();
      assert.equal(message.body.toString(), 'hello');
      assert.deepEqual(message.trailers, [['X-Sum', '1']]);
      client.write(`GET ${path}/next HTTP/1.1\r\nHost: one.test\r\n\r\n`);
      assert.equal((await client.answer()).status, 200);
      client.destroy();
      const next = await arrival(all.h1, `${path}/next`);
      assert.equal(next.connection, received.connection, 'the connection to the endpoint serves on');
    }
  });
});

test('requests over HTTP/1.1: each chunk with its line end reaches the endpoint at once', async () => {
  all.h1.route('/up', { end() {} });
  const client = await connect(all.serin.proxyPort);
  client.write('POST /up HTTP/1.1\r\nHost: one.test\r\nTransfer-Encoding: chunked\r\n\r\n');
  const { connection } = await arrival(all.h1, '/up');
  const reaches = (text: string): Promise<boolean> =>
    eventually(() => connection.raw().toString('latin1').endsWith(text), JSON.stringify(text));
  for (const event of EVENTS) {
    client.write(chunk(event));
    await reaches(chunk(event));
  }
  client.write('0\r\n');
  await reaches('0\r\n');
  client.write('\r\n');
  await reaches('0\r\n\r\n');
  client.destroy();
});

describe('through HTTP/2', () => {
  for (const host of ['one.test', 'two.test']) {
    test(`events both ways, with the endpoint of ${host}`, async () => {
      const asked: Buffer[] = [];
      let answers: (event: string) => void = () => {};
      all.h1.route('/both', {
        head: (received) => {
          reply(received, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
          answers = (event) => reply(received, chunk(event));
        },
        data: (_, bytes) => asked.push(bytes),
        end() {},
      });
      all.h2.route('/both', (stream: ServerHttp2Stream) => {
        stream.respond({ ':status': 200 });
        stream.on('data', (bytes: Buffer) => asked.push(bytes));
        answers = (event) => stream.write(event);
      });
      const stream = all.client.open({ headers: head('/both', host, { ':method': 'POST' }), keepOpen: true });
      const got: Buffer[] = [];
      let answered = false;
      stream.on('response', () => (answered = true));
      stream.on('data', (bytes: Buffer) => got.push(bytes));
      await eventually(() => answered, 'the head of the answer');
      let sent = '';
      for (const event of EVENTS) {
        sent += event;
        stream.write(event);
        await eventually(() => Buffer.concat(asked).toString() === sent, `${event} at the endpoint`);
        answers(event);
        await eventually(() => Buffer.concat(got).toString() === sent, `${event} at the client`);
      }
      stream.destroy();
    });
  }

  test('from a client of HTTP/1.1 to an endpoint of HTTP/2', async () => {
    let endpoint: ServerHttp2Stream | null = null;
    let asked = '';
    all.h2.route('/down', (stream) => {
      stream.respond({ ':status': 200 });
      stream.on('data', (bytes: Buffer) => (asked += bytes.toString('latin1')));
      endpoint = stream;
    });
    const client = await connect(all.serin.proxyPort);
    client.write('POST /down HTTP/1.1\r\nHost: two.test\r\nTransfer-Encoding: chunked\r\n\r\n');
    const stream: ServerHttp2Stream = await eventually(() => endpoint, 'the stream');
    let sent = '';
    for (const event of EVENTS) {
      sent += event;
      client.write(chunk(event));
      await eventually(() => asked === sent, `${event} at the endpoint`);
      stream.write(event);
      await ends(client, chunk(event));
    }
    client.destroy();
  });
});

describe('under TLS', () => {
  let origin: Origin;
  let secured: Secured;

  let directory: string;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'serin-streams-'));
    origin = await startOrigin('plain');
    const files = await writeCertificate(directory, 'notes', makeAuthority().issue(['notes.test']));
    secured = await startSecureSerin(origin, { certificates: [files] });
  });

  after(async () => {
    await secured?.serin.stop();
    await origin?.close();
    await rm(directory, { recursive: true });
  });

  test('each event comes whole', async () => {
    origin.route('/down', { end() {} });
    const client = await connect(secured.port, { tls: { rejectUnauthorized: false } });
    client.write('GET /down HTTP/1.1\r\nHost: notes.test\r\n\r\n');
    const received = await arrival(origin, '/down');
    reply(received, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    await ends(client, '\r\n\r\n');
    for (const event of EVENTS) {
      reply(received, chunk(event));
      await ends(client, chunk(event));
    }
    client.destroy();
  });
});
