/** The store that replicas share, against a real Redis that does as it should. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { StoreError } from '../../src/store/store.ts';
import { until } from '../support/until.ts';
import { startRedis } from '../support/redis.ts';
import { openRedisStore } from '../support/redis-store.ts';
import { documentsAfter, makeCommit, revisions } from '../unit/store/commits.ts';

const isCode = (code: string, text: RegExp) => (error: unknown) => {
  assert.ok(error instanceof StoreError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, text);
  return true;
};

const pair = async (t: TestContext) => {
  const server = await startRedis(t);
  return { server, one: openRedisStore(t, server.url), two: openRedisStore(t, server.url) };
};

const beat = (replica: string, lead = false, lease = 5000) => ({
  replica,
  record: `record of ${replica}`,
  lease,
  lead,
});

describe('a Redis store', () => {
  it('begins empty, and reading changes nothing', async (t) => {
    const { server, one } = await pair(t);
    assert.deepEqual(await one.load(), { revision: 0, documents: new Map(), recent: [], faults: [] });
    const seen = await one.sync(null);
    assert.deepEqual(
      { ...seen, time: 0 },
      { id: '', revision: 0, changeId: '', restored: '', time: 0, leader: null, fence: 0, replicas: [] },
    );
    assert.deepEqual(await one.since(0), { commits: [], faults: [] });
    assert.equal(await server.send('dbsize'), 0);
  });

  it('gives another what was committed', async (t) => {
    const { one, two } = await pair(t);
    const commits = Array.from({ length: 20 }, (_, index) => makeCommit(index + 1));
    for (const commit of commits) await one.commit(commit);
    const loaded = await two.load();
    assert.equal(loaded.revision, 20);
    assert.deepEqual(loaded.documents, documentsAfter(commits));
    assert.deepEqual(loaded.recent, commits);
    assert.deepEqual(await two.since(15), { commits: commits.slice(15), faults: [] });
    assert.deepEqual(await two.since(20), { commits: [], faults: [] });
    assert.deepEqual(await two.at(7), commits[6]);
    assert.equal(await two.at(21), null);
    const { id, revision, changeId } = await two.sync(null);
    assert.match(id, /^[0-9a-f]{32}$/);
    assert.deepEqual({ revision, changeId }, { revision: 20, changeId: commits[19]?.changeId });
  });

  it('takes a commit only on top of the last, and the same one once', async (t) => {
    const { one, two } = await pair(t);
    await one.commit(makeCommit(1));
    await assert.rejects(
      two.commit({ ...makeCommit(1), changeId: 'another' }),
      isCode('conflict', /at revision 1, so the next is 2, not 1/),
    );
    await assert.rejects(two.commit(makeCommit(3)), isCode('conflict', /not 3/));
    await two.commit(makeCommit(1));
    await two.commit(makeCommit(2));
    await one.commit(makeCommit(1));
    assert.equal((await one.load()).revision, 2);
  });

  it('tells a service its own history, newest first', async (t) => {
    const { one } = await pair(t);
    const commits = Array.from({ length: 30 }, (_, index) => makeCommit(index + 1));
    for (const commit of commits) await one.commit(commit);
    const own = commits.filter(({ service }) => service === 'notes').toReversed();
    assert.deepEqual(await one.history('notes', Infinity, 100), own);
    const [, , third] = own;
    assert.deepEqual(
      revisions(await one.history('notes', third?.revision ?? 0, 2)),
      revisions(own.slice(3, 5)),
    );
    assert.deepEqual(await one.history('notes', 1, 10), []);
    assert.deepEqual(await one.history('unknown', Infinity, 10), []);
  });

  it('gives a long history in several answers, none of which is long, and leaves out what cannot be read', async (t) => {
    const { server, one, two } = await pair(t);
    const reason = 'x'.repeat(400_000);
    const commits = Array.from({ length: 40 }, (_, index) => ({ ...makeCommit(index + 1), reason }));
    for (const commit of commits) await one.commit(commit);
    const { mock } = t.mock.method(two.connection, 'run');
    assert.deepEqual((await two.load()).recent, commits);
    // 16 MB, in answers of some 4.
    const answers = mock.callCount() - 1;
    assert.ok(answers >= 3 && answers <= 5, `${answers}`);
    assert.deepEqual((await two.since(1))?.commits, commits.slice(1));
    assert.equal((await two.since(39))?.commits.length, 1);
    assert.deepEqual(await two.since(40), { commits: [], faults: [] });

    // What is none of ours in between ends nothing, and a commit that is gone is a gap.
    const poisoned = JSON.stringify({ ...makeCommit(41), document: { definition: null, rollout: {} } });
    await server.send('xadd', '{serin}:commits', '40-7', 'more', 'of somebody else');
    await server.send(
      'xadd',
      '{serin}:commits',
      '41-0',
      'service',
      'mail',
      'changeId',
      'c',
      'commit',
      poisoned,
    );
    await server.send('hset', '{serin}:meta', 'revision', 41, 'changeId', 'c');
    const { recent, faults = [] } = await two.load();
    assert.deepEqual([recent.length, faults.map(({ revision }) => revision)], [40, [41]]);
    await one.commit(makeCommit(42));
    assert.deepEqual(
      (await two.since(39))?.commits.map(({ revision }) => revision),
      [40, 42],
    );
    await server.send('xdel', '{serin}:commits', '30-0');
    assert.equal(await two.since(20), null);
  });

  it('hints to others, not to the writer, and to all after a reconnection', async (t) => {
    const { server, one, two } = await pair(t);
    let own = 0;
    let others = 0;
    one.onHint(() => own++);
    two.onHint(() => others++);
    // Once they listen, something may have been missed.
    await until(() => own > 0 && others > 0);
    own = 0;
    others = 0;
    await one.commit(makeCommit(1));
    await until(() => others > 0);
    await two.commit(makeCommit(2));
    await until(() => own > 0);
    assert.equal(others, 1);
    others = 0;
    await server.send('client', 'kill', 'type', 'pubsub');
    await until(() => others > 0);
  });

  it('registers replicas, with the age of their records', async (t) => {
    const { one, two } = await pair(t);
    await one.sync(beat('a'));
    const { replicas, time } = await two.sync(beat('b'));
    assert.deepEqual(
      new Map(replicas.map(({ name, record }) => [name, record])),
      new Map([
        ['a', 'record of a'],
        ['b', 'record of b'],
      ]),
    );
    assert.ok(replicas.every(({ age }) => age >= 0 && age < 5000));
    assert.ok(Math.abs(time - Date.now()) < 5000);
    await one.leave('a');
    assert.deepEqual(
      (await two.sync(null)).replicas.map(({ name }) => name),
      ['b'],
    );
  });

  it('has one leader, whose number rises, and refuses what a former one writes', async (t) => {
    const { one, two } = await pair(t);
    const first = await one.sync(beat('a', true, 200));
    assert.equal(first.leader, 'a');
    const second = await two.sync(beat('b', true, 200));
    assert.deepEqual([second.leader, second.fence], ['a', first.fence]);
    await one.commit(makeCommit(1), { fence: first.fence });
    await until(async () => (await two.sync(beat('b', true, 5000))).leader === 'b');
    const { fence } = await two.sync(null);
    assert.ok(fence > first.fence);
    await assert.rejects(
      one.commit(makeCommit(2), { fence: first.fence }),
      isCode('conflict', /Another replica leads/),
    );
    await two.commit(makeCommit(2), { fence });
    await two.leave('b');
    const third = await one.sync(beat('a', true));
    assert.equal(third.leader, 'a');
    assert.ok(third.fence > fence);
  });

  it('is filled only where it is empty', async (t) => {
    const { server, one, two } = await pair(t);
    const commits = Array.from({ length: 10 }, (_, index) => makeCommit(index + 1));
    for (const commit of commits) await one.commit(commit);
    const { id } = await one.sync(null);
    const state = await one.load();
    assert.equal(await two.restore(id, state), false);
    await server.send('flushall');
    assert.equal(await two.restore(id, state), true);
    assert.equal(await one.restore(id, state), false);
    assert.deepEqual(await one.load(), state);
    assert.equal((await one.sync(null)).id, id);
    await one.commit(makeCommit(11));
  });

  it('lets two writers race, and keeps one truth', async (t) => {
    const { one, two } = await pair(t);
    const taken = new Map<number, string>();
    const race = async (store: typeof one, name: string) => {
      let revision = 0;
      for (let made = 0; made < 250;) {
        const commit = { ...makeCommit(revision + 1), changeId: `${name}-${made}` };
        try {
          await store.commit(commit);
          assert.equal(taken.get(commit.revision), undefined);
          taken.set(commit.revision, commit.changeId);
          made += 1;
          revision += 1;
        } catch (error) {
          assert.ok(error instanceof StoreError && error.code === 'conflict', String(error));
          ({ revision } = await store.sync(null));
        }
      }
    };
    await Promise.all([race(one, 'a'), race(two, 'b')]);
    const { revision, recent } = await one.load();
    assert.equal(revision, 500);
    assert.deepEqual(
      recent.map((commit) => commit.changeId),
      Array.from({ length: 500 }, (_, index) => taken.get(index + 1)),
    );
  });
});
