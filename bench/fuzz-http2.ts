/**
 * The long run of the fuzzer between HTTP/2 and HTTP/1.1: many sessions, one after another, in this process.
 *
 *   node bench/fuzz-http2.ts --executions 10e6 --seed 1 --folder fuzz-run
 *
 * Every session has its seed, which is printed with it, and is a line of `http2.jsonl` in the folder. Started again it goes on where it
 * stopped; lines of other code (the proxy's or the fuzzer's) do not count. When all is done it writes the record into
 * RESULTS.md. It fails when there is a finding; `runHttp2Session(seed, index + 1)` makes it again.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, globSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { runHttp2Session, type Http2Result } from '../test/fuzz/http2-session.ts';
import { machine, table, writeSection } from './results.ts';

const ROOT = join(import.meta.dirname, '..');
const SESSION = 500_000;
/** What decides the outcome of a session. */
const SOURCES = [
  'src/http1/*.ts',
  'src/http2/*.ts',
  'src/data-plane/{field-guard,forward-headers,request-body,response-relay}.ts',
  'test/fuzz/*.ts',
];

interface Line extends Http2Result {
  readonly code: string;
  readonly seed: number;
  /** CPU seconds. */
  readonly cpu: number;
}

function digest(): string {
  const hash = createHash('sha256');
  for (const file of globSync(SOURCES, { cwd: ROOT }).toSorted())
    if (!file.endsWith('.test.ts')) hash.update(readFileSync(join(ROOT, file)));
  return hash.digest('hex').slice(0, 16);
}

function commit(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim();
  const changed = git('status', '--porcelain', '--', 'src') !== '';
  return `${git('log', '-1', '--format=%h of %cs', '--', 'src')}${changed ? ', with changes' : ''}`;
}

function record(lines: readonly Line[]): void {
  const sum = (of: (line: Line) => number): number => lines.reduce((all, line) => all + of(line), 0);
  const ends: Record<string, number> = {};
  for (const line of lines)
    for (const [end, count] of Object.entries(line.ends)) ends[end] = (ends[end] ?? 0) + count;
  const millions = (count: number): string => `${(count / 1e6).toFixed(2)} M`;
  const seeds = lines.map(({ seed }) => seed);
  const cpu = sum((line) => line.cpu);
  const executions = sum((line) => line.executions);
  const data = {
    commit: commit(),
    executions,
    seeds: `${Math.min(...seeds)}–${Math.max(...seeds)}`,
    cpu: Math.round(cpu),
    bytes: sum((line) => line.bytes),
    ends,
    withTrailers: sum((line) => line.withTrailers),
    findings: sum((line) => line.findings.length),
  };
  const rows = [
    ['what', 'requests', 'answers'],
    ...['whole', 'cut', 'refused'].map((end) => [
      end,
      ...['request', 'answer'].map((kind) => millions(ends[`${kind} ${end}`] ?? 0)),
    ]),
  ];
  const { cpu: model, kernel, node } = machine();
  const text = [
    table(rows),
    '',
    `- ${millions(executions)} executions, seeds ${data.seeds}, a session each; ${millions(data.withTrailers)} messages arrived with trailers; ${(data.bytes / 1e9).toFixed(1)} GB were passed on; ${data.cpu} CPU seconds, ${Math.round(executions / cpu)} executions a CPU second.`,
    `- **Findings: ${data.findings}.**`,
    '- An execution: a message of HTTP/2, random fields with framing words in names and values, a body and trailers, passed on by the code that writes heads and bodies, read by llhttp in strict mode, and taken apart for HTTP/2 again. A finding: llhttp reads anything but one message with those fields, that body and those trailers; a message that was cut looks whole; one without a fault does not arrive; or HTTP/2 would carry on something else.',
    `- Code: ${data.commit}. ${model}, Linux ${kernel}, Node.js ${node}.`,
  ];
  writeSection('fuzz-http2', 'Differential fuzzing between HTTP/2 and HTTP/1.1', text.join('\n'), data);
}

const { values } = parseArgs({
  options: {
    executions: { type: 'string', default: '10e6' },
    seed: { type: 'string', default: '1' },
    folder: { type: 'string', default: join(ROOT, 'fuzz-run') },
  },
});
const executions = Number(values.executions);
const first = Number(values.seed);
if (!(executions >= 1) || !Number.isSafeInteger(first))
  throw new Error('--executions and --seed must be numbers, such as 10e6 and 1');

// Faults of llhttp are values here: nobody reads their stack traces, which take time.
Error.stackTraceLimit = 0;
mkdirSync(values.folder, { recursive: true });
const log = join(values.folder, 'http2.jsonl');
const code = digest();
const say = (text: string): void => void process.stdout.write(`${new Date().toISOString()} ${text}\n`);
const before = (existsSync(log) ? readFileSync(log, 'utf8').split('\n') : [])
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as Line)
  .filter((line) => line.code === code);
const lines: Line[] = [];
say(`code ${code}, ${commit()}`);
for (let done = 0, seed = first; done < executions; seed += 1) {
  const size = Math.min(SESSION, executions - done);
  let line = before.find((one) => one.seed === seed && one.executions === size);
  if (line === undefined) {
    const from = process.cpuUsage();
    const result = runHttp2Session(seed, size);
    const { user, system } = process.cpuUsage(from);
    line = { code, seed, cpu: (user + system) / 1e6, ...result };
    appendFileSync(log, `${JSON.stringify(line)}\n`);
    say(
      `seed ${seed}: ${result.executions} executions, ${result.findings.length} findings, ${line.cpu.toFixed(1)} s`,
    );
    for (const finding of result.findings) say(JSON.stringify(finding));
  }
  lines.push(line);
  done += size;
}
record(lines);
const findings = lines.reduce((all, line) => all + line.findings.length, 0);
say(`${lines.reduce((all, line) => all + line.executions, 0)} executions, ${findings} findings`);
process.exitCode = findings === 0 ? 0 : 1;
