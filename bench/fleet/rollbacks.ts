/**
 * Rollbacks, one after another, and how long each took: from the call of the API to the last decision for the canary on
 * any worker of any replica, as their access logs tell. While a rollback is measured every worker decides for the service every
 * few milliseconds, so that the last one is not missed by more than that.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { createClient, type Client } from './client.ts';
import type { Answer, Decided, Replica } from './replicas.ts';

export interface Rollback {
  readonly milliseconds: number;
  /** The store did not have it when it was answered. */
  readonly degraded: boolean;
  /** A replica was starting meanwhile, on the same cores. */
  readonly besideStart: boolean;
}

export interface RollbackResult {
  readonly done: Rollback[];
  /** Those without a figure, by the reason. */
  readonly left: Map<string, number>;
  /** Failures of requests to replicas that lived all the time. */
  readonly failures: string[];
  requests: number;
}

/** Connections to each replica for one service, and the pause between two requests of one, in ms. */
const LANES = 4;
const PACE = 12;
/** From one rollback of a service to its next, in ms at least. */
const EVERY = 2500;
/** How long every worker must have given stable before the canary counts as over, in ms. */
const QUIET = 60;
/** The longest time that a rollback is followed, and that anything before it is waited for, in ms. */
const FOLLOWED = 3000;
const PATIENCE = 6000;
const FINAL = new Set(['APPLIED', 'FAILED', 'CANCELED', 'SUPERSEDED', 'ROLLED_BACK']);

export interface RollbackRun {
  see(decided: Decided): void;
  stop(): Promise<void>;
}

export function startRollbacks(options: {
  readonly replicas: readonly Replica[];
  readonly workers: number;
  readonly service: string;
  readonly host: string;
  readonly random: () => number;
  readonly result: RollbackResult;
}): RollbackRun {
  const { replicas, workers, service, host, random, result } = options;
  const base = `/v1/services/${service}/rollout`;
  const state = { stopped: false };
  /** By `replica/worker`: the last decision of each kind, ms since 1970. */
  const lastCanary = new Map<string, number>();
  const lastStable = new Map<string, number>();
  let requests = 0;

  const alive = (): Replica[] => replicas.filter(({ up }) => up);
  const drawn = (): Replica | undefined => {
    const up = alive();
    return up[Math.floor(random() * up.length)];
  };
  const leftOut = (why: string): void => void result.left.set(why, (result.left.get(why) ?? 0) + 1);

  async function call(method: string, path: string, body?: unknown): Promise<Answer | null> {
    const replica = drawn();
    if (replica === undefined) return null;
    const headers: Record<string, string> = {};
    try {
      if (method === 'PUT') {
        const { etag } = await replica.admin('GET', path);
        if (etag !== null) headers['if-match'] = etag;
      }
      return await replica.admin(method, path, body, headers);
    } catch {
      return null;
    }
  }

  /** A running rollout that gives everybody the canary; false where it did not come to that in time. */
  async function begin(): Promise<boolean> {
    const answer = await call('PUT', base, { rules: [{ name: 'everyone', percentage: 100 }] });
    if (answer === null || answer.status !== 202) return false;
    const { id } = answer.body as { id: string };
    const end = performance.now() + PATIENCE;
    while (performance.now() < end && !state.stopped) {
      const change = (await call('GET', `/v1/changes/${id}`))?.body as { status?: string } | undefined;
      if (change?.status === 'APPLIED') return true;
      if (FINAL.has(change?.status ?? '')) return false;
      await delay(30);
    }
    return false;
  }

  /** Each lane is a connection, so that the kernel spreads them over the workers. */
  function startLanes(): { stop(): Promise<void>; renew(replica: string): void } {
    const going = { on: true };
    const clients = new Map<string, Client[]>();
    const loops = alive().flatMap((replica) => {
      const own = Array.from({ length: LANES }, () => createClient());
      clients.set(replica.name, own);
      return own.map(async (_, lane) => {
        const { life } = replica;
        while (going.on && replica.up && replica.life === life) {
          requests += 1;
          result.requests += 1;
          const sent = await own[lane]!.get(replica, host, `/r/${lane}`, `r${requests % 5000}`);
          if (sent.failure !== '' && !sent.killed && going.on && replica.life === life)
            result.failures.push(
              `${new Date().toISOString()} ${service} at ${replica.name}: ${sent.failure}`,
            );
          await delay(PACE);
        }
      });
    });
    return {
      /** Another connection may lead to another worker. */
      renew(name) {
        const own = clients.get(name);
        if (own === undefined) return;
        const at = Math.floor(random() * LANES);
        own[at] = createClient();
      },
      async stop() {
        going.on = false;
        await Promise.all(loops);
        for (const own of clients.values()) for (const client of own) client.close();
      },
    };
  }

  function expected(lives: ReadonlyMap<Replica, number>): string[] {
    return [...lives]
      .filter(([replica, life]) => replica.life === life)
      .flatMap(([{ name }]) => Array.from({ length: workers }, (_, worker) => `${name}/${worker}`));
  }

  async function one(): Promise<void> {
    if (!(await begin())) {
      leftOut('no rollout could be started');
      await delay(100);
      return;
    }
    lastCanary.clear();
    lastStable.clear();
    const lives = new Map(alive().map((replica) => [replica, replica.life]));
    const lanes = startLanes();
    try {
      const before = performance.now() + 1500;
      let missing = expected(lives);
      while (missing.length > 0 && performance.now() < before) {
        await delay(40);
        missing = expected(lives).filter((key) => !lastCanary.has(key));
        for (const key of missing) if (random() < 0.3) lanes.renew(key.split('/')[0]!);
      }
      const replica = drawn();
      if (missing.length > 0 || replica === undefined) {
        leftOut('not every worker was seen before it');
        return;
      }
      await delay(random() * PACE);
      const { life } = replica;
      const calm = replicas.every(({ up }) => up);
      const from = Date.now();
      const answer = replica
        .admin('POST', `${base}/rollback`, { reason: 'measured' })
        .catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
      const end = performance.now() + FOLLOWED;
      // All workers give stable, and have done so for a while.
      let over = false;
      while (!over && performance.now() < end) {
        await delay(20);
        const keys = expected(lives);
        over = keys.every((key) => {
          const canary = Math.max(from, lastCanary.get(key) ?? 0);
          return (lastStable.get(key) ?? 0) > canary + QUIET;
        });
      }
      const said = await answer;
      if (typeof said === 'string') {
        leftOut(replica.life === life ? `no answer: ${said}` : 'its replica was killed meanwhile');
        return;
      }
      if (said.status !== 202 && said.status !== 200) {
        leftOut(`answered ${said.status}`);
        return;
      }
      const keys = expected(lives);
      const milliseconds = Math.max(0, ...keys.map((key) => (lastCanary.get(key) ?? 0) - from));
      const { degraded } = said.body as { degraded?: boolean };
      result.done.push({
        milliseconds,
        degraded: degraded === true,
        besideStart: !calm || replicas.some(({ up }) => !up),
      });
    } finally {
      await lanes.stop();
    }
  }

  const running = (async () => {
    while (!state.stopped) {
      const next = performance.now() + EVERY * (0.8 + 0.4 * random());
      await one();
      while (!state.stopped && performance.now() < next) await delay(50);
    }
  })();

  return {
    see({ service: of, variant, replica, worker, time }) {
      if (of !== service) return;
      const last = variant === 'canary' ? lastCanary : lastStable;
      const key = `${replica}/${worker}`;
      last.set(key, Math.max(time, last.get(key) ?? 0));
    },
    async stop() {
      state.stopped = true;
      await running;
    },
  };
}
