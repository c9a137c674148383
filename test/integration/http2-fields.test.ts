/** No field is lost between HTTP/2 and HTTP/1.1: blanks around a value are trimmed, and what is no field is refused. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  END_HEADERS,
  END_STREAM,
  FRAME,
  frame,
  frameClient,
  frameOrigin,
  headBlock,
  type Frame,
  type FrameOrigin,
} from '../support/http2-frames.ts';
import { codeOf, http2Client, type Http2Client } from '../support/http2-pair.ts';
import { startOrigin, type Origin } from '../support/origin.ts';
import { startSerin, type Serin } from '../support/serin.ts';

let origin: Origin;
let endpoint: FrameOrigin;
let serin: Serin;
let client: Http2Client;
/** What the endpoint of HTTP/2 answers: the fields of its head, and of its trailers. */
let answered: { head: string[]; trailers: string[] } = { head: [], trailers: [] };

before(async () => {
  origin = await startOrigin('origin');
  endpoint = await frameOrigin((stream) => [
    frame(FRAME.headers, END_HEADERS, stream, headBlock([':status', '200', ...answered.head])),
    frame(FRAME.data, 0, stream, Buffer.from('body')),
    frame(FRAME.headers, END_HEADERS | END_STREAM, stream, headBlock(['x-end', '1', ...answered.trailers])),
  ]);
  serin = await startSerin({
    configuration: { log: { level: 'error' } },
    services: {
      one: { hosts: ['one.test'], stable: { endpoints: [origin.endpoint] } },
      two: { hosts: ['two.test'], stable: { protocol: 'h2c', endpoints: [endpoint.endpoint] } },
    },
  });
  client = await http2Client(serin.proxyPort);
});

after(async () => {
  client?.close();
  await serin?.stop();
  await origin?.close();
  await endpoint?.close();
});

const POST = [':method', 'POST', ':scheme', 'http', ':authority', 'one.test', ':path'];

/** The first frame that says how a request went, whose head has `fields`, and whose trailers `trailers` if there are any. */
async function sent(
  path: string,
  fields: readonly string[],
  trailers: readonly string[] = [],
): Promise<Frame> {
  const raw = await frameClient(serin.proxyPort);
  const ended = trailers.length === 0 ? END_STREAM : 0;
  raw.write(frame(FRAME.headers, END_HEADERS | ended, 1, headBlock([...POST, path, ...fields])));
  if (trailers.length > 0) {
    raw.write(
      frame(FRAME.data, 0, 1, Buffer.from('body')),
      frame(FRAME.headers, END_HEADERS | END_STREAM, 1, headBlock(trailers)),
    );
  }
  const found = await raw.frame(
    ({ type, stream }) => (type === FRAME.headers || type === FRAME.reset) && stream === 1,
    `an answer to ${JSON.stringify(fields)}`,
  );
  if (found.type === FRAME.headers && found.payload[0] === STATUS_400) {
    const { payload } = await raw.frame(
      ({ type, stream }) => type === FRAME.data && stream === 1,
      'its problem',
    );
    assert.equal((JSON.parse(payload.toString()) as { code: string }).code, 'malformed_field');
  }
  raw.destroy();
  return found;
}

/** The first byte of a head that begins with `:status: 200`, and with `400`, from the static table. */
const STATUS_200 = 0x88;
const STATUS_400 = 0x8c;

const BLANKS = ['u7 ', ' u7', '\tu7\t', '  u7 \t '];

test('blanks around a value are trimmed in heads and trailers of requests', async () => {
  for (const [index, value] of BLANKS.entries()) {
    const path = `/blanks-${index}`;
    const answer = await sent(path, ['x-user-id', value], ['x-sum', value]);
    assert.deepEqual([answer.type, answer.payload[0]], [FRAME.headers, STATUS_200], JSON.stringify(value));
    const [received] = origin.at(path);
    const user = received?.message.fields.filter(([name]) => name === 'x-user-id');
    assert.deepEqual(user, [['x-user-id', 'u7']]);
    assert.deepEqual(received?.message.trailers, [['x-sum', 'u7']]);
  }
});

test('blanks around a value are trimmed in heads and trailers of answers', async () => {
  for (const value of BLANKS) {
    answered = { head: ['set-cookie', value, 'x-b', ''], trailers: ['grpc-message', value] };
    const result = await client.ask({ headers: { ':path': '/', ':authority': 'two.test' } });
    assert.deepEqual([result.status, result.body.toString()], [200, 'body'], JSON.stringify(value));
    assert.equal((result.headers['set-cookie'] as string[])[0], 'u7');
    assert.deepEqual([result.trailers?.['grpc-message'], result.trailers?.['x-end']], ['u7', '1']);
  }
});

const NO_FIELDS: [name: string, value: string][] = [
  ['x-user-id', 'u7\n'],
  ['x-user-id', '\nu7'],
  ['x-user-id', 'u\r\n7'],
  ['x-user-id', 'u\r7'],
  ['x-user-id', 'u7\0'],
  ['x-user-id', '\0'],
  ['x-user-id', 'u7\x7f'],
  ['x-user-id', '\x01u7'],
  ['', 'u7'],
  ['', ''],
  ['x user', 'u7'],
  ['x:user', 'u7'],
  ['x-user\n', 'u7'],
  ['x-user\0', 'u7'],
  ['\xe9', 'u7'],
];

test('a request with what is no field is refused, and no endpoint gets it without', async () => {
  for (const [name, value] of NO_FIELDS) {
    for (const fields of [
      [name, value],
      [name, value, 'x-other', 'kept'],
      ['x-other', 'kept', name, value, 'cookie', 'a=b'],
    ]) {
      const answer = await sent('/no-field', fields);
      assert.deepEqual([answer.type, answer.payload[0]], [FRAME.headers, STATUS_400], JSON.stringify(fields));
    }
  }
  assert.equal(origin.at('/no-field').length, 0);
});

test('a request with trailers that are no fields is cut', async () => {
  for (const [name, value] of NO_FIELDS) {
    const answer = await sent('/no-trailer', [], [name, value]);
    assert.equal(answer.type, FRAME.reset, JSON.stringify([name, value]));
  }
  for (const { message } of origin.at('/no-trailer')) assert.equal(message.complete, false);
});

test('an answer with what is no field is none, and with such trailers it is not complete', async () => {
  for (const [name, value] of NO_FIELDS) {
    answered = { head: [name, value], trailers: [] };
    const head = await client.ask({ headers: { ':path': '/', ':authority': 'two.test' } });
    assert.deepEqual([head.status, codeOf(head)], [502, 'upstream_reset'], JSON.stringify([name, value]));
    answered = { head: [], trailers: [name, value] };
    const trailers = await client.ask({ headers: { ':path': '/', ':authority': 'two.test' } });
    assert.equal(trailers.status, 200);
    assert.notEqual(trailers.rstCode, 0, JSON.stringify([name, value]));
  }
});
