/** Users whose identity comes in a header, and whose clients keep no cookies: what one worker decided holds on the other. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually } from '../support/bounded.ts';
import { startOrigin, type Origin } from '../support/origin.ts';
import { ask, request } from '../support/raw-client.ts';
import { act, putRollout } from '../support/rollout.ts';
import { startSerin, type Serin } from '../support/serin.ts';

let stable: Origin;
let canary: Origin;
let serin: Serin;

const OFFICE = { name: 'office', match: { cidr: ['203.0.113.0/24'] }, percentage: 100 };
const VIP = { name: 'vip', match: { header: { 'x-tier': { equals: 'vip' } } } };
const AT_OFFICE = '203.0.113.7';
const AT_HOME = '192.0.2.1';

const serviceOf = (name: string) => ({
  [name]: {
    hosts: [`${name}.test`],
    identity: [{ header: 'x-user-id' }, { fingerprint: true }],
    stable: { endpoints: [stable.endpoint] },
    canary: { endpoints: [canary.endpoint] },
  },
});

before(async () => {
  stable = await startOrigin('stable');
  canary = await startOrigin('canary');
  serin = await startSerin({
    configuration: { log: { level: 'error' }, trustedProxies: ['127.0.0.0/8'] },
    workers: 2,
    services: { ...serviceOf('notes'), ...serviceOf('mail') },
  });
});

after(async () => {
  await serin?.stop();
  await stable?.close();
  await canary?.close();
});

/** Each request has a connection of its own, so both workers get some. */
async function get(at: Serin, service: string, user: string, from: string, more: readonly string[]) {
  const headers = [`X-User-Id: ${user}`, `X-Forwarded-For: ${from}`, ...more];
  const { body } = await ask(at.proxyPort, request('/', { host: `${service}.test`, headers }));
  return body.toString().split(' ')[0]!;
}

async function all(
  users: readonly string[],
  service: string,
  from: string,
  more: readonly string[] = [],
  at = serin,
): Promise<string[]> {
  return Promise.all(users.map(async (user) => get(at, service, user, from, more)));
}

const named = (name: string): string[] => Array.from({ length: 40 }, (_, number) => `${name}-${number}`);
const count = (answers: readonly string[], variant: string): number =>
  answers.filter((answer) => answer === variant).length;

test('who was admitted at the office stays on the canary at home, on whichever worker', async () => {
  await putRollout(serin, 'notes', { rules: [OFFICE] });
  const users = named('stays');
  assert.equal(count(await all(users, 'notes', AT_HOME), 'stable'), 40);
  assert.equal(count(await all(users, 'notes', AT_OFFICE), 'canary'), 40);
  // Both workers answer some of 200 connections; were it not shared, half of the users would fall back.
  for (let round = 0; round < 5; round++)
    assert.equal(count(await all(users, 'notes', AT_HOME), 'canary'), 40);
  assert.equal(count(await all(named('others'), 'notes', AT_HOME), 'stable'), 40);
  const explained = async (user: string) => {
    const described = { headers: { 'x-user-id': user }, clientAddress: AT_HOME };
    const { body } = await serin.admin('POST', '/v1/services/notes/explain', described);
    const { variant, reason } = (body as { decision: { variant: string; reason: string } }).decision;
    return [variant, reason];
  };
  assert.deepEqual(await explained(users[0]!), ['canary', 'latch']);
  assert.deepEqual(await explained('others-0'), ['stable', 'noMatch']);
  assert.equal(await serin.metric('serin_latches'), 40);
  assert.equal(await serin.metric('serin_flips_total'), 0);
});

test('an exclusion wins for good, on both workers', async () => {
  await putRollout(serin, 'mail', { rules: [OFFICE], exclude: [VIP] });
  const users = named('excluded');
  assert.equal(count(await all(users, 'mail', AT_OFFICE), 'canary'), 40);
  assert.equal(count(await all(users, 'mail', AT_OFFICE, ['X-Tier: vip']), 'stable'), 40);
  for (let round = 0; round < 3; round++)
    assert.equal(count(await all(users, 'mail', AT_OFFICE), 'stable'), 40);
});

test('a rollback voids them, and the next rollout begins without', async () => {
  await putRollout(serin, 'notes', { rules: [OFFICE] });
  const users = named('voided');
  assert.equal(count(await all(users, 'notes', AT_OFFICE), 'canary'), 40);
  await act(serin, 'notes', 'rollback');
  assert.equal(count(await all(users, 'notes', AT_OFFICE), 'stable'), 40);
  await putRollout(serin, 'notes', { rules: [OFFICE] });
  assert.equal(count(await all(users, 'notes', AT_HOME), 'stable'), 40);
  assert.equal(count(await all(users, 'notes', AT_OFFICE), 'canary'), 40);
});

test('a replica that is alone still knows them after it was killed and started again', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'serin-latches-'));
  const options = {
    configuration: { log: { level: 'error' }, trustedProxies: ['127.0.0.0/8'] },
    workers: 2,
    services: serviceOf('notes'),
    directory,
  };
  let one = await startSerin(options);
  t.after(async () => {
    await one.stop();
    await rm(directory, { recursive: true, force: true });
  });
  await putRollout(one, 'notes', { rules: [OFFICE] });
  const users = named('restarted');
  assert.equal(count(await all(users, 'notes', AT_OFFICE, [], one), 'canary'), 40);
  const files = join(directory, 'data', 'latches');
  await eventually(async () => {
    const names = await readdir(files).catch(() => []);
    const texts = await Promise.all(names.map(async (name) => readFile(join(files, name), 'utf8')));
    // One may be there twice: as it was decided, and with all that were held when the rollout was new.
    return new Set(texts.join('').split('\n').filter(Boolean)).size === 40;
  }, 'the files');
  await one.stop('SIGKILL');
  one = await startSerin(options);
  assert.equal(count(await all(users, 'notes', AT_HOME, [], one), 'canary'), 40);
  assert.ok((await one.metric('serin_latches_taken_over_total')) >= 40);
  await act(one, 'notes', 'rollback');
  await eventually(async () => (await readdir(files)).length === 0, 'no file');
});
