/** What becomes of the store when somebody or something meddles with its keys. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { StoreError } from '../../src/store/store.ts';
import { startRedis } from '../support/redis.ts';
import { openRedisStore } from '../support/redis-store.ts';
import { documentsAfter, makeCommit } from '../unit/store/commits.ts';

const COMMITS = Array.from({ length: 10 }, (_, index) => makeCommit(index + 1));
const STATE = { revision: 10, documents: documentsAfter(COMMITS), recent: COMMITS };
const BEAT = { record: '{}', lease: 5000, lead: true };

const isCode = (code: string, text: RegExp) => (error: unknown) => {
  assert.ok(error instanceof StoreError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, text);
  return true;
};

describe('a store in Redis of which a part is gone', () => {
  for (const [part, command] of [
    ['all documents', ['del', '{serin}:documents']],
    ['one document', ['hdel', '{serin}:documents', 'notes']],
    ['the history', ['del', '{serin}:commits']],
    ['the last commit', ['xdel', '{serin}:commits', '10-0']],
    ['its head', ['del', '{serin}:meta']],
  ] as const) {
    it(`looks empty, is not written to, and takes back what a replica knows: ${part}`, async (t) => {
      const redis = await startRedis(t);
      const store = openRedisStore(t, redis.url);
      for (const commit of COMMITS) await store.commit(commit);
      const { id } = await store.sync(null);
      const [name, ...args] = command;
      assert.ok(Number(await redis.send(name, ...args)) > 0);

      for (const seen of [await store.sync(null), await store.sync({ ...BEAT, replica: 'a' })])
        assert.deepEqual([seen.id, seen.revision, seen.changeId], ['', 0, '']);
      await assert.rejects(store.load(), isCode('corrupt', /A part of the store .* is gone/));
      for (const next of [11, 1])
        await assert.rejects(store.commit(makeCommit(next)), isCode('corrupt', /must be noeviction/));
      assert.equal(store.condition, 'unreadable');

      assert.equal(await store.restore(id, STATE), true);
      assert.deepEqual(await store.load(), { ...STATE, faults: [] });
      assert.equal(store.condition, 'available');
      assert.equal((await store.sync(null)).id, id);
      assert.equal(await store.restore(id, STATE), false);
      await store.commit(makeCommit(11));
    });
  }
});

describe('a store in Redis whose clock jumps back', () => {
  it('lets what came before end in its time all the same: replicas, the leader', async (t) => {
    const redis = await startRedis(t);
    const store = openRedisStore(t, redis.url);
    await store.sync({ ...BEAT, replica: 'old' });
    const first = await store.sync(null);
    // So it looks after a failover to a server whose clock is an hour behind.
    const ahead = first.time + 3_600_000;
    await redis.send('zadd', '{serin}:beats', ahead, 'old');
    await redis.send('hset', '{serin}:leader', 'until', ahead + 5000, 'fence', ahead);
    const beat = { ...BEAT, replica: 'new', lease: 200 };
    const seen = await store.sync(beat);
    assert.equal(seen.leader, 'old', 'it may still lead for a lease');
    const isOld = ({ name }: { readonly name: string }): boolean => name === 'old';
    for (;;) {
      const { leader, fence, replicas } = await store.sync(beat);
      const age = replicas.find(isOld)?.age ?? 0;
      if (leader === 'new') {
        assert.ok(fence > ahead, 'the number of the leadership still rises');
        assert.ok(age >= 150 && age < 5000, `${age}`);
        break;
      }
    }
  });
});

describe('whatever stands in Redis', () => {
  it('a call gives an answer of its shape, or a StoreError', { timeout: 180_000 }, async (t) => {
    const redis = await startRedis(t);
    const store = openRedisStore(t, redis.url);
    const text = fc.oneof(
      fc.string({ maxLength: 20 }),
      fc.json({ maxDepth: 2 }),
      fc.constantFrom('', '-1', '1e999', 'nan', 'inf', '-inf', '99999999999999999999', '0x1', '1.5', '{}'),
      fc.constantFrom('__proto__', 'constructor', 'notes', '\u0000', '\ud800'),
      fc.constant(JSON.stringify(makeCommit(10))),
      fc.constant(JSON.stringify({ revision: 10, document: { definition: null, rollout: {} } })),
    );
    const score = fc.constantFrom('-inf', '+inf', '0', '1e300', '-5');
    const meddling = fc.oneof(
      fc.tuple(
        fc.constant('hset'),
        fc.constant('meta'),
        fc.constantFrom('format', 'readable', 'id', 'revision', 'changeId', 'documents', 'more'),
        text,
      ),
      fc.tuple(
        fc.constant('hdel'),
        fc.constant('meta'),
        fc.constantFrom('id', 'revision', 'changeId', 'readable'),
      ),
      fc.tuple(fc.constant('hset'), fc.constant('documents'), text, text),
      fc.tuple(fc.constant('hset'), fc.constant('replicas'), text, text),
      fc.tuple(fc.constant('zadd'), fc.constant('beats'), score, text),
      fc.tuple(fc.constant('hset'), fc.constant('leader'), fc.constantFrom('name', 'until', 'fence'), text),
      fc.tuple(
        fc.constant('xadd'),
        fc.constant('commits'),
        fc.constantFrom('11-0', '12-5', '999-0', '*'),
        text,
        text,
      ),
      fc.tuple(fc.constant('xadd'), fc.constant('commits'), fc.constant('11-0'), fc.constant('commit'), text),
      fc.tuple(fc.constant('xdel'), fc.constant('commits'), fc.constantFrom('1-0', '5-0', '10-0')),
      fc.tuple(
        fc.constantFrom('del'),
        fc.constantFrom('meta', 'documents', 'commits', 'replicas', 'beats', 'leader'),
      ),
      fc.tuple(fc.constant('set'), fc.constantFrom('meta', 'documents', 'commits', 'beats', 'leader'), text),
      fc.tuple(fc.constant('sadd'), fc.constantFrom('meta', 'documents', 'commits', 'replicas'), text),
    );
    const isInteger = (value: unknown): boolean => Number.isSafeInteger(value);

    await fc.assert(
      fc.asyncProperty(fc.array(meddling, { minLength: 1, maxLength: 6 }), async (steps) => {
        await redis.send('flushall');
        for (const commit of COMMITS) await store.commit(commit);
        await store.sync({ ...BEAT, replica: 'a' });
        for (const [command, key, ...rest] of steps) {
          // What Redis refuses leaves things as they are.
          await redis.send(command, `{serin}:${key}`, ...rest).catch(() => {});
        }
        const results = await Promise.allSettled([
          store.load(),
          store.since(0),
          store.since(10),
          store.at(10),
          store.history('notes', Infinity, 5),
          store.sync(null),
          store.sync({ ...BEAT, replica: 'b' }),
          store.commit(makeCommit(11)),
          store.leave('b'),
          store.restore('x', STATE),
          store.sync(null),
        ] as const);
        for (const result of results) {
          if (result.status === 'rejected')
            assert.ok(result.reason instanceof StoreError, String(result.reason));
        }
        const [loaded, since, , , , ...rest] = results;
        if (loaded.status === 'fulfilled') {
          assert.ok(isInteger(loaded.value.revision));
          for (const [, { revision, document }] of loaded.value.documents) {
            assert.ok(isInteger(revision));
            assert.ok(typeof document === 'object' && document !== null);
          }
        }
        if (since.status === 'fulfilled')
          for (const { revision } of since.value?.commits ?? []) assert.ok(isInteger(revision));
        for (const result of [rest[0], rest[1], rest[5]]) {
          if (result?.status !== 'fulfilled') continue;
          const { revision, time, fence, replicas } = result.value;
          assert.ok(isInteger(revision) && isInteger(time) && isInteger(fence), JSON.stringify(result.value));
          for (const { age } of replicas) assert.ok(Number.isFinite(age) && age >= 0, String(age));
        }
      }),
      { numRuns: 150 },
    );
  });
});
