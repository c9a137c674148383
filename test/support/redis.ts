/**
 * Real Redis servers for tests: one, with replicas and Sentinels, or a Cluster. Each has a free loopback port and a directory of
 * its own, keeps nothing unless asked, and ends with the test.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from './ports.ts';
import { until } from './until.ts';

/** What a test has of `t` in node:test. */
export interface Cleanup {
  after(run: () => unknown): void;
}

export interface RedisServer {
  readonly port: number;
  readonly directory: string;
  /** `redis://127.0.0.1:PORT/0`, without a password. */
  readonly url: string;
  /** Sends one command as its administrator and gives the answer. */
  send(command: string, ...args: readonly (string | number)[]): Promise<unknown>;
  /** Ends it at once, and waits for that. */
  kill(): Promise<void>;
  /** Starts it again on the same port and directory. */
  start(): Promise<void>;
  /** It answers no more until `resume`. */
  pause(): void;
  resume(): void;
}

export interface RedisServerOptions {
  /** More arguments, such as `['--requirepass', 'secret']`. */
  readonly args?: readonly string[];
  readonly password?: string;
  /** The text of a configuration file, which the server may rewrite. */
  readonly config?: string;
}

/** Resolves when it answers. */
export async function startRedis(t: Cleanup, options: RedisServerOptions = {}): Promise<RedisServer> {
  const { args = [], password, config } = options;
  const port = await freePort();
  const directory = await mkdtemp(path.join(tmpdir(), 'serin-redis-'));
  const file = path.join(directory, 'redis.conf');
  await writeFile(file, config ?? '');
  let child: ChildProcess | null = null;
  let paused = false;
  let admin: Redis | null = null;

  async function start(): Promise<void> {
    child = spawn(
      'redis-server',
      [
        file,
        ...(config?.includes('sentinel monitor') === true
          ? ['--sentinel']
          : ['--save', '', '--appendonly', 'no']),
        '--port',
        String(port),
        '--bind',
        '127.0.0.1',
        '--dir',
        directory,
        ...(password === undefined ? [] : ['--requirepass', password]),
        ...args,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let said = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-4000);
    });
    const ended = once(child, 'exit').then(() => {
      throw new Error(`redis-server ended: ${said}`);
    });
    ended.catch(() => {});
    await Promise.race([ended, answers()]);
  }

  async function answers(): Promise<void> {
    await until(() =>
      send('ping').then(
        () => true,
        () => false,
      ),
    );
  }

  async function send(command: string, ...rest: readonly (string | number)[]): Promise<unknown> {
    if (admin === null) {
      const made = new Redis({
        host: '127.0.0.1',
        port,
        ...(password === undefined ? {} : { password }),
        lazyConnect: true,
        enableReadyCheck: false,
        retryStrategy: null,
        protocol: 2,
      });
      made.on('error', () => {});
      made.on('end', () => {
        if (admin === made) admin = null;
      });
      await made.connect();
      admin = made;
    }
    return admin.call(command, ...rest);
  }

  async function kill(): Promise<void> {
    admin?.disconnect();
    admin = null;
    const ending = child;
    child = null;
    if (ending === null || ending.exitCode !== null || ending.signalCode !== null) return;
    const exit = once(ending, 'exit');
    ending.kill('SIGKILL');
    await exit;
    paused = false;
  }

  t.after(async () => {
    await kill();
    await rm(directory, { recursive: true, force: true });
  });
  await start();
  return {
    port,
    directory,
    url: `redis://127.0.0.1:${port}/0`,
    send,
    kill,
    start,
    pause() {
      paused = true;
      child?.kill('SIGSTOP');
    },
    resume() {
      if (paused) child?.kill('SIGCONT');
      paused = false;
    },
  };
}

/** Waits until a server's INFO says something. A Sentinel that gives a server another part ends all of its connections. */
export async function untilInfo(server: RedisServer, section: string, says: RegExp): Promise<void> {
  await until(async () => {
    try {
      return says.test(String(await server.send('info', section)));
    } catch {
      // It is asked again over a new connection.
      return false;
    }
  });
}

/** A server that follows `master`; resolves when it has all of its data. */
export async function startReplica(
  t: Cleanup,
  master: RedisServer,
  { args = [] }: RedisServerOptions = {},
): Promise<RedisServer> {
  const replica = await startRedis(t, {
    args: [
      '--replicaof',
      '127.0.0.1',
      String(master.port),
      '--repl-diskless-sync-delay',
      '0',
      '--repl-ping-replica-period',
      '1',
      ...args,
    ],
  });
  await untilInfo(replica, 'replication', /master_link_status:up/);
  return replica;
}

export interface SentinelSet {
  readonly master: RedisServer;
  readonly replica: RedisServer;
  readonly sentinels: readonly RedisServer[];
  /** `redis+sentinel://…/serin/0`. */
  readonly url: string;
  /** The port of the server that the Sentinels call the master. */
  masterPort(): Promise<number>;
}

/**
 * How long a server must be silent until a Sentinel calls it down, in ms. A Sentinel pings once a second: with less than that it also
 * calls one down that it has only just begun to watch, and an empty server that was started again may become the master.
 */
const DOWN_AFTER = 2000;

/** A master, a replica and three Sentinels. */
export async function startSentinels(t: Cleanup): Promise<SentinelSet> {
  const args = ['--repl-diskless-sync-delay', '0'];
  const master = await startRedis(t, { args });
  const replica = await startReplica(t, master);
  const config = [
    `sentinel monitor serin 127.0.0.1 ${master.port} 2`,
    `sentinel down-after-milliseconds serin ${DOWN_AFTER}`,
    'sentinel failover-timeout serin 3000',
    'sentinel parallel-syncs serin 1',
    '',
  ].join('\n');
  const sentinels = await Promise.all([0, 1, 2].map(() => startRedis(t, { config })));
  for (const sentinel of sentinels) {
    await untilInfo(sentinel, 'sentinel', /status=ok,address=[^,]*,slaves=1,sentinels=3/);
  }
  const [first] = sentinels;
  return {
    master,
    replica,
    sentinels,
    url: `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/serin/0`,
    async masterPort() {
      const address = await first?.send('sentinel', 'get-master-addr-by-name', 'serin');
      return Array.isArray(address) ? Number(address[1]) : 0;
    },
  };
}

export interface RedisCluster {
  readonly nodes: readonly RedisServer[];
  /** `redis+cluster://…`. */
  readonly url: string;
}

/** Three masters with all slots. */
export async function startCluster(t: Cleanup): Promise<RedisCluster> {
  const nodes: RedisServer[] = [];
  const buses: number[] = [];
  for (let index = 0; index < 3; index++) {
    const bus = await freePort();
    const args = [
      '--cluster-enabled',
      'yes',
      '--cluster-port',
      String(bus),
      '--cluster-node-timeout',
      '1000',
    ];
    nodes.push(await startRedis(t, { args }));
    buses.push(bus);
  }
  const share = Math.ceil(16_384 / nodes.length);
  for (const [index, node] of nodes.entries()) {
    const from = index * share;
    await node.send('cluster', 'addslotsrange', from, Math.min(16_383, from + share - 1));
    await node.send('cluster', 'set-config-epoch', index + 1);
  }
  for (const [index, node] of nodes.entries()) {
    if (index > 0) await nodes[0]?.send('cluster', 'meet', '127.0.0.1', node.port, buses[index] ?? 0);
  }
  for (const node of nodes) {
    await until(async () => {
      const info = String(await node.send('cluster', 'info'));
      return /cluster_state:ok/.test(info) && /cluster_known_nodes:3/.test(info);
    });
  }
  return { nodes, url: `redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}` };
}
