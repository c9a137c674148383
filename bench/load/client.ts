/** Runs the load generator `client.c`, whose first comment says how it loads and what it verifies. */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { LOAD_CORE, pinned, start, stop } from '../process.ts';

export interface LoadOptions {
  readonly program: string;
  readonly script: string;
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
  /** Requests a second, due whatever the answers do; 0 or unsaid: each connection asks when it was answered. */
  readonly rate?: number;
  /** Only so many of the connections are used. */
  readonly active?: number;
  /** Requests of a connection until it is closed; unsaid: as many as come. */
  readonly perConnection?: number;
  /** Loopback addresses that the connections come from, 127.0.0.1 and on. */
  readonly sources?: number;
  /** The script's first entry is sent once on each connection, to upgrade it. */
  readonly upgrade?: boolean;
  /** Each connection sends one request before the load begins. */
  readonly warm?: boolean;
  /** What `NEVER_SEEN` counts from. */
  readonly firstNumber?: number;
}

/** Times in microseconds. */
export interface Quantiles {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface LoadResult {
  /** Verified answers. */
  readonly requests: number;
  readonly seconds: number;
  /** By what was wrong with them. */
  readonly failures: Readonly<Record<string, number>>;
  readonly latency: Quantiles;
  /** How late the generator itself sent what was due, while a connection was free. */
  readonly late: { readonly p50: number; readonly p99: number };
}

export interface Load {
  readonly pid: number;
  /** Loads for the time that was asked for and waits for the last answers. */
  go(): Promise<LoadResult>;
  /** Closes the connections, which are kept until then. */
  end(): Promise<void>;
}

/** Opens all connections; throws when that fails. */
export async function openLoad(options: LoadOptions): Promise<Load> {
  const command = [
    options.program,
    `script=${options.script}`,
    `port=${options.port}`,
    `connections=${options.connections}`,
    `seconds=${options.seconds}`,
    `rate=${Math.round(options.rate ?? 0)}`,
    `active=${options.active ?? 0}`,
    `per-connection=${options.perConnection ?? 0}`,
    `sources=${options.sources ?? 1}`,
    `upgrade=${options.upgrade === true ? 1 : 0}`,
    `warm=${options.warm === true ? 1 : 0}`,
    `first-number=${options.firstNumber ?? 0}`,
  ];
  const { child, output, stdin } = start(pinned(LOAD_CORE, command), { stdin: true });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const line = async () => {
    const next = await lines.next();
    if (next.done === true) {
      if (child.exitCode === null) await once(child, 'close');
      throw new Error(`the load generator ended: ${output().trim()}`);
    }
    return next.value;
  };
  await line();
  return {
    pid: child.pid as number,
    async go() {
      stdin.write('go\n');
      return JSON.parse(await line()) as LoadResult;
    },
    async end() {
      await stop(child);
    },
  };
}

/** How many of a load's requests failed. */
export function failedOf(result: LoadResult): number {
  return Object.values(result.failures).reduce((sum, count) => sum + count, 0);
}
