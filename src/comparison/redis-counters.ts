/**
 * What each replica has counted, in Redis: one field for each process, and when it was told.
 *
 * It promises nothing of durability: what is lost is told again within seconds. What a process that is gone has left goes after
 * ten minutes; whoever watched has its numbers.
 */
import { type ReplicaReport, type ServiceTotals, TOTALS } from './totals.ts';
import type { HeardReport } from './traffic-window.ts';
import { isRecord, parsedJson } from '../schema/json-value.ts';
import { type RedisConnection, redisScript } from '../store/redis/redis-connection.ts';

/** In ms. */
const KEPT = 600_000;

const EXCHANGE = redisScript(
  `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], now, ARGV[1])
for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[3])) do
  redis.call('HDEL', KEYS[1], old)
  redis.call('ZREM', KEYS[2], old)
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
local reports = {}
local told = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
for i = 1, #told, 2 do
  local report = redis.call('HGET', KEYS[1], told[i])
  if report then
    reports[#reports + 1] = report
    reports[#reports + 1] = tostring(now - told[i + 1])
  end
end
return reports
`,
  { writes: true },
);

/** Tells `report`, and gives those of all processes. Rejects with StoreError. */
export function redisCounters(
  connection: RedisConnection,
): (report: ReplicaReport) => Promise<HeardReport[]> {
  const keys = [connection.key('counters'), connection.key('counters:told')];
  return async (report) => {
    const reply = await connection.run(EXCHANGE, keys, [report.boot, JSON.stringify(report), KEPT]);
    const heard: HeardReport[] = [];
    if (!Array.isArray(reply)) return heard;
    for (let index = 0; index + 1 < reply.length; index += 2) {
      const other = readReport(reply[index]);
      const age = Number(reply[index + 1]);
      if (other !== null && age >= 0) heard.push({ report: other, age });
    }
    return heard;
  };
}

/** Null for anything but a report of this version. */
export function readReport(text: unknown): ReplicaReport | null {
  const value = typeof text === 'string' ? parsedJson(text) : null;
  if (!isRecord(value)) return null;
  const { name, boot, uptime, services } = value;
  if (typeof name !== 'string' || typeof boot !== 'string' || typeof uptime !== 'number') return null;
  if (!isRecord(services) || !Object.values(services).every(areTotals)) return null;
  return { name, boot, uptime, services: services as Record<string, ServiceTotals> };
}

function areTotals(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length === 2 &&
    value.every(
      (totals: unknown) =>
        Array.isArray(totals) &&
        totals.length === TOTALS &&
        totals.every((count: unknown) => typeof count === 'number' && count >= 0),
    )
  );
}
