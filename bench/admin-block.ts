/**
 * How long requests to the admin API hold the main thread, which answers probes and rollbacks: `node bench/admin-block.ts
 * [--only PATTERN] [--rounds 3] [--no-write]`. Some three minutes.
 *
 * Each request is sent to a real Serin; measured is how long its main thread's event loop was held at most from just before until just
 * after: by the clock (`perf_hooks`, a resolution of 1 ms), to which other work on the machine adds, and by the thread's CPU time, which
 * is what Serin can answer for. The least of the rounds counts.
 */
import { readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startSerin } from '../test/support/serin.ts';
import { COSTLY_YAML } from '../test/support/costly-bodies.ts';
import { machine, table, writeSection } from './results.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    rounds: { type: 'string', default: '3' },
    write: { type: 'boolean', default: true },
  },
  allowNegative: true,
});

const ROLLOUT = '/v1/services/notes/rollout';
const EXPLAIN = '/v1/services/notes/explain';
/** So that pages, ETags and write orders do not matter. */
const ANY = { 'if-match': '*' };

interface Case {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  readonly type?: string;
}

function numbered<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

const network = (index: number): string => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}/32`;
const everyone = { name: 'everyone', percentage: 10 };
const networks = {
  rules: [{ name: 'networks', match: { cidr: numbered(100_000, network) }, percentage: 50 }, everyone],
};
const json = JSON.stringify;

const CASES: readonly Case[] = [
  ...Object.entries(COSTLY_YAML).map(([name, make]) => ({
    name: `explain, YAML of 150 KB: ${name}`,
    method: 'POST',
    path: EXPLAIN,
    body: make(150_000),
    type: 'application/yaml',
  })),
  {
    name: 'explain, 60,000 wrong header values',
    method: 'POST',
    path: EXPLAIN,
    body: json({ headers: Object.fromEntries(numbered(60_000, (index) => [`h${index}`, 1])) }),
  },
  {
    name: 'explain, 800 wrong header values (8 KB)',
    method: 'POST',
    path: EXPLAIN,
    body: json({ headers: Object.fromEntries(numbered(700, (index) => [`h${index}`, 1])) }),
  },
  { name: 'explain, half a million levels', method: 'POST', path: EXPLAIN, body: '['.repeat(500_000) },
  { name: 'OpenAPI', method: 'GET', path: '/openapi.json' },
  { name: 'PUT, 100,000 networks', method: 'PUT', path: ROLLOUT, body: json(networks) },
  { name: 'GET of them', method: 'GET', path: ROLLOUT },
  { name: 'explain by them', method: 'POST', path: EXPLAIN, body: '{}' },
  {
    name: 'PATCH of them',
    method: 'PATCH',
    path: `${ROLLOUT}?dryRun=true`,
    body: json({ steps: [{ percentage: 20 }] }),
  },
  { name: 'history with them', method: 'GET', path: '/v1/services/notes/history?limit=100' },
  { name: 'rollback of them', method: 'POST', path: `${ROLLOUT}/rollback`, body: '{}' },
];

const file = join(import.meta.dirname, `.loop-delay-${process.pid}`);
const serin = await startSerin({
  services: {
    notes: {
      hosts: ['notes.example.com'],
      stable: { endpoints: ['127.0.0.1:7001'] },
      canary: { endpoints: ['127.0.0.1:7002'] },
    },
  },
  nodeArguments: ['--import', join(import.meta.dirname, 'admin/loop-delay.ts')],
  env: { BENCH_LOOP_DELAY: file },
});

/** The longest block since the last call, in ms: by the clock, and of CPU time. */
async function longestBlock(): Promise<readonly [clock: number, cpu: number]> {
  rmSync(file, { force: true });
  process.kill(serin.pid, 'SIGUSR2');
  for (;;) {
    await delay(5);
    const text = readIfThere();
    if (text.endsWith(']')) return JSON.parse(text) as [number, number];
  }
}

function readIfThere(): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function send({ method, path, body, type = 'application/json' }: Case): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = {
      ...(path.startsWith(ROLLOUT) ? ANY : {}),
      ...(body === undefined ? {} : { 'content-type': type }),
    };
    const sent = request(
      { host: '127.0.0.1', port: serin.adminPort, method, path, headers, agent: false },
      (answer) => {
        answer.on('end', () => resolve(answer.statusCode ?? 0)).resume();
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

const rows: { name: string; status: number; milliseconds: number; clock: number; cpu: number }[] = [];
try {
  await serin.admin('PUT', ROLLOUT, { rules: [everyone] });
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const one of CASES.filter(({ name }) => name.includes(values.only))) {
      await longestBlock();
      const start = performance.now();
      const status = await send(one);
      const milliseconds = performance.now() - start;
      await delay(20);
      const [clock, cpu] = await longestBlock();
      const before = rows.find(({ name }) => name === one.name);
      if (before === undefined) rows.push({ name: one.name, status, milliseconds, clock, cpu });
      else if (cpu < before.cpu) Object.assign(before, { status, milliseconds, clock, cpu });
    }
  }
} finally {
  await serin.stop();
  rmSync(file, { force: true });
}
rows.sort((a, b) => b.cpu - a.cpu);
const text = table([
  ['request', 'status', 'answered after, ms', 'longest block, ms of CPU', 'by the clock'],
  ...rows.map(({ name, status, milliseconds, clock, cpu }) => [
    name,
    `${status}`,
    milliseconds.toFixed(0),
    cpu.toFixed(1),
    clock.toFixed(1),
  ]),
]);
const { cpu: model, cores, kernel, node } = machine();
const note = `- ${model}, ${cores} cores shared with other work, Linux ${kernel}, Node.js ${node}; the least of ${values.rounds} rounds.\n- The goal is 50 ms. Before bodies were read elsewhere, YAML of 16,000 keys took 18 s, 60,000 wrong values 2.7 s.`;
process.stdout.write(`${text}\n\n${note}\n`);
if (values.write)
  writeSection(
    'admin-block',
    'How long requests hold the main thread (`node bench/admin-block.ts`)',
    `${text}\n\n${note}`,
    rows,
  );
