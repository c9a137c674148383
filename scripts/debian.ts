/**
 * The Debian packages that tests and benchmarks want, in one list, and their installation where it is permitted.
 *
 * Promises that no package's own service is started by the installation, and that nothing is installed that is there
 * already. Where installing is not permitted it must say what to install instead of going on without.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, chmodSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';

interface DebianPackage {
  readonly name: string;
  /** The command by which the package is known to be there. */
  readonly command: string;
  readonly for: 'test' | 'bench';
  readonly why: string;
}

const PACKAGES: readonly DebianPackage[] = [
  { name: 'curl', command: 'curl', for: 'test', why: "the README's tour is run as it is written" },
  {
    name: 'prometheus',
    command: 'promtool',
    for: 'test',
    why: 'it scrapes the metrics and answers the documented queries',
  },
  {
    name: 'haproxy',
    command: 'haproxy',
    for: 'test',
    why: 'it sends PROXY headers as another program writes them',
  },
  {
    name: 'kubernetes-client',
    command: 'kubectl',
    for: 'test',
    why: 'it renders what k8s/ describes',
  },
  {
    name: 'redis-server',
    command: 'redis-server',
    for: 'test',
    why: 'the store that replicas share is kept in it',
  },
  {
    name: 'nginx',
    command: 'nginx',
    for: 'test',
    why: 'a shared cache in front of the proxy is one that people use',
  },
  { name: 'build-essential', command: 'cc', for: 'bench', why: 'the load generator is compiled' },
  { name: 'haproxy', command: 'haproxy', for: 'bench', why: 'a peer to be measured against' },
  { name: 'nginx', command: 'nginx', for: 'bench', why: 'a peer to be measured against' },
  { name: 'caddy', command: 'caddy', for: 'bench', why: 'a peer to be measured against' },
];

/** Debian's invoke-rc.d asks this script whether a freshly installed service may start; 101 is no. */
const POLICY = '/usr/sbin/policy-rc.d';

function isOnPath(command: string): boolean {
  const directories = [...(process.env['PATH'] ?? '').split(path.delimiter), '/usr/sbin', '/sbin'];
  return directories.some((directory) => {
    try {
      accessSync(path.join(directory, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function aptGet(args: readonly string[]): { readonly ok: boolean; readonly output: string } {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const { status, stdout, stderr } = spawnSync('apt-get', args, { encoding: 'utf8', env });
  return { ok: status === 0, output: stdout + stderr };
}

function install(names: readonly string[]): string | null {
  const ownPolicy = !existsSync(POLICY);
  if (ownPolicy) {
    writeFileSync(POLICY, '#!/bin/sh\nexit 101\n');
    chmodSync(POLICY, 0o755);
  }
  try {
    const args = ['install', '--yes', '--no-install-recommends', ...names];
    // The package lists may be missing or old; they are only fetched when the first try fails.
    if (aptGet(args).ok) return null;
    aptGet(['update']);
    const second = aptGet(args);
    return second.ok ? null : second.output;
  } finally {
    if (ownPolicy) rmSync(POLICY);
  }
}

/**
 * Makes sure that the packages for `purpose` are there. Returns null, or a sentence that says what to install;
 * `log` is told of an installation before it starts.
 */
export function ensureDebianPackages(purpose: 'test' | 'bench', log: (line: string) => void): string | null {
  const missing = PACKAGES.filter((entry) => entry.for === purpose && !isOnPath(entry.command));
  if (missing.length === 0) return null;
  const names = missing.map((entry) => entry.name);
  const reasons = missing.map((entry) => `${entry.name} (${entry.why})`).join(', ');
  const remedy = `Missing: ${reasons}. Install with: sudo apt-get install ${names.join(' ')}`;
  if (process.getuid?.() !== 0 || !isOnPath('apt-get')) return remedy;
  log(`installing Debian packages: ${reasons}`);
  const failure = install(names);
  return failure === null ? null : `${failure}\n${remedy}`;
}

if (import.meta.main) {
  const purpose = process.argv[2] === 'bench' ? 'bench' : 'test';
  const failure = ensureDebianPackages(purpose, (line) => process.stdout.write(`${line}\n`));
  if (failure !== null) {
    process.stderr.write(`${failure}\n`);
    process.exitCode = 1;
  }
}
