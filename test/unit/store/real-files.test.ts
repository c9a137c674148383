import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createFileStore } from '../../../src/store/file/file-store.ts';
import { createStateFile } from '../../../src/store/file/state-file.ts';
import { StoreError } from '../../../src/store/store.ts';
import { documentsAfter, makeCommit, revisions } from './commits.ts';

const HOLDER = fileURLToPath(new URL('./lock-holder.ts', import.meta.url));

let scratch = '';
const children: ChildProcess[] = [];
before(async () => {
  scratch = await mkdtemp(path.join(tmpdir(), 'serin-store-'));
});
after(async () => {
  for (const child of children) child.kill('SIGKILL');
  await rm(scratch, { recursive: true, force: true });
});

const storeIn = (directory: string) => createFileStore({ directory, wallNow: Date.now, warn: () => {} });

const isLocked = (error: unknown): boolean => error instanceof StoreError && error.code === 'locked';

/** Starts a process that holds the directory; resolves once it does. */
async function holder(directory: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [HOLDER, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  await once(child.stdout, 'data');
  return child;
}

describe('a file store on a real file system', () => {
  it('makes its directory and gives back what was committed', async () => {
    const directory = path.join(scratch, 'a', 'deep', 'one');
    const first = storeIn(directory);
    await first.load();
    const commits = [1, 2, 3].map((revision) => makeCommit(revision, { at: new Date().toISOString() }));
    for (const commit of commits) await first.commit(commit);
    await first.close();
    const second = storeIn(directory);
    const loaded = await second.load();
    assert.deepEqual(loaded.documents, documentsAfter(commits));
    assert.deepEqual(revisions(await second.history('notes', Infinity, 9)), [3]);
    await second.close();
    assert.equal((await stat(path.join(directory, 'commits.log'))).mode & 0o777, 0o600);
    assert.deepEqual((await readdir(directory)).toSorted(), ['commits.log', 'lock', 'lock.owner']);
    assert.match(
      await readFile(path.join(directory, 'commits.log'), 'utf8'),
      /^serin-store 1 0{16} [0-9a-f]{8} +\n/,
    );
  });

  it('compacts', async () => {
    const directory = path.join(scratch, 'compacted');
    const store = createFileStore({
      directory,
      wallNow: Date.now,
      warn: assert.fail,
      compaction: { from: 20_000, keep: 5 },
    });
    await store.load();
    for (let revision = 1; revision <= 100; revision++) await store.commit(makeCommit(revision));
    await store.close();
    assert.ok((await stat(path.join(directory, 'commits.log'))).size < 50_000);
    const again = storeIn(directory);
    assert.equal((await again.load()).revision, 100);
    await again.close();
  });

  it('refuses a file in the place of its directory', async () => {
    const file = path.join(scratch, 'file');
    await writeFile(file, '');
    await assert.rejects(
      storeIn(file).load(),
      (error) =>
        error instanceof StoreError &&
        error.code === 'unreadable' &&
        /there is a file of that name/.test(error.message),
    );
  });
});

describe('a state file on a real file system', () => {
  it('is for its owner only, and leaves alone what somebody linked its temporary name to', async () => {
    const directory = path.join(scratch, 'state');
    await mkdir(directory);
    const victim = path.join(directory, 'victim');
    const file = path.join(directory, 'state.json');
    await writeFile(victim, 'precious');
    await symlink(victim, `${file}.new`);
    const recent = [makeCommit(1)];
    const state = { savedAt: recent[0]!.at, storeId: 'a1', revision: 1, changeId: recent[0]!.changeId };
    const whole = { ...state, documents: documentsAfter(recent), recent, rollbacks: [], peers: {} };
    await createStateFile({ file }).write(whole);
    assert.equal(await readFile(victim, 'utf8'), 'precious');
    const found = await lstat(file);
    assert.ok(found.isFile());
    assert.equal(found.mode & 0o777, 0o600);
    assert.deepEqual((await readdir(directory)).toSorted(), ['state.json', 'victim']);
    assert.deepEqual(await createStateFile({ file }).read(), whole);
  });
});

describe('the lock on a directory', () => {
  it('keeps a second store of the same process out', async () => {
    const directory = path.join(scratch, 'same');
    const first = storeIn(directory);
    await first.load();
    await assert.rejects(storeIn(directory).load(), isLocked);
    await first.close();
    const second = storeIn(directory);
    await second.load();
    await second.close();
  });

  it('keeps a second process out and names the first, until that one is killed', async () => {
    const directory = path.join(scratch, 'other');
    const child = await holder(directory);
    await assert.rejects(storeIn(directory).load(), (error) => {
      assert.ok(error instanceof StoreError);
      assert.equal(error.code, 'locked');
      assert.match(
        error.message,
        new RegExp(
          `in use by process ${child.pid} on \\S+ since .*Stop that process, or give each proxy its own store\\.file`,
        ),
      );
      return true;
    });
    child.kill('SIGKILL');
    await once(child, 'exit');
    const store = storeIn(directory);
    assert.equal((await store.load()).revision, 1, 'what was committed before the kill is there');
    await store.close();
  });

  it('lets exactly one of several that start at once have it, over what a crash left', async () => {
    const directory = path.join(scratch, 'race');
    const child = await holder(directory);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const stores = Array.from({ length: 8 }, () => storeIn(directory));
    const results = await Promise.allSettled(stores.map((store) => store.load()));
    assert.equal(results.filter((result) => result.status === 'fulfilled').length, 1);
    for (const result of results) if (result.status === 'rejected') assert.ok(isLocked(result.reason));
    await Promise.all(stores.map((store) => store.close()));
  });

  it('says what is wrong where the lock cannot be made', async () => {
    const directory = path.join(scratch, 'unlockable');
    const store = storeIn(directory);
    await store.load();
    await store.close();
    await rm(path.join(directory, 'lock'));
    await mkdir(path.join(directory, 'lock'));
    await assert.rejects(
      storeIn(directory).load(),
      (error) =>
        error instanceof StoreError && error.code === 'unreadable' && /cannot be locked/.test(error.message),
    );
  });
});
