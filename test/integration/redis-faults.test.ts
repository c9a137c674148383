/** What becomes of the shared store when its Redis fails: each kind of failure, with a real Redis that fails so. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import type { StoreCondition } from '../../src/telemetry/store-counters.ts';
import { StoreError } from '../../src/store/store.ts';
import { makeAuthority } from '../support/certificates.ts';
import { freePort } from '../support/ports.ts';
import { startRedis, startReplica } from '../support/redis.ts';
import { beat, openRedisStore, type OpenedRedisStore, refused, works } from '../support/redis-store.ts';
import { startSlowLink } from '../support/slow-link.ts';
import { until } from '../support/until.ts';
import { makeCommit } from '../unit/store/commits.ts';

const CLI = path.resolve(import.meta.dirname, '../../src/cli.ts');

const TIME = { timeout: 180_000 };

/** Conditions as they come. */
function watched(store: OpenedRedisStore): StoreCondition[] {
  const seen: StoreCondition[] = [];
  store.onCondition((condition, trouble) => {
    assert.equal(trouble === null, condition === 'available');
    seen.push(condition);
  });
  return seen;
}

async function opened(t: TestContext) {
  const server = await startRedis(t);
  const store = openRedisStore(t, server.url);
  await store.commit(makeCommit(1));
  return { server, store };
}

describe('Redis', { concurrency: 2 }, () => {
  it('gone: calls fail at once, and it is found again', TIME, async (t) => {
    const { server, store } = await opened(t);
    const seen = watched(store);
    let hints = 0;
    store.onHint(() => hints++);
    await server.kill();
    await until(() => store.condition === 'unreachable');
    for (const call of [
      () => store.sync(null),
      () => store.sync(beat),
      () => store.load(),
      () => store.since(0),
    ])
      await refused(call(), /no connection/);
    await refused(store.commit(makeCommit(2)), /no connection/);
    hints = 0;
    await server.start();
    await until(() => store.condition === 'available' && hints > 0);
    assert.deepEqual(seen, ['unreachable', 'available']);
    assert.ok(store.counters.reconnects > 0);
    // It kept nothing.
    assert.equal((await store.sync(null)).id, '');
  });

  it('gone at the start: the store begins to work when it comes', TIME, async (t) => {
    const server = await startRedis(t);
    await server.kill();
    const store = openRedisStore(t, server.url);
    await refused(store.load());
    await server.start();
    await until(() => works(store));
  });

  it('loading its data: it is asked often whether it has', TIME, async (t) => {
    // Some 0.15 ms a key, and it answers others after each thousand.
    const server = await startRedis(t, { args: ['--appendonly', 'yes', '--key-load-delay', '100'] });
    const store = openRedisStore(t, server.url);
    await store.commit(makeCommit(1));
    await Promise.all(Array.from({ length: 15_000 }, (_, index) => server.send('set', `key-${index}`, '')));
    await server.kill();
    await until(() => works(store).then((ok) => !ok));
    const starting = server.start();
    await until(
      () => store.trouble?.includes('it is loading its data') === true || works(store).then(() => false),
    );
    await starting;
    await until(() => works(store));
    assert.equal((await store.sync(null)).revision, 1);
    // Each of its two connections had some ten answers that it was still loading.
    const asked = /cmdstat_info:calls=([0-9]+)/.exec(String(await server.send('info', 'commandstats')));
    assert.ok(Number(asked?.[1]) > 12, `asked ${asked?.[1]} times`);
  });

  it('paused: calls end within their time, and what was given up is not done later', TIME, async (t) => {
    const { server, store } = await opened(t);
    server.pause();
    await refused(store.sync(beat), /no answer in time/);
    assert.equal(store.condition, 'unreachable');
    server.resume();
    await until(() => works(store));
    server.pause();
    await refused(store.commit(makeCommit(2)), /not known whether it took revision 2/);
    server.resume();
    await until(() => works(store));
    assert.equal((await store.sync(null)).revision, 1);
    await store.commit(makeCommit(2, { changeId: 'another' }));
  });

  it('paused after answers that were slow: what was given up is not done later either', TIME, async (t) => {
    const { server } = await opened(t);
    const link = await startSlowLink(t, server.port);
    const store = openRedisStore(t, `redis://127.0.0.1:${link.port}`);
    await until(() => works(store));
    // The clock of Redis is known by a round trip of which the way there took almost all.
    link.delayThere = 900;
    await store.sync(beat);
    link.delayThere = 0;
    server.pause();
    await refused(store.commit(makeCommit(2)), /not known whether/);
    server.resume();
    await until(() => works(store));
    assert.equal((await store.sync(null)).revision, 1);
  });

  it('flushed: the store says so, and takes back what it had', TIME, async (t) => {
    const { server, store } = await opened(t);
    const state = await store.load();
    const { id } = await store.sync(beat);
    const { fence } = await store.sync(null);
    await server.send('flushall');
    const seen = await store.sync(null);
    assert.deepEqual([seen.id, seen.revision, seen.leader, seen.replicas], ['', 0, null, []]);
    await assert.rejects(store.commit(makeCommit(1), { fence }), /Another replica leads/);
    const again = await store.sync(beat);
    assert.ok(again.fence > fence, 'the number of the leadership rises');
    assert.equal(await store.restore(id, state), true);
    assert.equal((await store.sync(null)).id, id);
  });

  it('slow: it works while answers come within their time', TIME, async (t) => {
    const { server } = await opened(t);
    const link = await startSlowLink(t, server.port);
    const store = openRedisStore(t, `redis://127.0.0.1:${link.port}`);
    link.delay = 100;
    await until(() => works(store));
    await store.commit(makeCommit(2));
    link.delay = 700;
    await refused(store.sync(beat), /no answer in time/);
    link.delay = 0;
    await until(() => works(store));
    // What is large may take longer.
    link.delay = 700;
    assert.equal((await store.load()).revision, 2);
  });

  it('loses an answer: the commit counts as taken, once', TIME, async (t) => {
    const { server } = await opened(t);
    const link = await startSlowLink(t, server.port);
    const store = openRedisStore(t, `redis://127.0.0.1:${link.port}`);
    await until(() => works(store));
    let lost = 0;
    link.answers = (bytes) => {
      if (lost > 0 || !bytes.includes('change-2')) return true;
      lost += 1;
      return false;
    };
    await store.commit(makeCommit(2));
    assert.equal(lost, 1);
    assert.equal((await store.sync(null)).revision, 2);
    assert.deepEqual(await store.since(0), { commits: [makeCommit(1), makeCommit(2)], faults: [] });
  });

  it('full: writes are refused, reading goes on, and it recovers by itself', TIME, async (t) => {
    const { server, store } = await opened(t);
    await store.sync(beat);
    await server.send('config', 'set', 'maxmemory', 1);
    await refused(store.commit(makeCommit(2)), /no memory left/);
    assert.equal(store.condition, 'full');
    assert.equal((await store.sync(beat)).revision, 1);
    assert.equal((await store.since(0))?.commits.length, 1);
    await refused(store.replace('x', await store.load()), /no memory left/);
    assert.equal(store.condition, 'full');
    await server.send('config', 'set', 'maxmemory', 0);
    await store.sync(beat);
    assert.equal(store.condition, 'available');
    await store.commit(makeCommit(2));
  });

  it('a replica without its master, or a master without replicas: nothing is written', TIME, async (t) => {
    const { server, store } = await opened(t);
    const replica = await startReplica(t, server);
    const reader = openRedisStore(t, replica.url);
    assert.equal((await reader.sync(beat)).revision, 1);
    assert.equal(reader.condition, 'readOnly');
    await refused(reader.commit(makeCommit(2)), /a replica that takes no writes/);
    assert.equal((await reader.load()).revision, 1);
    await server.send('config', 'set', 'min-replicas-to-write', 3);
    await refused(store.commit(makeCommit(2)), /fewer replicas than its min-replicas-to-write/);
    assert.equal((await store.sync(beat)).revision, 1);
    assert.equal(store.condition, 'readOnly');
    await replica.send('replicaof', 'no', 'one');
    await until(() => works(reader).then((works) => works && reader.condition === 'available'));
  });

  it('another password: refused without showing it, until it is right', TIME, async (t) => {
    const server = await startRedis(t, { password: 'open-sesame' });
    const store = openRedisStore(t, server.url.replace('//', '//:hunter2@'));
    await refused(store.load(), /refuses the name or the password/);
    assert.equal(store.condition, 'denied');
    assert.doesNotMatch(String(store.trouble), /hunter2|open-sesame/);
    const none = openRedisStore(t, server.url);
    await refused(none.load(), /refuses the name or the password/);
    await server.send('config', 'set', 'requirepass', 'hunter2');
    await until(() => works(store));
    assert.equal(store.condition, 'available');
  });

  it('over TLS: with an authority that is known, and with one that is not', TIME, async (t) => {
    const authority = makeAuthority();
    const directory = await mkdtemp(path.join(tmpdir(), 'serin-redis-tls-'));
    t.after(() => rm(directory, { recursive: true, force: true }));
    const file = (name: string): string => path.join(directory, name);
    const { certificate, key } = authority.issue(['127.0.0.1']);
    await writeFile(file('authority.pem'), authority.certificate);
    await writeFile(file('certificate.pem'), certificate);
    await writeFile(file('key.pem'), key);
    const port = await freePort();
    const args = [
      `--tls-port ${port}`,
      '--tls-auth-clients no',
      `--tls-ca-cert-file ${file('authority.pem')}`,
      `--tls-cert-file ${file('certificate.pem')}`,
      `--tls-key-file ${file('key.pem')}`,
    ].flatMap((line) => line.split(' '));
    const server = await startRedis(t, { args });
    const url = `rediss://127.0.0.1:${port}`;
    const store = openRedisStore(t, url);
    await refused(store.load(), /TLS fails.*NODE_EXTRA_CA_CERTS/);
    const plain = openRedisStore(t, server.url.replace('redis:', 'rediss:'));
    await refused(plain.load(), /no connection/);
    // The variable is read when a process starts.
    const command = ['store', 'migrate', '--from', url, '--to', `file:${file('data')}`];
    const filled = openRedisStore(t, server.url);
    await filled.commit(makeCommit(1));
    const env = { PATH: process.env['PATH'], NODE_EXTRA_CA_CERTS: file('authority.pem') };
    await promisify(execFile)(process.execPath, [CLI, ...command], { env });
  });

  it('a user of its ACL: the rights that the documentation gives are enough', TIME, async (t) => {
    const { server } = await opened(t);
    const text = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
    const [, rights] = /^ACL SETUSER serin on >PASSWORD (.*)$/m.exec(text) ?? [];
    assert.ok(rights !== undefined);
    await server.send('acl', 'setuser', 'serin', 'on', '>hunter2', ...rights.split(' '));
    const store = openRedisStore(t, server.url.replace('//', '//serin:hunter2@'));
    let hints = 0;
    store.onHint(() => hints++);
    await store.sync(beat);
    await store.commit(makeCommit(2));
    await store.replace('', await store.load());
    await store.leave('a');
    await until(() => hints > 0);
    const stranger = openRedisStore(t, server.url.replace('//', '//serin:hunter2@'), { prefix: 'other' });
    await refused(stranger.load(), /does not permit this user/);
    assert.equal(stranger.condition, 'denied');
  });

  it('with a poisoned document or commit: the others are read, and it is told', TIME, async (t) => {
    const { server, store } = await opened(t);
    for (let revision = 2; revision <= 6; revision++) await store.commit(makeCommit(revision));
    const good = await store.load();
    await server.send('hset', '{serin}:documents', 'notes', '{"revision":6,"document":7}');
    await server.send('hset', '{serin}:documents', 'ghost', '{');
    const loaded = await store.load();
    assert.equal(loaded.revision, 6);
    assert.deepEqual(
      [...loaded.documents.keys()].toSorted((a, b) => a.localeCompare(b)),
      ['mail', 'shop'],
    );
    assert.deepEqual(
      (loaded.faults ?? [])
        .map(({ service, revision }) => [service, revision])
        .toSorted((a, b) => String(a).localeCompare(String(b))),
      [
        ['ghost', -1],
        ['notes', 6],
      ],
    );
    assert.deepEqual(loaded.recent, good.recent);
    const fields = ['service', 'notes', 'changeId', 'change-7', 'at', '0', 'commit', '{"revision":7}'];
    await server.send('xadd', '{serin}:commits', '7-0', ...fields);
    await server.send('hset', '{serin}:meta', 'revision', '7', 'changeId', 'change-7');
    const since = await store.since(5);
    assert.deepEqual(
      since?.commits.map(({ revision }) => revision),
      [6],
    );
    assert.deepEqual(
      since.faults.map(({ service, revision, changeId }) => [service, revision, changeId]),
      [['notes', 7, 'change-7']],
    );
    await store.commit(makeCommit(8));
  });

  it('written by a newer version: readable while it says so, refused otherwise', TIME, async (t) => {
    const { server, store } = await opened(t);
    await server.send('hset', '{serin}:meta', 'format', '3');
    await store.commit(makeCommit(2));
    await server.send('hset', '{serin}:meta', 'readable', '3');
    for (const call of [
      () => store.load(),
      () => store.sync(beat),
      () => store.commit(makeCommit(3)),
      () => store.since(0),
    ]) {
      await assert.rejects(call(), (error) => {
        assert.ok(error instanceof StoreError);
        assert.equal(error.code, 'newer');
        assert.match(error.message, /newer version of Serin.*format 3/);
        return true;
      });
    }
    assert.equal(store.condition, 'unreadable');
    for (const none of ['0', '-1', '0.5', '1.5', 'nan', '0x1', '01', ' 1', '']) {
      await server.send('hset', '{serin}:meta', 'readable', none);
      for (const call of [() => store.load(), () => store.sync(beat), () => store.commit(makeCommit(3))])
        await assert.rejects(
          call(),
          (error) => error instanceof StoreError && error.code === 'corrupt',
          none,
        );
    }
    await server.send('hset', '{serin}:meta', 'readable', '1');
    await store.sync(null);
    assert.equal(store.condition, 'available');
  });

  it('with keys of another program: refused, and nothing of theirs is touched', TIME, async (t) => {
    const { server, store } = await opened(t);
    await server.send('flushall');
    const all = ['meta', 'documents', 'commits', 'replicas', 'beats', 'leader'];
    for (const key of all) {
      await server.send('set', `{serin}:${key}`, 'theirs');
      const calls = [
        ...(['meta', 'documents'].includes(key) ? [() => store.load()] : []),
        ...(all.indexOf(key) < 3
          ? [
              () => store.commit(makeCommit(1)),
              () => store.replace('x', { revision: 1, documents: new Map(), recent: [makeCommit(1)] }),
            ]
          : [() => store.sync(beat)]),
      ];
      for (const call of calls) {
        await assert.rejects(call(), (error) => error instanceof StoreError && error.code === 'foreign');
      }
      assert.equal(store.condition, 'unreadable');
      assert.equal(await server.send('get', `{serin}:${key}`), 'theirs');
      assert.equal(await server.send('dbsize'), 1);
      await server.send('del', `{serin}:${key}`);
    }
    await store.sync(beat);
    assert.equal(store.condition, 'available');
  });
});
