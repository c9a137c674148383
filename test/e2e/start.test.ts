/** What the program says when it cannot start: one clear text on standard error, and the exit code of its kind. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { stringify } from 'yaml';
import { within } from '../support/bounded.ts';
import { freePort } from '../support/ports.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

let directory = '';
before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'serin-start-'));
});
after(async () => {
  await rm(directory, { recursive: true, force: true });
});

interface Ended {
  readonly code: number | null;
  readonly text: string;
}

async function run(...options: string[]): Promise<Ended> {
  const child = spawn(process.execPath, ['src/main.ts', ...options], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] },
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
  }
  try {
    const [code] = (await within(once(child, 'close'), `the end; so far: ${text}`)) as [number | null];
    return { code, text };
  } finally {
    child.kill('SIGKILL');
  }
}

async function configuration(name: string, changes: object): Promise<string> {
  const file = path.join(directory, `${name}.yaml`);
  const whole = {
    proxy: { listen: `127.0.0.1:${await freePort()}`, workers: 1 },
    admin: { listen: `127.0.0.1:${await freePort()}` },
    ops: { listen: `127.0.0.1:${await freePort()}` },
    store: { file: path.join(directory, name) },
    services: { notes: { hosts: ['*'], stable: { endpoints: ['127.0.0.1:7001'] } } },
    ...changes,
  };
  await writeFile(file, stringify(whole));
  return file;
}

function refused(ended: Ended, code: number, ...says: RegExp[]): void {
  assert.equal(ended.code, code, ended.text);
  for (const pattern of says) assert.match(ended.text, pattern);
  assert.doesNotMatch(ended.text, /\n {4}at /, 'no stack trace');
}

test('a wrong command line: what is right is said', async () => {
  refused(await run(), 64, /either --config FILE or --demo/, /usage:/);
  refused(await run('--confg', 'x'), 64, /--confg/, /usage:/);
  const help = await run('--help');
  assert.equal(help.code, 0);
  assert.match(help.text, /^usage:/);
});

test('a configuration that is missing or wrong', async () => {
  refused(await run('--config', path.join(directory, 'none.yaml')), 78, /cannot read .*none\.yaml/);
  const misspelt = await configuration('misspelt', { trustedProxys: ['10.0.0.0/8'] });
  refused(
    await run('--config', misspelt),
    78,
    /line \d+ \(\/trustedProxys\)/,
    /did you mean "trustedProxies"/,
  );
  const open = await configuration('open', { admin: { listen: '0.0.0.0:19999' } });
  refused(await run('--config', open), 78, /admin\.tokens|\/admin\/tokens/);
});

for (const listener of ['proxy', 'admin', 'ops'] as const) {
  test(`a port in use (${listener}): which setting, and what to do`, async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    try {
      const file = await configuration(`taken-${listener}`, { [listener]: { listen: `127.0.0.1:${port}` } });
      refused(
        await run('--config', file),
        78,
        new RegExp(`127\\.0\\.0\\.1:${port}`),
        new RegExp(`${listener}\\.listen or SERIN_${listener.toUpperCase()}_LISTEN`),
      );
    } finally {
      server.close();
    }
  });
}

test('a store that something else wrote is refused and left as it is', async () => {
  const file = await configuration('foreign', {});
  const store = path.join(directory, 'foreign');
  await mkdir(store, { mode: 0o700 });
  const log = path.join(store, 'commits.log');
  await writeFile(log, 'this is a diary, not a log of Serin\n'.repeat(100));
  const size = (await stat(log)).size;
  refused(await run('--config', file), 1, /not .*written by Serin|foreign|was not written/i);
  assert.equal((await stat(log)).size, size);
  assert.match(await readFile(log, 'utf8'), /^this is a diary/);
});
