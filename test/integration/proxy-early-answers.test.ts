/**
 * Answers that come before the request's body has: the client gets them whole, knows whether its connection serves on, and is never
 * taken by surprise; an endpoint's connection whose request was cut is not used again.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eventually, within } from '../support/bounded.ts';
import { answer, reply, startOrigin, type Origin, type Received } from '../support/origin.ts';
import { connect, request } from '../support/raw-client.ts';
import { startSerin, type Serin } from '../support/serin.ts';
import { freePort } from '../support/ports.ts';
import type { Message } from '../support/strict-reader.ts';
import { value } from '../support/strict-head.ts';

let origin: Origin;
let serin: Serin;

before(async () => {
  origin = await startOrigin('stable');
  const nobody = `127.0.0.1:${await freePort()}`;
  serin = await startSerin({
    configuration: { log: { level: 'error' } },
    services: {
      notes: {
        hosts: ['notes.test'],
        stable: { endpoints: [origin.endpoint] },
        timeouts: { requestBodyIdle: '600ms' },
      },
      dead: { hosts: ['dead.test'], stable: { endpoints: [nobody] } },
    },
  });
});

after(async () => {
  await serin?.stop();
  await origin?.close();
});

const closes = (message: Message): boolean => value(message, 'connection')?.toLowerCase() === 'close';

const post = (path: string, ...fields: string[]): string =>
  `POST ${path} HTTP/1.1\r\nHost: notes.test\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`;

const SMALL = 50_000;
const LARGE = 3_000_000;

describe("an endpoint's early answer", () => {
  const early = (path: string, more: Parameters<typeof answer>[1] = {}): void =>
    origin.route(path, { head: (received) => answer(received, { status: 401, body: 'no', ...more }) });

  test('little is to come: all of it is read, and both connections serve on', async () => {
    early('/small');
    const client = await connect(serin.proxyPort);
    client.write(`${post('/small', `Content-Length: ${SMALL}`)}first`);
    const message = await client.answer();
    assert.deepEqual([message.status, closes(message)], [401, false]);
    client.write('x'.repeat(SMALL - 5) + request('/small/next'));
    assert.match((await client.answer()).body.toString(), /^stable GET \/small\/next/);
    client.destroy();
    const [received] = origin.at('/small') as [Received];
    assert.deepEqual([received.message.complete, received.message.bodyLength], [true, SMALL]);
    assert.equal(origin.at('/small/next')[0]?.connection, received.connection);
  });

  test('the endpoint closes: what is to come is read all the same, and the client serves on', async () => {
    early('/small-closed', { headers: [['Connection', 'close']] });
    const client = await connect(serin.proxyPort);
    client.write(`${post('/small-closed', `Content-Length: ${SMALL}`)}first`);
    assert.equal(closes(await client.answer()), false);
    for (let sent = 5; sent < SMALL; sent += 9999) client.write('x'.repeat(9999));
    client.write(request('/small-closed/next'));
    assert.match((await client.answer()).body.toString(), /^stable GET \/small-closed\/next/);
    client.destroy();
    const [received] = origin.at('/small-closed') as [Received];
    assert.notEqual(origin.at('/small-closed/next')[0]?.connection, received.connection);
  });

  for (const [what, ...fields] of [
    ['much is to come', `Content-Length: ${LARGE}`],
    ['nobody knows how much is to come', 'Transfer-Encoding: chunked'],
    ['the client waits for 100', 'Content-Length: 5', 'Expect: 100-continue'],
  ] as const) {
    test(`${what}: the answer says that the connection ends, and it ends in order`, async () => {
      const path = `/told/${fields.length}${fields[0].length}`;
      early(path);
      const client = await connect(serin.proxyPort);
      client.write(post(path, ...fields));
      const message = await client.answer();
      assert.deepEqual([message.status, closes(message), message.body.toString()], [401, true, 'no']);
      // Whoever sends its body before it reads must still find its answer.
      for (let sent = 0; sent < 30; sent += 1) client.write('y'.repeat(10_000));
      assert.equal(await within(client.finished, 'the end'), 'end');
      client.end();
      assert.equal(await within(client.over, 'the end of both directions'), 'end');
      const [received] = origin.at(path) as [Received];
      await eventually(() => received.connection.closed, 'the end at the endpoint');
      assert.equal(received.connection.requests.at(-1), received);
    });
  }

  test('a client that was told to go on is believed to go on', async () => {
    origin.route('/continued', {
      head: (received) => {
        reply(received, 'HTTP/1.1 100 Continue\r\n\r\n');
        answer(received, { status: 401, body: 'no' });
      },
    });
    const client = await connect(serin.proxyPort);
    client.write(post('/continued', 'Content-Length: 5', 'Expect: 100-continue'));
    assert.equal(closes(await client.answer()), false);
    client.write(`hello${request('/continued/next')}`);
    assert.equal((await client.answer()).status, 200);
    client.destroy();
  });

  test('a client that closes after its answer, in the middle of its body, loses nothing of it', async () => {
    early('/leaves', { body: 'z'.repeat(100_000) });
    const client = await connect(serin.proxyPort);
    client.write(`${post('/leaves', `Content-Length: ${SMALL}`)}first`);
    assert.equal((await client.answer()).bodyLength, 100_000);
    client.end();
    assert.equal(await within(client.over, 'the end'), 'end');
  });

  test('an endpoint that resets because it reads nothing more: its answer is passed on', async () => {
    origin.route('/resets', {
      head: (received) => {
        const { socket } = received.connection;
        socket.pause();
        answer(received, { status: 413, body: 'too much', headers: [['Connection', 'close']] });
        // What is unread makes this a reset.
        socket.destroySoon();
      },
    });
    for (let turn = 0; turn < 40; turn += 1) {
      const client = await connect(serin.proxyPort);
      client.write(post('/resets', `Content-Length: ${LARGE}`) + 'x'.repeat(LARGE));
      const message = await client.answer();
      assert.deepEqual([message.status, message.body.toString()], [413, 'too much'], `turn ${turn}`);
      client.destroy();
    }
  });

  test('an answer that goes on after its body came is not cut with the time of the body', async () => {
    let held: Received | null = null;
    origin.route('/long', {
      head: (received) => {
        held = received;
        reply(received, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      },
    });
    const client = await connect(serin.proxyPort);
    client.write(`${post('/long', 'Content-Length: 10')}first`);
    await eventually(() => client.answers[0], 'the head of the answer');
    client.write('final');
    // Another one stops in the middle of its body, and is cut: the time of the body is over by then.
    const other = await connect(serin.proxyPort);
    other.write(`${post('/stops', 'Content-Length: 10')}first`);
    assert.equal((await other.answer()).status, 408);
    other.destroy();
    await serin.metrics();
    reply(held as unknown as Received, '4\r\ndone\r\n0\r\n\r\n');
    assert.equal((await client.answer()).body.toString(), 'done');
    client.destroy();
  });
});

describe("the proxy's own answer before the body", () => {
  for (const [host, status] of [
    ['unknown.test', 404],
    ['dead.test', 503],
  ] as const) {
    const head = (...fields: string[]): string => post('/', ...fields).replace('notes.test', host);

    test(`${status}: little is to come, and the connection serves on`, async () => {
      const client = await connect(serin.proxyPort);
      for (let turn = 0; turn < 3; turn += 1) {
        client.write(`${head(`Content-Length: ${SMALL}`)}first`);
        const message = await client.answer();
        assert.deepEqual([message.status, closes(message)], [status, false]);
        client.write('x'.repeat(SMALL - 5));
      }
      client.write(request('/after'));
      assert.equal((await client.answer()).status, 200);
      client.destroy();
    });

    test(`${status}: otherwise the answer says that the connection ends, and it ends in order`, async () => {
      for (const fields of [
        [`Content-Length: ${LARGE}`],
        ['Transfer-Encoding: chunked'],
        ['Content-Length: 5', 'Expect: 100-continue'],
      ]) {
        const client = await connect(serin.proxyPort);
        client.write(head(...fields));
        const message = await client.answer();
        assert.deepEqual([message.status, closes(message)], [status, true], fields[0]);
        for (let sent = 0; sent < 30; sent += 1) client.write('y'.repeat(10_000));
        assert.equal(await within(client.finished, 'the end'), 'end');
        client.end();
        assert.equal(await within(client.over, 'the end of both directions'), 'end');
      }
    });
  }

  test('a head that is refused: its answer is not lost to what follows it', async () => {
    const client = await connect(serin.proxyPort);
    client.write(`${post('/', `Content-Length: ${LARGE}`, 'Bad Field: x')}${'x'.repeat(LARGE)}`);
    const message = await client.answer();
    assert.deepEqual([message.status, closes(message)], [400, true]);
    client.end();
    assert.equal(await within(client.over, 'the end of both directions'), 'end');
  });
});
