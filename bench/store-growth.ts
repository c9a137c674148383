/**
 * What small writes of a large policy cost the store: bytes on disk and in Redis, bytes written for each, time, and how long the main
 * thread is held up.
 *
 *   node bench/store-growth.ts [--networks 100000] [--writes 300] [--no-write]
 *
 * Redis is started beside it where `redis-server` is installed. It writes to a directory of its own and removes it.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import type { RolloutState } from '../src/policy/rollout.ts';
import { createFileStore } from '../src/store/file/file-store.ts';
import { connectRedis } from '../src/store/redis/redis-connection.ts';
import { createRedisStore } from '../src/store/redis/redis-store.ts';
import type { Commit, Store } from '../src/store/store.ts';
import { StoreCounters } from '../src/telemetry/store-counters.ts';
import { startRedis } from '../test/support/redis.ts';
import { machine, table, writeSection } from './results.ts';

const { values } = parseArgs({
  options: {
    networks: { type: 'string', default: '100000' },
    writes: { type: 'string', default: '300' },
    'no-write': { type: 'boolean', default: false },
  },
});
const networks = Number(values.networks);
const writes = Number(values.writes);
const ends: (() => unknown)[] = [];
const directory = await mkdtemp(path.join(tmpdir(), 'serin-growth-'));
ends.push(() => rm(directory, { recursive: true }));

const cidr = Array.from(
  { length: networks },
  (_, index) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
);
const rollout: RolloutState = {
  id: 'r-1',
  epoch: 1,
  seed: '00112233445566778899aabbccddeeff',
  bucketAlgorithm: 'xxh64-1',
  fingerprintKey: 'k1',
  phase: 'running',
  document: { rules: [{ name: 'branches', match: { cidr }, percentage: 0 }] },
  step: -1,
  startedAt: '2026-03-01T11:00:00.000Z',
};

/** As the control plane makes it: what stays is the same object. */
const commitOf = (revision: number): Commit => ({
  revision,
  service: 'notes',
  kind: 'rollout.percentage',
  at: new Date().toISOString(),
  actor: 'bench',
  reason: null,
  requestId: null,
  changeId: `change-${revision}`,
  document: {
    definition: null,
    rollout: {
      ...rollout,
      document: { rules: [{ ...rollout.document.rules[0]!, percentage: revision / 10 }] },
    },
  },
});

async function measure(
  name: string,
  store: Pick<Store, 'commit'>,
  bytes: () => Promise<number>,
): Promise<Record<string, string>> {
  await store.commit(commitOf(1));
  const first = await bytes();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const times: number[] = [];
  delay.enable();
  for (let revision = 2; revision <= writes + 1; revision++) {
    const began = performance.now();
    await store.commit(commitOf(revision));
    times.push(performance.now() - began);
  }
  delay.disable();
  const last = await bytes();
  times.sort((one, other) => one - other);
  const figures = {
    store: name,
    'MB before': (first / 1e6).toFixed(2),
    'MB after': (last / 1e6).toFixed(2),
    'bytes a write': String(Math.round((last - first) / writes)),
    'ms, median': (times[times.length >> 1] ?? 0).toFixed(2),
    'ms, longest': (times.at(-1) ?? 0).toFixed(1),
    'main thread held up, ms': (delay.max / 1e6).toFixed(1),
  };
  console.log(JSON.stringify(figures));
  return figures;
}

try {
  console.log(`${networks} networks, ${writes} percentage writes`);
  const file = createFileStore({ directory, wallNow: Date.now, warn: console.warn });
  await file.load();
  ends.unshift(() => file.close());
  const inFile = await measure(
    'file',
    file,
    async () => (await stat(path.join(directory, 'commits.log'))).size,
  );

  const redis = await startRedis({ after: (end: () => unknown) => void ends.unshift(end) });
  const counters = new StoreCounters();
  const connection = connectRedis({ url: redis.url, prefix: 'serin', counters });
  const shared = createRedisStore({ connection, counters, random: randomBytes });
  ends.unshift(() => shared.close());
  const info = async (section: string, field: string): Promise<number> =>
    Number(new RegExp(`${field}:([0-9]+)`).exec(String(await redis.send('info', section)))?.[1]);
  const received = await info('stats', 'total_net_input_bytes');
  const inRedis = await measure('redis', shared, () => info('memory', 'used_memory'));
  const sent = (await info('stats', 'total_net_input_bytes')) - received;
  const began = performance.now();
  const loaded = await createRedisStore({ connection, counters, random: randomBytes }).load();
  const anew = performance.now() - began;
  const heads = Object.keys(inFile);
  const rows = [inFile, inRedis].map((figures) => heads.map((head) => figures[head] ?? ''));
  const { cpu, cores, kernel, node } = machine();
  const markdown = [
    table([heads, ...rows]),
    '',
    `- ${networks} networks in one rule (1.4 MB for 100,000), then ${writes} writes of its percentage. Redis received ${(sent / 1e6).toFixed(1)} MB in all, nearly all of it for the first write; reading ${loaded.recent.length} commits anew took ${anew.toFixed(0)} ms.`,
    '- When each commit held the whole document, 100 such writes made a log of 141.5 MB, 1.4 MB and 80 ms a write, and held the main thread up for 172 ms; Redis closed the connection at the 64th.',
    `- ${cpu}, ${cores} cores, Linux ${kernel}, Node.js ${node}.`,
  ].join('\n');
  console.log(markdown);
  if (!values['no-write'])
    writeSection('store-growth', 'What small writes cost the store', markdown, {
      inFile,
      inRedis,
      sent,
      anew,
    });
} finally {
  for (const end of ends) await end();
}
