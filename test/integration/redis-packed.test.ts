/** Large policies in Redis: what changed is written and nothing else, and whoever reads, now or later, gets all of it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { randomBytes } from 'node:crypto';
import { connectRedis } from '../../src/store/redis/redis-connection.ts';
import { createRedisStore } from '../../src/store/redis/redis-store.ts';
import type { Commit } from '../../src/store/store.ts';
import { StoreCounters } from '../../src/telemetry/store-counters.ts';
import { type Cleanup, startRedis } from '../support/redis.ts';
import { openRedisStore } from '../support/redis-store.ts';
import { documentsAfter, makeCommit } from '../unit/store/commits.ts';
import { fresh, largeCommits } from '../unit/store/large-commits.ts';

const COMMITS = largeCommits(60);
const TIME = { timeout: 240_000 };
const BEAT = { record: '{}', lease: 5000, lead: false };

function openBounded(t: Cleanup, url: string, historyBytes: number) {
  const counters = new StoreCounters();
  const connection = connectRedis({ url, prefix: 'serin', counters });
  t.after(() => connection.close());
  return createRedisStore({ connection, counters, random: randomBytes, historyBytes });
}

const of = (service: string, commits: readonly Commit[]): Commit[] =>
  commits.filter((one) => one.service === service).toReversed();

describe('a Redis with large policies', TIME, () => {
  it('holds what changed; all that is read is as it was written', async (t) => {
    const redis = await startRedis(t);
    const [one, two] = [openRedisStore(t, redis.url), openRedisStore(t, redis.url)];
    await two.load();
    let last = 0;
    // Each writes, after it has followed the other.
    for (const [index, commit] of COMMITS.entries()) {
      const writer = index % 3 === 0 ? two : one;
      const since = await writer.since(last);
      assert.deepEqual(since?.commits, COMMITS.slice(last, index));
      last = index;
      await writer.commit(commit);
    }
    const size = Number(await redis.send('memory', 'usage', '{serin}:commits', 'samples', '0'));
    assert.ok(size < JSON.stringify(COMMITS).length * 0.6, `${size} bytes`);
    assert.equal(await redis.send('hget', '{serin}:meta', 'readable'), '2');
    const three = openRedisStore(t, redis.url);
    const loaded = await three.load();
    assert.deepEqual(loaded, {
      revision: 60,
      documents: documentsAfter(COMMITS),
      recent: COMMITS,
      faults: [],
    });
    assert.equal(JSON.stringify(loaded.recent), JSON.stringify(COMMITS));
    const four = openRedisStore(t, redis.url);
    for (const service of ['notes', 'shop', 'mail'])
      assert.deepEqual(await four.history(service, Infinity, 100), of(service, COMMITS));
    for (const commit of COMMITS) assert.deepEqual(await four.at(commit.revision), commit);
  });

  it('writes it whole while a replica of a former version is heard of, and packed once that is over', async (t) => {
    const redis = await startRedis(t);
    const store = openRedisStore(t, redis.url);
    await store.sync({ ...BEAT, replica: 'new' });
    const first = await store.sync(null);
    // As a former version beats: it leaves no word of what it reads.
    await redis.send('hset', '{serin}:replicas', 'old', '{}');
    await redis.send('zadd', '{serin}:beats', first.time, 'old');
    const readable = () => redis.send('hget', '{serin}:meta', 'readable');
    for (const commit of COMMITS.slice(0, 10)) await store.commit(commit);
    assert.equal(await readable(), '1');
    assert.equal(
      ((await redis.send('hget', '{serin}:documents', 'notes')) as string).startsWith('{"revision"'),
      true,
    );
    // It was upgraded.
    await store.sync({ ...BEAT, replica: 'old' });
    for (const commit of COMMITS.slice(10, 20)) await store.commit(commit);
    assert.equal(await readable(), '2');
    // It was downgraded again under its name, before anything was packed: what it said before does not count.
    await redis.send('flushall');
    await store.sync({ ...BEAT, replica: 'old' });
    await redis.send('zadd', '{serin}:beats', first.time + 1, 'old');
    for (const commit of COMMITS.slice(0, 10)) await store.commit(commit);
    assert.equal(await readable(), '1');
    assert.deepEqual((await openRedisStore(t, redis.url).load()).recent, COMMITS.slice(0, 10));
  });

  it('takes no more bytes than the history may; documents and what is left stay readable', async (t) => {
    const redis = await startRedis(t);
    const store = openBounded(t, redis.url, 150_000);
    const commits = largeCommits(300);
    for (const commit of commits) {
      await store.commit(commit);
      const bytes = Number(await redis.send('hget', '{serin}:meta', 'bytes'));
      assert.ok(bytes <= 150_000, `${bytes} at ${commit.revision}`);
    }
    const size = Number(await redis.send('memory', 'usage', '{serin}:commits', 'samples', '0'));
    assert.ok(size < 250_000, `${size}`);
    const bases = Number(await redis.send('hlen', '{serin}:bases'));
    assert.ok(bases <= 6, `${bases} bases`);
    assert.ok(Number(await redis.send('hlen', '{serin}:spans')) < 40);
    const loaded = await openRedisStore(t, redis.url).load();
    assert.deepEqual(loaded.documents, documentsAfter(commits));
    assert.deepEqual(loaded.faults, []);
    assert.ok(loaded.recent.length >= 5);
    assert.deepEqual(loaded.recent, commits.slice(-loaded.recent.length));
  });

  it('that was emptied takes back what a replica knows, packed; and what one that reads only whole ones knows', async (t) => {
    const redis = await startRedis(t);
    const store = openRedisStore(t, redis.url);
    const state = { revision: 60, documents: documentsAfter(COMMITS), recent: COMMITS.slice(20) };
    assert.equal(await store.restore('id-1', state), true);
    assert.equal(await redis.send('hget', '{serin}:meta', 'readable'), '2');
    assert.deepEqual(await openRedisStore(t, redis.url).load(), { ...state, faults: [] });
    await store.commit(makeCommit(61));
    const { time } = await store.sync(null);
    await redis.send('zadd', '{serin}:beats', time, 'old');
    await store.replace('id-2', { ...state, recent: fresh(state.recent) });
    assert.equal(await redis.send('hget', '{serin}:meta', 'readable'), '1');
    assert.deepEqual(await openRedisStore(t, redis.url).load(), { ...state, faults: [] });
  });

  it('whose bases are gone is lost, or says which commits can not be read', async (t) => {
    const redis = await startRedis(t);
    const store = openBounded(t, redis.url, 60_000);
    for (const commit of COMMITS) await store.commit(commit);
    assert.ok(Number(await redis.send('hlen', '{serin}:bases')) > 0);
    await redis.send('del', '{serin}:bases');
    assert.equal((await store.sync(null)).id, '');

    await redis.send('flushall');
    const other = openRedisStore(t, redis.url);
    for (const commit of COMMITS.slice(0, 9)) await other.commit(commit);
    await redis.send('xdel', '{serin}:commits', '3-0');
    const loaded = await openRedisStore(t, redis.url).load();
    assert.ok(loaded.faults!.length > 0);
    for (const { service, detail } of loaded.faults!) {
      assert.equal(service, COMMITS[2]!.service);
      assert.match(detail, /what it changes, revision 3, is not there/);
    }
    // It is written whole then.
    await other.commit({ ...COMMITS[8]!, revision: 10, changeId: 'mended' });
    const mended = await openRedisStore(t, redis.url).load();
    assert.deepEqual(mended.documents.get('notes')?.document, COMMITS[8]!.document);
  });

  it('says that a base is not there where another commit stands in its place', async (t) => {
    const redis = await startRedis(t);
    const store = openRedisStore(t, redis.url);
    for (const commit of COMMITS.slice(0, 9)) await store.commit(commit);
    await redis.send('xdel', '{serin}:commits', '3-0');
    const another = { ...COMMITS[2]!, changeId: 'another' };
    await redis.send('hset', '{serin}:bases', '3', JSON.stringify(another));
    const { documents, faults } = await openRedisStore(t, redis.url).load();
    assert.equal(documents.has(another.service), false);
    assert.ok(faults!.length > 0);
    for (const { detail } of faults!) assert.match(detail, /what it changes, revision 3, is not there/);
  });

  it('never reads changes of another base than the one that they were made of', async (t) => {
    const redis = await startRedis(t);
    const one = openRedisStore(t, redis.url);
    for (const commit of COMMITS.slice(0, 3)) await one.commit(commit);
    // A failover lost revision 3, and somebody wrote another one.
    await redis.send('flushall');
    const two = openRedisStore(t, redis.url);
    const others = largeCommits(3).map((commit) => ({ ...commit, changeId: `other-${commit.revision}` }));
    for (const commit of others) await two.commit(commit);
    const next = { ...COMMITS[5]!, revision: 4 };
    await one.commit(next);
    assert.deepEqual(
      (await openRedisStore(t, redis.url).load()).documents.get('notes')?.document,
      next.document,
    );
    assert.deepEqual((await two.since(3))?.commits, [next]);
  });

  it('is read anew by the bases that it has now, whatever the reader remembers of a history that was lost', async (t) => {
    const redis = await startRedis(t);
    const one = openRedisStore(t, redis.url);
    for (const commit of COMMITS.slice(0, 4)) await one.commit(commit);
    // A failover lost all of it, and others wrote other policies at the same revisions.
    await redis.send('flushall');
    const two = openRedisStore(t, redis.url);
    const [, , base, , , next] = COMMITS;
    const others = [...COMMITS.slice(0, 3), { ...next!, revision: 4 }].map((commit) => ({
      ...(JSON.parse(JSON.stringify(commit).replaceAll('"10.', '"11.')) as Commit),
      changeId: `other-${commit.revision}`,
    }));
    for (const commit of others) await two.commit(commit);
    const { service } = base!;
    const written = (await redis.send('hget', '{serin}:documents', service)) as string;
    assert.match(written, /^\{"base":3,/);
    assert.deepEqual(await one.load(), {
      revision: 4,
      documents: documentsAfter(others),
      recent: others,
      faults: [],
    });
  });
});
