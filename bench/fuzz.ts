/**
 * The long run of the differential fuzzer: many sessions in child processes, resumable, findings kept as case files.
 *
 *   node bench/fuzz.ts --requests 60e6 --responses 40e6 --shards 1 --folder fuzz-run
 *
 * Every finished session is a line of `sessions.jsonl` in the folder. Started again it goes on where it stopped; lines of other code
 * (the codec's or the fuzzer's) do not count. When all is done it writes the record into RESULTS.md. It fails when
 * there is a finding, which `test/fuzz/corpus` then gets as a case.
 *
 *   node bench/fuzz.ts --folder fuzz-run --code DIGEST --codec COMMIT
 *
 * runs nothing and records what a run of that code has done so far; the log's lines and the run's first words say which.
 */
import { execFileSync, fork, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import type { Order, Report } from './fuzz/worker.ts';
import { record } from './fuzz/record.ts';

const ROOT = join(import.meta.dirname, '..');
const SESSION = 1_000_000;
const PROGRESS_SECONDS = 30;

export interface Line extends Report {
  /** Digest of the codec and the fuzzer. */
  readonly code: string;
}

function parsed() {
  const { values } = parseArgs({
    options: {
      requests: { type: 'string', default: '60e6' },
      responses: { type: 'string', default: '40e6' },
      seed: { type: 'string', default: '1' },
      shards: { type: 'string', default: '1' },
      folder: { type: 'string', default: join(ROOT, 'fuzz-run') },
      code: { type: 'string' },
      codec: { type: 'string' },
    },
  });
  const numbers = [values.requests, values.responses, values.seed, values.shards].map(Number);
  const [requests, responses, seed, shards] = numbers as [number, number, number, number];
  if (!numbers.every((value) => value >= 0) || !(shards >= 1)) {
    throw new Error(
      '--requests, --responses, --seed and --shards must be numbers, such as 60e6, 40e6, 1 and 2',
    );
  }
  return { requests, responses, seed, shards, folder: values.folder, code: values.code, codec: values.codec };
}

/** What decides the outcome of a session: a line that other code has written says nothing about this one. */
function digest(): string {
  const hash = createHash('sha256');
  const files = globSync(['src/http1/*.ts', 'test/fuzz/*.ts'], { cwd: ROOT }).toSorted();
  for (const file of files) if (!file.endsWith('.test.ts')) hash.update(readFileSync(join(ROOT, file)));
  return hash.digest('hex').slice(0, 16);
}

function codecCommit(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim();
  const changed = git('status', '--porcelain', '--', 'src/http1') !== '';
  return `${git('log', '-1', '--format=%h of %cs', '--', 'src/http1')}${changed ? ', with changes' : ''}`;
}

/** All sessions, both kinds in proportion, so that an unfinished run has done its part of each. */
function plan(requests: number, responses: number, seed: number): Order[] {
  const of = (kind: Order['kind'], all: number): { order: Order; at: number }[] =>
    Array.from({ length: Math.ceil(all / SESSION) }, (_, index) => ({
      order: { kind, seed: seed + index, executions: Math.min(SESSION, all - index * SESSION) },
      at: (index + 0.5) / Math.ceil(all / SESSION),
    }));
  const both = [...of('request', requests), ...of('response', responses)];
  return both.toSorted((a, b) => a.at - b.at).map(({ order }) => order);
}

const nameOf = ({ kind, seed, executions }: Order): string => `${kind} ${seed} ${executions}`;

async function main(): Promise<void> {
  const { requests, responses, seed, shards, folder, code: ofOther, codec } = parsed();
  mkdirSync(join(folder, 'findings'), { recursive: true });
  const log = join(folder, 'sessions.jsonl');
  const code = ofOther ?? digest();
  const wanted = plan(requests, responses, seed);
  const names = new Set(wanted.map(nameOf));
  const done = (existsSync(log) ? readFileSync(log, 'utf8').split('\n') : [])
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line)
    .filter((line) => line.code === code && names.has(nameOf(line)));
  const had = new Set(done.map(nameOf));
  const left = wanted.filter((order) => !had.has(nameOf(order)));
  const say = (text: string): void => void process.stdout.write(`${new Date().toISOString()} ${text}\n`);
  if (ofOther !== undefined) {
    record(done, codec ?? 'an unknown commit');
    return;
  }
  const total = requests + responses;
  let executions = done.reduce((sum, line) => sum + line.executions, 0);
  say(`${executions} of ${total} done before, code ${code}, codec ${codecCommit()}`);

  const started = performance.now();
  let now = 0;
  let last = started;
  const take = (report: Report): void => {
    const line: Line = { code, ...report };
    appendFileSync(log, `${JSON.stringify(line)}\n`);
    done.push(line);
    executions += report.executions;
    now += report.executions;
    for (const finding of report.findings) {
      const file = join(folder, 'findings', `${finding.kind}-${finding.seed}-${finding.index}.json`);
      writeFileSync(file, `${JSON.stringify(finding, null, 2)}\n`);
      say(`finding ${file}: ${finding.fault}`);
    }
    if (performance.now() - last < PROGRESS_SECONDS * 1_000 && executions < total) return;
    last = performance.now();
    const seconds = (last - started) / 1_000;
    const minutes = ((total - executions) / now) * (seconds / 60);
    say(
      `${executions / 1e6} M of ${total / 1e6} M, ${Math.round(now / seconds)}/s, ${minutes.toFixed(1)} minutes left`,
    );
  };

  const shard = async (): Promise<void> => {
    if (left.length === 0) return;
    const child = fork(join(import.meta.dirname, 'fuzz', 'worker.ts'));
    say(`shard ${child.pid}`);
    try {
      for (let order = left.shift(); order !== undefined; order = left.shift()) take(await ask(child, order));
    } finally {
      child.kill();
    }
  };
  await Promise.all(Array.from({ length: shards }, shard));
  const findings = done.flatMap((line) => line.findings);
  record(done, codecCommit());
  say(`${executions} executions, ${findings.length} findings`);
  process.exitCode = findings.length === 0 ? 0 : 1;
}

function ask(child: ChildProcess, order: Order): Promise<Report> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null, signal: string | null): void =>
      reject(new Error(`the shard ended in session ${nameOf(order)}: ${code ?? signal}`));
    child.once('exit', ended);
    child.once('message', (report) => {
      child.off('exit', ended);
      resolve(report as Report);
    });
    child.send(order);
  });
}

await main();
