/**
 * What was delivered to an endpoint that broke: the variant's other endpoints come first, the other variant last, and only for requests
 * that may be delivered twice.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { answer, startOrigin, type Origin, type Received } from '../support/origin.ts';
import { ask, request } from '../support/raw-client.ts';
import { putRollout } from '../support/rollout.ts';
import { startSerin, type Serin } from '../support/serin.ts';

const EVERYONE = { rules: [{ name: 'everyone', percentage: 100 }] };

let stable: Origin;
let canaries: Origin[];
let serin: Serin;
/** Every delivery, in order: who got it, by which method, with how long a body. */
let deliveries: string[] = [];

before(async () => {
  const noted =
    (name: string, then: (received: Received) => void) =>
    (received: Received): void => {
      deliveries.push(`${name} ${received.message.bodyLength}`);
      then(received);
    };
  stable = await startOrigin('stable');
  stable.otherwise({ end: noted('stable', (received) => answer(received, { body: 'stable' })) });
  canaries = [await startOrigin('canary'), await startOrigin('canary')];
  for (const canary of canaries) {
    canary.otherwise({
      end: noted('canary', (received) => {
        if (received.path.startsWith('/begun')) received.connection.socket.write('HTTP/1.1 200 OK\r\n');
        received.connection.socket.resetAndDestroy();
      }),
    });
  }
  const notes = {
    stable: { endpoints: [stable.endpoint] },
    canary: { endpoints: canaries.map(({ endpoint }) => endpoint) },
    retryBudget: { percentage: 100, minPerSecond: 1000 },
    outlier: { maxEjectedPercentage: 0 },
    breaker: { failurePercentage: 100 },
  };
  serin = await startSerin({
    services: {
      notes: { hosts: ['notes.test'], ...notes },
      single: { hosts: ['single.test'], ...notes, retries: 0 },
      strict: { hosts: ['strict.test'], ...notes, fallback: { toStable: false } },
    },
    configuration: { log: { level: 'error' } },
  });
  for (const service of ['notes', 'single', 'strict']) await putRollout(serin, service, EVERYONE);
});

after(async () => {
  await serin?.stop();
  for (const origin of [stable, ...(canaries ?? [])]) await origin?.close();
});

async function send(host: string, method: string, path = '/', body = 'twelve bytes'): Promise<number> {
  deliveries = [];
  return (await ask(serin.proxyPort, request(path, { host: `${host}.test`, method, body }))).status;
}

test('PUT and DELETE go to another endpoint of their variant first, and to the other variant last', async () => {
  for (const method of ['PUT', 'DELETE']) {
    const before = await serin.metric('serin_fallbacks_total', { service: 'notes', from: 'canary' });
    assert.equal(await send('notes', method), 200);
    assert.deepEqual(deliveries, ['canary 12', 'canary 12', 'stable 12'], method);
    const counted = await serin.metric('serin_fallbacks_total', { service: 'notes', from: 'canary' });
    assert.equal(counted - before, 1);
    assert.equal(await send('single', method), 200);
    assert.deepEqual(deliveries, ['canary 12', 'stable 12'], `${method} without retries`);
  }
});

test('a delivered POST or PATCH goes nowhere else', async () => {
  for (const method of ['POST', 'PATCH', 'LOCK']) {
    assert.equal(await send('notes', method), 502);
    assert.deepEqual(deliveries, ['canary 12'], method);
    assert.equal(await send('notes', method, '/', ''), 502);
    assert.deepEqual(deliveries, ['canary 0'], `${method} without a body`);
  }
});

test('nor does anything of which a byte of an answer came, or whose body is too long to be kept', async () => {
  assert.equal(await send('notes', 'PUT', '/begun'), 502);
  assert.deepEqual(deliveries, ['canary 12']);
  assert.equal(await send('notes', 'PUT', '/', 'x'.repeat(70_000)), 502);
  assert.deepEqual(deliveries, ['canary 70000']);
});

test('nor does anything leave its variant where the service forbids it', async () => {
  assert.equal(await send('strict', 'PUT'), 502);
  assert.deepEqual(deliveries, ['canary 12', 'canary 12']);
});
