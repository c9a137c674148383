/** The store's history as it is written, read from the store itself beside the replicas, and once more whole in the end. */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { connectRedis } from '../../src/store/redis/redis-connection.ts';
import { createRedisStore } from '../../src/store/redis/redis-store.ts';
import type { Commit } from '../../src/store/store.ts';
import { StoreCounters } from '../../src/telemetry/store-counters.ts';

export interface History {
  /** Every commit by its revision, as the store has it now. */
  all(): Promise<ReadonlyMap<number, Commit>>;
  close(): Promise<void>;
}

const EVERY = 200;
/** Commits behind the last one that are read again each time: a failover may have put others in their place. */
const AGAIN = 50;

export async function followHistory(options: {
  readonly port: number;
  /** Told of each commit at least once. */
  readonly onCommit: (commit: Commit) => void;
}): Promise<History> {
  const counters = new StoreCounters();
  const connection = connectRedis({
    url: `redis://127.0.0.1:${options.port}/0`,
    prefix: 'serin',
    counters,
  });
  const store = createRedisStore({ connection, counters, random: randomBytes });
  const state = { closed: false };
  let revision = 0;

  async function look(from: number): Promise<readonly Commit[]> {
    const read = await store.since(from);
    if (read === null) throw new Error(`the store does not hold all commits after revision ${from}`);
    for (const commit of read.commits) options.onCommit(commit);
    return read.commits;
  }

  const following = (async () => {
    while (!state.closed) {
      try {
        const commits = await look(Math.max(0, revision - AGAIN));
        revision = commits.at(-1)?.revision ?? revision;
      } catch {
        // The store is gone for the moment.
      }
      await delay(EVERY);
    }
  })();

  return {
    async all() {
      for (let attempt = 0; ; attempt++) {
        try {
          return new Map((await look(0)).map((commit) => [commit.revision, commit]));
        } catch (error) {
          if (attempt > 50) throw error;
          await delay(EVERY);
        }
      }
    },
    async close() {
      state.closed = true;
      await following;
      await store.close();
    },
  };
}
