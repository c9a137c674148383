/** Stable and canary side by side, over the API and the command. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import type { ComparisonView } from '../../src/comparison/comparison.ts';
import { startOrigin, type Origin } from '../support/origin.ts';
import { ask, request } from '../support/raw-client.ts';
import { putRollout } from '../support/rollout.ts';
import { startSerin, type Serin } from '../support/serin.ts';

let stable: Origin;
let canary: Origin;
let serin: Serin;

const BETA = { name: 'beta', match: { header: { 'x-beta': { equals: 'yes' } } }, percentage: 100 };
const PATH = '/v1/services/notes/comparison';

before(async () => {
  stable = await startOrigin('stable');
  canary = await startOrigin('canary');
  serin = await startSerin({
    configuration: { log: { level: 'error' } },
    workers: 2,
    services: {
      notes: {
        hosts: ['notes.test'],
        stable: { endpoints: [stable.endpoint] },
        canary: { endpoints: [canary.endpoint] },
      },
    },
  });
});

after(async () => {
  await serin?.stop();
  await stable?.close();
  await canary?.close();
});

async function compare(query = ''): Promise<ComparisonView> {
  const { status, body } = await serin.admin('GET', `${PATH}${query}`);
  assert.equal(status, 200);
  return body as ComparisonView;
}

test('what both variants answered, right after they did', async () => {
  await putRollout(serin, 'notes', { rules: [BETA] });
  const get = (headers: readonly string[]) =>
    ask(serin.proxyPort, request('/', { host: 'notes.test', headers }));
  await Promise.all([
    ...Array.from({ length: 30 }, () => get([])),
    ...Array.from({ length: 10 }, () => get(['X-Beta: yes'])),
  ]);
  const view = await compare('?window=1m');
  assert.equal(view.stable.requests, 30);
  assert.equal(view.canary.requests, 10);
  assert.equal(view.canary.share, 0.25);
  assert.equal(view.stable.statusClasses['2xx'], 30);
  assert.equal(view.stable.errorRatio, 0);
  const p99 = view.canary.latency!.p99;
  assert.ok(p99.from <= p99.ms! && p99.ms! <= p99.to!);
  assert.equal(view.windowSeconds, 60);
  assert.ok(view.coveredSeconds <= 60);
  assert.equal(view.replicas.length, 1);
  assert.deepEqual(view.missing, []);
  assert.equal((await compare()).windowSeconds, 600);
});

test('a window that is none, and a service that is none', async () => {
  for (const window of ['soon', '0s', '9s', '61m', '1d', '-1m', '10', '']) {
    const { status, body } = await serin.admin('GET', `${PATH}?window=${window}`);
    assert.equal(status, 422, window);
    const { code, errors } = body as { code: string; errors: { pointer: string; detail: string }[] };
    assert.equal(code, 'request_invalid');
    assert.deepEqual(errors, [
      {
        pointer: '/query/window',
        detail: `expected a duration from 10s to 1h, such as 10m, got "${window}"`,
      },
    ]);
  }
  const unknown = await serin.admin('GET', '/v1/services/nobody/comparison');
  assert.equal(unknown.status, 404);
});

test('the command shows it as a table', () => {
  const arguments_ = ['src/cli.ts', 'comparison', 'notes', '--window', '5m'];
  const { stdout, status } = spawnSync(process.execPath, arguments_, {
    env: { ...process.env, SERIN_URL: `http://127.0.0.1:${serin.adminPort}` },
    encoding: 'utf8',
  });
  assert.equal(status, 0);
  assert.match(stdout, /^notes, the last \d+ of 300 s, replicas: \S+\n\n/);
  assert.match(stdout, /\nrequests +30 +10\n/);
  assert.match(stdout, /\nshare of requests +75 % +25 %\n/);
  assert.match(stdout, /\nlatency p99 +\S+ ms \(\S+ to \S+\) +\S+ ms/);
  assert.match(stdout, /Not a verdict/);
  if (process.env['SHOW'] !== undefined) process.stderr.write(stdout);
});
