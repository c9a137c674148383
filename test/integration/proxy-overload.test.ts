/** Too much: limits of connections, requests and tunnels, and memory that runs short. All is answered, nothing waits. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { eventually, within } from '../support/bounded.ts';
import { answer, reply, startOrigin, type Origin, type Received } from '../support/origin.ts';
import { connect, request, type RawClient } from '../support/raw-client.ts';
import { startSerin, type Serin } from '../support/serin.ts';
import type { Message } from '../support/strict-reader.ts';
import { value } from '../support/strict-head.ts';

let origin: Origin;
const opened: RawClient[] = [];
const running: Serin[] = [];

before(async () => {
  origin = await startOrigin('stable');
});

after(async () => {
  for (const client of opened) client.destroy();
  for (const serin of running) await serin.stop();
  await origin.close();
});

async function start(limits: object, service: object = {}, workers = 1): Promise<Serin> {
  const serin = await startSerin({
    workers,
    configuration: { log: { level: 'info' }, proxy: { limits } },
    services: {
      notes: { hosts: ['notes.test'], stable: { endpoints: [origin.endpoint] }, ...service },
      other: { hosts: ['other.test'], stable: { endpoints: [origin.endpoint] } },
    },
  });
  running.push(serin);
  return serin;
}

async function open(serin: Serin): Promise<RawClient> {
  const client = await connect(serin.proxyPort);
  opened.push(client);
  return client;
}

function isOverloaded(message: Message): void {
  assert.equal(message.status, 503);
  assert.equal(value(message, 'retry-after'), '1');
  const { code } = JSON.parse(message.body.toString('latin1')) as { code: string };
  assert.equal(code, 'overloaded');
}

/** The requests for `path` are held until the returned function is called. */
function hold(path: string): () => void {
  const held: Received[] = [];
  origin.route(path, (received) => held.push(received));
  return () => {
    for (const received of held.splice(0)) answer(received, { body: 'done' });
  };
}

const refusals = (serin: Serin, reason: string): Promise<number> =>
  serin.metric('serin_overload_refusals_total', { reason });

test('connections: those beyond the limit of all workers get 503 and linger, those within are served', async () => {
  const serin = await start({ connections: 3 }, {}, 2);
  const clients: RawClient[] = [];
  for (let count = 0; count < 3; count++) {
    const client = await open(serin);
    client.write(request('/within'));
    assert.equal((await client.answer()).status, 200);
    clients.push(client);
  }
  // A closing connection on which data arrives would be reset, and the answer lost.
  for (let count = 0; count < 10; count++) {
    const client = await open(serin);
    client.write(request('/beyond', { method: 'POST', body: 'x'.repeat(100_000) }));
    await nextTurn();
    client.write(request('/beyond'));
    const message = await client.answer();
    isOverloaded(message);
    assert.equal(value(message, 'connection'), 'close');
    assert.equal(await within(client.finished, 'the end of the refused connection'), 'end');
    client.end();
    assert.equal(await within(client.over, 'the end of both sides'), 'end');
  }
  assert.equal(origin.at('/beyond').length, 0);
  assert.equal(await refusals(serin, 'connections'), 10);
  assert.equal(await serin.metric('serin_connections_open'), 3);
  clients[0]?.destroy();
  await eventually(async () => (await serin.metric('serin_connections_open')) === 2, 'room for another');
  const next = await open(serin);
  next.write(request('/within'));
  assert.equal((await next.answer()).status, 200);
});

test('requests: beyond the limit 503 before the body is asked for, and the connection stays good', async () => {
  const serin = await start({ requests: 2 }, {}, 2);
  const release = hold('/held');
  const clients = [await open(serin), await open(serin)];
  for (const client of clients) client.write(request('/held'));
  await eventually(() => origin.at('/held').length === 2, 'both requests at the origin');

  const plain = await open(serin);
  plain.write(request('/beyond-requests'));
  isOverloaded(await plain.answer());
  const upload = await open(serin);
  upload.write(
    'POST /beyond-requests HTTP/1.1\r\nHost: notes.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n',
  );
  isOverloaded(await upload.answer());
  assert.equal(upload.interim.length, 0);
  assert.equal(await within(upload.finished, 'the end of the connection with an unread body'), 'end');
  assert.equal(await refusals(serin, 'requests'), 2);
  // Nobody decided, so no variant is to blame and no counter of decisions moved.
  assert.equal(await serin.metric('serin_requests_total', { code: '503' }), 0);
  assert.equal(await serin.metric('serin_decisions_total'), 2);

  release();
  for (const client of clients) assert.equal((await client.answer()).status, 200);
  plain.write(request('/fine'));
  assert.equal((await plain.answer()).status, 200);
  assert.equal(origin.at('/beyond-requests').length, 0);
});

test('a request that is cut, left or refused gives its place back', async () => {
  const serin = await start({ requests: 1 });
  const gone: Received[] = [];
  origin.route('/gone', (received) => gone.push(received));
  origin.route('/reset', ({ connection }) => connection.socket.resetAndDestroy());
  origin.route('/cut', (received) => {
    reply(received, 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf');
    received.connection.socket.end();
  });
  for (let round = 0; round < 3; round++) {
    const left = await open(serin);
    left.write(request('/gone'));
    await eventually(() => gone.length === round + 1, 'the request at the origin');
    left.reset();
    await eventually(() => gone[round]?.connection.closed, 'its end');
    for (const [path, status] of [
      ['/reset', 502],
      ['/cut', 200],
    ] as const) {
      const client = await open(serin);
      client.write(request(path));
      await eventually(() => client.answers.length === 1, 'an answer');
      assert.equal(client.answers[0]?.status, status);
      if (path === '/cut') await within(client.finished, 'the end of the answer');
      else await client.answer();
      client.destroy();
    }
    const unknown = await open(serin);
    unknown.write(request('/x', { host: 'nobody.test' }));
    assert.equal((await unknown.answer()).status, 404);
  }
  const last = await open(serin);
  last.write(request('/last'));
  assert.equal((await last.answer()).status, 200);
  assert.equal(await refusals(serin, 'requests'), 0);
});

test('a service has limits of its own for requests and tunnels; others are not touched', async () => {
  const serin = await start({}, { limits: { requests: 3, tunnels: 1 } });
  origin.route('/tunnel', {
    head: (received) =>
      reply(received, 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n'),
  });
  const upgrade = request('/tunnel', { headers: ['Connection: Upgrade', 'Upgrade: echo'] });
  const tunnel = await open(serin);
  tunnel.write(upgrade);
  assert.equal((await tunnel.answer()).status, 101);
  const second = await open(serin);
  second.write(upgrade);
  isOverloaded(await second.answer());
  assert.equal(await serin.metric('serin_service_tunnels_open', { service: 'notes' }), 1);

  const release = hold('/service-held');
  const clients = [await open(serin), await open(serin)];
  for (const client of clients) client.write(request('/service-held'));
  await eventually(() => origin.at('/service-held').length === 2, 'both requests at the origin');
  second.write(request('/beyond-service'));
  isOverloaded(await second.answer());
  second.write(request('/other', { host: 'other.test' }));
  assert.equal((await second.answer()).status, 200);
  const turned = (reason: string): Promise<number> =>
    serin.metric('serin_service_overload_refusals_total', { service: 'notes', reason });
  assert.deepEqual([await turned('requests'), await turned('tunnels')], [1, 1]);

  release();
  for (const client of clients) await client.answer();
  tunnel.reset();
  await eventually(async () => (await serin.metric('serin_tunnels_open')) === 0, 'the end of the tunnel');
  const again = await open(serin);
  again.write(upgrade);
  assert.equal((await again.answer()).status, 101);
});

test('memory: above the mark everything new is refused, idle connections go, and all is well when it falls', async () => {
  const serin = await start({ memory: 'off' });
  const release = hold('/memory-held');
  const [busy, idle] = [await open(serin), await open(serin)];
  busy.write(request('/memory-held'));
  idle.write(request('/idle'));
  await idle.answer();
  await eventually(() => origin.at('/memory-held').length === 1, 'a request that runs');

  // Whatever the process uses, it is more than this.
  await setMemory(serin, 1_048_576);
  assert.equal(await within(idle.finished, 'the end of the idle connection'), 'end');
  const refused = await open(serin);
  isOverloaded(await refused.answer());
  busy.write(request('/memory-second'));
  release();
  assert.equal((await busy.answer()).status, 200);
  const second = await busy.answer();
  isOverloaded(second);
  assert.equal(value(second, 'connection'), 'close');
  assert.equal(await serin.metric('serin_memory_short'), 1);
  assert.equal(await serin.metric('serin_memory_high_water_bytes'), 1_048_576);
  assert.ok((await refusals(serin, 'memory')) >= 2);
  assert.equal(origin.at('/memory-second').length, 0);
  assert.equal((await serin.admin('GET', '/v1/services')).status, 200);
  assert.match(serin.output(), /memory is short: new connections and requests are refused/);

  await setMemory(serin, 'off');
  const fine = await open(serin);
  fine.write(request('/fine-again'));
  assert.equal((await fine.answer()).status, 200);
  assert.equal(await serin.metric('serin_memory_short'), 0);
  assert.equal(await serin.metric('serin_memory_shortages_total'), 1);
  assert.match(serin.output(), /memory suffices again/);
});

/** Changes the mark in the configuration file, and waits until the workers know. */
async function setMemory(serin: Serin, memory: number | 'off'): Promise<void> {
  const file = join(serin.directory, 'serin.yaml');
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace(/memory: .*/, `memory: ${memory}`));
  await eventually(
    async () => (await serin.metric('serin_memory_short')) === (memory === 'off' ? 0 : 1),
    'the new mark',
  );
  // The worker looks a few times a second; it knows once it answers so.
  await eventually(async () => {
    const client = await connect(serin.proxyPort);
    client.write(request('/probe'));
    const { status } = await client.answer();
    client.destroy();
    return (status === 503) === (memory !== 'off');
  }, 'the worker following');
}
