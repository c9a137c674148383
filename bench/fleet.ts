/**
 * Proof of the fleet: three replicas with two workers each share a Redis that is killed, paused and failed over every few
 * seconds, one replica after another is killed and started again, the policy is written ten times a second, and very many users
 * go through all of them.
 *
 *   node bench/fleet.ts [--minutes N] [--rate N] [--users N] [--seed N] [--calm] [--no-write]
 *
 * Twenty minutes by default. What is judged is what clients saw and what the workers logged of each decision, never what
 * Serin says of itself. With --calm nothing is killed. Ends with 1 when anything was violated.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { parseKeyRing } from '../src/config/secret.ts';
import { freePort } from '../test/support/ports.ts';
import { seeded } from '../test/support/seeded.ts';
import { createClient } from './fleet/client.ts';
import { createConvergence } from './fleet/convergence.ts';
import { createJudge } from './fleet/judge.ts';
import { startLateness } from './fleet/lateness.ts';
import { startLoad } from './fleet/load.ts';
import { startRedisPair, type RedisIncident } from './fleet/redis.ts';
import { createReplica, makeKeyRing, type Decided, type Replica } from './fleet/replicas.ts';
import { startRollbacks, type RollbackResult } from './fleet/rollbacks.ts';
import { followHistory } from './fleet/history.ts';
import { startWriter } from './fleet/writer.ts';
import { listening, start, stop } from './process.ts';
import { machine, table, writeSection } from './results.ts';

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '20' },
    rate: { type: 'string', default: '600' },
    users: { type: 'string', default: '150000' },
    seed: { type: 'string', default: '1' },
    calm: { type: 'boolean', default: false },
    write: { type: 'boolean', default: true },
  },
  allowNegative: true,
});
const seconds = Math.min(Number(options.minutes), 240) * 60;
const rate = Math.min(Number(options.rate), 5000);
const users = Math.min(Number(options.users), 2_000_000);
const random = seeded(Number(options.seed));

const REPLICAS = 3;
const WORKERS = 2;
const REGULARS = 200;
/** Of the load to each replica. */
const CONNECTIONS = 16;
const WRITE_EVERY = 100;
const KILL_EVERY = 10_000;
/** From one incident of Redis to the next, at least and at most, in ms. */
const CALM = [2500, 5000] as const;
const CONVERGED = 1000;
const BUDGET = 50;
const ROLLING = 4;

const IDENTITY = [{ header: 'x-user-id' }] as const;
const NOTES = 'notes';

const directory = await mkdtemp(join(tmpdir(), 'serin-fleet-'));
const [stablePort, canaryPort] = [await freePort(), await freePort()];
const origin = start([
  process.execPath,
  join(import.meta.dirname, 'fleet/origin.ts'),
  String(stablePort),
  String(canaryPort),
]);
await listening(stablePort, origin);
await listening(canaryPort, origin);
const redis = await startRedisPair(directory);
await makeKeyRing(directory);
const endpoints = { stable: `127.0.0.1:${stablePort}`, canary: `127.0.0.1:${canaryPort}` };
const service = (host: string): object => ({
  hosts: [host],
  identity: IDENTITY,
  stable: { endpoints: [endpoints.stable] },
  canary: { endpoints: [endpoints.canary] },
});
const rolling = Array.from({ length: ROLLING }, (_, index) => `roll-${index}`);
const services = Object.fromEntries([NOTES, ...rolling].map((name) => [name, service(`${name}.test`)]));

const file = join(directory, 'secret');
const judge = createJudge({
  service: NOTES,
  identity: IDENTITY,
  keys: parseKeyRing(readFileSync(file, 'utf8'), file),
  regulars: REGULARS,
  endpoints,
});
const listeners: ((decided: Decided) => void)[] = [(decided) => judge.see(decided)];
const replicas: Replica[] = [];
for (let index = 0; index < REPLICAS; index++) {
  replicas.push(
    await createReplica({
      directory,
      name: `serin-${index}`,
      redisPort: redis.port,
      services,
      workers: WORKERS,
      onDecided(decided) {
        for (const listener of listeners) listener(decided);
      },
    }),
  );
}

/** Writes until it is taken, for what must be there before anything is measured. */
async function settled(method: string, path: string, body: unknown): Promise<void> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const { etag } = await replicas[0]!.admin('GET', path);
    const headers: Record<string, string> = etag === null ? {} : { 'if-match': etag };
    const answer = await replicas[0]!.admin(method, path, body, headers);
    if (answer.status === 202) return;
    if (attempt === 49) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    await delay(100);
  }
}

const history = await followHistory({ port: redis.port, onCommit: (commit) => judge.learn(commit) });
try {
  await Promise.all(replicas.map((replica) => replica.start()));
  await settled('PUT', `/v1/services/${NOTES}/rollout`, { rules: [{ name: 'everyone', percentage: 20 }] });

  const incidents: RedisIncident[] = [];
  const kills: number[] = [];
  const convergence = createConvergence(replicas, WORKERS);
  listeners.push((decided) => {
    if (decided.service === NOTES) convergence.see(decided);
  });
  const lateness = startLateness();
  const client = createClient(CONNECTIONS);
  const load = startLoad({
    client,
    replicas,
    host: `${NOTES}.test`,
    users,
    regulars: REGULARS,
    perSecond: rate,
    random,
  });
  const writer = startWriter({
    replicas,
    service: NOTES,
    every: WRITE_EVERY,
    random,
    onAccepted: (accepted) => convergence.accepted(accepted),
  });
  const rollbacks: RollbackResult = { done: [], left: new Map(), failures: [], requests: 0 };
  const rollbackRuns = rolling.map((name) =>
    startRollbacks({
      replicas,
      workers: WORKERS,
      service: name,
      host: `${name}.test`,
      random,
      result: rollbacks,
    }),
  );
  listeners.push((decided) => {
    for (const run of rollbackRuns) run.see(decided);
  });

  const state = { stopped: false };
  const until = performance.now() + seconds * 1000;
  const disturbRedis = (async () => {
    while (!state.stopped && !options.calm) {
      await delay(CALM[0] + random() * (CALM[1] - CALM[0]));
      if (state.stopped) break;
      convergence.close(Date.now(), CONVERGED);
      const incident = await redis.disturb(random);
      incidents.push(incident);
      convergence.back(Date.now() - (performance.now() - incident.to), incident.what);
    }
  })();
  const killReplicas = (async () => {
    for (let turn = 0; !state.stopped && !options.calm; turn++) {
      const next = performance.now() + KILL_EVERY;
      const replica = replicas[turn % replicas.length]!;
      await replica.kill();
      kills.push(Date.now());
      await delay(500);
      await replica.start();
      await delay(Math.max(0, next - performance.now()));
    }
  })();

  while (performance.now() < until) {
    await delay(Math.min(15_000, Math.max(1, until - performance.now())));
    console.log(
      `${((seconds * 1000 - (until - performance.now())) / 1000).toFixed(0)} s: ${load.result.requests} requests, ${load.result.failures.length} failures, ${judge.findings.wrong.length} wrong, ${writer.writes.accepted.length} writes, ${rollbacks.done.length} rollbacks, ${incidents.length} incidents, ${kills.length} kills, ${convergence.times.length} converged`,
    );
  }
  state.stopped = true;
  const late = await lateness.stop();
  await Promise.all([disturbRedis, killReplicas]);
  await writer.stop();
  await Promise.all(rollbackRuns.map((run) => run.stop()));
  await load.stop();
  client.close();
  convergence.close(Date.now(), CONVERGED);

  // Everything is well again: the same revision everywhere, and all of the log has come.
  const heads = await inStep();
  await delay(500);
  const kept = await history.all();
  const lost = writer.writes.accepted.filter(
    ({ revision, changeId }) => kept.get(revision)?.changeId !== changeId,
  );
  const dropped = await Promise.all(
    replicas.map(async (one) => metric(await one.metrics(), 'serin_access_log_dropped_total')),
  );

  const latencies = rollbacks.done.map(({ milliseconds }) => milliseconds).toSorted((a, b) => a - b);
  const quiet = rollbacks.done
    .filter(({ besideStart }) => !besideStart)
    .map(({ milliseconds }) => milliseconds)
    .toSorted((a, b) => a - b);
  const converged = convergence.times.map(({ milliseconds }) => milliseconds).toSorted((a, b) => a - b);
  const p99 = quantile(latencies, 0.99);
  const { findings } = judge;
  const failures = [...load.result.failures, ...rollbacks.failures];
  const byWhat = Map.groupBy(incidents, ({ what }) => what);
  const slow = converged.filter((milliseconds) => milliseconds > CONVERGED);

  const figures = [
    ['what', 'figure'],
    ['minutes', (seconds / 60).toFixed(1)],
    ['requests, of distinct users', `${load.result.requests}, ${load.result.users.size}`],
    ['requests to services that were rolled back', String(rollbacks.requests)],
    ['requests to a replica that was killed under them', String(load.result.killed)],
    ['**failed requests on replicas that lived**', String(failures.length)],
    ['decisions judged by the policy of their revision', String(findings.judged)],
    ['… for the canary', `${((100 * findings.canary) / Math.max(1, findings.judged)).toFixed(1)} %`],
    ['the same user at the same revision on another replica', String(findings.metAgain)],
    ['**users with another variant than their revision names**', String(findings.wrong.length)],
    ['**requests at an endpoint of the other variant**', String(findings.astray.length)],
    ['**decisions by a revision that the store does not know**', String(judge.waiting())],
    ['**revisions with two histories**', String(findings.twoHistories.length)],
    ['policy writes accepted', String(writer.writes.accepted.length)],
    [
      '… refused or cut',
      [...writer.writes.refused].map(([what, count]) => `${what}: ${count}`).join(', ') || '0',
    ],
    ['**accepted writes that the history does not have**', String(lost.length)],
    ['**replicas out of step in the end**', String(new Set(heads).size - 1)],
    ['Redis', [...byWhat].map(([what, list]) => `${what}: ${list.length}`).join(', ') || 'left alone'],
    ['replicas killed', String(kills.length)],
    [
      'from the return of Redis to all workers on a newer policy, measured',
      `${converged.length} times; ${convergence.void} could not be, as a replica was killed or the next incident came`,
    ],
    [
      '… median, p99, longest, ms',
      `${quantile(converged, 0.5)}, ${quantile(converged, 0.99)}, ${quantile(converged, 1)}`,
    ],
    [`**… longer than ${CONVERGED} ms**`, String(slow.length + convergence.overdue.length)],
    [
      'rollbacks measured',
      `${latencies.length}, ${rollbacks.done.filter(({ degraded }) => degraded).length} of them without the store`,
    ],
    ['… left out', [...rollbacks.left].map(([what, count]) => `${what}: ${count}`).join(', ') || '0'],
    [
      'from the call to the last decision for the canary: median, p90, p99, longest, ms',
      [0.5, 0.9, 0.99, 1].map((share) => quantile(latencies, share)).join(', '),
    ],
    [
      `… of the ${quiet.length} beside which no replica was starting`,
      [0.5, 0.9, 0.99, 1].map((share) => quantile(quiet, share)).join(', '),
    ],
    [`**p99 above ${BUDGET} ms**`, p99 > BUDGET ? `${p99}` : '0'],
    [
      'an idle thread woken too late on this machine, at the same priority: median, p90, p99, ms',
      [0.5, 0.9, 0.99].map((share) => quantile(late, share)).join(', '),
    ],
    ['lines of the access log that were dropped', String(dropped.reduce((sum, count) => sum + count, 0))],
  ];
  const here = machine();
  const markdown = [
    table(figures),
    'Rollbacks by the time from the call to the last decision for the canary on any of the six workers:',
    table([['ms', 'rollbacks', 'share up to here'], ...histogram(latencies)]),
    [
      `- ${here.cpu}, ${here.cores} cores shared by ${REPLICAS} replicas with ${WORKERS} workers each, two Redis servers, clients and application; Linux ${here.kernel}, Node.js ${here.node}, seed ${options.seed}.`,
      `- ${rate} requests/s of ${users} users, each at a replica that is drawn; a write every ${WRITE_EVERY} ms at a replica that is drawn; an incident of Redis ${CALM.join(' to ')} ms after the last, each of 0.3 to 2.3 s; a replica killed (-9) every ${KILL_EVERY / 1000} s and started again; it gets requests from a second after it is ready, as from a load balancer that asks twice. Until then it has a lower priority than the others, where this may be set: elsewhere a replica has a machine of its own to start on.`,
      '- A failover promotes the replica of a killed master, behind one address; the dead one comes back as its replica. It may lose what the master had not passed on.',
      '- A decision is judged by the very code of the policy, for the user and the revision that the access log names.',
      `- Rollbacks are of ${ROLLING} services beside, each with 100 % on the canary, asked every few ms on every worker while it is measured.`,
      '- Bold lines must be 0.',
    ].join('\n'),
  ].join('\n\n');
  console.log(`\n${markdown}`);
  for (const list of [failures, findings.wrong, findings.astray, findings.twoHistories, convergence.overdue])
    for (const line of list.slice(0, 20)) console.error(`  ${line}`);
  for (const one of lost.slice(0, 20))
    console.error(`  lost: ${JSON.stringify(one)} is ${kept.get(one.revision)?.changeId}`);
  const bold = figures.filter(([what, figure]) => what!.startsWith('**') && figure !== '0');
  if (bold.length > 0) {
    process.exitCode = 1;
    for (const replica of replicas)
      console.error(`--- ${replica.name}\n${replica.lines.slice(-40).join('\n')}`);
  }
  if (options.write) {
    writeSection('fleet', 'Proof of the fleet', markdown, {
      at: new Date().toISOString(),
      machine: here,
      figures: Object.fromEntries(figures.slice(1)) as Record<string, string>,
      rollbacks: counts(latencies),
      convergence: counts(converged),
      lateness: counts(late),
    });
  }
} finally {
  await history.close();
  for (const replica of replicas) await replica.kill();
  await redis.close();
  await stop(origin.child);
  await rm(directory, { recursive: true, force: true });
}

/** The revision of each replica once they are all the same, or after a while. */
async function inStep(): Promise<number[]> {
  let heads: number[] = [];
  for (let attempt = 0; attempt < 100; attempt++) {
    heads = await Promise.all(
      replicas.map(async (replica) => {
        const { body } = await replica.admin('GET', '/v1/fleet');
        const { replicas: rows } = body as { replicas: { name: string; revision: number }[] };
        return rows.find(({ name }) => name === replica.name)?.revision ?? -1;
      }),
    );
    if (new Set(heads).size === 1) break;
    await delay(100);
  }
  return heads;
}

function metric(text: string, name: string): number {
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1] ?? 0);
}

function quantile(sorted: readonly number[], share: number): number {
  return Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN);
}

function counts(sorted: readonly number[]): Record<string, number> {
  return Object.fromEntries(
    histogram(sorted).map(([bound, count]): [string, number] => [bound!, Number(count)]),
  );
}

function histogram(sorted: readonly number[]): string[][] {
  const bounds = [1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 1000, Infinity];
  let before = 0;
  return bounds.flatMap((bound) => {
    const upTo = sorted.filter((value) => value <= bound).length;
    const count = upTo - before;
    before = upTo;
    if (count === 0) return [];
    const label = bound === Infinity ? 'more' : `≤ ${bound}`;
    return [[label, String(count), `${((100 * upTo) / sorted.length).toFixed(2)} %`]];
  });
}
