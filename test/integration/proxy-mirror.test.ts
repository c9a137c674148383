/** The mirror: what of stable's requests the canary gets too, and that nobody notices. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2, createServer, type IncomingHttpHeaders } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { eventually } from '../support/bounded.ts';
import { answer, reply, type Received } from '../support/origin.ts';
import { startPair } from '../support/pair.ts';
import { ask, connect, request } from '../support/raw-client.ts';
import { act, putRollout } from '../support/rollout.ts';
import { startSerin } from '../support/serin.ts';
import { value, values } from '../support/strict-head.ts';

const pair = startPair({
  workers: 2,
  service: {
    mirror: {
      percentage: 100,
      methods: ['GET', 'HEAD', 'POST'],
      timeout: '700ms',
      maxConcurrent: 3,
    },
  },
  services: (origin, canary) => ({
    safe: {
      hosts: ['safe.test'],
      stable: { endpoints: [origin.endpoint] },
      canary: { endpoints: [canary.endpoint] },
      mirror: { percentage: 100 },
    },
    gone: {
      hosts: ['gone.test'],
      stable: { endpoints: [origin.endpoint] },
      // Nobody listens there.
      canary: { endpoints: ['127.0.0.1:1'] },
      mirror: { percentage: 100 },
    },
  }),
});

after(() => assert.deepEqual([...pair.origin.faults, ...pair.canary.faults], []));

const outcomes = (outcome: string, service = 'notes'): Promise<number> =>
  pair.serin.metric('serin_mirror_requests_total', { service, outcome });

async function ended(outcome: string, count: number, service = 'notes'): Promise<void> {
  await eventually(async () => (await outcomes(outcome, service)) === count, `${count} of ${outcome}`);
}

async function none(): Promise<void> {
  await eventually(
    async () => (await pair.serin.metric('serin_mirror_requests_in_flight')) === 0,
    'no mirrored request under way',
  );
}

async function mirrored(path: string): Promise<Received> {
  return eventually(
    () => pair.canary.at(path).find(({ message }) => message.complete),
    'the mirrored request',
  );
}

test('the canary gets the same request, marked; the user gets what stable answers, and nothing else counts it', async () => {
  pair.canary.route('/same', (received) =>
    answer(received, { status: 201, headers: [['Set-Cookie', 'canary=1']], chunks: ['a', 'b'] }),
  );
  const before = await outcomes('answered');
  const client = await connect(pair.port);
  const headers = ['Cookie: session=7', 'Authorization: Bearer t', 'X-Serin-Mirror: 1', 'X_Serin_Mirror: 1'];
  client.write(request('/same?q=1', { headers }));
  const message = await client.answer();
  assert.equal(message.status, 200);
  assert.match(message.body.toString(), /^stable GET \/same\?q=1/);
  assert.ok(!values(message.fields, 'set-cookie').some((line) => line.startsWith('canary')));
  await ended('answered', before + 1);

  const { message: copy } = await mirrored('/same');
  const [original] = pair.origin.at('/same') as [Received];
  assert.equal(copy.target, '/same?q=1');
  for (const [name, expected] of [
    ['x-serin-mirror', '1'],
    ['x-canary', 'canary'],
    ['cookie', 'session=7'],
    ['authorization', 'Bearer t'],
    ['x-request-id', value(original.message, 'x-request-id')],
    ['x-forwarded-for', '127.0.0.1'],
  ] as const)
    assert.equal(value(copy, name), expected, name);
  assert.equal(value(original.message, 'x-serin-mirror'), undefined);
  assert.equal(value(original.message, 'x_serin_mirror'), undefined);
  assert.equal(value(original.message, 'x-canary'), 'stable');

  const metric = (name: string, labels: Record<string, string>): Promise<number> =>
    pair.serin.metric(name, { service: 'notes', ...labels });
  assert.equal(await metric('serin_mirror_responses_total', { code: '201' }), 1);
  assert.equal(await metric('serin_mirror_duration_seconds_count', {}), before + 1);
  assert.equal(await metric('serin_decisions_total', {}), 1);
  for (const name of ['serin_requests_total', 'serin_upstream_results_total', 'serin_upstream_connections'])
    assert.equal(await metric(name, { variant: 'canary' }), 0, name);
  client.destroy();
});

test('connections to the canary are used again, stale ones replaced, and what they bring unasked ends them', async () => {
  const connections = (): number => pair.canary.connections.length;
  const before = await outcomes('answered');
  const client = await connect(pair.port);
  const once = async (path: string, count: number): Promise<void> => {
    client.write(request(path));
    assert.equal((await client.answer()).status, 200);
    await ended('answered', before + count);
  };
  await once('/again', 1);
  const opened = connections();
  await once('/again', 2);
  await once('/again', 3);
  assert.equal(connections(), opened);
  const { connection } = pair.canary.at('/again').at(-1)!;
  connection.socket.end();
  await eventually(() => connection.closed, 'the end of an idle connection');
  await once('/again', 4);
  assert.equal(connections(), opened + 1);
  client.destroy();
});

test('a canary that does not answer delays nobody: what is too much is dropped, what takes too long given up', async () => {
  await none();
  pair.canary.route('/hang', { end: () => {} });
  const [busy, late] = [await outcomes('busy'), await outcomes('timeout')];
  const client = await connect(pair.port);
  for (let count = 0; count < 10; count++) {
    client.write(request('/hang'));
    assert.equal((await client.answer()).status, 200);
  }
  client.destroy();
  await ended('busy', busy + 7);
  await ended('timeout', late + 3);
  await none();
  assert.ok(pair.canary.at('/hang').length <= 3);
});

test('whatever the canary answers, the user gets the answer of stable', async () => {
  pair.canary.route('/junk', (received) => reply(received, 'HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n'));
  pair.canary.route('/reset', ({ connection }) => connection.socket.resetAndDestroy());
  pair.canary.route('/cut', (received) => {
    reply(received, 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf');
    received.connection.socket.end();
  });
  pair.canary.route('/switch', (received) =>
    reply(received, 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'),
  );
  pair.canary.route('/until-close', (received) => {
    reply(received, 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 No\r\n\r\nmore');
    received.connection.socket.end();
  });
  pair.canary.route('/endless', (received) => {
    reply(received, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(0x10000), Buffer.from('\r\n')]);
    const { socket } = received.connection;
    const more = (): void => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on('drain', more);
    more();
  });
  for (const [path, outcome] of [
    ['/junk', 'bad_response'],
    ['/reset', 'reset'],
    ['/cut', 'reset'],
    ['/switch', 'bad_response'],
    ['/until-close', 'answered'],
    ['/endless', 'timeout'],
  ] as const) {
    await none();
    const before = await outcomes(outcome);
    const message = await ask(pair.port, request(path));
    assert.equal(message.status, 200, path);
    assert.match(message.body.toString(), /^stable/);
    await ended(outcome, before + 1);
  }
  assert.equal(await pair.serin.metric('serin_mirror_responses_total', { service: 'notes', code: '500' }), 1);
  const refused = await ask(pair.port, request('/', { host: 'gone.test' }));
  assert.equal(refused.status, 200);
  await ended('connect_failed', 1, 'gone');
  // Endpoints of the canary stand as they stood.
  assert.equal(await pair.serin.metric('serin_ejections_total'), 0);
});

test('only safe methods unless others are named; bodies are copied whole or not at all', async () => {
  await none();
  const dropped = await outcomes('body');
  await ask(pair.port, request('/safe-only', { method: 'POST', body: 'x', host: 'safe.test' }));
  await ask(pair.port, request('/safe-only', { method: 'DELETE', host: 'safe.test' }));
  await ask(pair.port, request('/put', { method: 'PUT', body: 'x' }));

  const text = 'b'.repeat(60_000);
  const client = await connect(pair.port);
  await client.writeSplit(request('/copied', { method: 'POST', body: text }), 7000);
  assert.equal((await client.answer()).status, 200);
  const { message } = await mirrored('/copied');
  assert.equal(message.method, 'POST');
  assert.equal(message.bodyLength, 60_000);
  assert.equal(message.bodyHash, pair.origin.at('/copied')[0]?.message.bodyHash);

  await ask(pair.port, request('/large', { method: 'POST', body: 'x'.repeat(65_537) }));
  const chunked = ['Transfer-Encoding: chunked'];
  client.write(`${request('/chunked', { method: 'POST', headers: chunked })}1\r\nx\r\n0\r\n\r\n`);
  await client.answer();
  await ended('body', dropped + 2);
  // A client that leaves in the middle of its body leaves no place taken.
  client.write('POST /left HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf');
  await eventually(() => pair.origin.at('/left').length === 1, 'the request at stable');
  client.reset();
  await none();
  await ask(pair.port, request('/last'));
  await mirrored('/last');
  for (const path of ['/safe-only', '/put', '/large', '/chunked', '/left'])
    assert.equal(pair.canary.at(path).length, 0, path);
});

test('users of the canary, excluded users and upgrades are not mirrored, nor anything after a rollback', async () => {
  await none();
  await putRollout(pair.serin, 'notes', {
    rules: [{ name: 'testers', match: { header: { 'x-tester': { equals: 'yes' } } }, percentage: 100 }],
    exclude: [{ name: 'vip', match: { header: { 'x-tier': { equals: 'vip' } } } }],
  });
  const marked = (path: string): number =>
    pair.canary.at(path).filter(({ message }) => value(message, 'x-serin-mirror') !== undefined).length;
  assert.match(
    (await ask(pair.port, request('/tester', { headers: ['X-Tester: yes'] }))).body.toString(),
    /^canary/,
  );
  await ask(pair.port, request('/vip', { headers: ['X-Tier: vip'] }));
  const upgrade = await connect(pair.port);
  upgrade.write(request('/up', { headers: ['Connection: Upgrade', 'Upgrade: echo'] }));
  await upgrade.answer();
  upgrade.destroy();
  await ask(pair.port, request('/running'));
  await mirrored('/running');
  assert.deepEqual([marked('/tester'), marked('/vip'), marked('/up'), marked('/running')], [0, 0, 0, 1]);

  await act(pair.serin, 'notes', 'rollback');
  await ask(pair.port, request('/after-rollback'));
  await ask(pair.port, request('/still', { host: 'safe.test' }));
  await mirrored('/still');
  assert.equal(pair.canary.at('/after-rollback').length, 0);
  assert.equal(await pair.serin.metric('serin_flips_total'), 0);
});

test('a canary that speaks HTTP/2, and a client that does', async (t) => {
  const seen: string[] = [];
  const canary = createServer();
  canary.on('stream', (stream, headers) => {
    let length = 0;
    stream.on('data', (bytes: Buffer) => (length += bytes.length));
    stream.on('end', () => {
      seen.push(`${headers[':method']} ${headers[':path']} ${String(headers['x-serin-mirror'])} ${length}`);
      stream.respond({ ':status': 202 });
      stream.end('thrown away');
    });
  });
  canary.listen(0, '127.0.0.1');
  await once(canary, 'listening');
  const { port } = canary.address() as AddressInfo;
  const serin = await startSerin({
    services: {
      notes: {
        hosts: ['*'],
        stable: { endpoints: [pair.origin.endpoint] },
        canary: { protocol: 'h2c', endpoints: [`127.0.0.1:${port}`] },
        mirror: { percentage: 100, methods: ['GET', 'POST'] },
      },
    },
  });
  const session = connectHttp2(`http://127.0.0.1:${serin.proxyPort}`);
  t.after(async () => {
    session.destroy();
    await serin.stop();
    canary.close();
  });
  for (const path of ['/one', '/two']) assert.equal((await ask(serin.proxyPort, request(path))).status, 200);
  await ask(serin.proxyPort, request('/three', { method: 'POST', body: 'x'.repeat(5000) }));
  const stream = session.request({ ':path': '/four' });
  const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders];
  assert.equal(headers[':status'], 200);
  stream.resume();
  await eventually(() => seen.length === 4, 'four mirrored requests');
  assert.deepEqual(seen.sort(), ['GET /four 1 0', 'GET /one 1 0', 'GET /two 1 0', 'POST /three 1 5000']);
  await eventually(
    async () => (await serin.metric('serin_mirror_responses_total', { code: '202' })) === 4,
    'their answers',
  );
});
