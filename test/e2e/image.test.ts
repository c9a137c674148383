/**
 * The production image, without a container engine: laid out by the script that the Dockerfile runs, then started in
 * its folder as root directory, read-only, as the image's user.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { stringify } from 'yaml';
import { IMAGE_CONFIG, IMAGE_DATA, IMAGE_USER, layOutImage } from '../../scripts/image-root.ts';
import { startApplication } from '../../src/demo/application.ts';
import { eventually, within } from '../support/bounded.ts';
import { freePort } from '../support/ports.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

/** What `npm ci --omit=dev` installs, copied from node_modules by the lock file. */
function copyProductionPackages(destination: string): void {
  const lock = JSON.parse(readFileSync(path.join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean }>;
  };
  for (const [place, entry] of Object.entries(lock.packages)) {
    if (place === '' || entry.dev === true) continue;
    const inner = path.join(ROOT, place, 'node_modules');
    cpSync(path.join(ROOT, place), path.join(destination, place), {
      recursive: true,
      // Packages within packages have entries of their own.
      filter: (source) => source !== inner,
    });
  }
}

/** A command in a mount namespace of its own, where the image is the read-only root and the data a fresh tmpfs. */
function inImage(image: string, command: readonly string[]): [string, string[]] {
  const script = [
    // chroot is a program for administrators; their folder is not on everybody's path.
    'set -e; PATH=$PATH:/usr/sbin:/sbin; image=$1; shift',
    'mount --bind "$image" "$image"',
    'mount -o remount,bind,ro "$image"',
    'mount -t proc proc "$image/proc"',
    `mount -t tmpfs -o uid=${IMAGE_USER},gid=${IMAGE_USER},mode=700 tmpfs "$image${IMAGE_DATA}"`,
    `exec chroot --userspec=${IMAGE_USER}:${IMAGE_USER} "$image" "$@"`,
  ].join('\n');
  return ['unshare', ['--mount', 'sh', '-c', script, 'sh', image, ...command]];
}

const canUnshare = process.getuid?.() === 0 && spawnSync('unshare', ['--mount', 'true']).status === 0;
const skip = canUnshare ? false : 'needs root, to change the root directory in a mount namespace';

let directory = '';
let image = '';

before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'serin-image-'));
  image = path.join(directory, 'image');
  copyProductionPackages(directory);
  layOutImage(image, path.join(directory, 'node_modules'));
});

after(() => rm(directory, { recursive: true, force: true }));

test('the image has no shell, no package manager and no development package', async () => {
  const files = (await readdir(image, { recursive: true })).map((file) => path.basename(file));
  for (const name of ['sh', 'bash', 'busybox', 'npm', 'apt', 'typescript', 'knip', 'fast-check', 'oxlint']) {
    assert.equal(files.includes(name), false, `${name} is in the image`);
  }
});

test('the root is read-only and the user is nobody special', { skip }, () => {
  const probe = `
    const { writeFileSync } = require('node:fs');
    const tried = ['/x', '/tmp/x', '/app/x', '/etc/serin/x'].map((file) => {
      try { writeFileSync(file, ''); return 'written'; } catch (error) { return error.code; }
    });
    writeFileSync('${IMAGE_DATA}/x', '');
    console.log(JSON.stringify({ tried, user: process.getuid(), group: process.getgid() }));`;
  const [file, args] = inImage(image, ['/usr/local/bin/node', '-e', probe]);
  const { stdout, stderr, status, signal, error } = spawnSync(file, args, { encoding: 'utf8' });
  assert.equal(status, 0, `${signal ?? ''} ${error?.message ?? ''} ${stderr}`);
  assert.deepEqual(
    JSON.parse(stdout),
    { tried: ['EROFS', 'EROFS', 'EROFS', 'EROFS'], user: IMAGE_USER, group: IMAGE_USER },
    stderr,
  );
});

test('Serin starts in the image, serves, and ends cleanly on SIGTERM', { skip }, async () => {
  const application = await startApplication({ variant: 'stable', version: '1', endpoint: 'stable-1' });
  const [proxy, admin, ops] = [await freePort(), await freePort(), await freePort()];
  const configuration = {
    proxy: { listen: `127.0.0.1:${proxy}`, workers: 2, drain: { delay: '0s', grace: '5s' } },
    admin: { listen: `127.0.0.1:${admin}` },
    ops: { listen: `127.0.0.1:${ops}` },
    store: { file: `${IMAGE_DATA}/data` },
    secretFile: `${IMAGE_DATA}/secret`,
    services: { notes: { hosts: ['*'], stable: { endpoints: [`127.0.0.1:${application.port}`] } } },
  };
  await mkdir(path.dirname(path.join(image, IMAGE_CONFIG)), { recursive: true });
  await writeFile(path.join(image, IMAGE_CONFIG), stringify(configuration));

  const [file, args] = inImage(image, ['/usr/local/bin/node', '/app/src/main.ts', '--config', IMAGE_CONFIG]);
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { NODE_ENV: 'production' } });
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  try {
    await eventually(async () => {
      assert.equal(child.exitCode, null, output);
      const answer = await fetch(`http://127.0.0.1:${ops}/readyz`).catch(() => null);
      await answer?.arrayBuffer();
      return answer?.status === 200;
    }, 'readiness in the image');
    const answer = (await (await fetch(`http://127.0.0.1:${proxy}/`)).json()) as { endpoint: string };
    assert.equal(answer.endpoint, 'stable-1');
    assert.match(
      await readFile(`/proc/${child.pid}/status`, 'utf8'),
      new RegExp(`^Uid:\\t${IMAGE_USER}\\t`, 'm'),
    );
    child.kill('SIGTERM');
    const [code] = await within(ended, 'the end after SIGTERM');
    assert.equal(code, 0, output);
  } finally {
    child.kill('SIGKILL');
    await application.close();
  }
});
