/** Latches and counters between real processes: a header identity is known on every replica, and comparisons are about all. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ComparisonView } from '../../src/comparison/comparison.ts';
import { eventually } from '../support/bounded.ts';
import { perform, startNotesFleet, type TestFleet, type TestReplica } from '../support/fleet.ts';
import { ask, request } from '../support/raw-client.ts';

let fleet: TestFleet;
let a: TestReplica;
let b: TestReplica;

const OFFICE = { rules: [{ name: 'office', match: { cidr: ['203.0.113.0/24'] }, percentage: 100 }] };
const AT_OFFICE = '203.0.113.7';
const AT_HOME = '192.0.2.1';

before(async () => {
  fleet = await startNotesFleet({
    names: ['a', 'b'],
    configuration: { trustedProxies: ['127.0.0.0/8'] },
  });
  [a, b] = fleet.replicas as [TestReplica, TestReplica];
});

after(async () => {
  await fleet?.close();
});

async function variants(replica: TestReplica, users: readonly string[], from: string): Promise<Set<string>> {
  const answers = users.map(async (user) => {
    const headers = [`X-User-Id: ${user}`, `X-Forwarded-For: ${from}`];
    const { body } = await ask(replica.serin.proxyPort, request('/', { host: 'notes.test', headers }));
    return body.toString().split(' ', 1)[0]!;
  });
  return new Set(await Promise.all(answers));
}

const named = (name: string): string[] => Array.from({ length: 20 }, (_, number) => `${name}-${number}`);
const held = (replica: TestReplica): Promise<number> => replica.serin.metric('serin_latches');

test('who is admitted by one replica is on the canary at the other, by a peer or by the store', async () => {
  await perform(a, 'PUT', '', OFFICE);
  assert.deepEqual(await variants(a, named('one'), AT_OFFICE), new Set(['canary']));
  await eventually(async () => (await held(b)) === 20, 'latches at b');
  assert.deepEqual(await variants(b, named('one'), AT_HOME), new Set(['canary']));
  await b.kill();
  assert.deepEqual(await variants(a, named('two'), AT_OFFICE), new Set(['canary']));
  await b.start();
  await eventually(async () => (await held(b)) === 40, 'what b missed');
  assert.deepEqual(await variants(b, [...named('one'), ...named('two')], AT_HOME), new Set(['canary']));
  await perform(b, 'POST', '/rollback');
  assert.deepEqual(await variants(a, named('one'), AT_OFFICE), new Set(['stable']));
});

test('a comparison is about all replicas, and says who is missing', async () => {
  const compare = async (): Promise<ComparisonView> =>
    (await a.serin.admin('GET', '/v1/services/notes/comparison?window=1h')).body as ComparisonView;
  const requests = async (): Promise<number> => (await compare()).stable.requests;
  const before = await requests();
  await variants(b, named('three'), AT_HOME);
  await eventually(async () => (await requests()) >= before + 20, 'what b counted');
  const { replicas, missing } = await compare();
  assert.deepEqual(
    replicas.map(({ name }) => name),
    ['a', 'b'],
  );
  assert.deepEqual(missing, []);
  const counted = await requests();
  await b.kill();
  await eventually(async () => (await compare()).missing.includes('b'), 'b is missing');
  assert.equal(await requests(), counted);
});
