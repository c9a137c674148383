/**
 * A real Serin process under test: started from a configuration on free ports, ready when its readiness says so,
 * ended by its pid. Configuration and data live in a directory of its own that goes with it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { eventually, within } from './bounded.ts';
import { freePort } from './ports.ts';

export interface SerinOptions {
  /** The services of the configuration. */
  services: Record<string, unknown>;
  /** More of the configuration; `proxy`, `admin` and `ops` are merged with the ports chosen here. */
  configuration?: Record<string, unknown>;
  workers?: number;
  env?: Record<string, string>;
  /** Arguments of node itself, before the program. */
  nodeArguments?: readonly string[];
  /** Command that is put before `node`, such as `taskset -c 0`. */
  prefix?: readonly string[];
  readyWithin?: number;
  /** Where the configuration and the data live; a temporary directory that goes with the process if unsaid. */
  directory?: string;
}

export interface Serin {
  readonly pid: number;
  readonly proxyPort: number;
  readonly adminPort: number;
  readonly opsPort: number;
  readonly directory: string;
  /** What the process wrote to stdout and stderr, newest 1 MiB. */
  output(): string;
  /** The exposition text. */
  metrics(): Promise<string>;
  /** Sum of the samples of a metric whose labels include those given. */
  metric(name: string, labels?: Record<string, string>): Promise<number>;
  /** Calls the admin API; a body is sent as JSON. */
  admin(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<AdminAnswer>;
  /** Waits for the process's end by itself; gives its exit code or the signal's name. */
  readonly exit: Promise<number | string>;
  /** Ends the process with a signal (SIGKILL if unsaid), waits for its end and removes its temporary directory. */
  stop(signal?: 'SIGKILL' | 'SIGTERM'): Promise<void>;
}

export interface AdminAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed where it is JSON, else text. */
  readonly body: unknown;
}

const ROOT = join(import.meta.dirname, '../..');
const OUTPUT_KEPT = 1_048_576;

/** Sum of the samples of `name` whose labels include `labels`. */
function readMetric(text: string, name: string, labels: Record<string, string> = {}): number {
  let sum = 0;
  for (const line of text.split('\n')) {
    if (!line.startsWith(name)) continue;
    const match = /^([a-zA-Z0-9_:]+)(?:\{(.*)\})? (\S+)/.exec(line);
    if (match === null || match[1] !== name) continue;
    const has = (label: string, text: string) => (match[2] ?? '').includes(`${label}="${text}"`);
    if (Object.entries(labels).every(([label, text]) => has(label, text))) sum += Number(match[3]);
  }
  return sum;
}

/** Starts a Serin process and waits until it is ready. */
export async function startSerin(options: SerinOptions): Promise<Serin> {
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'serin-test-')));
  const [proxyPort, adminPort, opsPort] = [await freePort(), await freePort(), await freePort()];
  const {
    proxy = {},
    admin = {},
    ops = {},
    ...rest
  } = (options.configuration ?? {}) as Record<string, object>;
  const configuration = {
    proxy: { listen: `127.0.0.1:${proxyPort}`, workers: options.workers ?? 1, ...proxy },
    admin: { listen: `127.0.0.1:${adminPort}`, ...admin },
    ops: { listen: `127.0.0.1:${opsPort}`, ...ops },
    store: { file: join(directory, 'data') },
    secretFile: join(directory, 'data', 'secret'),
    ...rest,
    services: options.services,
  };
  const file = join(directory, 'serin.yaml');
  await writeFile(file, stringify(configuration));

  const program = [process.execPath, ...(options.nodeArguments ?? []), 'src/main.ts', '--config', file];
  const command = [...(options.prefix ?? []), ...program];
  const child = spawn(command[0] as string, command.slice(1), {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], NODE_OPTIONS: process.env['NODE_OPTIONS'], ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const chunks: string[] = [];
  let kept = 0;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      chunks.push(text);
      kept += text.length;
      while (kept > OUTPUT_KEPT) kept -= chunks.shift()?.length ?? kept;
    });
  }
  const output = () => chunks.join('');
  let exited: number | string | null = null;
  const exit = new Promise<number | string>((resolve) => {
    child.on('error', (error) => resolve((exited = error.message)));
    child.on('exit', (code, signal) => resolve((exited = code ?? signal ?? 'unknown')));
  });
  const killNow = () => child.kill('SIGKILL');
  process.on('exit', killNow);

  async function stop(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    if (exited === null) {
      child.kill(signal);
      await within(exit, `the end of Serin after ${signal}`);
    }
    process.off('exit', killNow);
    if (options.directory === undefined) await rm(directory, { recursive: true, force: true });
  }

  const opsUrl = `http://127.0.0.1:${opsPort}`;
  try {
    await once(child, 'spawn');
    await eventually(
      async () => {
        if (exited !== null) throw new Error(`Serin ended (${exited}) before it was ready`);
        const answer = await fetch(`${opsUrl}/readyz`).catch(() => null);
        await answer?.arrayBuffer();
        return answer?.status === 200;
      },
      'readiness of Serin',
      options.readyWithin ?? 150_000,
    );
  } catch (error) {
    await stop();
    throw new Error(`${(error as Error).message}\n${output().slice(-4_096)}`, { cause: error });
  }

  const metrics = async () => (await fetch(`${opsUrl}/metrics`)).text();
  return {
    pid: child.pid as number,
    proxyPort,
    adminPort,
    opsPort,
    directory,
    output,
    metrics,
    metric: async (name, labels) => readMetric(await metrics(), name, labels),
    async admin(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
      const answer = await fetch(`http://127.0.0.1:${adminPort}${path}`, {
        method,
        headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      const isJson = (answer.headers.get('content-type') ?? '').includes('json') && text !== '';
      const parsed: unknown = isJson ? JSON.parse(text) : text;
      return { status: answer.status, headers: answer.headers, body: parsed };
    },
    exit,
    stop,
  };
}
