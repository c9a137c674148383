/** `serin store …` between a directory and a real Redis. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { createFileStore } from '../../src/store/file/file-store.ts';
import type { Loaded } from '../../src/store/store.ts';
import { type Cleanup, startRedis } from '../support/redis.ts';
import { openRedisStore } from '../support/redis-store.ts';
import { serin } from '../unit/cli/terminal.ts';
import { documentsAfter, makeCommit } from '../unit/store/commits.ts';

const COMMITS = Array.from({ length: 40 }, (_, index) => makeCommit(index + 1));
const CONTENTS = { revision: 40, documents: documentsAfter(COMMITS), recent: COMMITS };

async function workshop(t: Cleanup): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'serin-store-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

function open(directory: string) {
  return createFileStore({ directory, wallNow: () => 0, warn: (message) => assert.fail(message) });
}

async function fill(directory: string, count = COMMITS.length): Promise<void> {
  const store = open(directory);
  await store.load();
  for (const commit of COMMITS.slice(0, count)) await store.commit(commit);
  await store.close();
}

async function contents(directory: string): Promise<Loaded> {
  const store = open(directory);
  try {
    return await store.load();
  } finally {
    await store.close();
  }
}

describe('serin store migrate', () => {
  it('moves a store from a directory into Redis and back, with its history', async (t) => {
    const directory = await workshop(t);
    const redis = await startRedis(t);
    await fill(`${directory}/a`);
    const there = await serin(['store', 'migrate', '--from', `file:${directory}/a`, '--to', redis.url]);
    assert.deepEqual([there.code, there.err], [0, '']);
    assert.match(
      there.out,
      /^put revision 40 \(\d services, 40 commits of history\) from the directory .* into redis:/,
    );

    const shared = openRedisStore(t, redis.url);
    assert.deepEqual(await shared.load(), { ...CONTENTS, faults: [] });
    await shared.commit(makeCommit(41));

    const back = await serin(['store', 'migrate', '--from', redis.url, '--to', `file:${directory}/b`]);
    assert.deepEqual([back.code, back.err], [0, '']);
    const commits = [...COMMITS, makeCommit(41)];
    assert.deepEqual(await contents(`${directory}/b`), {
      revision: 41,
      documents: documentsAfter(commits),
      recent: commits,
    });
  });

  it('writes over nothing unless told, and says before what it would do', async (t) => {
    const directory = await workshop(t);
    const redis = await startRedis(t);
    await fill(`${directory}/a`);
    await fill(`${directory}/b`, 5);
    const shared = openRedisStore(t, redis.url);
    for (const commit of COMMITS.slice(0, 3)) await shared.commit(commit);
    const { id } = await shared.sync(null);

    for (const [to, held] of [
      [redis.url, 3],
      [`file:${directory}/b`, 5],
    ] as const) {
      const words = ['store', 'migrate', '--from', `file:${directory}/a`, '--to', to];
      const dry = await serin([...words, '--dry-run']);
      assert.equal(dry.code, 1);
      assert.match(dry.out, new RegExp(`it would be refused: there is revision ${held} `));
      const refused = await serin(words);
      assert.equal(refused.code, 1);
      assert.match(refused.err, /holds something already; nothing was changed\..* --replace/);
      const willing = await serin([...words, '--replace', '--dry-run']);
      assert.equal(willing.code, 0);
      assert.match(willing.out, new RegExp(`it would take the place of revision ${held} `));
    }
    assert.equal((await shared.load()).revision, 3);
    assert.equal((await contents(`${directory}/b`)).revision, 5);

    for (const to of [redis.url, `file:${directory}/b`])
      assert.equal(
        (await serin(['store', 'migrate', '--from', `file:${directory}/a`, '--to', to, '--replace'])).code,
        0,
      );
    assert.deepEqual(await shared.load(), { ...CONTENTS, faults: [] });
    assert.deepEqual(await contents(`${directory}/b`), CONTENTS);
    assert.notEqual((await shared.sync(null)).id, id, 'replicas that remember must see that it is another');
  });

  it('makes nothing in a dry run, nor of a store that is not there', async (t) => {
    const directory = await workshop(t);
    const redis = await startRedis(t);
    await fill(`${directory}/a`);
    const dry = ['--dry-run', '--from', `file:${directory}/a`, '--to'];
    assert.match((await serin(['store', 'migrate', ...dry, redis.url])).out, /it would be put there/);
    assert.match(
      (await serin(['store', 'migrate', ...dry, `file:${directory}/c`])).out,
      /it would be put there/,
    );
    assert.deepEqual(await redis.send('keys', '*'), []);
    for (const from of [`file:${directory}/c`, redis.url]) {
      const nothing = await serin(['store', 'migrate', '--from', from, '--to', `file:${directory}/d`]);
      assert.equal(nothing.code, 1);
      assert.match(nothing.err, /there is no store in /);
    }
    await assert.rejects(stat(`${directory}/c`), { code: 'ENOENT' });
    await assert.rejects(stat(`${directory}/d`), { code: 'ENOENT' });
  });

  it('replaces no store that replicas use', async (t) => {
    const directory = await workshop(t);
    const redis = await startRedis(t);
    await fill(`${directory}/a`);
    const shared = openRedisStore(t, redis.url);
    await shared.commit(makeCommit(1));
    await shared.sync({ replica: 'serin-0', record: '{}', lease: 5000, lead: true });
    const words = ['store', 'migrate', '--from', `file:${directory}/a`, '--to', redis.url, '--replace'];
    const refused = await serin(words);
    assert.equal(refused.code, 1);
    assert.match(refused.err, /replicas use .*: serin-0\. They would put back what they know; stop them/);
    assert.equal((await shared.load()).revision, 1);
    await shared.leave('serin-0');
    assert.equal((await serin(words)).code, 0);
  });

  it('names what is wrong, with the exit code of its kind and no password', async (t) => {
    const directory = await workshop(t);
    const redis = await startRedis(t, { password: 'hunter2' });
    const store = open(`${directory}/a`);
    await store.load();
    const wrong = redis.url.replace('//', '//:hunter3@');
    for (const [from, to, code, says] of [
      [`file:${directory}/a`, wrong, 69, /is in use by process \d+/],
      [wrong, `file:${directory}/b`, 69, /refuses the name or the password/],
      ['redis://:hunter2@127.0.0.1:1', `file:${directory}/b`, 69, /no connection/],
      ['redis://:hunter2@127.0.0.1:x', `file:${directory}/b`, 64, /--from: .*no valid port/],
      ['env:NOWHERE', `file:${directory}/b`, 64, /--from: the environment variable NOWHERE is not set/],
      ['directory', `file:${directory}/b`, 64, /--from is file:DIR, the URL of a Redis/],
      [`config:${directory}/none`, `file:${directory}/b`, 78, /cannot read .*none/],
    ] as const) {
      const ended = await serin(['store', 'migrate', '--from', from, '--to', to]);
      assert.equal(ended.code, code, ended.err);
      assert.match(ended.err, says);
      assert.doesNotMatch(ended.err + ended.out, /hunter/);
    }
    await store.close();
  });
});

describe('serin store export and import', () => {
  it('keep a backup that fills an empty store, under its former id', async (t) => {
    const directory = await workshop(t);
    const redis = await startRedis(t);
    const env = { STORE: redis.url };
    const shared = openRedisStore(t, redis.url, { prefix: 'eu' });
    for (const commit of COMMITS) await shared.commit(commit);
    const { id } = await shared.sync(null);
    const file = `${directory}/backup`;
    const options = ['--store', 'env:STORE', '--prefix', 'eu'];
    const exported = await serin(['store', 'export', file, ...options], { env });
    assert.deepEqual([exported.code, exported.out], [0, '']);
    assert.match(exported.err, /^exported revision 40 /);
    assert.equal((await stat(file)).mode & 0o777, 0o600);

    await redis.send('flushall');
    assert.equal((await serin(['store', 'import', file, ...options], { env })).code, 0);
    assert.deepEqual(await shared.load(), { ...CONTENTS, faults: [] });
    assert.equal((await shared.sync(null)).id, id);
    assert.equal((await serin(['store', 'import', file, ...options], { env })).code, 1);

    const text = await readFile(file, 'utf8');
    const piped = await serin(['store', 'export', '-', ...options], { env });
    assert.equal(piped.out, text);
    const put = await serin(['store', 'import', '-', '--store', `file:${directory}/a`], { stdin: text });
    assert.equal(put.code, 0, put.err);
    assert.deepEqual(await contents(`${directory}/a`), CONTENTS);
  });

  it('go by a configuration', async (t) => {
    const directory = await workshop(t);
    const redis = await startRedis(t);
    await fill(`${directory}/a`, 3);
    const yaml = `store: { redis: "${redis.url}", prefix: eu }\nsecretFile: ${directory}/secret\n`;
    await writeFile(`${directory}/serin.yaml`, yaml);
    const place = `config:${directory}/serin.yaml`;
    const put = await serin(['store', 'migrate', '--from', `file:${directory}/a`, '--to', place]);
    assert.equal(put.code, 0, put.err);
    assert.match(put.out, /under the prefix eu\n$/);
    assert.equal((await openRedisStore(t, redis.url, { prefix: 'eu' }).load()).revision, 3);
  });

  it('refuse a damaged file, and change nothing', async (t) => {
    const directory = await workshop(t);
    const redis = await startRedis(t);
    const file = `${directory}/backup`;
    await fill(`${directory}/a`);
    assert.equal((await serin(['store', 'export', file, '--store', `file:${directory}/a`])).code, 0);
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace('"percentage":13', '"percentage":31'));
    const refused = await serin(['store', 'import', file, '--store', redis.url]);
    assert.equal(refused.code, 78);
    assert.match(refused.err, /is damaged: its sum does not match\. Nothing was changed/);
    assert.deepEqual(await redis.send('keys', '*'), []);
  });
});
