/**
 * A process that has few descriptors: connections beyond what they carry are turned away, and what operators need goes on working.
 * Where descriptors are used up all the same, the process survives that.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import { eventually, within } from '../support/bounded.ts';
import { startOrigin, type Origin } from '../support/origin.ts';
import { connect as client, request } from '../support/raw-client.ts';
import { act, putRollout } from '../support/rollout.ts';
import { startSerin, type Serin } from '../support/serin.ts';

const DESCRIPTORS = 600;
/** What `planDescriptors` leaves of them to clients, with one worker. */
const CLIENTS = 160;

let origin: Origin;
let serin: Serin;
let idle: Socket[] = [];

before(async () => {
  origin = await startOrigin('stable');
  serin = await startSerin({
    prefix: ['bash', '-c', `ulimit -n ${DESCRIPTORS}; exec "$@"`, 'bash'],
    services: {
      notes: {
        hosts: ['notes.test'],
        stable: { endpoints: [origin.endpoint] },
        canary: { endpoints: [origin.endpoint] },
      },
    },
    configuration: { log: { level: 'info' }, proxy: { limits: { connections: 5000 } } },
  });
});

/** Closes what is idle; resolves when nothing of it is left. */
async function closeAll(): Promise<void> {
  for (const socket of idle) {
    socket.destroy();
    if (!socket.closed) await once(socket, 'close');
  }
  idle = [];
}

afterEach(closeAll);

after(async () => {
  await serin?.stop();
  await origin?.close();
});

/** Opens connections that say nothing. Resolves when each is connected or refused. */
async function open(port: number, count: number): Promise<void> {
  const opening = Array.from({ length: count }, async () => {
    const socket = connect(port, '127.0.0.1');
    idle.push(socket);
    socket.on('error', () => {});
    socket.resume();
    await Promise.race([once(socket, 'connect'), once(socket, 'close')]);
  });
  await within(Promise.allSettled(opening), `${count} connections`);
}

async function status(port: number, path: string): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`).catch(() => null);
  await answer?.arrayBuffer();
  return answer?.status ?? 0;
}

async function worksForOperators(): Promise<void> {
  for (const path of ['/livez', '/readyz', '/metrics'])
    assert.equal(await status(serin.opsPort, path), 200, path);
  await putRollout(serin, 'notes', { rules: [{ name: 'everyone', percentage: 50 }] });
  assert.equal((await act(serin, 'notes', 'rollback')).status, 'APPLIED');
}

test('what descriptors do not carry is said at the start', async () => {
  assert.match(serin.output(), /"level":"warn".*the limit on open files \(600\) leaves 160 connections/);
  assert.equal(await serin.metric('serin_connections_limit'), CLIENTS);
});

test('more idle connections to the proxy than there are descriptors: operators, and users who are in, notice nothing', async () => {
  const inside = await client(serin.proxyPort);
  await open(serin.proxyPort, 2 * DESCRIPTORS);
  await worksForOperators();
  inside.write(request('/', { host: 'notes.test' }));
  assert.equal((await inside.answer()).status, 200);
  inside.destroy();
  assert.ok((await serin.metric('serin_connections_open')) <= CLIENTS);
  assert.ok((await serin.metric('serin_overload_refusals_total', { reason: 'connections' })) > 0);
  assert.equal(await serin.metric('serin_faults_survived_total'), 0);
  assert.equal(await serin.metric('serin_worker_restarts_total'), 0);
});

test('no descriptor for a connection to an endpoint: 503 at once, and the endpoint is not to blame', async () => {
  const limit = (most: number): void =>
    void execFileSync('prlimit', ['--pid', String(serin.pid), `--nofile=${most}:${DESCRIPTORS}`]);
  const clients = await Promise.all([client(serin.proxyPort), client(serin.proxyPort)]);
  const ask = async (from: (typeof clients)[number]): Promise<number> => {
    from.write(request('/', { host: 'notes.test' }));
    return (await from.answer()).status;
  };
  // Only a connection that the proxy has accepted can be answered without descriptors.
  for (const one of clients) assert.equal(await ask(one), 200);
  // What is left open would do for the request.
  for (const { socket } of origin.connections) socket.destroy();
  await eventually(
    async () => (await serin.metric('serin_upstream_connections')) === 0,
    'no connection to the endpoint',
  );
  limit(8);
  try {
    for (const one of clients) assert.equal(await ask(one), 503);
  } finally {
    limit(DESCRIPTORS);
  }
  for (const one of clients) {
    assert.equal(await ask(one), 200);
    one.destroy();
  }
  const results = (outcome: string) => serin.metric('serin_upstream_results_total', { outcome });
  assert.equal(await results('shortage'), 2);
  assert.equal(await results('connect_failed'), 0);
});

for (const [name, port] of [
  ['the admin API', () => serin.adminPort],
  ['the ops server', () => serin.opsPort],
] as const) {
  test(`more idle connections to ${name} than there are descriptors: the process survives`, async () => {
    await open(port(), 2 * DESCRIPTORS);
    // Memory is looked at, and the proxy answers, with what descriptors are left.
    const ended = await Promise.race([
      serin.exit,
      eventually(async () => (await status(serin.proxyPort, '/')) !== -1, 'an answer or none'),
    ]);
    assert.equal(ended, true, serin.output().slice(-2000));
    await closeAll();
    await eventually(async () => (await status(serin.opsPort, '/livez')) === 200, 'life');
    await worksForOperators();
    assert.equal(await serin.metric('serin_worker_restarts_total'), 0);
  });
}
