/** HTTP/2 from clients that mean no good: what they may cost is bounded, others are served, and nothing is smuggled. */
import assert from 'node:assert/strict';
import { constants } from 'node:http2';
import { after, before, test } from 'node:test';
import { eventually, within } from '../support/bounded.ts';
import {
  ACK,
  END_HEADERS,
  END_STREAM,
  errorCode,
  FRAME,
  frame,
  frameClient,
  headBlock,
  PREFACE,
  type FrameClient,
} from '../support/http2-frames.ts';
import { http2Client } from '../support/http2-pair.ts';
import { startOrigin, type Origin } from '../support/origin.ts';
import { connect, request } from '../support/raw-client.ts';
import { startSerin, type Serin } from '../support/serin.ts';

let origin: Origin;
let serin: Serin;

before(async () => {
  origin = await startOrigin('origin');
  // Never answered, so that requests stay under way.
  origin.route('/wait', { head: () => {} });
  serin = await startSerin({
    configuration: {
      log: { level: 'error' },
      proxy: { http2: { maxConcurrentStreams: 20 }, timeouts: { keepAlive: '500ms' } },
    },
    services: { notes: { hosts: ['notes.test'], stable: { endpoints: [origin.endpoint] } } },
  });
});

after(async () => {
  await serin?.stop();
  await origin?.close();
});

const GET = [':method', 'GET', ':scheme', 'http', ':authority', 'notes.test', ':path'];
const headers = (stream: number, fields: readonly string[], flags = END_STREAM | END_HEADERS): Buffer =>
  frame(FRAME.headers, flags, stream, headBlock(fields));

/** Whoever else comes is served. */
async function othersAreServed(): Promise<void> {
  const other = await http2Client(serin.proxyPort);
  assert.equal((await other.ask({ headers: { ':path': '/', ':authority': 'notes.test' } })).status, 200);
  other.close();
}

/** The session must end with a GOAWAY for a reason, or its connection be cut. */
async function mustEnd(client: FrameClient): Promise<void> {
  await within(client.closed, 'the end of the connection');
  const goaway = client.frames.find(({ type }) => type === FRAME.goaway);
  if (goaway !== undefined) assert.notEqual(errorCode(goaway), constants.NGHTTP2_NO_ERROR);
  await othersAreServed();
}

test('the preface may come byte by byte', async () => {
  const client = await frameClient(serin.proxyPort, false);
  for (const byte of Buffer.concat([PREFACE, frame(FRAME.settings, 0, 0), headers(1, [...GET, '/slow'])])) {
    client.write(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  const answer = await client.frame(
    ({ type, stream }) => type === FRAME.headers && stream === 1,
    'the answer',
  );
  assert.equal(answer.flags & END_HEADERS, END_HEADERS);
  client.destroy();
});

test('something like the preface, and the preface after a request, are refused as HTTP/1.1', async () => {
  for (const [first, status] of [
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\rX', 400],
    ['PRI * HTTP/1.1\r\nHost: notes.test\r\n\r\n', 400],
    ['GET / HTTP/2.0\r\nHost: notes.test\r\n\r\n', 505],
  ] as const) {
    const raw = await connect(serin.proxyPort);
    raw.write(first);
    raw.write('\r\n\r\n');
    assert.ok([status, 400, 505].includes((await raw.answer()).status), first);
    raw.destroy();
  }
  const raw = await connect(serin.proxyPort);
  raw.write(request('/first', { host: 'notes.test' }));
  assert.equal((await raw.answer()).status, 200);
  raw.write(PREFACE);
  assert.ok([400, 505].includes((await raw.answer()).status));
  raw.destroy();
});

test('no head of HTTP/2 becomes another one of HTTP/1.1', async () => {
  const hostile: string[][] = [
    [...GET, '/smuggled', 'x', 'a\r\nx-evil: 1'],
    [...GET, '/smuggled', 'x', 'a\nx-evil: 1'],
    [...GET, '/smuggled', 'x\r\nx-evil: 1', 'a'],
    [...GET, '/smuggled', 'x: 1\r\nx-evil', 'a'],
    [...GET, '/smuggled', 'X-Evil', '1'],
    [...GET, '/smuggled HTTP/1.1\r\nx-evil: 1\r\nx: '],
    [...GET, '/smuggled', 'transfer-encoding', 'chunked'],
    [...GET, '/smuggled', 'connection', 'x-evil'],
    [...GET, '/smuggled', 'upgrade', 'h2c'],
    [...GET, '/smuggled', 'content-length', '5'],
    [...GET, '/smuggled', 'content-length', '0', 'content-length', '5'],
    [...GET, '/smuggled', 'host', 'other.test'],
    [...GET, '/smuggled', 'te', 'trailers, deflate'],
    [...GET, '/smuggled', ':path', '/twice'],
    [...GET, '/smuggled', 'x', 'a\0b'],
    [...GET, '/smuggled', '', 'a'],
    [':method', 'GET\r\nx-evil: 1', ...GET.slice(2), '/smuggled'],
    [...GET.slice(0, 5), 'notes.test\r\nx-evil: 1', ':path', '/smuggled'],
    [':method', 'CONNECT', ':authority', 'notes.test:80'],
    [':method', 'CONNECT', ':protocol', 'websocket', ...GET.slice(2), '/smuggled'],
  ];
  for (const fields of hostile) {
    const client = await frameClient(serin.proxyPort);
    client.write(headers(1, fields));
    const answer = await client.frame(
      ({ type, stream }) =>
        type === FRAME.goaway || ((type === FRAME.reset || type === FRAME.headers) && stream === 1),
      `an answer to ${JSON.stringify(fields)}`,
    );
    assert.ok(answer !== undefined);
    client.destroy();
  }
  // A field that is malformed may be left out (nghttp2 does so); nothing of it, and nothing made of it, arrives.
  const own = /^(host|x-forwarded-(for|proto|host|port)|x-request-id|via|x-canary)$/i;
  for (const { message, path } of origin.requests) {
    assert.ok(!/evil|other\.test/i.test(message.text), message.text);
    if (path !== '/smuggled') continue;
    assert.equal(message.bodyLength, 0);
    assert.deepEqual(
      message.fields.map(([name]) => name).filter((name) => !own.test(name)),
      [],
    );
  }
  assert.deepEqual(origin.faults, []);
});

test('more streams than allowed are refused unread', async () => {
  const client = await frameClient(serin.proxyPort);
  const before = origin.at('/wait').length;
  for (let stream = 1; stream <= 2 * 25; stream += 2) client.write(headers(stream, [...GET, '/wait']));
  const refused = await client.frame(
    ({ type }) => type === FRAME.reset || type === FRAME.goaway,
    'a refusal',
  );
  assert.equal(errorCode(refused), constants.NGHTTP2_REFUSED_STREAM);
  await eventually(() => origin.at('/wait').length - before >= 20, 'the others');
  assert.equal(origin.at('/wait').length - before, 20);
  client.destroy();
  // Who has acknowledged the limit and passes it is no client to talk to.
  const knowing = await frameClient(serin.proxyPort);
  await knowing.frame(({ type, flags }) => type === FRAME.settings && flags === ACK, 'the settings');
  knowing.write(frame(FRAME.settings, ACK, 0));
  for (let stream = 1; stream <= 2 * 25; stream += 2) knowing.write(headers(stream, [...GET, '/wait']));
  await mustEnd(knowing);
});

test('a stream that is reset with whatever code in the same moment harms nobody', async () => {
  for (const code of [1, 2, 5, 11, 0xdeadbeef]) {
    const client = await frameClient(serin.proxyPort);
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(code);
    client.write(headers(1, [...GET, '/wait']), frame(FRAME.reset, 0, 1, payload), headers(3, [...GET, '/']));
    await client.frame(({ type, stream }) => type === FRAME.headers && stream === 3, 'the next answer');
    client.destroy();
  }
  assert.equal(await serin.metric('serin_worker_restarts_total'), 0);
});

const cancel = Buffer.alloc(4);
cancel[3] = constants.NGHTTP2_CANCEL;
const RESETS: Record<string, (stream: number) => Buffer> = {
  'by the client': (stream) => frame(FRAME.reset, 0, stream, cancel),
  // A window that grows by nothing is an error of the stream: the proxy itself has to reset it.
  'that the client provokes': (stream) => frame(FRAME.window, 0, stream, Buffer.alloc(4)),
};
for (const [kind, resetOf] of Object.entries(RESETS)) {
  test(`rapid resets ${kind} end the session after a bounded number of requests`, () => rapidResets(resetOf));
}

async function rapidResets(resetOf: (stream: number) => Buffer): Promise<void> {
  const before = origin.at('/wait').length;
  const refused = await serin.metric('serin_http2_sessions_refused_total');
  const resets = await serin.metric('serin_http2_resets_total');
  const client = await frameClient(serin.proxyPort);
  let stream = 1;
  while (!client.socket.destroyed && stream < 20_000) {
    client.write(headers(stream, [...GET, '/wait']), resetOf(stream));
    stream += 2;
    if (stream % 100 === 1) await new Promise((resolve) => setImmediate(resolve));
  }
  await mustEnd(client);
  const count = origin.at('/wait').length - before;
  assert.ok(count < 300, `${count} requests reached the endpoint`);
  // The limit is looked at between two reads, and one read of 64 KiB may hold 1,300 of the 10,000 that were to be sent.
  const made = (await serin.metric('serin_http2_resets_total')) - resets;
  assert.ok(made < 2500, `${made} resets`);
  assert.ok((await serin.metric('serin_http2_sessions_refused_total')) > refused);
}

/** Reads again once the proxy has taken what it takes of a client that reads nothing: nothing more is sent, or it is over. */
function whenHeard({ socket }: FrameClient): void {
  let before = -1;
  const look = setInterval(() => {
    const still = socket.bytesWritten - socket.writableLength === before;
    before = socket.bytesWritten - socket.writableLength;
    if (!still && !socket.destroyed) return;
    clearInterval(look);
    socket.resume();
  }, 100);
}

test('floods of frames that cost nothing to send end the session', async () => {
  const ping = frame(FRAME.ping, 0, 0, Buffer.alloc(8));
  const settings = frame(FRAME.settings, 0, 0);
  const flood: Record<string, (client: FrameClient) => void> = {
    'empty data': (client) => {
      client.write(headers(1, [':method', 'POST', ...GET.slice(2), '/'], END_HEADERS));
      for (let count = 0; count < 5000; count += 1) client.write(frame(FRAME.data, 0, 1));
    },
    continuation: (client) => {
      client.write(headers(1, [...GET, '/'], 0));
      const more = headBlock(['a', 'b'.repeat(1000)]);
      for (let count = 0; count < 5000; count += 1) client.write(frame(FRAME.continuation, 0, 1, more));
    },
    'pings that are not read': (client) => {
      client.socket.pause();
      for (let count = 0; count < 2000; count += 1)
        client.write(Buffer.concat(Array.from({ length: 500 }, () => ping)));
      whenHeard(client);
    },
    'settings that are not read': (client) => {
      client.socket.pause();
      for (let count = 0; count < 2000; count += 1)
        client.write(Buffer.concat(Array.from({ length: 500 }, () => settings)));
      whenHeard(client);
    },
  };
  for (const [name, run] of Object.entries(flood)) {
    const client = await frameClient(serin.proxyPort);
    run(client);
    await mustEnd(client).catch((error: unknown) => {
      throw new Error(`${name}: ${String(error)}`);
    });
  }
});

test('a head far beyond the limit ends its stream or session, one a little beyond is answered', async () => {
  const client = await http2Client(serin.proxyPort);
  const head = (length: number) => ({
    ':path': '/',
    ':authority': 'notes.test',
    'x-long': 'x'.repeat(length),
  });
  assert.equal((await client.ask({ headers: head(33_000) })).status, 431);
  const far = await client.ask({ headers: head(60_000) });
  assert.equal(far.status, 0);
  assert.notEqual(far.rstCode, 0);
  client.close();
  await othersAreServed();
});

test('a session without a stream ends in order, one with a stream goes on', async () => {
  const idle = await frameClient(serin.proxyPort);
  const busy = await frameClient(serin.proxyPort);
  busy.write(headers(1, [...GET, '/wait']));
  const goaway = await idle.frame(({ type }) => type === FRAME.goaway, 'the GOAWAY');
  assert.equal(errorCode(goaway), constants.NGHTTP2_NO_ERROR);
  await within(idle.closed, 'the end of the idle session');
  assert.equal(
    busy.frames.some(({ type }) => type === FRAME.goaway),
    false,
  );
  assert.equal(busy.socket.destroyed, false);
  busy.destroy();
});

test('what waits for a client that reads nothing is bounded', async () => {
  const sent = { bytes: 0 };
  origin.route('/endless', {
    end: ({ connection }) => {
      connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n');
      const piece = Buffer.alloc(64 * 1024);
      const more = (): void => {
        while (!connection.socket.destroyed) {
          sent.bytes += piece.length;
          if (!connection.socket.write(piece)) {
            connection.socket.once('drain', more);
            return;
          }
        }
      };
      more();
    },
  });
  const client = await frameClient(serin.proxyPort);
  // A window as large as can be, so that nothing but the connection itself holds the answer back.
  const window = Buffer.alloc(6);
  window.writeUInt16BE(4, 0);
  window.writeUInt32BE(2 ** 31 - 1, 2);
  const increment = Buffer.alloc(4);
  increment.writeUInt32BE(2 ** 31 - 1 - 65_535);
  client.write(
    frame(FRAME.settings, 0, 0, window),
    frame(FRAME.window, 0, 0, increment),
    headers(1, [...GET, '/endless']),
  );
  await client.frame(({ type }) => type === FRAME.headers, 'the answer');
  client.socket.pause();
  let before = -1;
  await eventually(
    () => {
      const still = sent.bytes === before;
      before = sent.bytes;
      return still;
    },
    'the endpoint to be held back',
    60_000,
    300,
  );
  const buffered = await serin.metric('serin_buffered_bytes');
  assert.ok(buffered < 512 * 1024, `${buffered} bytes`);
  client.destroy();
});
