/**
 * A real kube-apiserver with etcd behind it, where both are on PATH: no nodes and no controllers, so objects are what a test makes of
 * them. Everything listens on loopback, on free ports, and lives in a directory that goes with it.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { eventually, within } from './bounded.ts';
import { freePort } from './ports.ts';

export interface ApiServer {
  readonly url: string;
  /** PEM of the authority of its certificate; it is its own. */
  readonly ca: string;
  readonly version: string;
  /** A request as the administrator. Rejects when it is refused. */
  call(method: string, path: string, body?: object, contentType?: string): Promise<Record<string, unknown>>;
  /** Ends the API server and starts it again; etcd goes on. `between`: meanwhile. */
  restart(between?: () => Promise<void>): Promise<void>;
  /** Forgets all former versions in etcd. */
  compact(): Promise<void>;
  close(): Promise<void>;
}

const ADMINISTRATOR = 'administrator-of-the-test';

/** Why there can be none here, or null. */
export function missingApiServer(): string | null {
  const missing = ['kube-apiserver', 'etcd'].filter(
    (command) => spawnSync('sh', ['-c', `command -v ${command}`]).status !== 0,
  );
  return missing.length === 0 ? null : `${missing.join(' and ')} not on PATH (docs/discovery.md)`;
}

export async function startApiServer(): Promise<ApiServer> {
  const directory = await mkdtemp(join(tmpdir(), 'serin-apiserver-'));
  const file = (name: string): string => join(directory, name);
  const [etcdPort, peerPort, port] = [await freePort(), await freePort(), await freePort()];
  const etcdUrl = `http://127.0.0.1:${etcdPort}`;
  const url = `https://127.0.0.1:${port}`;
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  await writeFile(file('accounts.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  await writeFile(file('tokens.csv'), `${ADMINISTRATOR},administrator,administrator,system:masters\n`);
  const processes = new Set<ChildProcess>();
  const agent = new Agent({ connect: { rejectUnauthorized: false } });

  function run(command: string, parameters: readonly string[]): ChildProcess {
    const child = spawn(command, parameters, { stdio: ['ignore', 'pipe', 'pipe'] });
    const log = createWriteStream(file(`${command}.log`), { flags: 'a' });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    processes.add(child);
    child.on('exit', () => processes.delete(child));
    return child;
  }

  const endAll = (): void => {
    for (const child of processes) child.kill('SIGKILL');
  };
  process.on('exit', endAll);

  async function startServer(): Promise<ChildProcess> {
    const child = run('kube-apiserver', [
      `--etcd-servers=${etcdUrl}`,
      `--secure-port=${port}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      `--cert-dir=${directory}`,
      `--service-account-key-file=${file('accounts.key')}`,
      `--service-account-signing-key-file=${file('accounts.key')}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--token-auth-file=${file('tokens.csv')}`,
      '--authorization-mode=RBAC',
      '--service-cluster-ip-range=10.96.0.0/16',
      '--disable-admission-plugins=ServiceAccount',
      '--watch-cache=true',
    ]);
    await eventually(
      async () => {
        if (child.exitCode !== null)
          throw new Error(`kube-apiserver ended: ${await tail(file('kube-apiserver.log'))}`);
        const answer = await request(`${url}/readyz`, { dispatcher: agent }).catch(() => null);
        return (await answer?.body.text()) === 'ok';
      },
      'a kube-apiserver that is ready',
      60_000,
      100,
    );
    return child;
  }

  async function call(method: string, path: string, body?: object, contentType = 'application/json') {
    const answer = await request(`${url}${path}`, {
      dispatcher: agent,
      method: method as 'GET',
      headers: { authorization: `Bearer ${ADMINISTRATOR}`, 'content-type': contentType },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`);
    return JSON.parse(text) as Record<string, unknown>;
  }

  const etcd = run('etcd', [
    '--data-dir',
    file('etcd'),
    '--listen-client-urls',
    etcdUrl,
    '--advertise-client-urls',
    etcdUrl,
    '--listen-peer-urls',
    `http://127.0.0.1:${peerPort}`,
    '--initial-advertise-peer-urls',
    `http://127.0.0.1:${peerPort}`,
    '--initial-cluster',
    `default=http://127.0.0.1:${peerPort}`,
    '--unsafe-no-fsync',
  ]);
  let server = await startServer();

  return {
    url,
    // The certificate that it made for itself on its first start.
    ca: await readFile(file('apiserver.crt'), 'latin1'),
    version: execFileSync('kube-apiserver', ['--version']).toString().trim(),
    call,
    async restart(between = async () => {}) {
      await end(server);
      await between();
      server = await startServer();
    },
    async compact() {
      const ask = async (path: string, body: object): Promise<{ header: { revision: string } }> => {
        const answer = await request(`${etcdUrl}${path}`, { method: 'POST', body: JSON.stringify(body) });
        return (await answer.body.json()) as { header: { revision: string } };
      };
      // Something else is written, so that what a client saw last is older than what is remembered.
      const { header } = await ask('/v3/kv/put', { key: 'dGVzdA==', value: 'dGVzdA==' });
      await ask('/v3/kv/compaction', { revision: header.revision, physical: true });
    },
    async close() {
      await end(server);
      await end(etcd);
      process.off('exit', endAll);
      await agent.destroy();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await within(ended, `the end of ${child.spawnfile}`);
}

async function tail(log: string): Promise<string> {
  return (await readFile(log, 'latin1').catch(() => '')).slice(-2000);
}
