/** The `serin` command, run as an operator runs it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { KeyRing } from '../../../src/policy/keys.ts';
import { Overrides } from '../../../src/policy/override.ts';

const CLI = path.resolve(import.meta.dirname, '../../../src/cli.ts');
const SECRET = Buffer.alloc(32, 7);

let directory = '';
let ring = '';
before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'serin-cli-'));
  ring = path.join(directory, 'secret');
  await writeFile(ring, `k1:${SECRET.toString('base64url')}\n`, { mode: 0o600 });
  await chmod(ring, 0o600);
});
after(() => rm(directory, { recursive: true, force: true }));

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function serin(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const env = { PATH: process.env['PATH'] };
    const child = execFile(process.execPath, [CLI, ...args], { env }, (_error, out, err) => {
      resolve({ code: child.exitCode ?? -1, out, err });
    });
  });
}

test('an override is a token that the proxy with the same key ring believes, for that service', async () => {
  const options = ['--service', 'notes', '--ttl', '1h', '--secret-file', ring];
  const { code, out, err } = await serin('override', 'create', '--variant', 'always', ...options);
  assert.equal(code, 0, err);
  const overrides = new Overrides(new KeyRing([{ id: 'k1', secret: SECRET }]));
  const now = Math.floor(Date.now() / 1000);
  assert.equal(overrides.verify(out.trim(), 'notes', now), 'always');
  assert.equal(overrides.verify(out.trim(), 'shop', now), null);
  assert.equal(overrides.verify(out.trim(), 'notes', now + 3700), null);
});

test('what is missing or wrong is said', async () => {
  const wrong = await serin(
    'override',
    'create',
    '--service',
    'notes',
    '--variant',
    'sometimes',
    '--ttl',
    '1h',
    '--secret-file',
    ring,
  );
  assert.equal(wrong.code, 64);
  assert.match(wrong.err, /always or never/);
  const long = await serin(
    'override',
    'create',
    '--service',
    'notes',
    '--variant',
    'never',
    '--ttl',
    '90d',
    '--secret-file',
    ring,
  );
  assert.match(long.err, /30 days/);
  const none = await serin(
    'override',
    'create',
    '--service',
    'notes',
    '--variant',
    'never',
    '--ttl',
    '1h',
    '--secret-file',
    `${ring}.none`,
  );
  assert.equal(none.code, 78);
  assert.equal((await serin('overide', 'create')).code, 64);
  assert.equal((await serin('--help')).code, 0);
});

test('a configuration is checked with all its faults and their lines', async () => {
  const file = path.join(directory, 'serin.yaml');
  await writeFile(
    file,
    "services:\n  notes:\n    hosts: ['*']\n    stable: { endpoints: ['127.0.0.1:7001'] }\n",
  );
  const right = await serin('config', 'check', file);
  assert.equal(right.code, 0, right.err);
  assert.match(right.out, /is right: 1 service\n/);
  await writeFile(
    file,
    "services:\n  notes:\n    host: ['*']\n    stable: { endpoints: ['127.0.0.1:70010'] }\n",
  );
  const { code, err } = await serin('config', 'check', file);
  assert.equal(code, 78);
  assert.match(err, /line 3 .*did you mean "hosts"/);
});
