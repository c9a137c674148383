/** One Serin process of a bench, on ports that it keeps over its restarts, and its readiness as a load balancer sees it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { stringify } from 'yaml';
import { freePort } from '../../test/support/ports.ts';
import { start } from '../process.ts';

const MAIN = join(import.meta.dirname, '../../src/main.ts');
const READY_WITHIN = 30_000;
const END_WITHIN = 30_000;

export interface Replica {
  readonly proxyPort: number;
  readonly opsPort: number;
  readonly pid: number;
  /** Sends SIGTERM and gives the exit code (or signal) and how long it took, in ms. */
  end(): Promise<{ code: string; took: number }>;
  output(): string;
}

export interface ReplicaOptions {
  readonly directory: string;
  readonly name: string;
  readonly proxyPort: number;
  readonly proxy: object;
  readonly services: object;
  readonly configuration?: object;
}

/** Starts a process and waits until it is ready. */
export async function startReplica(options: ReplicaOptions): Promise<Replica> {
  const { name, proxyPort } = options;
  const directory = join(options.directory, name);
  mkdirSync(directory, { recursive: true });
  const [opsPort, adminPort] = [await freePort(), await freePort()];
  const file = join(directory, 'serin.yaml');
  writeFileSync(
    file,
    stringify({
      proxy: { listen: `127.0.0.1:${proxyPort}`, ...options.proxy },
      admin: { listen: `127.0.0.1:${adminPort}` },
      ops: { listen: `127.0.0.1:${opsPort}` },
      store: { file: join(directory, 'data') },
      secretFile: join(directory, 'data', 'secret'),
      log: { level: 'warn' },
      services: options.services,
      ...options.configuration,
    }),
  );
  const { child, output } = start([process.execPath, MAIN, '--config', file]);
  const exit = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(String(signal ?? code)));
  });
  const until = performance.now() + READY_WITHIN;
  while (!(await ready(opsPort))) {
    if (child.exitCode !== null) throw new Error(`Serin ended before it was ready: ${output()}`);
    if (performance.now() > until) throw new Error(`Serin was not ready in time: ${output()}`);
    await delay(20);
  }
  return {
    proxyPort,
    opsPort,
    pid: child.pid as number,
    async end() {
      const from = performance.now();
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), END_WITHIN);
      const code = await exit;
      clearTimeout(late);
      return { code, took: performance.now() - from };
    },
    output,
  };
}

/** What `/readyz` says at this moment. */
export async function ready(opsPort: number): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${opsPort}/readyz`).catch(() => null);
  await answer?.arrayBuffer().catch(() => null);
  return answer?.status === 200;
}
