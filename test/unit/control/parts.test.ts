/** The small parts of the control plane: queue, journal, events, networks compiled ahead, the guard of finish. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { ControlEvent, NumberedEvent } from '../../../src/control/api.ts';
import { createEvents } from '../../../src/control/events.ts';
import { listedEndpoints } from '../../../src/config/variant.ts';
import { createFinishGuard, tcpProbe } from '../../../src/control/finish-guard.ts';
import { createHelper } from '../../../src/helper/helper.ts';
import { createJournal } from '../../../src/control/journal.ts';
import { createNetworkCache } from '../../../src/state/network-cache.ts';
import { createWriteQueue } from '../../../src/state/write-queue.ts';
import { DocumentError } from '../../../src/schema/faults.ts';
import { type Commit, StoreError } from '../../../src/store/store.ts';
import { createLog } from '../../../src/telemetry/log.ts';
import { eventually } from '../../support/bounded.ts';
import { memoryStore } from '../../support/memory-store.ts';

test('the queue: one at a time, in order, urgent ones first, failures hold up none', async () => {
  const queue = createWriteQueue();
  const log: string[] = [];
  let running = 0;
  const task =
    (name: string, fails = false) =>
    async (): Promise<string> => {
      assert.equal(running, 0, 'nothing runs beside it');
      running += 1;
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      log.push(name);
      if (fails) throw new Error(name);
      return name;
    };
  const all = Promise.allSettled([
    queue.run(task('a')),
    queue.run(task('b', true)),
    queue.run(task('c')),
    queue.run(task('urgent'), true),
  ]);
  await queue.idle();
  assert.deepEqual(log, ['a', 'urgent', 'b', 'c']);
  assert.deepEqual(
    (await all).map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
  );
  assert.equal(await queue.run(task('later')), 'later');
});

function commit(revision: number): Commit {
  return {
    revision,
    service: 'notes',
    kind: 'rollout.rollback',
    at: '2026-01-01T00:00:00Z',
    actor: 'test',
    reason: null,
    requestId: null,
    changeId: `c${revision}-00000000`,
    document: null,
  };
}

function startJournal() {
  const store = memoryStore();
  const stored: number[] = [];
  const counted = { failures: 0 };
  const journal = createJournal({
    store,
    log: createLog({ level: 'silent' }),
    retryDelay: 1,
    onStored: ({ revision }) => stored.push(revision),
    onFailure: () => void (counted.failures += 1),
  });
  return { store, journal, stored, counted };
}

test('the journal stores what is owed before anything new, and by itself when the store is back', async () => {
  const { store, journal, stored, counted } = startJournal();
  store.failing = true;
  await assert.rejects(journal.commit(commit(1)), StoreError);
  assert.equal(journal.available, false);
  journal.owe(commit(1));
  journal.owe(commit(2));
  await assert.rejects(journal.commit(commit(3)), StoreError);
  assert.equal(store.commits.length, 0);
  store.failing = false;
  await journal.commit(commit(3));
  assert.deepEqual(
    store.commits.map(({ revision }) => revision),
    [1, 2, 3],
  );
  assert.deepEqual(stored, [1, 2]);
  assert.equal(journal.available, true);
  assert.ok(counted.failures >= 2);

  journal.owe(commit(4));
  await eventually(async () => journal.owed.length === 0, 'the retry');
  assert.deepEqual(stored, [1, 2, 4]);
  await journal.close();
});

test('a write whose answer was lost is not stored twice; another one in its place is not taken for it', async () => {
  const { store, journal, stored } = startJournal();
  store.commits.push(commit(1));
  journal.owe(commit(1));
  await journal.close();
  assert.deepEqual([store.commits.length, stored], [1, [1]]);
  journal.owe({ ...commit(1), changeId: 'other-00000000' });
  await assert.rejects(journal.close(), { code: 'conflict' });
  assert.equal(journal.owed.length, 1);
});

test('events: numbered, kept for those who come back, and no listener disturbs another', () => {
  const events = createEvents();
  const event: ControlEvent = { type: 'configuration', service: null };
  events.publish(event);
  events.publish(event);
  const seen: number[] = [];
  const listener = ({ id }: NumberedEvent): void => void seen.push(id);
  let thrown = 0;
  events.subscribe(() => {
    thrown += 1;
    throw new Error('broken');
  }, null);
  const end = events.subscribe(listener, 1);
  events.publish(event);
  end();
  events.publish(event);
  assert.deepEqual(seen, [2, 3]);
  assert.equal(thrown, 1, 'it is dropped');
  const late: number[] = [];
  for (let count = 0; count < 2000; count++) events.publish(event);
  events.subscribe(({ id }) => late.push(id), 0);
  assert.equal(late.length, 1000);
});

test('networks are compiled once by content, many of them away from the main thread', async () => {
  const helper = createHelper();
  const cache = createNetworkCache(helper);
  const many = Array.from({ length: 20_000 }, (_, index) => `10.${index >> 8}.${index & 255}.0/25`);
  await cache.compile(new Map([['small', ['10.0.0.0/8']]]));
  const small = cache.compiled.get('small');
  let turns = 0;
  const counting = setInterval(() => (turns += 1), 1);
  await cache.compile(
    new Map([
      ['small', ['10.0.0.0/8']],
      ['many', many],
    ]),
  );
  clearInterval(counting);
  assert.ok(turns > 0, 'the main thread goes on meanwhile');
  assert.equal(cache.compiled.get('small'), small);
  assert.equal(cache.compiled.get('many')?.size, 20_000);
  await assert.rejects(
    cache.compile(new Map([['bad', [...many, '10.0.0.0/99']]])),
    (error) => error instanceof DocumentError && error.faults[0]?.pointer === '/20000',
  );
  cache.keepOnly(new Set(['many']));
  assert.deepEqual([...cache.compiled.keys()], ['many']);
  await helper.close();
});

test('the helper thread ends when it is not needed, and is there again when it is', async () => {
  const helper = createHelper(1);
  const [first] = await helper.compile([['10.0.0.0/8']]);
  assert.equal(first?.size, 1);
  // It ends after a millisecond; work that comes at any such moment is done all the same.
  for (let round = 0; round < 2; round++) {
    await new Promise((resolve) => setTimeout(resolve, round));
    assert.equal((await helper.compile([['10.0.0.0/8'], []])).length, 2);
  }
  await helper.close();
});

test('finish asks stable: half of the endpoints must accept connections', async () => {
  const server = createServer((socket) => socket.destroy());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const closed = createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const dead = (closed.address() as AddressInfo).port;
  closed.close();
  await once(closed, 'close');

  const guard = createFinishGuard(tcpProbe(1000), listedEndpoints);
  const ask = (...ports: number[]) =>
    guard('notes', { hosts: ['*'], stable: { endpoints: ports.map((one) => `127.0.0.1:${one}`) } });
  assert.deepEqual(await ask(port), { ok: true });
  assert.deepEqual(await ask(port, dead), { ok: true });
  const refused = await ask(port, dead, dead);
  assert.ok(!refused.ok);
  assert.deepEqual(refused.figures, { ready: 1, needed: 2, endpoints: 3 });
  assert.match(refused.detail, new RegExp(`127\\.0\\.0\\.1:${dead} does not`));
  server.close();

  const found = [{ host: '127.0.0.1', port, weight: 1 }];
  const kubernetes = { namespace: 'notes', service: 'notes', port: 'http' };
  const discovered = (endpoints: typeof found) =>
    createFinishGuard(tcpProbe(1000), () => endpoints)('notes', { hosts: ['*'], stable: { kubernetes } });
  assert.ok(
    !(await discovered([{ host: '127.0.0.1', port: dead, weight: 1 }])).ok,
    'what was found is tried too',
  );
  const none = await discovered([]);
  assert.ok(!none.ok);
  assert.match(none.detail, /no endpoint of stable is known \(kubernetes notes\/notes:http of "notes"\)/);

  let asked = 0;
  const counting = createFinishGuard(async () => {
    asked += 1;
    return true;
  }, listedEndpoints);
  const endpoints = Array.from({ length: 1000 }, (_, index) => `10.0.0.1:${index + 1}`);
  await counting('notes', { hosts: ['*'], stable: { endpoints } });
  assert.equal(asked, 50, 'a large service is asked by a sample');
});
