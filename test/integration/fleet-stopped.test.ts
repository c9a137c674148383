/** A replica that is stopped while another one rolls back: whatever it knew, it gives nobody the canary when it wakes up too late. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '../support/bounded.ts';
import {
  accepted,
  changeAt,
  fleetOf,
  startNotesFleet,
  type TestFleet,
  type TestReplica,
  together,
  write,
} from '../support/fleet.ts';
import { connect, type RawClient, request } from '../support/raw-client.ts';

const MAX_STALENESS = 4000;
const CLIENTS = 24;

let fleet: TestFleet;
let a: TestReplica;
let b: TestReplica;

before(async () => {
  fleet = await startNotesFleet({ names: ['a', 'b'] });
  [a, b] = fleet.replicas as [TestReplica, TestReplica];
  const env = { SERIN_STORE_MAX_STALENESS: `${MAX_STALENESS}ms` };
  for (const one of [a, b]) await one.start({ env });
  await together([a, b]);
});

after(async () => {
  await fleet?.close();
});

const ASK = request('/', { headers: ['X-User-Id: someone'] });

async function variantOf(client: RawClient): Promise<string> {
  return (await client.answer()).body.toString().split(' ', 1)[0]!;
}

test('requests that lay waiting while it was stopped get stable, and it calls nobody unreachable', async () => {
  accepted(await write(a, 'PUT', '', { rules: [{ name: 'everyone', percentage: 100 }] }));
  for (const one of [a, b])
    await eventually(
      async () => (await one.variants('someone')).every((variant) => variant === 'canary'),
      'canary',
    );
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => connect(a.serin.proxyPort)));
  for (const client of clients) {
    client.write(ASK);
    assert.equal(await variantOf(client), 'canary');
  }

  a.pause();
  const pausedAt = performance.now();
  const { id } = accepted(await write(b, 'POST', '/rollback'));
  // They are in the buffers of the kernel when it wakes up.
  for (const client of clients) client.write(ASK);
  await eventually(() => performance.now() - pausedAt > MAX_STALENESS + 2000, 'the end of the pause');
  a.resume();

  const variants = await Promise.all(clients.map(variantOf));
  assert.deepEqual(new Set(variants), new Set(['stable']), variants.join(' '));
  const seen = (await fleetOf(a)).replicas.map(({ name, state }) => `${name} ${state}`);
  assert.deepEqual(seen, ['a live', 'b live']);
  await eventually(async () => (await changeAt(b, id)).status === 'APPLIED', 'the rollback everywhere');
  assert.equal(await a.serin.metric('serin_worker_restarts_total'), 0);
  for (const client of clients) client.destroy();
});

test('a canary that goes on is given again as soon as the store has answered', async () => {
  // The one that was stopped may not have followed the commit of the rollback.
  await eventually(
    async () => (await fleetOf(a)).revision === (await fleetOf(b)).revision,
    'both at one revision',
  );
  accepted(await write(a, 'PUT', '', { rules: [{ name: 'everyone', percentage: 100 }] }));
  await eventually(
    async () => (await a.variants('someone')).every((variant) => variant === 'canary'),
    'canary',
  );
  a.pause();
  const pausedAt = performance.now();
  await eventually(() => performance.now() - pausedAt > MAX_STALENESS + 2000, 'the end of the pause');
  a.resume();
  await eventually(
    async () => (await a.variants('someone')).every((variant) => variant === 'canary'),
    'canary again',
  );
});
