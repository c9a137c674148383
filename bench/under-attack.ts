/**
 * Whether a Serin process still answers while strangers wear it out: `node bench/under-attack.ts [--seconds 8] [--only WORD] [--no-write]`.
 * Two to four minutes.
 *
 * One attack of `under-attack/attacks.ts` after another, then all of them at once. Meanwhile `/livez` is asked over new connections, as a
 * kubelet does; a rollout is begun and rolled back again and again; and users send requests. The process may open 3,000 files.
 */
import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startOrigin, answer } from '../test/support/origin.ts';
import { startSerin } from '../test/support/serin.ts';
import { start, stop } from './process.ts';
import { machine, table, writeSection } from './results.ts';
import { ATTACKS } from './under-attack/attacks.ts';

/** Milliseconds within which `/livez` and a rollback must be answered. */
const GOAL = 100;
const LIVEZ_EVERY = 25;
const ROLLBACK_EVERY = 100;
const REQUEST_EVERY = 20;
/** An answer that takes so long, in ms, is counted as none. */
const GIVE_UP = 20_000;
const FILES = 3000;
const TOGETHER = 'all of them at once';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '8' },
    only: { type: 'string', default: '' },
    'no-write': { type: 'boolean', default: false },
  },
});
const SECONDS = Number(values.seconds);
if (!(SECONDS >= 1)) throw new Error('--seconds must be a number, such as 8');

const TOKENS = { viewer: 'viewer-token', operator: 'operator-token', admin: 'admin-token' } as const;
const tokens = Object.entries(TOKENS).map(([role, token]) => ({
  name: role,
  role,
  sha256: createHash('sha256').update(token).digest('hex'),
}));

const origin = await startOrigin('origin');
// Longer than any attack waits for, so that requests stay under way.
origin.route('/slow', { head: (received) => void setTimeout(() => answer(received), 5_000).unref() });
const serin = await startSerin({
  prefix: ['prlimit', `--nofile=${FILES}:${FILES}`],
  workers: 2,
  configuration: {
    admin: { tokens },
    trustedProxies: ['127.0.0.1/32'],
    log: { level: 'error' },
  },
  services: Object.fromEntries(
    ['notes', 'many'].map((name) => [
      name,
      {
        hosts: [`${name}.test`],
        stable: { endpoints: [origin.endpoint] },
        canary: { endpoints: [origin.endpoint] },
      },
    ]),
  ),
});

interface Answer {
  readonly status: number;
  readonly milliseconds: number;
  readonly etag: string;
  readonly body: Record<string, unknown>;
}

/** One request over a connection of its own, timed from before it is opened; status 0 where there was no answer. */
function ask(
  port: number,
  path: string,
  {
    method = 'GET',
    headers = {},
    body,
  }: { method?: string; headers?: Record<string, string>; body?: unknown } = {},
): Promise<Answer> {
  const began = performance.now();
  return new Promise((resolve) => {
    const end = (status: number, etag = '', text = ''): void => {
      const isJson = text.startsWith('{');
      resolve({
        status,
        milliseconds: performance.now() - began,
        etag,
        body: isJson ? (JSON.parse(text) as Record<string, unknown>) : {},
      });
    };
    const asked = httpRequest(
      {
        host: '127.0.0.1',
        port,
        path,
        method,
        agent: false,
        timeout: GIVE_UP,
        headers: {
          authorization: `Bearer ${TOKENS.operator}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
      },
      (got) => {
        let text = '';
        got.setEncoding('utf8').on('data', (piece: string) => (text += piece));
        got.on('end', () => end(got.statusCode ?? 0, got.headers.etag, text));
        got.on('error', () => end(0));
      },
    );
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => end(0));
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const loops = await ask(serin.adminPort, '/v1/services/loop', {
  method: 'PUT',
  headers: { authorization: `Bearer ${TOKENS.admin}` },
  body: { hosts: ['loop.test'], stable: { endpoints: [`127.0.0.1:${serin.proxyPort}`] } },
});
if (loops.status !== 202)
  throw new Error(`the service that loops was not accepted: ${JSON.stringify(loops)}`);

interface Turn {
  readonly attack: string;
  readonly sent: number;
  readonly livez: number[];
  readonly rollback: number[];
  /** From the call to the answer that says APPLIED. */
  readonly applied: number[];
  readonly request: number[];
  /** What was not answered as it should be, in words. */
  readonly faults: string[];
}

const codeOf = ({ body }: Answer): string => (typeof body['code'] === 'string' ? body['code'] : '');

const ROLLOUT = '/v1/services/notes/rollout';

async function rollBack(turn: Turn): Promise<void> {
  const { etag } = await ask(serin.adminPort, ROLLOUT);
  const headers: Record<string, string> = etag === '' ? {} : { 'if-match': etag };
  const rules = { rules: [{ name: 'everyone', percentage: 50 }] };
  const begun = await ask(serin.adminPort, ROLLOUT, { method: 'PUT', headers, body: rules });
  if (begun.status !== 202) {
    turn.faults.push(`PUT ${begun.status} ${codeOf(begun)}`);
    return;
  }
  const began = performance.now();
  const rolled = await ask(serin.adminPort, `${ROLLOUT}/rollback`, { method: 'POST', body: {} });
  turn.rollback.push(rolled.milliseconds);
  if (rolled.status !== 202) {
    turn.faults.push(`rollback ${rolled.status} ${codeOf(rolled)}`);
    return;
  }
  let status = rolled.body['status'];
  while (status !== 'APPLIED' && performance.now() - began < GIVE_UP)
    status = (await ask(serin.adminPort, `/v1/changes/${String(rolled.body['id'])}`)).body['status'];
  turn.applied.push(performance.now() - began);
}

async function under(attack: string, names: readonly string[]): Promise<Turn> {
  const turn: Turn = { attack, sent: 0, livez: [], rollback: [], applied: [], request: [], faults: [] };
  const { proxyPort, adminPort, opsPort } = serin;
  const target = JSON.stringify({ proxyPort, adminPort, opsPort, ...TOKENS });
  const program = join(import.meta.dirname, 'under-attack/program.ts');
  const attacker = names.length === 0 ? null : start([process.execPath, program, names.join('+'), target]);
  if (attacker !== null) {
    const ready = performance.now() + GIVE_UP;
    while (Number(attacker.output().trim().split('\n').at(-1)) < 1 && performance.now() < ready)
      await delay(100);
    // Crowds take a moment to gather.
    await delay(1_000);
  }
  const going = { on: true };
  const lane = async (every: number, work: () => Promise<void>): Promise<void> => {
    while (going.on) {
      const began = performance.now();
      await work();
      await delay(Math.max(0, every - (performance.now() - began)));
    }
  };
  const probes = [
    lane(LIVEZ_EVERY, async () => {
      const { status, milliseconds } = await ask(opsPort, '/livez');
      turn.livez.push(milliseconds);
      if (status !== 200) turn.faults.push(`livez ${status}`);
    }),
    lane(ROLLBACK_EVERY, () => rollBack(turn)),
    lane(REQUEST_EVERY, async () => {
      const { status, milliseconds } = await ask(proxyPort, '/', { headers: { host: 'notes.test' } });
      turn.request.push(milliseconds);
      if (status !== 200) turn.faults.push(`request ${status}`);
    }),
  ];
  await delay(SECONDS * 1000);
  going.on = false;
  await Promise.all(probes);
  const sent = attacker === null ? 0 : Number(attacker.output().trim().split('\n').at(-1));
  if (attacker !== null) await stop(attacker.child);
  return { ...turn, sent };
}

const at = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
const three = (list: readonly number[]): string => {
  const sorted = [...list].sort((one, other) => one - other);
  return [0.5, 0.99, 1].map((share) => at(sorted, share).toFixed(share === 1 ? 0 : 1)).join(' · ');
};
const longest = (list: readonly number[]): number => Math.max(0, ...list);

const wanted = Object.keys(ATTACKS).filter((name) => name.includes(values.only));
const turns: Turn[] = [];
const plan: [string, readonly string[]][] = [
  ['(none)', []],
  ...wanted.map((name): [string, readonly string[]] => [name, [name]]),
];
if (values.only === '') plan.push([TOGETHER, wanted]);
await under('(warming up)', []);
for (const [name, names] of plan) {
  const turn = await under(name, names);
  turns.push(turn);
  console.log(
    `${name}: livez ${three(turn.livez)}, rollback ${three(turn.rollback)}, ${turn.faults.length} faults, ${turn.sent} sent`,
  );
}
const [restarts, alive] = await Promise.all([
  serin.metric('serin_worker_restarts_total'),
  ask(serin.opsPort, '/livez'),
]);
const output = serin.output();
await serin.stop();
await origin.close();

const faultsOf = (turn: Turn): string => {
  const counts = new Map<string, number>();
  for (const fault of turn.faults) counts.set(fault, (counts.get(fault) ?? 0) + 1);
  return [...counts].map(([fault, count]) => `${fault} × ${count}`).join(', ');
};
const longestOf = (some: readonly Turn[]): number =>
  Math.max(0, ...some.map(({ livez, rollback }) => Math.max(longest(livez), longest(rollback))));
const worst = longestOf(turns.filter(({ attack }) => attack !== TOGETHER));
const together = longestOf(turns.filter(({ attack }) => attack === TOGETHER));
const { cpu, cores, kernel, node } = machine();
const markdown = [
  table([
    [
      'attack',
      'sent',
      '/livez ms',
      'rollback ms',
      'rollback applied ms',
      'request ms',
      'not answered as it should be',
    ],
    ...turns.map((turn) => [
      turn.attack,
      String(turn.sent),
      three(turn.livez),
      three(turn.rollback),
      three(turn.applied),
      three(turn.request),
      faultsOf(turn),
    ]),
  ]),
  '',
  `- Each figure: p50 · p99 · longest, from before the connection is opened to the end of the answer. ${SECONDS} s each; \`/livez\` every ${LIVEZ_EVERY} ms, a rollback every ${ROLLBACK_EVERY} ms, a request every ${REQUEST_EVERY} ms, each over a new connection.`,
  `- ${cpu}, ${cores} cores shared by Serin (2 workers, ${FILES} files), attackers at the lowest priority, and who asks; Linux ${kernel}, Node.js ${node}. Load average: ${loadavg()[0]!.toFixed(0)}.`,
  `- Worker restarts: ${restarts}. Errors in the log: ${output.split('\n').filter((line) => /"level":"?(50|60|error|fatal)/.test(line)).length}.`,
  `- Goal: \`/livez\` and rollback within ${GOAL} ms under each attack. ${worst <= GOAL ? 'Reached' : 'Not reached'}: the longest took ${worst.toFixed(0)} ms. Under all attacks at once: ${together.toFixed(0)} ms.`,
].join('\n');
console.log(markdown);
if (!values['no-write'] && values.only === '')
  writeSection('under-attack', 'Probes and rollbacks under attack', markdown, {
    worst,
    together,
    turns: turns.map(({ attack, sent, livez, rollback, applied, request, faults }) => ({
      attack,
      sent,
      livez: three(livez),
      rollback: three(rollback),
      applied: three(applied),
      request: three(request),
      faults: faults.length,
    })),
  });
process.exitCode = worst <= GOAL && alive.status === 200 ? 0 : 1;
