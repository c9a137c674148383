/** Limits of what may be under way at the endpoints of a variant, over all workers. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '../support/bounded.ts';
import { startFullListener, type FullListener } from '../support/full-listener.ts';
import { answer, startOrigin, type Origin, type Received } from '../support/origin.ts';
import { ask, connect, request } from '../support/raw-client.ts';
import { startSerin, type Serin } from '../support/serin.ts';
import { value } from '../support/strict-head.ts';

let serin: Serin;
let limited: Origin;
let plain: Origin;
let full: FullListener;

const service = (name: string, definition: object): object => ({ hosts: [`${name}.test`], ...definition });

before(async () => {
  limited = await startOrigin('limited');
  plain = await startOrigin('plain');
  full = await startFullListener();
  serin = await startSerin({
    workers: 2,
    configuration: { log: { level: 'error' } },
    services: {
      limits: service('limits', {
        stable: { endpoints: [limited.endpoint], circuit: { maxRequests: 3 } },
      }),
      'limits-canary': service('limits-canary', {
        stable: { endpoints: [plain.endpoint] },
        canary: { endpoints: [limited.endpoint], circuit: { maxRequests: 2 } },
      }),
      connections: service('connections', {
        stable: { endpoints: [limited.endpoint], circuit: { maxConnections: 2 } },
      }),
      pending: service('pending', {
        stable: { endpoints: [full.endpoint], circuit: { maxPending: 2 } },
        timeouts: { connect: '2s' },
        retries: 0,
      }),
    },
  });
  const rollout = { rules: [{ name: 'everyone', percentage: 100 }] };
  await serin.admin('PUT', '/v1/services/limits-canary/rollout', rollout);
  await eventually(async () => {
    const message = await ask(serin.proxyPort, request('/warm', { host: 'limits-canary.test' }));
    return value(message, 'x-origin') === 'limited';
  }, 'the rollout');
});

after(async () => {
  await serin?.stop();
  await limited?.close();
  await plain?.close();
  await full?.close();
});

/** Answers plainly, after `ms`. */
const slowly = (name: string, ms: number) => (received: Received) =>
  void setTimeout(() => answer(received, { headers: [['X-Origin', name]], body: name }), ms);

test('what exceeds the limit of requests is answered 503 with Retry-After, over all workers', async () => {
  limited.route('/hold', { end: () => {} });
  const clients = await Promise.all(Array.from({ length: 12 }, () => connect(serin.proxyPort)));
  for (const client of clients) client.write(request('/hold', { host: 'limits.test' }));
  const refused = (): typeof clients => clients.filter(({ answers }) => answers[0]?.complete === true);
  await eventually(() => refused().length === 9, 'nine refusals');
  for (const { answers } of refused()) {
    assert.equal(answers[0]!.status, 503);
    assert.equal(value(answers[0]!, 'retry-after'), '1');
    assert.match(answers[0]!.body.toString(), /"code":"circuit_limit"/);
  }
  await eventually(() => limited.at('/hold').length === 3, 'three are under way');
  const refusals = { service: 'limits', variant: 'stable', limit: 'requests' };
  assert.equal(await serin.metric('serin_circuit_refusals_total', refusals), 9);
  // Whoever leaves makes room.
  for (const client of clients) client.destroy();
  await eventually(async () => {
    const { status } = await ask(serin.proxyPort, request('/free', { host: 'limits.test' }));
    return status === 200;
  }, 'room again');
});

test('a canary at its limit: the others get stable', async () => {
  limited.route('/hold-canary', { end: () => {} });
  plain.route('/hold-canary', slowly('plain', 0));
  const clients = await Promise.all(Array.from({ length: 6 }, () => connect(serin.proxyPort)));
  for (const client of clients) client.write(request('/hold-canary', { host: 'limits-canary.test' }));
  await eventually(() => clients.filter(({ answers }) => answers[0]?.complete === true).length === 4, 'four');
  for (const { answers } of clients) {
    if (answers[0] !== undefined) assert.equal(value(answers[0], 'x-origin'), 'plain');
  }
  assert.equal(await serin.metric('serin_circuit_refusals_total', { service: 'limits-canary' }), 4);
  for (const client of clients) client.destroy();
});

test('no more connections than allowed, and idle ones serve who needs one', async () => {
  limited.route('/work', slowly('limited', 30));
  const before = limited.connections.length;
  const opened = (): number =>
    limited.connections.slice(before).filter((connection) => !connection.closed).length;
  const statuses = new Set<number>();
  for (let round = 0; round < 10; round += 1) {
    const messages = await Promise.all(
      Array.from({ length: 6 }, () => ask(serin.proxyPort, request('/work', { host: 'connections.test' }))),
    );
    for (const { status } of messages) statuses.add(status);
    assert.ok(opened() <= 2, `${opened()} connections`);
  }
  assert.deepEqual(
    [...statuses].sort((a, b) => a - b),
    [200, 503],
  );
  // Both workers get to serve, also the one that had none.
  await eventually(async () => {
    const messages = [];
    for (let n = 0; n < 8; n += 1)
      messages.push(await ask(serin.proxyPort, request('/work', { host: 'connections.test' })));
    return messages.every(({ status }) => status === 200);
  }, 'one at a time is served by any worker');
});

test('no more requests wait for a connection to open than allowed', async () => {
  const statuses = async (): Promise<number[]> => {
    const messages = await Promise.all(
      Array.from({ length: 7 }, () => ask(serin.proxyPort, request('/', { host: 'pending.test' }))),
    );
    return messages.map(({ status }) => status).sort((a, b) => a - b);
  };
  assert.deepEqual(await statuses(), [503, 503, 503, 503, 503, 504, 504]);
  const refusals = { service: 'pending', limit: 'pending' };
  assert.equal(await serin.metric('serin_circuit_refusals_total', refusals), 5);
  // Those that gave up wait no longer.
  assert.deepEqual(await statuses(), [503, 503, 503, 503, 503, 504, 504]);
});
