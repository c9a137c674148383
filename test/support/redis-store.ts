/** Redis stores that end with the test. */
import { randomBytes } from 'node:crypto';
import { connectRedis, type RedisConnection } from '../../src/store/redis-connection.ts';
import { createRedisStore, type RedisStore } from '../../src/store/redis-store.ts';
import { StoreCounters } from '../../src/telemetry/store-counters.ts';
import type { Cleanup } from './redis.ts';

export interface OpenedRedisStore extends RedisStore {
  readonly connection: RedisConnection;
  readonly counters: StoreCounters;
}

export function openRedisStore(
  t: Cleanup,
  url: string,
  { prefix = 'serin', commandTime = 1000 } = {},
): OpenedRedisStore {
  const counters = new StoreCounters();
  const connection = connectRedis({ url, prefix, counters, commandTime });
  t.after(() => connection.close());
  const store = createRedisStore({ connection, counters, random: randomBytes });
  return Object.defineProperties(store, {
    connection: { value: connection },
    counters: { value: counters },
  }) as OpenedRedisStore;
}
