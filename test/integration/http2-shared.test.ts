/** A session that a trusted proxy opens is many users': what one of them does, the others do not feel. */
import assert from 'node:assert/strict';
import { constants } from 'node:http2';
import { after, before, test } from 'node:test';
import { eventually, within } from '../support/bounded.ts';
import {
  END_HEADERS,
  END_STREAM,
  errorCode,
  FRAME,
  frame,
  frameClient,
  frameOrigin,
  headBlock,
  type FrameClient,
  type FrameOrigin,
} from '../support/http2-frames.ts';
import { http2Client, resultOf, type Http2Client } from '../support/http2-pair.ts';
import { answer, startOrigin, type Origin, type Received } from '../support/origin.ts';
import { startSerin, type Serin } from '../support/serin.ts';

let origin: Origin;
let odd: FrameOrigin;
let serin: Serin;
let waiting: Received[] = [];

const OK = Buffer.from([0x88]);

before(async () => {
  origin = await startOrigin('origin');
  origin.route('/held', { end: (request) => void waiting.push(request) });
  // Never answered.
  origin.route('/never', { head: () => {} });
  // The third stream of a session gets more than it was promised; the others wait for it.
  odd = await frameOrigin((stream) => {
    if (stream < 5) return [];
    return [
      frame(FRAME.headers, END_HEADERS, 5, headBlock([':status', '200', 'content-length', '2'])),
      frame(FRAME.data, END_STREAM, 5, Buffer.from('too much')),
      ...[1, 3].map((id) => frame(FRAME.headers, END_HEADERS | END_STREAM, id, OK)),
    ];
  });
  serin = await startSerin({
    configuration: { log: { level: 'error' }, trustedProxies: ['127.0.0.1/32'] },
    services: {
      notes: { hosts: ['notes.test'], stable: { endpoints: [origin.endpoint] } },
      odd: { hosts: ['odd.test'], stable: { protocol: 'h2c', endpoints: [odd.endpoint] } },
    },
  });
});

after(async () => {
  await serin?.stop();
  await origin?.close();
  await odd?.close();
});

const head = (path: string, more: object = {}, host = 'notes.test') => ({
  ':path': path,
  ':authority': host,
  ...more,
});

/** Requests of others, held by the endpoint; `end` lets it answer them, and they must all arrive. */
async function others(client: Http2Client, count: number): Promise<() => Promise<void>> {
  waiting = [];
  const results = Array.from({ length: count }, () => resultOf(client.open({ headers: head('/held') })));
  await eventually(() => waiting.length === count, 'the requests of the others');
  return async () => {
    for (const request of waiting) answer(request, { body: 'for another' });
    for (const result of await within(Promise.all(results), 'the answers for the others')) {
      assert.deepEqual([result.status, result.body.toString(), result.rstCode], [200, 'for another', 0]);
    }
  };
}

const POST = [':method', 'POST', ':scheme', 'http', ':authority', 'notes.test', ':path', '/never'];
const opened = (stream: number, fields: readonly string[], flags = END_HEADERS): Buffer =>
  frame(FRAME.headers, flags, stream, headBlock(fields));
const last = END_HEADERS | END_STREAM;

test('600 clients that leave cost nobody else a request, and the session ends in order', async () => {
  const client = await http2Client(serin.proxyPort);
  let goaway: number | null = null;
  client.session.on('goaway', (code: number) => {
    goaway ??= code;
  });
  const end = await others(client, 20);
  let refused = 0;
  for (let done = 0; done < 600 && !client.session.closed; done += 30) {
    const left = Array.from({ length: 30 }, () => client.open({ headers: head('/never') }));
    await new Promise((resolve) => setImmediate(resolve));
    await Promise.all(
      left.map((stream) => {
        stream.close(constants.NGHTTP2_CANCEL);
        return new Promise<void>((resolve) => {
          stream.once('close', () => {
            if (stream.rstCode === constants.NGHTTP2_REFUSED_STREAM) refused += 1;
            resolve();
          });
        });
      }),
    );
  }
  await eventually(() => goaway !== null, 'the end of the session');
  assert.equal(goaway, constants.NGHTTP2_NO_ERROR);
  await end();
  assert.equal(refused, 0);
  // A proxy opens another session.
  const next = await http2Client(serin.proxyPort);
  assert.equal((await next.ask({ headers: head('/') })).status, 200);
  next.close();
  client.close();
});

test('a proxy that answers no ping hears of the last stream all the same', async () => {
  const client = await frameClient(serin.proxyPort);
  const cancel = Buffer.from([0, 0, 0, constants.NGHTTP2_CANCEL]);
  const get = POST.with(1, 'GET');
  for (let stream = 1; stream < 2 * 250; stream += 2)
    client.write(opened(stream, get, last), frame(FRAME.reset, 0, stream, cancel));
  const lastStream = ({ payload }: { payload: Buffer }): number => payload.readUInt32BE(0);
  const goaway = await client.frame(
    (one) => one.type === FRAME.goaway && lastStream(one) < 500,
    'the GOAWAY that names the last stream',
  );
  assert.equal(errorCode(goaway), constants.NGHTTP2_NO_ERROR);
  assert.equal(lastStream(client.frames.find(({ type }) => type === FRAME.goaway)!), 2 ** 31 - 1);
  client.destroy();
});

/** What a user's stream may do wrong, however a proxy lets it pass. */
const faults: Record<string, (stream: number) => Buffer[]> = {
  'more data than declared': (stream) => [
    opened(stream, [...POST, 'content-length', '3']),
    frame(FRAME.data, 0, stream, Buffer.from('more than that')),
    frame(FRAME.data, END_STREAM, stream, Buffer.from('and more')),
  ],
  'less data than declared': (stream) => [
    opened(stream, [...POST, 'content-length', '3']),
    frame(FRAME.data, END_STREAM, stream, Buffer.from('2b')),
  ],
  'a field of a connection': (stream) => [opened(stream, [...POST, 'connection', 'close'], last)],
  'a field in upper case': (stream) => [opened(stream, [...POST, 'X-A', 'b'], last)],
  'a line feed in a value': (stream) => [opened(stream, [...POST, 'x-a', 'b\nc'], last)],
  'no path': (stream) => [opened(stream, POST.slice(0, 6), last)],
  'a head that is too large': (stream) => {
    const block = headBlock([...POST, 'x-a', 'x'.repeat(40_000)]);
    return [0, 16_384, 32_768].map((at) =>
      frame(
        at === 0 ? FRAME.headers : FRAME.continuation,
        (at === 0 ? END_STREAM : 0) | (at === 32_768 ? END_HEADERS : 0),
        stream,
        block.subarray(at, at + 16_384),
      ),
    );
  },
  'a head of too many fields': (stream) => [
    opened(stream, [...POST, ...Array.from({ length: 600 }, (_, index) => [`a${index}`, '']).flat()], last),
  ],
  'bad trailers': (stream) => [opened(stream, POST), opened(stream, [':path', '/other'], last)],
};

for (const [name, fault] of Object.entries(faults)) {
  test(`streams with ${name} leave the others alone`, async () => {
    const client = await frameClient(serin.proxyPort);
    waiting = [];
    client.write(opened(1, POST.with(7, '/held').with(1, 'GET'), last));
    await eventually(() => waiting.length === 1, 'the request of another');
    let stream = 3;
    // More than nghttp2 and Node.js would bear of one client.
    const many = fault(stream)[0]!.length > 10_000 ? 20 : 120;
    for (let count = 0; count < many; count += 1, stream += 2) client.write(...fault(stream));
    const over = ({ type, stream: id }: { type: number; stream: number }): boolean =>
      id === stream - 2 && (type === FRAME.reset || type === FRAME.headers);
    await client.frame(over, 'the end of the last of them');
    answer(waiting[0]!, { body: 'for another' });
    await client.frame(({ type, stream: id }) => type === FRAME.data && id === 1, 'the answer for another');
    assert.deepEqual(goaways(client), []);
    client.destroy();
  });
}

function goaways(client: FrameClient): number[] {
  return client.frames.filter(({ type }) => type === FRAME.goaway).map(errorCode);
}

test('bodies that an endpoint does not read hold back nobody else', async () => {
  const client = await http2Client(serin.proxyPort);
  const uploads = Array.from({ length: 70 }, () => {
    const stream = client.open({ headers: head('/unread', { ':method': 'POST' }), keepOpen: true });
    stream.write(Buffer.alloc(300_000));
    return stream;
  });
  origin.route('/unread', { head: ({ connection }) => void connection.socket.pause() });
  await eventually(() => origin.connections.length >= 70, 'the uploads');
  const body = Buffer.alloc(200_000, 7);
  const result = await client.ask({ headers: head('/other', { ':method': 'POST' }), body });
  assert.equal(result.status, 200);
  for (const stream of uploads) stream.close(constants.NGHTTP2_CANCEL);
  client.close();
});

test('an answer of an endpoint of HTTP/2 that is at fault costs no other one, whose session it shares', async () => {
  const client = await http2Client(serin.proxyPort);
  const results = await Promise.all([1, 2, 3].map(() => client.ask({ headers: head('/', {}, 'odd.test') })));
  const statuses = results.map(({ status, rstCode }) => (rstCode === 0 ? String(status) : 'cut'));
  assert.deepEqual(statuses.toSorted(), ['200', '200', 'cut']);
  client.close();
});
