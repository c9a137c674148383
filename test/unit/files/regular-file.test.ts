/** Files that people name: whatever is no regular file, or too large, is refused at once by every reader there is. */
import assert from 'node:assert/strict';
import { constants, openSync, closeSync } from 'node:fs';
import { glob, mkdtemp, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { openKeyRing } from '../../../src/config/secret.ts';
import { loadConfiguration } from '../../../src/config/load.ts';
import { readRegular } from '../../../src/files/regular-file.ts';
import { SYSTEM } from '../../../src/config/watch.ts';
import { loadRegionDatabase } from '../../../src/state/region-database.ts';
import { createCredentials } from '../../../src/discovery/kubernetes/credentials.ts';
import { DocumentError } from '../../../src/schema/faults.ts';
import { fileTrouble } from '../../../src/schema/thrown.ts';
import { createStateFile } from '../../../src/store/file/state-file.ts';
import { within } from '../../support/bounded.ts';
import { makePipe } from '../telemetry/pipe.ts';

let directory: string;
const place = (name: string): string => path.join(directory, name);

before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'serin-files-'));
});
after(() => rm(directory, { recursive: true }));

/** Why a file is not read, or its text. */
async function outcome(file: string, most = 1000): Promise<string> {
  try {
    return new TextDecoder().decode(await within(readRegular(file, most), 'an outcome'));
  } catch (error) {
    return fileTrouble(error);
  }
}

test('what is no regular file is said for what it is, and nothing waits', async (context) => {
  const pipe = makePipe(context);
  const socket = createServer().listen(place('socket'));
  await once(socket, 'listening');
  await symlink('/dev/zero', place('link'));
  await symlink(pipe, place('link-to-pipe'));
  assert.equal(await outcome('/dev/zero'), 'it is a device; expected a regular file');
  assert.equal(await outcome(place('link')), 'it is a device; expected a regular file');
  assert.equal(await outcome(pipe), 'it is a pipe; expected a regular file');
  assert.equal(await outcome(place('link-to-pipe')), 'it is a pipe; expected a regular file');
  assert.equal(await outcome(place('socket')), 'it is a socket; expected a regular file');
  assert.equal(await outcome(directory), 'it is a directory; expected a regular file');
  assert.equal(await outcome(place('nothing')), 'there is no such file');
  const fd = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  assert.equal(await outcome(`/proc/self/fd/${fd}`), 'it is a pipe; expected a regular file');
  closeSync(fd);
  socket.close();
});

test('a file is read up to what its kind may have, and what the system makes up is refused', async () => {
  await writeFile(place('text'), 'hello\n');
  assert.equal(await outcome(place('text'), 6), 'hello\n');
  assert.equal(await outcome(place('text'), 5), 'it has 6 bytes; expected at most 5');
  await writeFile(place('empty'), '');
  assert.equal(await outcome(place('empty'), 0), '');
  await truncate(place('empty'), 2 ** 42);
  assert.equal(await outcome(place('empty')), `it has ${2 ** 42} bytes; expected at most 1000`);
  for (const made of ['/proc/self/environ', '/proc/self/maps', '/proc/self/cmdline'])
    assert.match(await outcome(made), /^the system makes it up while it is read/);
});

test('every setting that names a file refuses a device and a pipe, and says which file is wrong', async (context) => {
  const pipe = makePipe(context);
  const load = (file: string): Promise<unknown> =>
    loadConfiguration({ file, env: {}, readFile: SYSTEM.readFile });
  const withToken = async (token: string): Promise<unknown> => {
    const file = place('tokens.yaml');
    await writeFile(file, `admin: { tokens: [{ name: a, role: viewer, file: ${token} }] }`);
    return load(file);
  };
  const readers: { [name: string]: (file: string) => Promise<unknown> } = {
    configuration: load,
    token: withToken,
    'key ring': (file) => openKeyRing({ file, create: true }),
    'region database': (file) => loadRegionDatabase(file, null),
    kubeconfig: (file) =>
      createCredentials({
        kubeconfig: file,
        context: null,
        env: {},
        serviceAccount: directory,
        readFile: readRegular,
        monotonicNow: () => 0,
      }).get(),
    'state of a replica': (file) => createStateFile({ file }).read(),
  };
  for (const [name, read] of Object.entries(readers)) {
    for (const [file, kind] of [
      ['/dev/zero', 'a device'],
      [pipe, 'a pipe'],
    ] as const) {
      // What every user can read or write is refused for that first.
      const wanted = name === 'key ring' && kind === 'a device' ? 'a device|every user' : kind;
      await within(
        assert.rejects(read(file), (error: Error) => {
          const said =
            error instanceof DocumentError
              ? error.message + error.faults.map(({ detail }) => detail).join()
              : error.message;
          assert.match(said, new RegExp(`${file}.*(${wanted})`, 's'), name);
          return true;
        }),
        `the ${name} from ${file}`,
      );
    }
  }
});

/** Files of Serin's own, whose names nobody chooses. */
const OWN = [
  'src/telemetry/kernel.ts',
  'src/runtime/descriptors.ts',
  'src/demo/demo.ts',
  'src/files/regular-file.ts',
];

test('nothing else in src/ opens files to read them', async () => {
  const root = path.join(import.meta.dirname, '../../..');
  const found: string[] = [];
  for await (const file of glob('src/**/*.ts', { cwd: root })) {
    if (OWN.includes(file)) continue;
    const text = await readFile(path.join(root, file), 'utf8');
    if (/\b(readFile|readFileSync|createReadStream)\b[^;]*? from 'node:fs/.test(text)) found.push(file);
  }
  assert.deepEqual(found, []);
});
