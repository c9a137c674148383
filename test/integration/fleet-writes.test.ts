/** Writes in a fleet of real processes over a real Redis: applied means applied everywhere, and history has one truth. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '../support/bounded.ts';
import {
  accepted,
  applied,
  changeAt,
  type FleetBody,
  fleetOf,
  perform,
  startNotesFleet,
  type TestFleet,
  type TestReplica,
  together,
  write,
} from '../support/fleet.ts';

let fleet: TestFleet;
let a: TestReplica;
let b: TestReplica;
let c: TestReplica;

const EVERYONE = (percentage: number): object => ({ rules: [{ name: 'everyone', percentage }] });

before(async () => {
  fleet = await startNotesFleet({
    configuration: { proxy: { drain: { delay: '0s', grace: '1s' } } },
  });
  [a, b, c] = fleet.replicas as [TestReplica, TestReplica, TestReplica];
  await perform(a, 'PUT', '', EVERYONE(10));
});

after(async () => {
  await fleet?.close();
});

interface HistoryBody {
  readonly history: readonly {
    readonly revision: number;
    readonly changeId: string;
    readonly requestId: string;
  }[];
}

async function historyOf(replica: TestReplica): Promise<HistoryBody['history']> {
  const { body } = await replica.serin.admin('GET', '/v1/services/notes/history?limit=100');
  return (body as HistoryBody).history;
}

test('one leads, all are live, and the view is the same from each', async () => {
  const views = await eventually(async () => {
    const seen = await Promise.all([a, b, c].map(fleetOf));
    return seen.every(leads) ? seen : null;
  }, 'a leader on which all agree');
  const leader = (view: FleetBody): string | undefined => view.replicas.find((one) => one.leader)?.name;
  assert.equal(new Set(views.map(leader)).size, 1);
  for (const view of views) {
    assert.deepEqual(
      view.replicas.map(({ name, state }) => `${name} ${state}`),
      ['a live', 'b live', 'c live'],
    );
    assert.deepEqual(view.disagreements, []);
    assert.equal(view.store.condition, 'available');
  }
});

function leads(view: FleetBody): boolean {
  return view.replicas.filter((one) => one.leader).length === 1;
}

test('once a change is APPLIED anywhere, every worker of every replica decides by it', async () => {
  for (const percentage of [100, 0, 100, 0]) {
    const writer = percentage === 100 ? b : c;
    const body = { percentage, allowDecrease: true };
    const { id } = accepted(await write(writer, 'POST', '/percentage', body));
    await applied(a, id);
    const expected = percentage === 100 ? 'canary' : 'stable';
    for (const replica of [a, b, c]) {
      assert.deepEqual(new Set(await replica.variants('someone', 16)), new Set([expected]), replica.name);
      assert.equal((await applied(replica, id)).progress, '3 of 3 replicas');
    }
  }
});

test('a replica that hangs holds up APPLIED until its lease is over, and catches up when it is back', async () => {
  c.pause();
  let revision: number | null = null;
  let id = '';
  try {
    ({ id, revision } = accepted(await write(a, 'POST', '/percentage', { percentage: 20 })));
    const waiting = await changeAt(b, id);
    assert.equal(waiting.status, 'APPLYING');
    await eventually(async () => (await changeAt(a, id)).progress === '2 of 3 replicas', 'two of three');
    const over = await applied(b, id);
    assert.equal(over.progress, '2 of 2 replicas; unreachable: c');
    assert.equal((await fleetOf(a)).replicas.find(({ name }) => name === 'c')?.state, 'unreachable');
  } finally {
    c.resume();
  }
  await together([a, b, c]);
  await eventually(async () => (await fleetOf(c)).revision === revision, 'c has caught up');
  await applied(c, id);
});

test('a replica that is cut off from Redis holds up APPLIED for a lease, is told of, and serves on', async () => {
  c.gate.shut('cut');
  try {
    const { id, revision } = accepted(await write(b, 'POST', '/percentage', { percentage: 30 }));
    // Its peers still hear it, so it is live.
    await eventually(async () => (await changeAt(a, id)).progress === '2 of 3 replicas', 'c is behind');
    const refused = await write(c, 'POST', '/percentage', { percentage: 40 });
    assert.equal(refused.status, 503);
    assert.equal((refused.body as { code: string }).code, 'store_unavailable');
    assert.equal((await c.variants('someone', 4)).length, 4);
    assert.equal((await fetch(`http://127.0.0.1:${c.serin.opsPort}/readyz`)).status, 200);
    const over = await applied(a, id);
    assert.equal(over.progress, '2 of 2 replicas; cut off from the store: c');
    const seen = (await fleetOf(b)).replicas.find(({ name }) => name === 'c');
    assert.equal(seen?.state, 'live');
    assert.ok((seen?.revision ?? 0) < (revision ?? 0), 'the fleet shows who is behind');
    c.gate.open();
    await eventually(async () => (await fleetOf(c)).revision === revision, 'c has caught up');
  } finally {
    c.gate.open();
  }
});

test('one request id sent to all replicas at once is one change', async () => {
  const before = await historyOf(a);
  const answers = await Promise.all(
    [a, b, c, a, b, c].map((replica) =>
      write(replica, 'POST', '/percentage', { percentage: 44, requestId: 'deploy-44' }),
    ),
  );
  const ids = new Set(answers.map((answer) => accepted(answer).id));
  assert.equal(ids.size, 1, [...ids].join());
  await applied(c, [...ids][0]!);
  assert.equal((await historyOf(b)).length, before.length + 1);
  const reused = await write(b, 'POST', '/percentage', { percentage: 45, requestId: 'deploy-44' });
  assert.equal(reused.status, 409);
});

test('racing writers: each write is on top of another, or refused, and all replicas tell one history', async () => {
  const before = (await historyOf(a))[0]!.revision;
  const answers = await Promise.all(
    Array.from({ length: 24 }, (_, index) =>
      write([a, b, c][index % 3]!, 'POST', '/percentage', {
        percentage: 50 + index,
        allowDecrease: true,
        requestId: `race-${index}`,
      }),
    ),
  );
  const taken = answers.filter(({ status }) => status === 202).map(accepted);
  for (const { status } of answers) assert.ok([202, 409, 412].includes(status), String(status));
  assert.ok(taken.length > 0);
  const revisions = taken.map(({ revision }) => revision ?? 0).toSorted((x, y) => x - y);
  assert.equal(new Set(revisions).size, revisions.length);
  const last = revisions.at(-1)!;
  assert.equal(last - before, revisions.length, 'revisions follow each other without a gap');
  for (const replica of [a, b, c]) {
    await eventually(async () => (await fleetOf(replica)).revision === last, `${replica.name} at ${last}`);
  }
  const [first, ...others] = await Promise.all([a, b, c].map(historyOf));
  for (const other of others) assert.deepEqual(other, first);
  for (const { id, revision } of taken)
    assert.equal(first!.find((one) => one.revision === revision)?.changeId, id);
});

test('with an ETag only one of two replicas wins', async () => {
  const target = '/v1/services/notes/rollout';
  const etag = (await a.serin.admin('GET', target)).headers.get('etag')!;
  const put = (replica: TestReplica, percentage: number) =>
    replica.serin.admin('PUT', `${target}?allowDecrease=true`, EVERYONE(percentage), { 'if-match': etag });
  const answers = await Promise.all([put(a, 61), put(b, 62)]);
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([202, 412]));
});

test('a replica that stops as it should is not waited for, also by a rollback', async () => {
  await c.serin.stop('SIGTERM');
  const views = await Promise.all([a, b].map(fleetOf));
  for (const view of views)
    assert.deepEqual(
      view.replicas.map(({ name, state }) => `${name} ${state}`),
      ['a live', 'b live'],
    );
  const { progress } = await perform(a, 'POST', '/rollback');
  assert.equal(progress, '2 of 2 replicas');
  await c.start();
  await together([a, b, c]);
  assert.deepEqual(new Set(await c.variants('someone', 8)), new Set(['stable']));
  await perform(c, 'PUT', '', EVERYONE(10));
});

test('a replica killed in the middle of writes loses none that were answered', async () => {
  const answered: number[] = [];
  const writes = Array.from({ length: 30 }, async (_, index) => {
    const body = { percentage: 1 + index, allowDecrease: true };
    const answer = await write(b, 'POST', '/percentage', body).catch(() => null);
    if (answer?.status === 202) answered.push(accepted(answer).revision!);
    if (answered.length === 3) await b.kill();
  });
  await Promise.all(writes);
  const known = await eventually(async () => {
    const history = await historyOf(a);
    return answered.every((revision) => history.some((one) => one.revision === revision)) ? history : null;
  }, 'every answered write in the history of another');
  await perform(c, 'POST', '/percentage', { percentage: 99, allowDecrease: true });
  await b.start();
  await together([a, b, c]);
  const after = await historyOf(b);
  assert.deepEqual(
    after.filter(({ revision }) => revision <= known[0]!.revision).slice(0, 20),
    known.slice(0, 20),
  );
});
