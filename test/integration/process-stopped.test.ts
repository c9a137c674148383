/** A process that is stopped as a whole for a while, as a paused machine is: when it wakes up it takes nobody for hung. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '../support/bounded.ts';
import { answer, startOrigin, type Origin, type Received } from '../support/origin.ts';
import { ask, connect, request } from '../support/raw-client.ts';
import { startSerin, type Serin } from '../support/serin.ts';

/** Longer than a worker may hang, than a health check and than a request may take; in ms. */
const STOPPED = 6500;

let origin: Origin;
let serin: Serin;

before(async () => {
  origin = await startOrigin('stable');
  serin = await startSerin({
    services: {
      notes: {
        hosts: ['*'],
        timeouts: { responseHead: '3s' },
        stable: {
          endpoints: [origin.endpoint],
          healthCheck: { path: '/health', interval: '1s', timeout: '500ms', unhealthyThreshold: 1 },
        },
      },
    },
    configuration: { log: { level: 'info' }, proxy: { timeouts: { keepAlive: '4s' } } },
    workers: 2,
  });
});

after(async () => {
  await serin?.stop();
  await origin?.close();
});

test('no worker is replaced, no request times out, no connection is closed, no endpoint is blamed', async () => {
  const held: Received[] = [];
  origin.route('/held', (received) => void held.push(received));
  const unhealthy: Received[] = [];
  let holdChecks = false;
  origin.route('/health', (received) => {
    if (holdChecks) unhealthy.push(received);
    else answer(received, { body: 'well' });
  });
  const waiting = await connect(serin.proxyPort);
  waiting.write(request('/held'));
  const kept = await connect(serin.proxyPort);
  kept.write(request('/first'));
  assert.equal((await kept.answer()).status, 200);
  await eventually(() => held.length === 1, 'the request at the endpoint');
  holdChecks = true;
  await eventually(() => unhealthy.length === 1, 'a health check under way');

  process.kill(serin.pid, 'SIGSTOP');
  const stoppedAt = performance.now();
  await eventually(() => performance.now() - stoppedAt > STOPPED, 'the end of the stop', 2 * STOPPED);
  process.kill(serin.pid, 'SIGCONT');
  holdChecks = false;
  for (const check of unhealthy) answer(check, { body: 'well' });

  await eventually(
    async () => (await serin.metric('serin_slept_seconds_total', { thread: 'main' })) > 4,
    'waking up',
  );
  assert.equal((await ask(serin.proxyPort, request('/after'))).status, 200);
  kept.write(request('/second'));
  assert.equal((await kept.answer()).status, 200);
  for (const received of held) answer(received, { body: 'at last' });
  assert.equal((await waiting.answer()).status, 200);
  // They are made by the thread that looks at heartbeats, which it does meanwhile.
  const checks = () => serin.metric('serin_health_checks_total', { result: 'good' });
  const before = await checks();
  await eventually(async () => (await checks()) >= before + 2, 'health checks after waking up');
  assert.equal(await serin.metric('serin_worker_restarts_total'), 0, serin.output().slice(-3000));
  assert.doesNotMatch(serin.output(), /a worker hangs|an endpoint is unhealthy|request failed/);
  waiting.destroy();
  kept.destroy();
});
