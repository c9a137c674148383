/** No endpoint sees another value of a field that it trusts than the policy did: look-alikes and trailers do not pass. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { http2Client, http2Origin, type Http2Client, type Http2Origin } from '../support/http2-pair.ts';
import { startOrigin, type Origin } from '../support/origin.ts';
import { connect } from '../support/raw-client.ts';
import { startSerin, type Serin } from '../support/serin.ts';

let h1: Origin;
let h2: Http2Origin;
let serin: Serin;
let client: Http2Client;

const identity = [{ header: 'X-User-Id' }, { header: 'tenant_id' }, { fingerprint: true }];

before(async () => {
  h1 = await startOrigin('h1');
  h2 = await http2Origin();
  serin = await startSerin({
    configuration: { log: { level: 'error' } },
    services: {
      one: { hosts: ['one.test'], identity, stable: { endpoints: [h1.endpoint] } },
      two: { hosts: ['two.test'], identity, stable: { protocol: 'h2c', endpoints: [h2.endpoint] } },
    },
  });
  client = await http2Client(serin.proxyPort);
});

after(async () => {
  client?.close();
  await serin?.stop();
  await h1?.close();
  await h2?.close();
});

const LOOK_ALIKES = [
  'x_user_id',
  'x-user_id',
  'x.user.id',
  'x_canary',
  'x~canary',
  'x_serin_override',
  'x_forwarded_for',
  'x_real_ip',
  'x_request_id',
  'user_agent',
  'accept_language',
  'tenant-id',
  'tenant.id',
  'content_length',
];
/** Names that the codec does not know, so that it can't refuse them. */
const TRAILERS = [
  ...LOOK_ALIKES,
  'x-user-id',
  'tenant_id',
  'user-agent',
  'accept-language',
  'origin',
  'x-serin-mirror',
  'x-forwarded-user',
];
const KEPT = ['my_own_field', 'x-sum', 'x.other', 'x-user', 'tenant'];

const named = (names: readonly string[]): [string, string][] => names.map((name) => [name, 'evil']);

/** Of the fields that arrived, those with our value. */
function evil(fields: Iterable<readonly [string, unknown]>): string[] {
  return [...fields].filter(([, value]) => value === 'evil').map(([name]) => name.toLowerCase());
}

test('look-alikes of what the policy reads and the proxy sets do not pass, from HTTP/1.1 and HTTP/2', async () => {
  const own: [string, string][] = [
    ['x-user-id', 'u7'],
    ['tenant_id', 't1'],
  ];
  const lines = [...own, ...named(LOOK_ALIKES), ...named(KEPT)].map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  for (const host of ['one.test', 'two.test']) {
    const raw = await connect(serin.proxyPort);
    raw.write(`GET /head HTTP/1.1\r\nHost: ${host}\r\n${lines.join('')}\r\n`);
    assert.equal((await raw.answer()).status, 200);
    raw.destroy();
    const headers = Object.fromEntries([...own, ...named(LOOK_ALIKES), ...named(KEPT)]);
    const result = await client.ask({ headers: { ':path': '/head', ':authority': host, ...headers } });
    assert.equal(result.status, 200);
  }
  const received = [
    ...h1.at('/head').map(({ message }) => [...message.fields]),
    ...h2.at('/head').map((headers) => Object.entries(headers)),
  ];
  assert.equal(received.length, 4);
  for (const fields of received) {
    assert.deepEqual(evil(fields as [string, unknown][]), KEPT);
    for (const [name, value] of own) {
      assert.deepEqual(
        fields.filter(([key]) => key === name).map(([, text]) => text),
        [value],
      );
    }
  }
});

test('no trailer passes that an endpoint might take for such a field, however the body came', async () => {
  const seen: Record<string, unknown>[] = [];
  h2.route('/trailers', (stream) => {
    stream.on('trailers', (trailers: Record<string, unknown>) => seen.push(trailers));
    stream.on('end', () => {
      stream.respond({ ':status': 200 });
      stream.end();
    });
    stream.resume();
  });
  const names = [...TRAILERS, ...KEPT];
  const lines = named(names).map(([name, value]) => `${name}: ${value}\r\n`);
  const end = `0\r\n${lines.join('')}\r\n`;
  for (const host of ['one.test', 'two.test']) {
    // Whole, byte by byte, and cut in the middle of the trailers.
    for (const pieces of [
      [`4\r\nbody\r\n${end}`],
      `4\r\nbody\r\n${end}`.split(''),
      [`4\r\nbody\r\n${end.slice(0, 100)}`, end.slice(100)],
    ]) {
      const raw = await connect(serin.proxyPort);
      raw.write(`POST /trailers HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n`);
      for (const piece of pieces) {
        raw.write(piece);
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.equal((await raw.answer()).status, 200);
      // The connection goes on: no byte too many, none too few.
      raw.write(`GET /next HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      assert.equal((await raw.answer()).status, 200);
      raw.destroy();
    }
    for (const length of [{}, { 'content-length': '4' }]) {
      const result = await client.ask({
        headers: { ':path': '/trailers', ':authority': host, ':method': 'POST', ...length },
        body: 'body',
        trailers: Object.fromEntries(named(names)),
      });
      assert.equal(result.status, 200);
    }
  }
  const messages = h1.at('/trailers').map(({ message }) => message);
  assert.equal(messages.length, 5);
  assert.equal(seen.length, 5);
  for (const message of messages) {
    assert.equal(message.body.toString(), 'body');
    const sized = message.fields.some(([name]) => name.toLowerCase() === 'content-length');
    // HTTP/1.1 has no trailers after a length.
    assert.deepEqual(evil(message.trailers), sized ? [] : KEPT);
  }
  for (const trailers of seen) assert.deepEqual(evil(Object.entries(trailers)), KEPT);
  assert.deepEqual(h1.faults, []);
});
