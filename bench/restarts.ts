/**
 * Graceful restarts under load: nobody who behaves may see a reset or a failed request.
 *
 *   node bench/restarts.ts [--count N] [--shared N] [--without N] [--groups N] [--no-write]
 *
 * Three parts. `count` restarts of two replicas on two ports, in turn, behind a client pool that honours `/readyz` and
 * `Connection: close`. `shared` restarts on one port, the next process started before the last one ends, with
 * net.ipv4.tcp_migrate_req=1 (this needs root; the former value is put back). `without` of the same with 0, for comparison.
 * `groups` of them run side by side. A start costs about a second of CPU, so the default, a thousand and a few, takes a quarter of an
 * hour on two idle cores. Ends with 1 when the first or the second part saw a failure.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { eventually } from '../test/support/bounded.ts';
import { freePort } from '../test/support/ports.ts';
import { readDeliveries } from './chaos/deliveries.ts';
import { listening, start, stop } from './process.ts';
import { noCounts, startPool, type Counts, type Lane, type Pool } from './restarts/pool.ts';
import { ready, startReplica, type Replica } from './restarts/replica.ts';
import { machine, table, writeSection } from './results.ts';
import { median } from './statistics.ts';

const { values: options } = parseArgs({
  options: {
    count: { type: 'string', default: '700' },
    shared: { type: 'string', default: '300' },
    without: { type: 'string', default: '60' },
    groups: { type: 'string', default: '3' },
    write: { type: 'boolean', default: true },
  },
  allowNegative: true,
});
const groups = Math.min(Number(options.groups), 16);

/** A bench must end: no part goes on for longer, in ms. */
const PART_LIMIT = 20 * 60_000;
const MIGRATE = '/proc/sys/net/ipv4/tcp_migrate_req';
const WORKERS = 2;
/** How often the pool asks for readiness, in ms; the delay of the drain must be several times that. */
const POLL = 20;
const TURNS = { delay: '300ms', idle: '300ms', grace: '10s' };
/** With a successor on the same port nobody needs to learn of anything. */
const SHARED = { delay: '0s', idle: '300ms', grace: '10s' };

// Restarts are many: the runtime may keep what it compiled.
const directory = mkdtempSync(join(tmpdir(), 'serin-restarts-'));
process.env['NODE_COMPILE_CACHE'] = join(directory, 'cache');

function lanes(length: number, think: number, kind: Omit<Lane, 'think'>): Lane[] {
  return Array.from({ length }, () => ({ ...kind, think: () => Math.random() * think }));
}

/** Lanes that balance each request, that stay, that open a connection each time, and that think for longer than a drain waits. */
const LANES: Lane[] = [
  ...lanes(6, 30, { fresh: false, sticky: false, reads: false }),
  ...lanes(6, 30, { fresh: false, sticky: true, reads: false }),
  ...lanes(4, 20, { fresh: true, sticky: false, reads: false }),
  ...lanes(4, 800, { fresh: false, sticky: true, reads: true }),
];

interface Part {
  readonly restarts: number;
  readonly seconds: number;
  readonly counts: Counts;
  readonly took: readonly number[];
  readonly exits: ReadonlyMap<string, number>;
  readonly longestPoll: number;
  readonly duplicates: number;
}

interface Service {
  readonly services: object;
  readonly deliveries: string;
  close(): Promise<void>;
}

async function startService(): Promise<Service> {
  const port = await freePort();
  const deliveries = join(directory, `deliveries-${port}`);
  const origin = start([
    process.execPath,
    join(import.meta.dirname, 'chaos/origin.ts'),
    String(port),
    'stable',
    deliveries,
  ]);
  await listening(port, origin);
  const upstream = { endpoints: [`127.0.0.1:${port}`] };
  return {
    services: { chaos: { hosts: ['*'], stable: upstream, timeouts: { upstreamKeepAlive: '2s' } } },
    deliveries,
    close: () => stop(origin.child),
  };
}

/** Runs `group` several times side by side, over one count of restarts, and adds up. */
async function part(
  count: number,
  group: (
    service: Service,
    next: () => boolean,
    note: (took: number, code: string) => void,
    index: number,
  ) => Promise<{ pool: Pool; longestPoll: number }>,
): Promise<Part> {
  const service = await startService();
  const from = performance.now();
  const took: number[] = [];
  const exits = new Map<string, number>();
  let begun = 0;
  const next = (): boolean => {
    if (begun >= count || performance.now() - from > PART_LIMIT) return false;
    begun += 1;
    return true;
  };
  const note = (milliseconds: number, code: string): void => {
    took.push(milliseconds);
    exits.set(code, (exits.get(code) ?? 0) + 1);
    if (took.length % 10 === 0)
      console.log(`${took.length} restarts, ${((performance.now() - from) / 1000).toFixed(0)} s`);
  };
  const ended = await Promise.all(
    Array.from({ length: Math.min(groups, count) }, (_, index) => group(service, next, note, index)),
  );
  await service.close();
  const counts = noCounts();
  for (const { pool } of ended) {
    for (const key of ['requests', 'posts', 'connections', 'told', 'endedIdle', 'crossed'] as const)
      counts[key] += pool.counts[key];
    for (const [kind, failures] of pool.counts.failed)
      counts.failed.set(kind, (counts.failed.get(kind) ?? 0) + failures);
  }
  const { duplicates } = readDeliveries([service.deliveries]);
  return {
    restarts: took.length,
    seconds: (performance.now() - from) / 1000,
    counts,
    took,
    exits,
    longestPoll: Math.max(0, ...ended.map(({ longestPoll }) => longestPoll)),
    duplicates: duplicates.length,
  };
}

/** Two replicas on two ports, restarted in turn; the pool goes where `/readyz` says. */
function inTurn(count: number): Promise<Part> {
  return part(count, async (service, next, note, index) => {
    const ports = [await freePort(), await freePort()] as const;
    const boot = (which: 0 | 1): Promise<Replica> =>
      startReplica({
        directory,
        name: `turn-${index}-${which}`,
        proxyPort: ports[which],
        proxy: { workers: WORKERS, drain: TURNS },
        services: service.services,
      });
    const replicas: Replica[] = [await boot(0), await boot(1)];
    const pool = startPool(`turn${index}`, LANES, ports, Math.random);
    const state = { stopped: false, longest: 0, eligible: 2 };
    const poller = (async () => {
      for (let last = performance.now(); !state.stopped; last = performance.now()) {
        const answers = await Promise.all(replicas.map(async ({ opsPort }) => ready(opsPort)));
        const eligible = ports.filter((_, which) => answers[which]);
        pool.eligible(eligible);
        state.eligible = eligible.length;
        await delay(POLL);
        state.longest = Math.max(state.longest, performance.now() - last);
      }
    })();
    for (let which: 0 | 1 = 0; next(); which = which === 0 ? 1 : 0) {
      const { code, took } = await (replicas[which] as Replica).end();
      replicas[which] = await boot(which);
      note(took, code);
      // The balancer must have seen it before the other one goes.
      state.eligible = 0;
      await eventually(() => state.eligible === 2, 'both replicas eligible', 30_000);
    }
    await pool.stop();
    state.stopped = true;
    await poller;
    for (const replica of replicas) await replica.end();
    return { pool, longestPoll: state.longest };
  });
}

/** One port; the successor listens before its predecessor is told to go. */
function onOnePort(count: number): Promise<Part> {
  return part(count, async (service, next, note, index) => {
    const port = await freePort();
    let generation = 0;
    const boot = (): Promise<Replica> => {
      generation += 1;
      return startReplica({
        directory,
        name: `shared-${index}-${generation % 2}`,
        proxyPort: port,
        proxy: { workers: WORKERS, drain: SHARED, sharePort: true },
        services: service.services,
      });
    };
    let replica = await boot();
    const pool = startPool(`shared${index}`, LANES, [port], Math.random);
    while (next()) {
      const successor = await boot();
      const { code, took } = await replica.end();
      note(took, code);
      replica = successor;
    }
    await pool.stop();
    await replica.end();
    return { pool, longestPoll: 0 };
  });
}

function setMigration(value: string): boolean {
  try {
    writeFileSync(MIGRATE, value);
    return true;
  } catch {
    return false;
  }
}

const former = readFileSync(MIGRATE, 'latin1').trim();
process.on('exit', () => {
  if (readFileSync(MIGRATE, 'latin1').trim() !== former) setMigration(former);
  rmSync(directory, { recursive: true, force: true });
});

const parts: { readonly title: string; readonly proof: boolean; readonly part: Part }[] = [];
if (Number(options.count) > 0) {
  parts.push({ title: 'two ports, in turn', proof: true, part: await inTurn(Number(options.count)) });
}
for (const [value, count] of [
  ['1', Number(options.shared)],
  ['0', Number(options.without)],
] as const) {
  if (count === 0) continue;
  if (former !== value && !setMigration(value)) {
    console.error(`tcp_migrate_req can't be set to ${value}: that part is left out`);
    continue;
  }
  parts.push({
    title: `one port, tcp_migrate_req=${value}`,
    proof: value === '1',
    part: await onOnePort(count),
  });
}
setMigration(former);

const failures = ({ counts }: Part): number =>
  [...counts.failed.values()].reduce((sum, count) => sum + count, 0);
const resets = ({ counts }: Part): number =>
  [...counts.failed].reduce((sum, [kind, count]) => sum + (kind.startsWith('reset') ? count : 0), 0);
const row = (what: string, figure: (part: Part) => string): string[] => [
  what,
  ...parts.map(({ part }) => figure(part)),
];
const rows = [
  ['what', ...parts.map(({ title }) => title)],
  row('restarts', ({ restarts }) => String(restarts)),
  row('seconds', ({ seconds }) => seconds.toFixed(0)),
  row(
    'from SIGTERM to the end, ms: median, longest',
    ({ took }) => `${median(took).toFixed(0)}, ${Math.max(0, ...took).toFixed(0)}`,
  ),
  row('exit codes', ({ exits }) => [...exits].map(([code, count]) => `${code}: ${count}`).join(', ')),
  row('requests', ({ counts }) => String(counts.requests)),
  row('… of them POST', ({ counts }) => String(counts.posts)),
  row('connections', ({ counts }) => String(counts.connections)),
  row('… that an answer told to go elsewhere', ({ counts }) => String(counts.told)),
  row('… that ended while idle', ({ counts }) => String(counts.endedIdle)),
  row('GETs that such an end crossed, asked again', ({ counts }) => String(counts.crossed)),
  row('**resets**', (one) => String(resets(one))),
  row('**failed requests**', (one) => String(failures(one))),
  row('**POSTs delivered twice**', ({ duplicates }) => String(duplicates)),
];
const here = machine();
const kinds = parts.flatMap(({ title, part }) =>
  [...part.counts.failed].map(([kind, count]) => `- ${title}: ${count} × ${kind}`),
);
const polls = parts.map(({ part }) => part.longestPoll).filter((longest) => longest > 0);
const markdown = [
  table(rows),
  [
    `- ${here.cpu}, ${here.cores} cores shared with the clients and the origin, Linux ${here.kernel}, Node.js ${here.node}; ${WORKERS} workers a process, ${groups} groups side by side with ${LANES.length} lanes each: 6 go where readiness says with each request, 6 stay on their connection until they are told, 4 open one for each request, 4 stay and think for up to 800 ms.`,
    `- Two ports: \`drain\` ${JSON.stringify(TURNS)}; the pool asks \`/readyz\` every ${POLL} ms${polls.length > 0 ? ` (longest gap ${Math.max(...polls).toFixed(0)} ms)` : ''}. One port: \`drain\` ${JSON.stringify(SHARED)}.`,
    '- Bold lines must be 0, but for the part with tcp_migrate_req=0, which shows what that setting is worth.',
    ...kinds,
  ].join('\n'),
].join('\n\n');
console.log(`\n${markdown}`);
if (options.write) {
  writeSection('restarts', 'Graceful restarts', markdown, {
    at: new Date().toISOString(),
    machine: here,
    parts: parts.map(({ title, part }) => ({
      title,
      restarts: part.restarts,
      seconds: part.seconds,
      requests: part.counts.requests,
      resets: resets(part),
      failures: Object.fromEntries(part.counts.failed),
      duplicates: part.duplicates,
    })),
  });
}
if (parts.some(({ proof, part }) => (proof && failures(part) > 0) || part.duplicates > 0))
  process.exitCode = 1;
