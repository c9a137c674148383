/** What a real Redis keeps beside documents and commits: how changes ended, and older history that is put back. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { StoreError } from '../../src/store/store.ts';
import { startRedis } from '../support/redis.ts';
import { beat, openRedisStore } from '../support/redis-store.ts';
import { documentsAfter, makeCommit } from '../unit/store/commits.ts';
import { largeCommits } from '../unit/store/large-commits.ts';

const commits = Array.from({ length: 241 }, (_, index) => makeCommit(index + 1));

describe('records of ended changes in Redis', () => {
  it('keep the first word on each change, for a day', async (t) => {
    const redis = await startRedis(t);
    const { url } = redis;
    const one = openRedisStore(t, url);
    const two = openRedisStore(t, url);
    await one.commit(commits[0]!);
    const { id } = await one.sync(null);
    const records = Array.from({ length: 1200 }, (_, index) => ({ id: `c${index}`, text: `one ${index}` }));
    const first = await one.finals(id, records);
    assert.deepEqual(
      first,
      records.map(({ text }) => text),
    );
    assert.deepEqual(
      await two.finals(id, [
        { id: 'c7', text: 'two' },
        { id: 'c8', text: null },
        { id: 'c9', text: 'three', replaces: true },
        { id: 'other', text: null },
      ]),
      ['one 7', 'one 8', 'three', null],
    );
    assert.deepEqual(await one.finals(id, [{ id: 'c9', text: 'one 9' }]), ['three']);
    const rest = Number(await redis.send('pttl', '{serin}:final:c7'));
    assert.ok(rest > 23 * 3_600_000 && rest <= 24 * 3_600_000, String(rest));
  });

  it('are refused by another store, and taken by one that was emptied', async (t) => {
    const redis = await startRedis(t);
    const { url } = redis;
    const one = openRedisStore(t, url);
    await one.commit(commits[0]!);
    const { id } = await one.sync(null);
    assert.deepEqual(await one.finals(id, [{ id: 'c0', text: 'x', restored: 'other' }]), [null]);
    assert.deepEqual(await one.finals(id, [{ id: 'c0', text: 'x', restored: '' }]), ['x']);
    await assert.rejects(
      one.finals('another', [{ id: 'c1', text: 'x' }]),
      (error) => error instanceof StoreError && error.code === 'foreign',
    );
    await redis.send('flushall');
    assert.deepEqual(await one.finals(id, [{ id: 'c1', text: 'x' }]), ['x']);
    assert.deepEqual(await one.finals(id, [{ id: 'c2', text: 'x', restored: '' }]), [null]);
    assert.equal((await one.sync(null)).id, '', 'it is as empty as before');
    assert.ok(
      await one.restore(id, {
        revision: 1,
        documents: documentsAfter(commits.slice(0, 1)),
        recent: commits.slice(0, 1),
      }),
    );
    assert.deepEqual(await one.finals(id, [{ id: 'c1', text: null }]), ['x']);
  });
});

describe('older history in Redis', () => {
  it('is put in front of what is there, once', async (t) => {
    const redis = await startRedis(t);
    const { url } = redis;
    const one = openRedisStore(t, url);
    const two = openRedisStore(t, url);
    const documents = documentsAfter(commits.slice(0, 240));
    assert.ok(await one.restore('s1', { revision: 240, documents, recent: commits.slice(40, 240) }));
    const before = (await one.sync(null)).restored;
    assert.notEqual(before, '');
    const first = (await two.oldest())!;
    assert.deepEqual([first.revision, first.changeId], [41, commits[40]!.changeId]);
    // Somebody goes on meanwhile.
    await one.commit(commits[240]!);
    assert.ok(await two.addOlder('s1', commits, first));
    assert.notEqual((await one.sync(null)).restored, before, 'others hear of it');
    const loaded = await openRedisStore(t, url).load();
    assert.deepEqual(loaded.recent, commits);
    assert.deepEqual(loaded.documents, documentsAfter(commits));
    assert.deepEqual(await one.before(3), commits.slice(0, 2));
    assert.ok(!(await two.addOlder('s1', commits, first)), 'it does not begin there any more');
    assert.equal(Number(await redis.send('xlen', '{serin}:commits')), 241);
    await one.commit(makeCommit(242));
  });

  it('is not put there where it does not lead to what is there', async (t) => {
    const { url } = await startRedis(t);
    const one = openRedisStore(t, url);
    const documents = documentsAfter(commits.slice(0, 60));
    await one.restore('s1', { revision: 60, documents, recent: commits.slice(40, 60) });
    const first = (await one.oldest())!;
    assert.ok(!(await one.addOlder('s2', commits, first)), 'another store');
    assert.ok(!(await one.addOlder('s1', commits.slice(0, 30), first)), 'a gap');
    assert.ok(!(await one.addOlder('s1', commits, { ...first, changeId: 'x' })), 'another history');
    assert.deepEqual((await one.load()).recent, commits.slice(40, 60));
  });

  it('may be packed, and stays readable when commits that need it come and go', async (t) => {
    const { url } = await startRedis(t);
    const one = openRedisStore(t, url);
    await one.sync(beat);
    const large = largeCommits(40);
    await one.restore('s1', {
      revision: 30,
      documents: documentsAfter(large.slice(0, 30)),
      recent: large.slice(20, 30),
    });
    assert.ok(await one.addOlder('s1', large.slice(0, 30), (await one.oldest())!));
    for (const commit of large.slice(30)) await one.commit(commit);
    const loaded = await openRedisStore(t, url).load();
    assert.deepEqual(loaded.faults, []);
    assert.deepEqual(loaded.recent, large);
    assert.deepEqual(loaded.documents, documentsAfter(large));
  });
});
