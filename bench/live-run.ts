/**
 * The live proof: many users under constant load, while the policy changes every second. No
 * request may fail, and every answer must come from the variant that the decision code names for the policy in force.
 *
 *   node bench/live-run.ts [--seconds N] [--rate N] [--users N] [--no-write]
 *
 * Runs for five minutes by default; ends with 1 when anything was violated. Everything runs on loopback.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startOrigin } from '../test/support/origin.ts';
import { startSerin, type Serin } from '../test/support/serin.ts';
import { startWriter } from './live/writer.ts';
import { startLoad } from './live/load.ts';
import { readAftermath } from './live/aftermath.ts';
import { makeUsers, OFFICE } from './live/users.ts';
import { verify } from './live/verify.ts';
import { machine, table, writeSection } from './results.ts';

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '300' },
    rate: { type: 'string', default: '1000' },
    users: { type: 'string', default: '2400' },
    write: { type: 'boolean', default: true },
  },
  allowNegative: true,
});
const seconds = Math.min(Number(options.seconds), 3_600);
const rate = Math.min(Number(options.rate), 5_000);
const userCount = Math.min(Number(options.users), 20_000);

const SERVICE = 'notes';
const HOST = 'notes.example.com';
const IDENTITY = [
  { header: 'x-user-id' },
  { cookie: 'serin_id', mint: true },
  { fingerprint: true },
] as const;

/** The violations, cut to what a person will read. */
function shown(list: readonly string[]): string {
  return list
    .slice(0, 20)
    .map((line) => `  ${line}`)
    .join('\n');
}

async function counted(serin: Serin): Promise<Record<string, number>> {
  return {
    'flips counted by Serin': await serin.metric('serin_flips_total'),
    'fallbacks counted by Serin': await serin.metric('serin_fallbacks_total'),
    'worker restarts': await serin.metric('serin_worker_restarts_total'),
    'requests refused': await serin.metric('serin_rejected_requests_total'),
  };
}

const directory = await mkdtemp(join(tmpdir(), 'serin-live-'));
await mkdir(join(directory, 'data'), { recursive: true });
const stable = await startOrigin('stable', { keep: 0 });
const canary = await startOrigin('canary', { keep: 0 });
const startedSeconds = Math.floor(Date.now() / 1000);
const serin = await startSerin({
  directory,
  workers: 2,
  services: {
    [SERVICE]: {
      hosts: [HOST],
      identity: IDENTITY,
      stable: { endpoints: [stable.endpoint] },
      canary: { endpoints: [canary.endpoint] },
    },
  },
  // Users come through one trusted proxy: the load generator.
  configuration: { trustedProxies: ['127.0.0.1/32'], segments: { office: OFFICE }, log: { level: 'warn' } },
});
try {
  const users = makeUsers(userCount);
  const load = startLoad({
    port: serin.proxyPort,
    users,
    connections: 64,
    perSecond: rate,
    host: HOST,
    random: Math.random,
  });
  const writer = startWriter(serin, SERVICE, users);
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    await delay(Math.min(10_000, end - performance.now()));
    stable.forget();
    canary.forget();
    console.log(
      `${load.records.length} requests, ${writer.writes.length} writes, ${writer.refused.length} refused`,
    );
  }
  await writer.stop();
  await load.stop();
  const counters = await counted(serin);
  await serin.stop('SIGKILL');

  const { eras, source, policy } = await readAftermath(directory, SERVICE, IDENTITY, writer.writes);
  const found = verify(load.records, eras, policy, source, '127.0.0.1', startedSeconds);
  const explained = writer.explanations.filter(({ revision, sent, variant }) => {
    const one = verify(
      [{ ...sent, variant }],
      eras.filter((era) => era.revision === revision),
      policy,
      source,
      '127.0.0.1',
      startedSeconds,
    );
    return one.wrong.length > 0;
  });
  const faults = [...stable.faults, ...canary.faults];
  const byWhat = Map.groupBy(writer.writes, ({ what }) => what.replace(/\d+/g, 'n'));
  const rows = [
    ['what', 'figure'],
    ['seconds', String(seconds)],
    ['users (a third each: header, cookie, fingerprint)', String(userCount)],
    ['requests', String(found.requests)],
    ...Object.entries(found.byKind)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([kind, { requests, canary }]) => [
        `… of ${kind} users, share on the canary`,
        `${requests}, ${((100 * canary) / requests).toFixed(1)} %`,
      ]),
    ['writes applied', String(writer.writes.length)],
    ...[...byWhat].map(([what, list]) => [`… ${what}`, String(list.length)]),
    ['median, longest time from a write to APPLIED, ms', writer.applyTimes()],
    ['answers that exactly one revision explains', String(found.exact)],
    ['changes of variant that a write or a move explains', String(found.moved)],
    ['explanations by the API compared', String(writer.explanations.length)],
    ['**failed requests**', String(found.failed.length)],
    ['**answers from a variant that no revision names**', String(found.wrong.length)],
    ['**flips that nothing explains**', String(found.flips.length)],
    ['**explanations that differ from the decision**', String(explained.length)],
    ['**writes refused**', String(writer.refused.length)],
    ['**malformed requests at the origins**', String(faults.length)],
    ...Object.entries(counters).map(([name, count]) => [`**${name}**`, String(count)]),
  ];
  const here = machine();
  const markdown = `${table(rows)}\n\n- ${here.cpu}, ${here.cores} cores shared with the load generator, Linux ${here.kernel}, Node.js ${here.node}; ${rate} requests/s over 64 kept connections, 2 workers.\n- Bold lines must be 0.`;
  console.log(`\n${markdown}`);
  for (const list of [found.failed, found.wrong, found.flips, writer.refused])
    if (list.length > 0) console.error(shown(list));
  const bold = rows.filter(([what, figure]) => what?.startsWith('**') && figure !== '0');
  if (options.write) {
    writeSection('live', 'Live proof', markdown, {
      at: new Date().toISOString(),
      machine: here,
      figures: Object.fromEntries(rows.slice(1)) as Record<string, string>,
    });
  }
  if (bold.length > 0) process.exitCode = 1;
} finally {
  await serin.stop();
  await stable.close();
  await canary.close();
  await rm(directory, { recursive: true, force: true });
}
