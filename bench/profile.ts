/**
 * Where the time goes, of Serin and another proxy side by side, under the load of a scenario:
 *
 *   node bench/profile.ts syscalls [scenario]   system calls per request (strace -c)
 *   node bench/profile.ts perf [scenario]       functions by share of samples, kernel and JavaScript (perf)
 *   node bench/profile.ts cpu [scenario]        JavaScript functions of a worker by own time (V8's profiler; Serin only)
 *
 *   --peers serin,haproxy   --seconds 3   --lines 30
 *
 * The load is heavy, and the figures are of a proxy that is watched: shares count, times do not.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { inspect } from '../test/support/inspector.ts';
import { freePort } from '../test/support/ports.ts';
import { enter, NO_COOKIES, type Bench, type Runner } from './field.ts';
import { buildPrograms } from './load/build.ts';
import { openLoad } from './load/client.ts';
import { startOrigins } from './load/origin.ts';
import { threadsOf } from './cpu.ts';
import type { PeerSettings } from './peers/peer.ts';
import { run } from './process.ts';
import { table } from './results.ts';
import { loadOptions } from './sample.ts';
import type { Scenario } from './scenario.ts';
import { SCENARIOS } from './scenarios/all.ts';

const { values: options, positionals } = parseArgs({
  options: {
    peers: { type: 'string', default: 'serin,haproxy' },
    seconds: { type: 'string', default: '3' },
    lines: { type: 'string', default: '30' },
  },
  allowPositionals: true,
});
const [kind = '', name = 'small'] = positionals;
const seconds = Number(options.seconds);
const lines = Number(options.lines);

/** Loads a runner while `watch` runs beside it; gives how many requests were answered meanwhile. */
async function underLoad(bench: Bench, runner: Runner, watch: () => Promise<unknown>): Promise<number> {
  const load = await openLoad(loadOptions(bench, runner, seconds));
  try {
    const watching = watch();
    const { requests } = await load.go();
    await watching;
    return requests;
  } finally {
    await load.end();
  }
}

/** System calls per request; strace stops where the load ends. */
async function syscalls(bench: Bench, runner: Runner): Promise<void> {
  const file = join(bench.directory, 'strace.txt');
  const threads = runner.peer.pids().flatMap((pid) => threadsOf(pid));
  const command = ['timeout', '--signal=INT', String(seconds + 0.5), 'strace', '-c', '-o', file];
  const requests = await underLoad(bench, runner, () => {
    // timeout's own exit code tells that it ended strace, which is as it should be.
    return run(
      ['sh', '-c', `${[...command, ...threads.flatMap((id) => ['-p', String(id)])].join(' ')}; true`],
      seconds + 20,
    );
  });
  const rows = readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const match = /^\s*([\d.]+)\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$/.exec(line);
      return match === null
        ? []
        : [[match[3] ?? '', (Number(match[2]) / requests).toFixed(3), `${match[1]} %`]];
    });
  console.log(`\n${runner.peer.title}: ${requests} requests under strace\n`);
  console.log(table([['system call', 'per request', 'of the time'], ...rows.slice(0, lines)]));
}

async function perf(bench: Bench, runner: Runner): Promise<void> {
  const file = join(bench.directory, 'perf.data');
  const record = ['perf', 'record', '-q', '-F', '1999', '-o', file, '-p', runner.peer.pids().join(',')];
  await underLoad(bench, runner, () => run([...record, '--', 'sleep', String(seconds)], seconds + 20));
  const text = await run(
    [
      'perf',
      'report',
      '-i',
      file,
      '--stdio',
      '--no-children',
      '--sort',
      'symbol,dso',
      '--percent-limit',
      '0.4',
    ],
    60,
  );
  const rows = text.split('\n').flatMap((line) => {
    const match = /^\s*([\d.]+%)\s+\[(.)\]\s+(.*?)\s{2,}(\S.*?)\s{2,}/.exec(`${line}  `);
    const [, share = '', where = '', symbol = '', object = ''] = match ?? [];
    return match === null
      ? []
      : [[symbol.replace(/file:.*\/src\//, 'src/'), where === 'k' ? 'kernel' : object, share]];
  });
  // What the runtime named its code for perf goes with the process.
  for (const pid of runner.peer.pids()) rmSync(`/tmp/perf-${pid}.map`, { force: true });
  console.log(`\n${runner.peer.title}\n`);
  console.log(table([['function', 'in', 'of the samples'], ...rows.slice(0, lines)]));
}

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Own time by function, in microseconds. */
function ownTimes(profile: CpuProfile): Map<string, number> {
  const names = new Map(
    profile.nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => {
      const file = url.replace(/^.*\/(src|node_modules)\//, '$1/');
      return [
        id,
        `${functionName || '(anonymous)'} ${file === '' ? '' : `${file}:${lineNumber + 1}`}`.trim(),
      ];
    }),
  );
  const times = new Map<string, number>();
  profile.samples.forEach((id, index) => {
    const called = names.get(id) ?? '?';
    times.set(called, (times.get(called) ?? 0) + (profile.timeDeltas[index] ?? 0));
  });
  // Neither waiting nor the profiler's own start is the proxy's work.
  for (const called of times.keys()) {
    if (called === '(idle)' || called.includes('node:inspector')) times.delete(called);
  }
  return times;
}

/** Run in the worker: `--cpu-prof` would write the main thread's profile alone, as workers end at once. */
const BEGIN = `{
  const { Session } = process.getBuiltinModule('node:inspector');
  globalThis.profiler = new Session();
  profiler.connect();
  profiler.post('Profiler.enable');
  profiler.post('Profiler.setSamplingInterval', { interval: 200 });
  profiler.post('Profiler.start');
}`;
const FINISH = `(() => {
  let text;
  profiler.post('Profiler.stop', (error, { profile }) => (text = JSON.stringify(profile)));
  return text;
})()`;

async function cpu(bench: Bench, runner: Runner): Promise<void> {
  const inspector = await inspect(inspectorPort);
  const [worker] = inspector.workers;
  if (worker === undefined) throw new Error('there is no worker to be profiled');
  let text: unknown;
  await underLoad(bench, runner, async () => {
    await inspector.ask(worker, BEGIN);
    await delay(seconds * 900);
    text = await inspector.ask(worker, FINISH);
  });
  inspector.close();
  const times = ownTimes(JSON.parse(text as string) as CpuProfile);
  const total = times.values().reduce((sum, time) => sum + time, 0);
  const rows = [...times]
    .toSorted((a, b) => b[1] - a[1])
    .map(([called, time]) => [called, `${((time / total) * 100).toFixed(1)} %`]);
  console.log(`\n${runner.peer.title}, a worker\n`);
  console.log(table([['function', 'own time'], ...rows.slice(0, lines)]));
}

const KINDS = { syscalls, perf, cpu };

const inspectorPort = await freePort();

function nodeArguments(): readonly string[] {
  // V8 would leave a log of its own in the working directory.
  if (kind === 'perf')
    return [
      '--perf-basic-prof',
      '--interpreted-frames-native-stack',
      '--logfile=/dev/null',
      '--no-logfile-per-isolate',
    ];
  return kind === 'cpu' ? [`--inspect=127.0.0.1:${inspectorPort}`] : [];
}

const scenario: Scenario | undefined = SCENARIOS.find((one) => one.name === name);
const show = Object.entries(KINDS).find(([one]) => one === kind)?.[1];
const tool = { syscalls: 'strace', perf: 'perf', cpu: 'true' }[kind] ?? 'true';
if (scenario === undefined || show === undefined || !(seconds > 0)) {
  console.error(`usage: node bench/profile.ts ${Object.keys(KINDS).join('|')} [scenario]`);
  process.exit(2);
}
if (spawnSync(tool, ['--version']).error !== undefined) {
  console.error(`${tool} is needed: sudo apt-get install ${tool === 'perf' ? 'linux-perf' : tool}`);
  process.exit(2);
}

const directory = mkdtempSync(join(tmpdir(), 'serin-bench-profile-'));
try {
  const programs = await buildPrograms(directory);
  const origins = await startOrigins(programs.origin);
  const bench: Bench = { programs, origins, directory, wants: () => true };
  let known = NO_COOKIES;
  for (const peer of options.peers.split(',')) {
    const contender = scenario.contenders.find((one) => one.peer === peer || one.name === peer);
    if (contender === undefined) throw new Error(`${peer} is not in the scenario ${name}`);
    if (kind === 'cpu' && contender.peer !== 'serin') continue;
    const settings: PeerSettings = { ...contender.settings, nodeArguments: nodeArguments() };
    const { runner, cookies } = await enter(bench, scenario, { ...contender, settings }, known);
    known = cookies;
    try {
      await show(bench, runner);
    } finally {
      await runner.peer.stop();
    }
  }
  await origins.stop();
} finally {
  rmSync(directory, { recursive: true, force: true });
}
