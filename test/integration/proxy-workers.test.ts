/** Worker threads: one that ends or hangs is replaced, its siblings go on, and a metric says so. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '../support/bounded.ts';
import { inspect, type Inspector } from '../support/inspector.ts';
import { startOrigin, type Origin } from '../support/origin.ts';
import { freePort } from '../support/ports.ts';
import { ask, connect, request } from '../support/raw-client.ts';
import { startSerin, type Serin } from '../support/serin.ts';

let origin: Origin;
let serin: Serin;
let inspectorPort: number;

before(async () => {
  origin = await startOrigin('stable');
  inspectorPort = await freePort();
  serin = await startSerin({
    services: {
      notes: { hosts: ['*'], stable: { endpoints: [origin.endpoint] } },
      limited: {
        hosts: ['limited.test'],
        stable: { endpoints: [origin.endpoint], circuit: { maxRequests: 4, maxConnections: 4 } },
      },
    },
    configuration: { log: { level: 'error' } },
    workers: 2,
    nodeArguments: [`--inspect=127.0.0.1:${inspectorPort}`],
  });
});

after(async () => {
  await serin?.stop();
  await origin?.close();
});

/** The inspector and the threads that serve requests: those that listen. Waits until there are two of them. */
async function findServers(): Promise<{ inspector: Inspector; servers: Inspector['workers'] }> {
  const listeners = `process.getActiveResourcesInfo().filter((kind) => kind === 'TCPServerWrap').length`;
  return eventually(async () => {
    const inspector = await inspect(inspectorPort);
    const servers: Inspector['workers'] = [];
    for (const worker of inspector.workers) {
      if ((await inspector.ask(worker, listeners)) === 1) servers.push(worker);
    }
    if (servers.length === 2) return { inspector, servers };
    inspector.close();
    return null;
  }, 'two worker threads that serve');
}

/** Asks until both workers have had the chance to answer; a request to a dead or hung one may fail in between. */
async function servesAgain(): Promise<void> {
  let good = 0;
  await eventually(async () => {
    const status = await ask(serin.proxyPort, request('/again'))
      .then((message) => message.status)
      .catch(() => 0);
    good = status === 200 ? good + 1 : 0;
    return good >= 20;
  }, 'twenty good answers in a row');
}

test('two worker threads serve', async () => {
  const { inspector, servers } = await findServers();
  inspector.close();
  assert.equal(servers.length, 2);
});

for (const [how, expression] of [
  ['ends', 'setImmediate(() => process.exit(1))'],
  ['throws', "setImmediate(() => { throw new Error('a fault made by the test'); })"],
  ['hangs', 'for (;;);'],
] as const) {
  test(`a worker that ${how} is replaced`, { timeout: 180_000 }, async () => {
    const restarts = await serin.metric('serin_worker_restarts_total');
    const { inspector, servers } = await findServers();
    assert.equal(servers.length, 2);
    inspector.evaluate(servers[0] as Inspector['workers'][number], expression);
    await eventually(
      async () => (await serin.metric('serin_worker_restarts_total')) === restarts + 1,
      'the count of restarts',
    );
    inspector.close();
    await servesAgain();
    await eventually(
      async () => (await fetch(`http://127.0.0.1:${serin.opsPort}/readyz`)).status === 200,
      'readiness',
    );
  });
}

test('what workers held of a limit is free when they are replaced', { timeout: 180_000 }, async () => {
  origin.route('/hold', { end: () => {} });
  const clients = await Promise.all(Array.from({ length: 12 }, () => connect(serin.proxyPort)));
  for (const client of clients) client.write(request('/hold', { host: 'limited.test' }));
  await eventually(
    () => clients.filter(({ answers }) => answers[0]?.status === 503).length === 8,
    'eight are refused',
  );
  await eventually(() => origin.at('/hold').length === 4, 'four are under way');
  const restarts = await serin.metric('serin_worker_restarts_total');
  const { inspector, servers } = await findServers();
  for (const server of servers) inspector.evaluate(server, 'setImmediate(() => process.exit(1))');
  await eventually(
    async () => (await serin.metric('serin_worker_restarts_total')) === restarts + 2,
    'the count of restarts',
  );
  inspector.close();
  // Their replacements listen, and have let go of what was held.
  (await findServers()).inspector.close();
  await servesAgain();
  // One after the other: each has room, whichever worker it comes to.
  for (let n = 0; n < 8; n += 1) {
    assert.equal((await ask(serin.proxyPort, request('/free', { host: 'limited.test' }))).status, 200);
  }
  for (const client of clients) client.destroy();
});
