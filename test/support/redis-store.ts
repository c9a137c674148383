/** Redis stores that end with the test. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connectRedis, type RedisConnection } from '../../src/store/redis/redis-connection.ts';
import { createRedisStore, type RedisStore } from '../../src/store/redis/redis-store.ts';
import { StoreError } from '../../src/store/store.ts';
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

/** Resolves when it is refused as `unavailable`: whether for want of a connection or of an answer, the text says. */
export async function refused(call: Promise<unknown>, text = /./): Promise<void> {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof StoreError, String(error));
    assert.equal(error.code, 'unavailable');
    assert.match(error.message, text);
    return true;
  });
}

/** What a replica that wants to lead says. */
export const beat = { replica: 'a', record: '{}', lease: 5000, lead: true };

/** Whether it can be written to. */
export const works = async (store: OpenedRedisStore): Promise<boolean> => {
  try {
    await store.sync(beat);
    return true;
  } catch {
    return false;
  }
};
