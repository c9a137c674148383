import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { loadConfiguration, type LoadedConfiguration } from '../../../src/config/load.ts';
import { readRegular } from '../../../src/files/regular-file.ts';
import { SYSTEM, watchConfiguration } from '../../../src/config/watch.ts';

let scratch = '';
before(async () => {
  scratch = await mkdtemp(path.join(tmpdir(), 'serin-watch-'));
});
after(() => rm(scratch, { recursive: true, force: true }));

const ops = (port: number): string => `ops: { listen: 127.0.0.1:${port} }\n`;

/** The real file system, but pauses are short and nobody looks unless told. */
const surroundings = {
  ...SYSTEM,
  after(milliseconds: number, run: () => void) {
    if (milliseconds > 500) return () => {};
    const immediate = setImmediate(run);
    return () => clearImmediate(immediate);
  },
};

/** Watches `file`; `next` resolves with each new configuration's ops address. */
async function watching(file: string) {
  const current = await loadConfiguration({ file, env: {}, readFile: readRegular });
  const arrived: LoadedConfiguration[] = [];
  let wake = (): void => {};
  const watch = watchConfiguration({
    file,
    env: {},
    current,
    onChange: async (loaded) => {
      arrived.push(loaded);
      wake();
    },
    onFault: () => {},
    surroundings,
  });
  const next = async (): Promise<string | undefined> => {
    while (arrived.length === 0) await new Promise<void>((resolve) => (wake = resolve));
    return arrived.shift()?.configuration.ops?.listen;
  };
  return { watch, next };
}

describe('the system tells when a real file', { timeout: 180_000 }, () => {
  it('is written in place', async () => {
    const file = path.join(scratch, 'in-place.yaml');
    await writeFile(file, ops(1));
    const { watch, next } = await watching(file);
    await watch.check();
    await writeFile(file, ops(2));
    assert.equal(await next(), '127.0.0.1:2');
    await writeFile(file, ops(33));
    assert.equal(await next(), '127.0.0.1:33');
    await watch.close();
  });

  it('is renamed over, as editors do', async () => {
    const file = path.join(scratch, 'renamed.yaml');
    await writeFile(file, ops(1));
    const { watch, next } = await watching(file);
    await watch.check();
    for (const port of [2, 3, 4]) {
      await writeFile(`${file}.new`, ops(port));
      await rename(`${file}.new`, file);
      assert.equal(await next(), `127.0.0.1:${port}`);
    }
    await watch.close();
  });

  it('is behind a directory link that is swapped, as in a Kubernetes ConfigMap', async () => {
    const mount = path.join(scratch, 'mount');
    await mkdir(path.join(mount, '..2026_1'), { recursive: true });
    await writeFile(path.join(mount, '..2026_1', 'serin.yaml'), ops(1));
    await symlink('..2026_1', path.join(mount, '..data'));
    await symlink(path.join('..data', 'serin.yaml'), path.join(mount, 'serin.yaml'));
    const { watch, next } = await watching(path.join(mount, 'serin.yaml'));
    await watch.check();
    for (const port of [2, 3]) {
      await mkdir(path.join(mount, `..2026_${port}`));
      await writeFile(path.join(mount, `..2026_${port}`, 'serin.yaml'), ops(port));
      await symlink(`..2026_${port}`, path.join(mount, '..data_tmp'));
      await rename(path.join(mount, '..data_tmp'), path.join(mount, '..data'));
      await rm(path.join(mount, `..2026_${port - 1}`), { recursive: true });
      assert.equal(await next(), `127.0.0.1:${port}`);
    }
    await watch.close();
  });
});

describe('looking at a real file', () => {
  it('tells a change of the same size at the same second', async () => {
    const file = path.join(scratch, 'look.yaml');
    await writeFile(file, ops(1));
    const first = await SYSTEM.look(file);
    assert.equal(await SYSTEM.look(file), first);
    await writeFile(`${file}.new`, ops(2));
    await rename(`${file}.new`, file);
    assert.notEqual(await SYSTEM.look(file), first);
    await rm(file);
    assert.equal(await SYSTEM.look(file), 'missing: ENOENT');
  });

  it('goes on where a directory cannot be watched', () => {
    SYSTEM.watchDirectory(path.join(scratch, 'nowhere'), () => {})();
  });
});
