/** The shared store in a Redis that fails over: a master that Sentinels watch, and a Cluster. */
import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, it } from 'node:test';
import { startCluster, startSentinels, untilInfo } from '../support/redis.ts';
import { openRedisStore, refused, works } from '../support/redis-store.ts';
import { until } from '../support/until.ts';
import { makeCommit } from '../unit/store/commits.ts';

/** An election of Sentinels that comes to nothing is repeated only after some time. */
const TIME = { timeout: 180_000 };

describe('Sentinels', () => {
  it('name the new master when the old one dies, or hangs', TIME, async (t) => {
    const set = await startSentinels(t);
    const store = openRedisStore(t, set.url);
    await store.commit(makeCommit(1));
    await until(async () => (await set.replica.send('xlen', '{serin}:commits')) === 1);
    await set.master.kill();
    await until(() => works(store));
    // The store may have heard of it from another Sentinel than the one that is asked here.
    await until(async () => (await set.masterPort()) === set.replica.port);
    assert.equal((await store.sync(null)).revision, 1);
    await store.commit(makeCommit(2));
    // The old one comes back as a replica and takes over in its turn.
    await set.master.start();
    await untilInfo(set.master, 'replication', /master_link_status:up/);
    set.replica.pause();
    await until(async () => (await works(store)) && (await set.masterPort()) === set.master.port);
    await store.commit(makeCommit(3));
    set.replica.resume();
    assert.equal((await store.load()).revision, 3);
  });
});

describe('a Cluster', () => {
  it('keeps the store on one node, and waits for it', TIME, async (t) => {
    const cluster = await startCluster(t);
    const one = openRedisStore(t, cluster.url);
    const two = openRedisStore(t, cluster.url);
    let hints = 0;
    two.onHint(() => hints++);
    await until(() => works(one));
    await until(() => hints > 0);
    hints = 0;
    for (let revision = 1; revision <= 50; revision++) await one.commit(makeCommit(revision));
    await until(() => hints > 0);
    assert.equal((await two.load()).revision, 50);
    const sizes = await Promise.all(cluster.nodes.map(async (node) => Number(await node.send('dbsize'))));
    assert.equal(sizes.filter((size) => size > 0).length, 1);
    const [holder] = cluster.nodes.filter((_, index) => (sizes[index] ?? 0) > 0);
    holder?.pause();
    await refused(two.sync(null));
    holder?.resume();
    await until(() => works(two));
    assert.equal((await two.sync(null)).revision, 50);
    await holder?.kill();
    await until(() => one.condition === 'unreachable' || works(one).then((ok) => !ok));
    await holder?.start();
    await until(() => works(one));
    await Promise.all(cluster.nodes.map((node) => node.kill()));
    await until(() => works(one).then((ok) => !ok));
    // A client that looked for them without a pause would have made so many attempts in a few milliseconds.
    let attempts = 0;
    const count = (): void => void attempts++;
    subscribe('net.client.socket', count);
    t.after(() => unsubscribe('net.client.socket', count));
    const began = performance.now();
    await until(() => attempts >= 100);
    const took = performance.now() - began;
    assert.ok(took > 300, `${attempts} attempts to find nobody in ${took} ms`);
    hints = 0;
    await Promise.all(cluster.nodes.map((node) => node.start()));
    await until(() => works(one));
    await until(() => hints > 0);
  });
});
