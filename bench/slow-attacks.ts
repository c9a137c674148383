/**
 * Slow attacks beside healthy clients: `node bench/slow-attacks.ts [--clients 10000] [--no-write]`. About two minutes.
 *
 * Healthy clients send requests at a fixed rate all the time. In turns nobody attacks, slowhttptest does (-H slow heads, -B slow
 * bodies, -X slow reading), and a crowd of slow clients of `slow/clients.ts` does. Compared is the healthy clients' p99 in each turn with
 * that of the quiet turns around it; and each slow client must be gone when its time is up, and its memory with it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startSerin } from '../test/support/serin.ts';
import { residentMemory } from './cpu.ts';
import { buildPrograms } from './load/build.ts';
import { failedOf, openLoad } from './load/client.ts';
import { startOrigins } from './load/origin.ts';
import { writeScript } from './load/script.ts';
import { start, stop, type Started } from './process.ts';
import { machine, table, writeSection } from './results.ts';
import { requireTools } from './tools.ts';
import { requestOf, USERS } from './traffic.ts';

const RATE = 2_000;
const CONNECTIONS = 64;
const SECONDS = 5;
/** Time limits of the proxy, in seconds, short so that the bench need not wait for long. */
const LIMIT = 6;
const FAIR = 2;
/** A process has descriptors for so many. */
const CLIENTS_OF_A_PROCESS = 5_000;

interface Turn {
  readonly name: string;
  readonly p50: number;
  readonly p99: number;
  readonly failed: number;
  /** MiB */
  readonly memory: number;
}

interface Crowd {
  readonly open: () => number;
  readonly closed: () => number;
  readonly refused: () => number;
  stop(): Promise<void>;
}

async function startCrowd(port: number, count: number): Promise<Crowd> {
  const parts: { started: Started; last: Record<string, number> }[] = [];
  for (let first = 0; first < count; first += CLIENTS_OF_A_PROCESS) {
    const size = Math.min(CLIENTS_OF_A_PROCESS, count - first);
    const program = join(import.meta.dirname, 'slow/clients.ts');
    const started = start([process.execPath, program, String(port), String(size), String(first)]);
    const part = { started, last: { made: 0, open: 0, closed: 0, refused: 0 } as Record<string, number> };
    createInterface({ input: started.child.stdout! }).on('line', (line) => {
      part.last = JSON.parse(line) as Record<string, number>;
    });
    parts.push(part);
  }
  const sum = (key: string) => () => parts.reduce((all, { last }) => all + (last[key] ?? 0), 0);
  for (let waited = 0; sum('made')() < count && waited < 30; waited += 0.25) await delay(250);
  return {
    open: sum('open'),
    closed: sum('closed'),
    refused: sum('refused'),
    async stop() {
      for (const { started } of parts) await stop(started.child);
    },
  };
}

const { values } = parseArgs({
  options: { clients: { type: 'string', default: '10000' }, 'no-write': { type: 'boolean', default: false } },
});
const CLIENTS = Number(values.clients);
if (!(CLIENTS >= 1)) throw new Error('--clients must be a number, such as 10000');
requireTools();
const directory = mkdtempSync(join(tmpdir(), 'serin-slow-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
const programs = await buildPrograms(directory);
const origins = await startOrigins(programs.origin);
const serin = await startSerin({
  services: {
    notes: {
      hosts: ['*'],
      stable: { endpoints: [`127.0.0.1:${origins.stable}`] },
      timeouts: { requestBodyIdle: `${LIMIT}s`, responseIdle: `${LIMIT}s`, responseHead: `${LIMIT}s` },
    },
  },
  configuration: {
    proxy: {
      timeouts: { requestHead: `${LIMIT}s`, keepAlive: `${LIMIT}s` },
      drain: { delay: '0s', grace: '1s' },
    },
    log: { level: 'error' },
  },
  workers: 2,
});
const script = join(directory, 'script');
writeScript(
  script,
  Array.from({ length: USERS }, (_, index) => ({ request: requestOf(index), status: 200, body: 1_024 })),
);
const turns: Turn[] = [];
const clientConnections = (): Promise<number> => serin.metric('serin_connections_open');

async function turn(name: string): Promise<Turn> {
  const load = await openLoad({
    program: programs.client,
    script,
    port: serin.proxyPort,
    connections: CONNECTIONS,
    seconds: SECONDS,
    rate: RATE,
    warm: true,
  });
  const result = await load.go();
  const memory = residentMemory([serin.pid]) / 1_048_576;
  await load.end();
  const { p50, p99 } = result.latency;
  const one = { name, p50, p99, failed: failedOf(result), memory: Math.round(memory) };
  console.log(`${name}: p50 ${p50} µs, p99 ${p99} µs, ${one.failed} failed, ${one.memory} MiB`);
  turns.push(one);
  return one;
}

await turn('warming up');
turns.length = 0;
await turn('quiet');
for (const [option, what] of [
  ['-H', 'slow heads'],
  ['-B', 'slow bodies'],
  ['-X', 'slow reading'],
] as const) {
  const url = `http://127.0.0.1:${serin.proxyPort}/bytes/${option === '-X' ? 1_000_000 : 1_024}`;
  const attack = start(['slowhttptest', option, '-c', '1000', '-r', '500', '-i', '2', '-l', '20', '-u', url]);
  await delay(4_000);
  await turn(`slowhttptest ${option}, ${what}, 1,000 connections`);
  await stop(attack.child);
  await turn('quiet');
}
const before = residentMemory([serin.pid]) / 1_048_576;
const crowd = await startCrowd(serin.proxyPort, CLIENTS);
for (let waited = 0; waited < 32 && (await clientConnections()) < CLIENTS; waited += 1) await delay(250);
const [openAtOnce, heldBySerin] = [crowd.open(), await clientConnections()];
const peak = residentMemory([serin.pid]) / 1_048_576;
await turn(`${CLIENTS} slow clients`);
let goneAfter = Number.NaN;
for (let waited = 0; waited < LIMIT * 5; waited += 1) {
  if ((await clientConnections()) === 0) {
    goneAfter = waited;
    break;
  }
  await delay(1_000);
}
const left = await clientConnections();
await crowd.stop();
await turn('quiet');
const after = residentMemory([serin.pid]) / 1_048_576;
await serin.stop();
await origins.stop();

const quiet = turns.filter(({ name }) => name === 'quiet');
const rows = turns.map((one, index) => {
  if (one.name === 'quiet')
    return [one.name, String(one.p50), String(one.p99), '', String(one.failed), String(one.memory)];
  const around = [turns[index - 1], turns[index + 1]].map((other) => (other as Turn).p99);
  const ratio = one.p99 / Math.max(...around);
  return [
    one.name,
    String(one.p50),
    String(one.p99),
    ratio.toFixed(2),
    String(one.failed),
    String(one.memory),
  ];
});
const ratios = rows.map((row) => Number(row[3] === '' ? 0 : row[3]));
const worst = Math.max(...ratios);
const each = ((peak - before) * 1_024) / CLIENTS;
const { cpu, cores, kernel, node } = machine();
const markdown = [
  table([['turn', 'p50 µs', 'p99 µs', 'p99, ratio to quiet', 'failed', 'memory MiB'], ...rows]),
  '',
  `- Healthy clients: ${RATE} requests/s over ${CONNECTIONS} connections, open-loop. Two workers; ${cpu}, ${cores} cores shared with load, attackers and origin, Linux ${kernel}, Node.js ${node}. The ratio is to the larger p99 of the quiet turns around. Load average of the machine: ${loadavg()[0]!.toFixed(0)}; above 4 others were at work, and the ratios are of little worth.`,
  `- ${CLIENTS} slow clients, a third each with heads that never end, bodies that stop, and answers of 1 MB that nobody reads: ${openAtOnce} open at once, ${heldBySerin} of them with the proxy; ${each.toFixed(1)} KiB of memory each; ${Number.isNaN(goneAfter) ? `${left} were still there` : 'all gone'} ${Number.isNaN(goneAfter) ? LIMIT * 5 : goneAfter} s after the turn, where ${LIMIT} s are allowed for a head, for the next bytes of a body, for reading on, and for an idle connection (an answer of 1 MB fits into the kernel's buffers). Memory afterwards: ${Math.round(after)} MiB, before: ${Math.round(before)} MiB.`,
  `- Goal: at most ${FAIR} times the p99 of quiet turns. ${worst <= FAIR ? 'Reached' : 'Not reached'}: ${worst.toFixed(2)}.`,
].join('\n');
console.log(markdown);
if (!values['no-write'])
  writeSection('slow', 'Slow attacks', markdown, {
    turns,
    quiet,
    openAtOnce,
    heldBySerin,
    each,
    goneAfter,
    left,
    before,
    peak,
    after,
  });
process.exitCode = worst <= FAIR && left === 0 && turns.every(({ failed }) => failed === 0) ? 0 : 1;
