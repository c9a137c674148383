/** The small parts of the control plane: queue, events, networks compiled ahead, the guard of finish. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { ControlEvent, NumberedEvent } from '../../../src/control/api.ts';
import { createEvents } from '../../../src/control/events.ts';
import { listedEndpoints } from '../../../src/config/variant.ts';
import { createFinishGuard, tcpProbe } from '../../../src/control/finish-guard.ts';
import { createHelper } from '../../../src/helper/helper.ts';
import { createNetworkCache } from '../../../src/state/network-cache.ts';
import { createWriteQueue } from '../../../src/state/write-queue.ts';
import { DocumentError } from '../../../src/schema/faults.ts';

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
