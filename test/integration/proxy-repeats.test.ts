/**
 * Requests that are delivered once more: an endpoint that breaks or keeps silent costs an idempotent request nothing but time,
 * its body included as far as that is kept, and no other request is ever delivered twice.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { eventually } from '../support/bounded.ts';
import { answer, startOrigin, type Origin, type Received } from '../support/origin.ts';
import { ask, connect, request } from '../support/raw-client.ts';
import { startSerin, type Serin } from '../support/serin.ts';

let origins: Origin[];
let serin: Serin;
/** What becomes of the first delivery of a path; the later ones are answered. */
let first: {
  head?: (received: Received) => void;
  data?: (received: Received) => void;
  end?: (received: Received) => void;
};

before(async () => {
  origins = [await startOrigin('one'), await startOrigin('two')];
  const seen = new Map<string, Received>();
  const isFirst = (received: Received): boolean => {
    const known = seen.get(received.path);
    if (known === undefined) seen.set(received.path, received);
    return known === undefined || known === received;
  };
  for (const origin of origins) {
    origin.otherwise({
      head: (received) => {
        if (isFirst(received)) first.head?.(received);
      },
      data: (received) => {
        if (isFirst(received)) first.data?.(received);
      },
      end: (received) => {
        if (!isFirst(received)) answer(received, { body: 'again' });
        else first.end?.(received);
      },
    });
  }
  serin = await startSerin({
    services: {
      notes: {
        hosts: ['*'],
        stable: { endpoints: origins.map(({ endpoint }) => endpoint) },
        timeouts: { responseHead: '300ms', requestBodyIdle: '10s' },
        retryBudget: { percentage: 100, minPerSecond: 1000 },
        outlier: { maxEjectedPercentage: 0 },
      },
    },
    configuration: { log: { level: 'error' } },
  });
});

after(async () => {
  await serin?.stop();
  for (const origin of origins ?? []) await origin.close();
});

beforeEach(() => {
  first = {};
});

const delivered = (path: string): Received[] => origins.flatMap((origin) => origin.at(path));
const reset = (received: Received): void => void received.connection.socket.resetAndDestroy();

async function statusOf(path: string, method: string, body?: string): Promise<number> {
  const options = body === undefined ? { method } : { method, body };
  return (await ask(serin.proxyPort, request(path, options))).status;
}

for (const [how, fault] of [
  ['keeps silent', {}],
  ['resets', { end: reset }],
] as const) {
  test(`an endpoint that ${how}: idempotent requests are answered by another one`, async () => {
    first = fault;
    for (const method of ['GET', 'DELETE', 'OPTIONS', 'PUT']) {
      const path = `/${how.replace(' ', '-')}/${method}`;
      assert.equal(await statusOf(path, method), 200);
      assert.equal(new Set(delivered(path).map(({ connection }) => connection.socket.localPort)).size, 2);
    }
  });

  test(`an endpoint that ${how}: a POST is delivered once`, async () => {
    first = fault;
    const path = `/${how.replace(' ', '-')}/POST`;
    assert.equal(await statusOf(path, 'POST'), how === 'resets' ? 502 : 504);
    assert.equal(await statusOf(`${path}/body`, 'POST', 'x'), how === 'resets' ? 502 : 504);
    assert.equal(delivered(path).length, 1);
    assert.equal(delivered(`${path}/body`).length, 1);
  });
}

test('a body is sent once more, whole', async () => {
  first = { end: reset };
  const body = Array.from({ length: 60_000 }, (_, index) => String.fromCharCode(32 + (index % 90))).join('');
  assert.equal(await statusOf('/body', 'PUT', body), 200);
  const [one, two] = delivered('/body');
  assert.equal(one?.message.bodyLength, 60_000);
  assert.equal(two?.message.bodyHash, one?.message.bodyHash);
});

test('a chunked body that comes in small pieces is sent once more with the chunks that it had', async () => {
  first = { end: reset };
  const chunks = ['5\r\nhello\r\n', '1;note=a\r\n,\r\n', '6\r\n world\r\n', '0\r\n', 'x-sum: 3\r\n', '\r\n'];
  const client = await connect(serin.proxyPort);
  await client.writeSplit(
    `${request('/chunks', { method: 'PUT', headers: ['Transfer-Encoding: chunked'] })}${chunks.join('')}`,
    3,
  );
  assert.equal((await client.answer()).status, 200);
  client.destroy();
  const [, two] = delivered('/chunks');
  assert.equal(two?.message.body.toString(), 'hello, world');
  assert.deepEqual(two?.message.chunks, [5, 1, 6]);
  assert.deepEqual(two?.message.trailers, [['x-sum', '3']]);
});

test('an endpoint that breaks in the middle of a body: the next one gets what it had, and the rest', async () => {
  first = { data: reset };
  const client = await connect(serin.proxyPort);
  const whole = request('/middle', { method: 'PUT', body: `${'a'.repeat(3000)}${'b'.repeat(3000)}` });
  client.write(whole.slice(0, -3000));
  await eventually(() => delivered('/middle').length === 2, 'the second delivery');
  client.write(whole.slice(-3000));
  assert.equal((await client.answer()).status, 200);
  client.destroy();
  const complete = delivered('/middle').filter(({ message }) => message.complete);
  assert.equal(complete.length, 1);
  assert.ok(complete[0]?.message.body.equals(Buffer.from(whole.slice(-6000))));
});

test('a body beyond what is kept is not sent again, nor a part of it', async () => {
  first = { end: reset };
  assert.equal(await statusOf('/large', 'PUT', 'x'.repeat(70_000)), 502);
  const client = await connect(serin.proxyPort);
  const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`;
  client.write(
    `${request('/large-chunks', { method: 'PUT', headers: ['Transfer-Encoding: chunked'] })}${chunk.repeat(5)}0\r\n\r\n`,
  );
  assert.equal((await client.answer()).status, 502);
  client.destroy();
  assert.equal(delivered('/large').length, 1);
  assert.equal(delivered('/large-chunks').length, 1);
});

test('what one request kept is not sent with the next one of its connection', async () => {
  first = { end: reset };
  const client = await connect(serin.proxyPort);
  client.write(request('/next/1', { method: 'PUT', body: 'secret' }));
  assert.equal((await client.answer()).status, 200);
  client.write(request('/next/2', { method: 'DELETE' }));
  assert.equal((await client.answer()).status, 200);
  client.write(request('/next/3', { method: 'PUT', body: 'other' }));
  assert.equal((await client.answer()).status, 200);
  client.destroy();
  assert.deepEqual(
    ['/next/1', '/next/2', '/next/3'].map((path) =>
      delivered(path).map(({ message }) => message.body.toString()),
    ),
    [
      ['secret', 'secret'],
      ['', ''],
      ['other', 'other'],
    ],
  );
});
