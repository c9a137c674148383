/**
 * A Redis and its replica behind one address, as a service of a cluster has them: killed, paused and failed over one
 * after another. When it was back each time is kept.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { freePort } from '../../test/support/ports.ts';
import { startTcpGate } from '../../test/support/tcp-gate.ts';
import { listening, start, stop, type Started } from '../process.ts';

export interface RedisIncident {
  readonly what: 'killed' | 'paused' | 'failed over';
  /** Milliseconds of `performance.now`; `to`: it answers again. */
  readonly from: number;
  readonly to: number;
}

interface Server {
  readonly port: number;
  readonly directory: string;
  process: Started;
}

export interface RedisPair {
  /** The one address. */
  readonly port: number;
  /** One incident from beginning to end. Never more than one at a time. */
  disturb(random: () => number): Promise<RedisIncident>;
  close(): Promise<void>;
}

/** Nothing is lost when a process dies: what it was sent is with the kernel before it answers. */
const SETTINGS = [
  '--appendonly',
  'yes',
  '--appendfsync',
  'everysec',
  '--save',
  '',
  '--repl-diskless-sync-delay',
  '0',
];

function launch(port: number, directory: string, more: readonly string[] = []): Started {
  return start([
    'redis-server',
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--dir',
    directory,
    ...SETTINGS,
    ...more,
  ]);
}

export async function startRedisPair(directory: string): Promise<RedisPair> {
  const servers: Server[] = [];
  for (const name of ['redis-a', 'redis-b']) {
    const port = await freePort();
    const place = join(directory, name);
    await mkdir(place, { recursive: true });
    const first = servers[0];
    const more = first === undefined ? [] : ['--replicaof', '127.0.0.1', String(first.port)];
    const process = launch(port, place, more);
    await listening(port, process);
    servers.push({ port, directory: place, process });
  }
  let [master, replica] = servers as [Server, Server];
  const gate = await startTcpGate(master.port);

  async function kill(lasts: number): Promise<void> {
    const { child } = master.process;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
    await delay(lasts);
    master.process = launch(master.port, master.directory);
    await answers(master);
  }

  async function pause(lasts: number): Promise<void> {
    master.process.child.kill('SIGSTOP');
    await delay(lasts);
    master.process.child.kill('SIGCONT');
    await answers(master);
  }

  /** The master dies, its replica takes over after a while, and the dead one comes back as the new replica. */
  async function failOver(lasts: number): Promise<number> {
    await inSync(master, replica);
    const { child } = master.process;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
    await delay(lasts);
    await ask(replica.port, 'REPLICAOF NO ONE');
    gate.lead(replica.port);
    await answers(replica);
    const back = performance.now();
    [master, replica] = [replica, master];
    replica.process = launch(replica.port, replica.directory, [
      '--replicaof',
      '127.0.0.1',
      String(master.port),
    ]);
    await listening(replica.port, replica.process);
    return back;
  }

  return {
    port: gate.port,
    async disturb(random) {
      const what = (['killed', 'paused', 'failed over'] as const)[Math.floor(random() * 3)]!;
      const from = performance.now();
      const lasts = 300 + random() * 2000;
      if (what === 'failed over') return { what, from, to: await failOver(lasts) };
      await (what === 'killed' ? kill(lasts) : pause(lasts));
      return { what, from, to: performance.now() };
    },
    async close() {
      await gate.close();
      for (const { process } of servers) {
        process.child.kill('SIGCONT');
        await stop(process.child);
      }
    },
  };
}

async function answers({ port, process }: Server): Promise<void> {
  await listening(port, process);
  while (!(await ask(port, 'PING').catch(() => '')).startsWith('+PONG')) await delay(5);
}

/** Waits until the replica follows its master without a gap worth speaking of: only then would anybody let it take over. */
async function inSync(master: Server, replica: Server): Promise<void> {
  for (let attempt = 0; attempt < 400; attempt++) {
    const info = await ask(master.port, 'INFO replication').catch(() => '');
    const of = Number(/master_repl_offset:(\d+)/.exec(info)?.[1] ?? -1);
    const has = Number(/slave0:.*state=online,offset=(\d+)/.exec(info)?.[1] ?? -2);
    if (of >= 0 && of - has < 65_536) return;
    await delay(25);
  }
  throw new Error(`the replica at ${replica.port} does not follow its master`);
}

/** One command on a connection of its own; the first piece of its answer. */
function ask(port: number, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('closed')));
    socket.once('data', (bytes) => {
      resolve(bytes.toString('latin1'));
      socket.destroy();
    });
    socket.write(`${command}\r\n`);
  });
}
