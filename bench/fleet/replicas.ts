/**
 * The replicas of the fleet run: real processes on fixed ports, killed and started again, whose access logs are read line by
 * line as they come.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { getPriority, setPriority } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { stringify } from 'yaml';
import { freePort } from '../../test/support/ports.ts';

/** One line of the access log, as far as it matters here. */
export interface Decided {
  readonly replica: string;
  readonly worker: number;
  /** Milliseconds since 1970, when the request's head was complete. */
  readonly time: number;
  readonly path: string;
  readonly status: number;
  readonly service: string;
  readonly variant: string;
  readonly revision: number;
  readonly endpoint: string;
}

export interface Replica {
  readonly name: string;
  readonly proxyPort: number;
  readonly adminPort: number;
  readonly opsPort: number;
  /** Requests may be sent to it. */
  up: boolean;
  /** How often it was killed: a request that was sent in another life was not one to a surviving replica. */
  life: number;
  /** What it logged beside requests, the last lines. */
  readonly lines: string[];
  kill(): Promise<void>;
  /** Resolves when it is ready. */
  start(): Promise<void>;
  admin(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  metrics(): Promise<string>;
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly etag: string | null;
}

export interface ReplicaOptions {
  readonly directory: string;
  readonly name: string;
  readonly redisPort: number;
  readonly services: Record<string, unknown>;
  readonly workers: number;
  readonly onDecided: (decided: Decided) => void;
}

const ROOT = join(import.meta.dirname, '../..');
const LINES_KEPT = 400;
/** A load balancer asks a replica more than once whether it is ready before it sends it anything. In ms. */
const READY_FOR = 1000;
/**
 * A replica starts behind all others: elsewhere it has a machine of its own, and here the second or two of computing that a start
 * takes would be taken from the replicas that are measured.
 */
const BEHIND = mayRaise() ? ['nice', '-n', '10'] : [];

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

function mayRaise(): boolean {
  return process.getuid?.() === 0;
}

/** Gives all threads of a process the priority of this one. */
function abreast(pid: number): void {
  if (!mayRaise()) return;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      setPriority(Number(thread), getPriority());
    } catch {
      // The thread is gone, or this process may not: then it stays behind.
    }
  }
}

/** Makes the key ring that all replicas share. */
export async function makeKeyRing(directory: string): Promise<void> {
  const secret = randomBytes(32).toString('base64url');
  await writeFile(join(directory, 'secret'), `k1:${secret}\n`, { mode: 0o600 });
}

/** Its ports stay the same for all its lives, as those of a pod's service do. It is not started yet. */
export async function createReplica(options: ReplicaOptions): Promise<Replica> {
  const { directory, name, redisPort, services, workers, onDecided } = options;
  const [proxyPort, adminPort, opsPort, fleetPort] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const place = join(directory, name);
  await mkdir(place, { recursive: true });
  const file = join(place, 'serin.yaml');
  const configuration = {
    proxy: { listen: `127.0.0.1:${proxyPort}`, workers },
    admin: { listen: `127.0.0.1:${adminPort}` },
    ops: { listen: `127.0.0.1:${opsPort}` },
    fleet: { name, listen: `127.0.0.1:${fleetPort}` },
    store: { redis: `redis://127.0.0.1:${redisPort}/0`, snapshot: join(place, 'state.json') },
    secretFile: join(directory, 'secret'),
    log: { level: 'info' },
    accessLog: { mode: 'on' },
    services,
  };
  await writeFile(file, stringify(configuration));

  const lines: string[] = [];
  let child: ChildProcess | null = null;
  let ended: Promise<unknown> = Promise.resolve();

  function read(line: string): void {
    if (line.includes('"event.name":"http.access"')) {
      const one = JSON.parse(line) as Record<string, string & number>;
      onDecided({
        replica: name,
        worker: one['serin.worker']!,
        time: Date.parse(one['time']!),
        path: one['url.path']!,
        status: one['http.response.status_code'] ?? 0,
        service: one['serin.service'] ?? '',
        variant: one['serin.variant'] ?? '',
        revision: one['serin.revision'] ?? -1,
        endpoint: one['serin.endpoint'] ?? '',
      });
      return;
    }
    // Writes are told of as they are accepted: that is no news here.
    if (line.includes('"level":"info"')) return;
    lines.push(line);
    if (lines.length > LINES_KEPT) lines.shift();
  }

  const replica: Replica = {
    name,
    proxyPort,
    adminPort,
    opsPort,
    up: false,
    life: 0,
    lines,
    async kill() {
      replica.up = false;
      replica.life += 1;
      child?.kill('SIGKILL');
      await ended;
    },
    async start() {
      const command = [...BEHIND, process.execPath, 'src/main.ts', '--config', file];
      const started = spawn(command[0]!, command.slice(1), {
        cwd: ROOT,
        env: { PATH: process.env['PATH'] },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      child = started;
      running.add(started);
      ended = new Promise((resolve) => started.once('exit', resolve));
      void ended.then(() => running.delete(started));
      for (const stream of [started.stdout, started.stderr])
        createInterface({ input: stream }).on('line', read);
      for (;;) {
        if (started.exitCode !== null) throw new Error(`${name} ended: ${lines.slice(-20).join('\n')}`);
        const answer = await fetch(`http://127.0.0.1:${opsPort}/readyz`).catch(() => null);
        await answer?.arrayBuffer();
        if (answer?.status === 200) break;
        await delay(20);
      }
      abreast(started.pid!);
      await delay(READY_FOR);
      replica.up = true;
    },
    async admin(method, path, body, headers = {}) {
      const answer = await fetch(`http://127.0.0.1:${adminPort}${path}`, {
        method,
        headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(10_000),
      });
      const text = await answer.text();
      return {
        status: answer.status,
        body: text === '' ? null : (JSON.parse(text) as unknown),
        etag: answer.headers.get('etag'),
      };
    },
    async metrics() {
      return (await fetch(`http://127.0.0.1:${opsPort}/metrics`)).text();
    },
  };
  return replica;
}
