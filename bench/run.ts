/**
 * CPU per request of Serin against HAProxy, nginx and http-proxy-3 with the same policy, in one run: the proxy on one
 * core, load generator and origins on another, rounds interleaved, medians and their spread.
 *
 *   node bench/run.ts [--quick] [--rounds N] [--seconds N] [--no-latency] [--no-write]
 *
 * Time is bounded: under 4 minutes, under 1 with --quick. Everything runs on loopback.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { connect } from '../test/support/raw-client.ts';
import { freePort } from '../test/support/ports.ts';
import { value, values } from '../test/support/strict-head.ts';
import { coreTime, cpuSince, cpuTime } from './cpu.ts';
import { startHaproxyHttp, startHaproxyTcp } from './peers/haproxy.ts';
import { startHttpProxy3 } from './peers/http-proxy-3.ts';
import { startNginx } from './peers/nginx.ts';
import { startOrigins } from './peers/origin.ts';
import type { Peer } from './peers/peer.ts';
import { startSerinPeer } from './peers/serin.ts';
import { PINNED, PROXY_CORE } from './process.ts';
import { machine, median, table, writeSection } from './results.ts';
import { requireTools } from './tools.ts';
import { load, requestOf, USERS, writeScript } from './traffic.ts';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    latency: { type: 'boolean', default: true },
    write: { type: 'boolean', default: true },
  },
  allowNegative: true,
});
const rounds = Math.min(Number(options.rounds ?? (options.quick ? 3 : 7)), 50);
const seconds = Math.min(Number(options.seconds ?? (options.quick ? 1 : 3)), 60);
const latencyRounds = options.latency ? (options.quick ? 2 : 5) : 0;

/** One measurement of one peer. CPU in microseconds per request. */
interface Sample {
  readonly user: number;
  readonly kernel: number;
  readonly perSecond: number;
  readonly failed: number;
  /** Share of the proxy's core that something else used meanwhile. */
  readonly disturbed: number;
}

interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly perSecond: number;
}

/** Each user once over one connection: who gets the canary, and the cookies that the proxy sets for them. */
async function visit(
  port: number,
  localAddress = '127.0.0.1',
  agent?: string,
): Promise<{ canary: Set<number>; cookies: string[] }> {
  const canary = new Set<number>();
  const cookies: string[] = [];
  const client = await connect(port, { localAddress });
  for (let index = 0; index < USERS; index++) {
    client.write(requestOf(index, '', agent));
    const answer = await client.answer();
    if (answer.status !== 200) throw new Error(`a user got ${answer.status} on port ${port}`);
    if (value(answer, 'x-origin') === 'canary') canary.add(index);
    cookies.push(
      values(answer.fields, 'set-cookie')
        .map((line) => `; ${line.split(';')[0]}`)
        .join(''),
    );
  }
  client.destroy();
  return { canary, cookies };
}

/** Throws when the peer does not decide by the policy; gives the share of users on the canary. */
async function checkPolicy(peer: Peer): Promise<number> {
  const { canary } = await visit(peer.port);
  const share = canary.size / USERS;
  if (share < 0.06 || share > 0.14)
    throw new Error(`${peer.name} gives the canary to ${share * 100} % instead of 10 %`);
  const outside = await visit(peer.port, '127.9.0.1');
  if (outside.canary.size > 0)
    throw new Error(`${peer.name} gives the canary to users outside of the office`);
  const other = await visit(
    peer.port,
    '127.0.0.1',
    'Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/126.0 Mobile',
  );
  if (other.canary.size > 0) throw new Error(`${peer.name} gives the canary to others than iPhones`);
  return share;
}

async function sample(peer: Peer, script: string, time: number): Promise<Sample> {
  const pids = peer.pids();
  const before = cpuTime(pids);
  const coreBefore = PINNED ? coreTime(PROXY_CORE) : 0;
  const result = await load(peer.port, script, time);
  const used = cpuSince(before, pids);
  const others = PINNED ? coreTime(PROXY_CORE) - coreBefore - used.user - used.kernel : 0;
  return {
    user: used.user / result.requests,
    kernel: used.kernel / result.requests,
    perSecond: result.perSecond,
    failed: result.failed,
    disturbed: Math.max(0, others / (result.seconds * 1e6)),
  };
}

/** Numbers of a peer: medians over rounds, and its ratio to HAProxy round by round with the spread. */
function summarise(samples: readonly Sample[], reference: readonly Sample[]) {
  const totals = samples.map(({ user, kernel }) => user + kernel);
  const ratios = totals.map((total, round) => {
    const { user, kernel } = reference[round] as Sample;
    return total / (user + kernel);
  });
  return {
    cpu: median(totals),
    kernel: median(samples.map(({ kernel }) => kernel)),
    perSecond: median(samples.map(({ perSecond }) => perSecond)),
    failed: samples.reduce((sum, { failed }) => sum + failed, 0),
    ratio: median(ratios),
    ratioMin: Math.min(...ratios),
    ratioMax: Math.max(...ratios),
    disturbed: median(samples.map(({ disturbed }) => disturbed)),
    rounds: totals,
  };
}

/** The peers in another order each round, so that none always follows the same one. */
function rotated<T>(list: readonly T[], by: number): T[] {
  const at = by % list.length;
  return [...list.slice(at), ...list.slice(0, at)];
}

async function measureCpu(peers: readonly Peer[], script: string): Promise<Map<string, Sample[]>> {
  const samples = new Map<string, Sample[]>(peers.map(({ name }) => [name, []]));
  for (const peer of peers) await sample(peer, script, options.quick ? 2 : 4);
  for (let round = 0; round < rounds; round++) {
    for (const peer of rotated(peers, round))
      samples.get(peer.name)?.push(await sample(peer, script, seconds));
    console.log(`round ${round + 1} of ${rounds}`);
  }
  return samples;
}

/** Latency at one rate for all: the generator rests between requests. */
async function measureLatency(
  peers: readonly Peer[],
  directory: string,
  requests: readonly string[],
  rate: number,
): Promise<Map<string, Latency[]>> {
  const script = join(directory, 'paced.lua');
  writeScript(script, requests, (64 / rate) * 1000);
  const samples = new Map<string, Latency[]>(peers.map(({ name }) => [name, []]));
  for (let round = 0; round < latencyRounds; round++) {
    for (const peer of rotated(peers, round)) {
      const { p50, p99, perSecond } = await load(peer.port, script, seconds);
      samples.get(peer.name)?.push({ p50, p99, perSecond });
    }
  }
  return samples;
}

const directory = mkdtempSync(join(tmpdir(), 'serin-bench-'));
const stops: (() => Promise<void>)[] = [];
try {
  requireTools();
  const origins = await startOrigins(join(directory, 'origins'), await freePort(), await freePort());
  stops.push(() => origins.stop());
  const peers: Peer[] = [];
  const add = async (starting: Promise<Peer>) => {
    const peer = await starting;
    peers.push(peer);
    stops.push(() => peer.stop());
    return peer;
  };
  const serin = await add(startSerinPeer(origins));
  await add(startHaproxyHttp(join(directory, 'haproxy'), await freePort(), origins));
  await add(startNginx(join(directory, 'nginx'), await freePort(), origins));
  await add(startHaproxyTcp(join(directory, 'haproxy-tcp'), await freePort(), origins));
  await add(startHttpProxy3(await freePort(), origins));

  const shares: Record<string, number> = {};
  for (const peer of peers.filter(({ decides }) => decides)) shares[peer.name] = await checkPolicy(peer);
  // Users who were here before bring the cookies that they were given; every proxy gets the same bytes.
  const { cookies } = await visit(serin.port);
  const requests = Array.from({ length: USERS }, (_, index) => requestOf(index, cookies[index]));
  const script = join(directory, 'steady.lua');
  writeScript(script, requests, 0);

  const samples = await measureCpu(peers, script);
  const reference = samples.get('haproxy') as Sample[];
  const figures = new Map(
    peers.map(({ name }) => [name, summarise(samples.get(name) as Sample[], reference)]),
  );
  const paced = peers.filter(({ name }) => name !== 'http-proxy-3' && name !== 'haproxy-tcp');
  const slowest = Math.min(...paced.map(({ name }) => figures.get(name)?.perSecond ?? Infinity));
  const rate = Math.round(slowest / 2);
  const latencies = await measureLatency(paced, directory, requests, rate);

  const rows = [
    [
      'proxy',
      'CPU µs/request',
      'of it kernel',
      'ratio to HAProxy',
      'spread',
      'requests/s',
      'failed',
      `p50 µs`,
      `p99 µs`,
    ],
  ];
  const data: Record<string, unknown> = {};
  for (const peer of peers) {
    const figure = figures.get(peer.name) as ReturnType<typeof summarise>;
    const latency = latencies.get(peer.name) ?? [];
    const p50 = median(latency.map((one) => one.p50));
    const p99 = median(latency.map((one) => one.p99));
    const pacedRate = median(latency.map((one) => one.perSecond));
    rows.push([
      peer.title,
      figure.cpu.toFixed(1),
      figure.kernel.toFixed(1),
      figure.ratio.toFixed(2),
      `${figure.ratioMin.toFixed(2)}–${figure.ratioMax.toFixed(2)}`,
      figure.perSecond.toFixed(0),
      String(figure.failed),
      Number.isNaN(p50) ? '' : p50.toFixed(0),
      Number.isNaN(p99) ? '' : p99.toFixed(0),
    ]);
    data[peer.name] = {
      title: peer.title,
      ...figure,
      share: shares[peer.name],
      latency: { p50, p99, perSecond: pacedRate },
    };
  }
  const here = machine();
  const disturbed = Math.max(...[...figures.values()].map((figure) => figure.disturbed));
  const floor = (figures.get('serin')?.cpu ?? NaN) / (figures.get('haproxy-tcp')?.cpu ?? NaN);
  const notes = [
    `${here.cpu}, ${here.cores} cores, Linux ${here.kernel}, Node.js ${here.node}. ${rounds} rounds of ${seconds} s each, interleaved; medians.`,
    `64 kept connections, answers of 1 KB, ${USERS} users; policy: 3 office networks and iPhone and 10 % of the users by cookie; metrics on, logs off.`,
    PINNED
      ? 'The proxy on one core, load generator and origins on another.'
      : 'One core only: nothing could be pinned, the figures are not comparable with others.',
    `The ratio is taken round by round; its spread is from the lowest to the highest. Serin against the TCP mode: ${floor.toFixed(2)}.`,
  ];
  if (disturbed > 0.05) {
    const share = (disturbed * 100).toFixed(0);
    notes.push(`Something else used up to ${share} % of the proxy's core: measure again on a quiet machine.`);
  }
  if (latencyRounds > 0)
    notes.push(
      `p50 and p99 at about ${rate} requests/s, half of what the slowest of them carries, median of ${latencyRounds} rounds.`,
    );
  const markdown = `${table(rows)}\n\n${notes.map((note) => `- ${note}`).join('\n')}`;
  console.log(`\n${markdown}`);
  if (options.write) {
    const settings = { rounds, seconds, rate, connections: 64, users: USERS };
    writeSection('cpu', 'CPU per request', markdown, {
      at: new Date().toISOString(),
      machine: here,
      settings,
      peers: data,
    });
  }
  if (rows.slice(1).some((row) => row[6] !== '0')) {
    console.error('some requests failed: the figures do not count');
    process.exitCode = 1;
  }
} finally {
  for (const stop of stops.toReversed()) await stop();
  rmSync(directory, { recursive: true, force: true });
}
