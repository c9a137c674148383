/**
 * Real Serin processes that share a real Redis: each reaches it through a gate of its own, so that it can be cut off alone. A replica
 * keeps its name, its directory and its address when it is started again.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { eventually } from './bounded.ts';
import { startOrigin } from './origin.ts';
import { freePort } from './ports.ts';
import { ask, request } from './raw-client.ts';
import { type RedisServer, startRedis } from './redis.ts';
import { type AdminAnswer, type Serin, type SerinOptions, startSerin } from './serin.ts';
import { startTcpGate, type TcpGate } from './tcp-gate.ts';

export interface FleetOptions {
  readonly names?: readonly string[];
  readonly services: Record<string, unknown>;
  /** More of the configuration of all replicas. */
  readonly configuration?: Record<string, unknown>;
  readonly workers?: number;
  /** `id:secret` lines; one key unless said. */
  readonly keyRing?: string;
}

export interface TestReplica {
  readonly name: string;
  /** Its way to Redis. */
  readonly gate: TcpGate;
  /** The process as it runs now. */
  readonly serin: Serin;
  /** The whole process holds still, as on a machine that hangs. */
  pause(): void;
  resume(): void;
  kill(): Promise<void>;
  /** Starts it (again), with other contents of its configuration where they are given. */
  start(
    other?: { configuration?: Record<string, unknown>; keyRing?: string } & Partial<SerinOptions>,
  ): Promise<void>;
  /** The variants that so many requests of the user get. */
  variants(user: string, count?: number, host?: string): Promise<string[]>;
}

export interface TestFleet {
  readonly redis: RedisServer;
  readonly replicas: readonly TestReplica[];
  close(): Promise<void>;
}

export interface FleetBody {
  readonly revision: number;
  readonly store: { readonly condition: string };
  readonly disagreements: readonly string[];
  readonly replicas: readonly {
    readonly name: string;
    readonly state: string;
    readonly leader: boolean;
    readonly revision: number;
    readonly rolledBack: readonly string[];
    readonly workers: readonly { readonly revision: number }[];
  }[];
}

export interface ChangeBody {
  readonly id: string;
  readonly status: string;
  readonly progress: string;
  readonly revision: number | null;
  readonly degraded: boolean;
}

/** How long a replica counts as live without a word, in ms; also what the tests wait for. */
const LEASE = 3000;

/** Several processes start at once here, on machines with few cores. */
const READY_TIME = 150_000;

const KEY_RING = `k1:${Buffer.alloc(32, 7).toString('base64url')}\n`;

/**
 * A fleet that serves "notes" at notes.test, with an origin for each variant that tells its name. Users are known by the header
 * `x-user-id` unless said.
 */
export async function startNotesFleet(
  options: Omit<FleetOptions, 'services'> & { readonly identity?: readonly unknown[] | null } = {},
): Promise<TestFleet> {
  const { identity = [{ header: 'x-user-id' }], ...rest } = options;
  const origins = [await startOrigin('stable'), await startOrigin('canary')];
  const [stable, canary] = origins.map(({ endpoint }) => ({ endpoints: [endpoint] }));
  const notes = { hosts: ['notes.test'], ...(identity === null ? {} : { identity }), stable, canary };
  const closeOrigins = async (): Promise<void> => {
    for (const origin of origins) await origin.close();
  };
  try {
    const fleet = await startFleet({ ...rest, services: { notes } });
    return {
      ...fleet,
      async close() {
        await fleet.close();
        await closeOrigins();
      },
    };
  } catch (error) {
    await closeOrigins();
    throw error;
  }
}

/** Resolves when all replicas know each other. */
async function startFleet(options: FleetOptions): Promise<TestFleet> {
  const undo: (() => unknown)[] = [];
  const t = { after: (run: () => unknown) => void undo.push(run) };
  const close = async (): Promise<void> => {
    for (const run of undo.toReversed()) await run();
  };
  const { names = ['a', 'b', 'c'], services, workers = 2 } = options;
  const directory = await mkdtemp(path.join(tmpdir(), 'serin-fleet-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const redis = await startRedis(t, { args: ['--appendonly', 'yes'] });
  // All have started or failed before anything is undone: one that starts later would stay.
  const started = await Promise.allSettled(names.map((name) => makeReplica(name)));
  try {
    const replicas = started.map((one) => {
      if (one.status === 'rejected') throw one.reason as Error;
      return one.value;
    });
    await together(replicas);
    return { redis, replicas, close };
  } catch (error) {
    await close();
    throw error;
  }

  async function makeReplica(name: string): Promise<TestReplica> {
    const place = path.join(directory, name);
    await mkdir(place);
    const gate = await startTcpGate(redis.port);
    const peerPort = await freePort();
    let serin: Serin | null = null;
    t.after(async () => {
      await serin?.stop();
      await gate.close();
    });
    const replica: TestReplica = {
      name,
      gate,
      get serin() {
        if (serin === null) throw new Error(`${name} does not run`);
        return serin;
      },
      pause: () => void process.kill(replica.serin.pid, 'SIGSTOP'),
      resume: () => void process.kill(replica.serin.pid, 'SIGCONT'),
      async kill() {
        await serin?.stop('SIGKILL');
      },
      async start({ configuration = {}, keyRing = options.keyRing ?? KEY_RING, ...rest } = {}) {
        await serin?.stop('SIGKILL');
        await writeFile(path.join(place, 'secret'), keyRing, { mode: 0o600 });
        serin = await startSerin({
          directory: place,
          services,
          workers,
          readyWithin: READY_TIME,
          ...rest,
          configuration: {
            store: { redis: `redis://127.0.0.1:${gate.port}/0`, snapshot: path.join(place, 'state.json') },
            fleet: { name, listen: `127.0.0.1:${peerPort}`, lease: `${LEASE}ms` },
            secretFile: path.join(place, 'secret'),
            ...options.configuration,
            ...configuration,
          },
        });
      },
      variants: (user, count = 8, host = 'notes.test') =>
        Promise.all(
          Array.from({ length: count }, async () => {
            const text = request('/', { host, headers: [`X-User-Id: ${user}`] });
            const { body } = await ask(replica.serin.proxyPort, text);
            return body.toString().split(' ', 1)[0]!;
          }),
        ),
    };
    await replica.start();
    return replica;
  }
}

/** Waits until each of the replicas sees all of them live. */
export async function together(replicas: readonly TestReplica[]): Promise<void> {
  await eventually(async () => {
    for (const replica of replicas) {
      const { replicas: seen } = await fleetOf(replica);
      const live = new Set(seen.filter(({ state }) => state === 'live').map(({ name }) => name));
      if (!replicas.every(({ name }) => live.has(name))) return false;
    }
    return true;
  }, 'all replicas know each other');
}

export async function fleetOf(replica: TestReplica): Promise<FleetBody> {
  return (await replica.serin.admin('GET', '/v1/fleet')).body as FleetBody;
}

/** A write; the answer, whatever it is. */
export async function write(
  replica: TestReplica,
  method: string,
  place: string,
  body: unknown = {},
): Promise<AdminAnswer> {
  const target = `/v1/services/notes/rollout${place}`;
  const headers: Record<string, string> = {};
  if (method === 'PUT') {
    const etag = (await replica.serin.admin('GET', target)).headers.get('etag');
    if (etag !== null) headers['if-match'] = etag;
  }
  return replica.serin.admin(method, target, body, headers);
}

/** The change of an answer; fails where it was refused. */
export function accepted(answer: AdminAnswer): ChangeBody {
  if (answer.status !== 202) throw new Error(`refused with ${answer.status}: ${JSON.stringify(answer.body)}`);
  return answer.body as ChangeBody;
}

export async function changeAt(replica: TestReplica, id: string): Promise<ChangeBody> {
  const { status, body } = await replica.serin.admin('GET', `/v1/changes/${id}`);
  if (status !== 200) throw new Error(`${replica.name} does not know the change: ${status}`);
  return body as ChangeBody;
}

/** Waits until the replica says that the change is applied; gives it. */
export function applied(replica: TestReplica, id: string): Promise<ChangeBody> {
  return eventually(async () => {
    const change = await changeAt(replica, id).catch(() => null);
    if (change !== null && ['FAILED', 'CANCELED', 'SUPERSEDED'].includes(change.status))
      throw new Error(`the change ended ${change.status}: ${change.progress}`);
    return change?.status === 'APPLIED' ? change : null;
  }, `APPLIED at ${replica.name}`);
}

/** Writes and waits until it is applied. */
export async function perform(
  replica: TestReplica,
  method: string,
  place: string,
  body: unknown = {},
): Promise<ChangeBody> {
  return applied(replica, accepted(await write(replica, method, place, body)).id);
}
