/**
 * The latches of rollouts under way, in Redis: a stream for each rollout, an entry for each batch that a replica added.
 *
 * It promises that no writer undoes another's latch, that a reader who was away finds what it missed, and that a rollout never takes
 * more than so many latches: the oldest go first. A stream goes by itself ten minutes after its rollout, or a week after the last
 * replica that knew it.
 */
import {
  FROM_THE_BEGINNING,
  type LatchEntry,
  type LatchPage,
  type LatchStore,
  readEntries,
  writeEntries,
} from './latch-store.ts';
import { type RedisConnection, redisScript } from '../store/redis/redis-connection.ts';
import { StoreError } from '../store/store.ts';

/** How long a rollout's latches stay without a replica that knows of it, and after its end; in ms. */
const KEPT = 7 * 24 * 3_600_000;
const KEPT_AFTER_END = 600_000;

/** How long one replica has the refilling to itself, in ms. */
const REFILL_TIME = 60_000;

/** Batches that are read in one go, and latches of one batch; some 200 kB. */
const PAGE = 8;
const BATCH = 256;

const LONG_TIME = 5000;

const APPEND = redisScript(
  `
local id = redis.call('XADD', KEYS[1], '*', 'boot', ARGV[1], 'count', ARGV[2], 'latches', ARGV[3])
local count = redis.call('INCRBY', KEYS[2], ARGV[2])
while count > tonumber(ARGV[4]) do
  local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  if oldest == nil or oldest[1] == id then break end
  redis.call('XDEL', KEYS[1], oldest[1])
  count = redis.call('DECRBY', KEYS[2], tonumber(oldest[2][4]) or 0)
end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
return id
`,
  { writes: true },
);

const READ = redisScript(
  `
if redis.call('EXISTS', KEYS[1]) == 0 then return {'', {}} end
local info = redis.call('XINFO', 'STREAM', KEYS[1])
local last = ''
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then last = info[i + 1] end
end
return {last, redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])}
`,
  { writes: false },
);

export interface RedisLatchesOptions {
  readonly connection: RedisConnection;
  /** Of this process, new with each start. */
  readonly boot: string;
  /** Latches of one rollout that are kept at most. */
  readonly limit: number;
}

export function createRedisLatches({ connection, boot, limit }: RedisLatchesOptions): LatchStore {
  const stream = (rolloutId: string): string => connection.key(`latches:${rolloutId}`);
  const count = (rolloutId: string): string => connection.key(`latches:${rolloutId}:count`);
  const refill = (rolloutId: string): string => connection.key(`latches:${rolloutId}:refill`);

  async function expire(rolloutId: string, time: number): Promise<void> {
    for (const key of [stream(rolloutId), count(rolloutId)])
      await connection.command('pexpire', [key, time], { writes: true });
  }

  return {
    async append(rolloutId, entries) {
      for (let from = 0; from < entries.length; from += BATCH) {
        const batch = entries.slice(from, from + BATCH);
        await connection.run(
          APPEND,
          [stream(rolloutId), count(rolloutId)],
          [boot, batch.length, writeEntries(batch), limit, KEPT],
          { timeout: LONG_TIME },
        );
      }
    },

    async read(rolloutId, cursor) {
      const from = cursor === FROM_THE_BEGINNING ? '-' : `(${cursor}`;
      const reply = await connection.run(READ, [stream(rolloutId)], [from, PAGE], { timeout: LONG_TIME });
      return pageOf(reply, cursor, boot);
    },

    async refills(rolloutId) {
      const args = [refill(rolloutId), boot, 'NX', 'PX', REFILL_TIME];
      if ((await connection.command('set', args, { writes: true })) === 'OK') return true;
      return (await connection.command('get', [refill(rolloutId)], { writes: false })) === boot;
    },

    async keep(rolloutIds) {
      for (const rolloutId of rolloutIds) await expire(rolloutId, KEPT);
    },

    end: async (rolloutId) => expire(rolloutId, KEPT_AFTER_END),
  };
}

function pageOf(reply: unknown, cursor: string, boot: string): LatchPage {
  if (!Array.isArray(reply)) throw unreadable();
  const [last, batches] = reply as readonly unknown[];
  if (typeof last !== 'string' || !Array.isArray(batches)) throw unreadable();
  if (cursor !== FROM_THE_BEGINNING && comesBefore(last, cursor))
    return { entries: [], cursor: FROM_THE_BEGINNING, more: false, lost: true };
  const entries: LatchEntry[] = [];
  let at = cursor;
  for (const batch of batches as readonly unknown[]) {
    const [id, fields] = Array.isArray(batch) ? (batch as readonly unknown[]) : [];
    if (typeof id !== 'string' || !Array.isArray(fields)) throw unreadable();
    at = id;
    // boot, count, latches: names and values in turn.
    const [, writer, , , , latches] = fields as readonly unknown[];
    if (writer !== boot && typeof latches === 'string') entries.push(...readEntries(latches));
  }
  return { entries, cursor: at, more: batches.length === PAGE, lost: false };
}

/** Whether an id of a stream is smaller; '' is that of a stream that is not there. */
function comesBefore(id: string, other: string): boolean {
  const [time = 0, number = 0] = id.split('-').map(Number);
  const [otherTime = 0, otherNumber = 0] = other.split('-').map(Number);
  return time < otherTime || (time === otherTime && number < otherNumber);
}

function unreadable(): StoreError {
  return new StoreError('corrupt', 'The latches in Redis are not what Serin writes.');
}
