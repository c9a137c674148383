/**
 * Serin beside other proxies: CPU per request, requests a second, latency and memory, in one run, the proxy on one core,
 * load and origin on another, rounds interleaved.
 *
 *   node bench/run.ts                         everything, about a quarter of an hour
 *   node bench/run.ts --quick                 a rough picture, under three minutes; keeps nothing
 *   node bench/run.ts small down-100k         these scenarios; the others keep their stored figures
 *   node bench/run.ts --list                  which scenarios and peers there are
 *   node bench/run.ts --render                makes RESULTS.md and results.svg anew from results.json
 *
 *   --peers serin,haproxy   only these       --rounds N --seconds N   effort       --no-latency
 *   --write / --no-write    whether results are kept: RESULTS.md, results.json, results.svg
 *   --json FILE             the outcomes of this run alone, as JSON
 *
 * Everything runs on loopback. Exits 1 where a scenario could not be measured, or a request failed: such figures do
 * not count.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Bench } from './field.ts';
import { buildPrograms } from './load/build.ts';
import { startOrigins } from './load/origin.ts';
import { measure } from './measure.ts';
import type { Outcomes, ScenarioOutcome } from './outcome.ts';
import { PEERS } from './peers/catalogue.ts';
import { plot } from './plot.ts';
import { PINNED } from './process.ts';
import { report } from './report.ts';
import { machine, storedOutcomes, writeSection } from './results.ts';
import type { Scenario } from './scenario.ts';
import { SCENARIOS } from './scenarios/all.ts';
import type { Effort } from './summary.ts';
import { requireTools } from './tools.ts';

const { values: options, positionals } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    peers: { type: 'string' },
    latency: { type: 'boolean', default: true },
    write: { type: 'boolean' },
    json: { type: 'string' },
    list: { type: 'boolean', default: false },
    render: { type: 'boolean', default: false },
  },
  allowNegative: true,
  allowPositionals: true,
});

function refuse(words: string): never {
  console.error(words);
  process.exit(2);
}

/** A number from the command line within its bounds. */
function bounded(name: 'rounds' | 'seconds', unsaid: number, most: number): number {
  const value = Number(options[name] ?? unsaid);
  if (!(value > 0 && value <= most)) refuse(`--${name} is a number up to ${most}, not ${options[name]}`);
  return value;
}

function chosen(): Scenario[] {
  const unknown = positionals.find((name) => !SCENARIOS.some((one) => one.name === name));
  if (unknown !== undefined) refuse(`there is no scenario ${unknown}; --list shows them`);
  return SCENARIOS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
}

function list(): void {
  for (const { name, title, contenders } of SCENARIOS) {
    console.log(`${name.padEnd(16)} ${title}: ${contenders.map((one) => one.name).join(', ')}`);
  }
  for (const [name, kind] of Object.entries(PEERS)) {
    console.log(`${name.padEnd(18)} ${kind.unavailable() ?? 'can be measured'}`);
  }
}

function notes(outcomes: Outcomes): string[] {
  const here = machine();
  const measured = new Set(
    Object.values(outcomes).flatMap(({ contenders }) => Object.values(contenders).map(({ peer }) => peer)),
  );
  const standIns = Object.entries(PEERS).flatMap(([name, { standIn }]) => {
    return standIn === undefined || !measured.has(name) ? [] : [standIn];
  });
  return [
    `${here.cpu}, ${here.cores} cores, Linux ${here.kernel}, Node.js ${here.node}. Medians of interleaved rounds; a spread is from the lowest to the highest round.`,
    PINNED
      ? 'The proxy on one core, load generator and origin on another.'
      : 'One core only: nothing could be pinned, and these figures are not comparable with others.',
    'The policy, for all: 3 office networks and iPhone and 10 % of the users by cookie. Metrics on, logs off.',
    'Every answer was verified by status, length and bytes (of large bodies each sixteenth).',
    ...standIns,
  ];
}

/** Stored outcomes with this run's in their place, in the order of the scenarios. */
function merged(fresh: Outcomes): Outcomes {
  const all = { ...storedOutcomes(), ...fresh };
  return Object.fromEntries(
    SCENARIOS.flatMap(({ name }): [string, ScenarioOutcome][] => {
      const outcome = all[name];
      return outcome === undefined ? [] : [[name, outcome]];
    }),
  );
}

function keep(fresh: Outcomes): void {
  const outcomes = merged(fresh);
  writeSection('proxies', 'Serin beside other proxies', report(outcomes, notes(outcomes)), {
    machine: machine(),
    scenarios: outcomes,
  });
  writeFileSync(join(import.meta.dirname, 'results.svg'), plot(outcomes));
}

async function runAll(scenarios: readonly Scenario[], effort: Effort): Promise<Outcomes> {
  requireTools();
  const only = options.peers?.split(',');
  const unknown = only?.find((name) => !(name in PEERS));
  if (unknown !== undefined) refuse(`there is no peer ${unknown}; --list shows them`);
  if (!PINNED)
    console.log('One core only: nothing is pinned, and the figures are not comparable with others.');
  const directory = mkdtempSync(join(tmpdir(), 'serin-bench-'));
  const outcomes: Record<string, ScenarioOutcome> = {};
  try {
    const programs = await buildPrograms(directory);
    const origins = await startOrigins(programs.origin);
    const bench: Bench = {
      programs,
      origins,
      directory,
      wants: (peer) => only === undefined || only.includes(peer),
    };
    try {
      for (const scenario of scenarios) {
        const began = performance.now();
        try {
          outcomes[scenario.name] = await measure(bench, scenario, effort);
        } catch (error) {
          // The others' figures are worth having all the same.
          console.error(`${scenario.name} could not be measured: ${(error as Error).message}`);
          process.exitCode = 1;
        }
        const seconds = ((performance.now() - began) / 1000).toFixed(0);
        console.log(`${scenario.name}: ${seconds} s`);
      }
    } finally {
      await origins.stop();
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return outcomes;
}

if (options.list) list();
else if (options.render) keep({});
else {
  const effort = {
    quick: options.quick,
    latency: options.latency,
    rounds: bounded('rounds', options.quick ? 2 : 7, 50),
    seconds: bounded('seconds', options.quick ? 0.5 : 2, 60),
  };
  const outcomes = await runAll(chosen(), effort);
  console.log(`\n${report(outcomes, notes(outcomes))}`);
  if (options.json !== undefined) writeFileSync(options.json, JSON.stringify(outcomes, null, 2));
  if (options.write ?? !options.quick) keep(outcomes);
  const failed = Object.values(outcomes).flatMap(({ contenders }) => Object.values(contenders));
  if (failed.some((one) => one.failed > 0)) {
    console.error('some requests failed: the figures of their scenarios do not count');
    process.exitCode = 1;
  }
}
