/**
 * `npm test`: every check and every suite, each timed, one after another.
 *
 * Promises to go through all parts also when one fails, to print what failed whole, to end every process it started,
 * and to close with the counts. A test file that does not end by itself is a failure, never waited for without limit.
 *
 *   npm test                        everything
 *   npm test -- lint unit           these parts
 *   npm test -- test/unit/policy    the test files under this path
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { ensureDebianPackages } from './debian.ts';

interface Check {
  readonly name: string;
  readonly command: readonly string[];
  /** An exit code that means «could not be checked here»; it is shown and is no failure. */
  readonly unavailable?: number;
}

interface Suite {
  readonly name: string;
  /** Test files at a time. 1 where a test takes times of its own. */
  readonly parallel: number;
  /** Seconds that one file may take: many times what it takes alone, since the machine may have much else to do. */
  readonly limit: number;
}

const CORES = availableParallelism();
/** How long after a child's end its own children may go on printing, in milliseconds. */
const PIPE_GRACE = 2_000;

const CHECKS: readonly Check[] = [
  { name: 'format', command: ['oxfmt', '--check', '.'] },
  { name: 'lint', command: ['oxlint'] },
  { name: 'types', command: ['tsc', '--noEmit'] },
  { name: 'unused', command: ['knip'] },
  { name: 'licences', command: ['node', 'scripts/check-licences.ts'] },
  { name: 'audit', command: ['node', 'scripts/audit.ts'], unavailable: 2 },
];

const SUITES: readonly Suite[] = [
  { name: 'unit', parallel: CORES, limit: 300 },
  { name: 'property', parallel: CORES, limit: 450 },
  { name: 'integration', parallel: CORES, limit: 450 },
  { name: 'conformance', parallel: CORES, limit: 450 },
  { name: 'fuzz', parallel: CORES, limit: 450 },
  { name: 'e2e', parallel: 1, limit: 450 },
];

/** What is printed is collected first, so no tool may think that it writes to a terminal. */
const ENVIRONMENT: NodeJS.ProcessEnv = {
  ...process.env,
  NO_COLOR: '1',
  // Hundreds of processes read the same sources.
  NODE_COMPILE_CACHE: path.resolve(import.meta.dirname, '../node_modules/.cache/compiled'),
};
delete ENVIRONMENT['FORCE_COLOR'];

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

interface Ended {
  readonly code: number;
  readonly output: string;
  readonly seconds: number;
  readonly timedOut: boolean;
}

const running = new Set<ChildProcess>();

/** Ends a child and whatever it started: each is the leader of its own process group. */
function endGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // The group is gone already.
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    for (const child of running) endGroup(child);
    process.exit(130);
  });
}

function execute(command: readonly string[], limitSeconds: number): Promise<Ended> {
  const [file = '', ...args] = command;
  const started = performance.now();
  return new Promise((resolve) => {
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, env: ENVIRONMENT });
    running.add(child);
    let output = '';
    let timedOut = false;
    const collect = (chunk: Buffer): void => {
      output += chunk.toString();
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    const timer = setTimeout(() => {
      timedOut = true;
      endGroup(child);
    }, limitSeconds * 1_000);
    const end = (code: number): void => {
      clearTimeout(timer);
      running.delete(child);
      // Whatever the child left behind in its group must not run on under the next part.
      endGroup(child);
      resolve({ code, output, seconds: (performance.now() - started) / 1_000, timedOut });
    };
    child.on('error', (error) => {
      output += error.message;
      end(127);
    });
    // 'close' comes after the last output. A process that the child left behind may hold the pipes open.
    child.on('exit', () => {
      setTimeout(() => endGroup(child), PIPE_GRACE).unref();
    });
    child.on('close', (code) => end(code ?? 1));
  });
}

const print = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

/** Runs `work` over all items, `parallel` at a time, keeping the order of the results. */
async function each<T, R>(
  items: readonly T[],
  parallel: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) results[index] = await work(items[index]!);
  };
  await Promise.all(Array.from({ length: parallel }, lane));
  return results;
}

async function runCheck(check: Check): Promise<Counts> {
  const { code, output, seconds, timedOut } = await execute(check.command, 450);
  const unavailable = code === check.unavailable;
  const word = code === 0 ? 'ok' : unavailable ? 'n/a' : 'FAILED';
  print(`${word.padEnd(8)}${check.name}  ${seconds.toFixed(1)} s${unavailable ? `  ${output.trim()}` : ''}`);
  if (code !== 0 && !unavailable) print(`${output}${timedOut ? '\nIt took too long and was ended.' : ''}\n`);
  return {
    passed: code === 0 ? 1 : 0,
    failed: code === 0 || unavailable ? 0 : 1,
    skipped: unavailable ? 1 : 0,
  };
}

/** The counts that node's test runner prints last; a file that printed none has failed as a whole. */
function readCounts(output: string, code: number): Counts {
  const count = (name: string): number => {
    const found = output.match(new RegExp(`^ℹ ${name} ([0-9]+)$`, 'gm'))?.at(-1);
    return found === undefined ? 0 : Number(found.slice(found.lastIndexOf(' ')));
  };
  const failed = count('fail') + count('cancelled');
  // A suite that is skipped as a whole is in no count: its line alone says so.
  const suites = count('tests') === 0 ? (output.match(/^﹣ .+ # /gm) ?? []).length : 0;
  return {
    passed: count('pass'),
    failed: code !== 0 && failed === 0 ? 1 : failed,
    skipped: count('skipped') + count('todo') + suites,
  };
}

async function runFile(file: string, limit: number): Promise<Counts> {
  const { code, output, seconds, timedOut } = await execute(['node', '--test-reporter=spec', file], limit);
  const counts = readCounts(output, code);
  // A file without a test is a mistake: an empty one would pass for ever.
  const empty = counts.passed + counts.failed + counts.skipped === 0;
  const failed = counts.failed > 0 || empty;
  print(
    `${(failed ? 'FAILED' : 'ok').padEnd(8)}${file}  ${counts.passed} passed, ${counts.failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''}  ${seconds.toFixed(1)} s`,
  );
  if (failed) {
    print(output);
    if (timedOut) print(`${file} did not end within ${limit} s and was ended.`);
    if (empty) print(`${file} has no test.`);
    print('');
  }
  return empty ? { ...counts, failed: 1 } : counts;
}

const add = (all: readonly Counts[]): Counts => ({
  passed: all.reduce((sum, one) => sum + one.passed, 0),
  failed: all.reduce((sum, one) => sum + one.failed, 0),
  skipped: all.reduce((sum, one) => sum + one.skipped, 0),
});

async function runSuite(suite: Suite, filters: readonly string[]): Promise<Counts | null> {
  const all = globSync(`test/${suite.name}/**/*.test.ts`).toSorted();
  const files =
    filters.length === 0 ? all : all.filter((file) => filters.some((filter) => file.includes(filter)));
  if (files.length === 0) {
    if (filters.length > 0) return null;
    print(`FAILED  ${suite.name} has no test file`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  print(`— ${suite.name}`);
  return add(await each(files, suite.parallel, (file) => runFile(file, suite.limit)));
}

async function main(args: readonly string[]): Promise<number> {
  const known = new Set([...CHECKS, ...SUITES].map((part) => part.name));
  const filters = args.filter((arg) => arg.includes('/'));
  const parts = new Set(args.filter((arg) => !arg.includes('/')));
  for (const part of parts) {
    if (!known.has(part)) {
      print(`There is no part "${part}". Parts: ${[...known].join(', ')}; or give paths of test files.`);
      return 2;
    }
  }
  const wanted = (name: string): boolean => parts.has(name) || (parts.size === 0 && filters.length === 0);

  const started = performance.now();
  const total: Counts[] = [];
  const lines: string[] = [];
  const note = (name: string, counts: Counts, since: number): void => {
    total.push(counts);
    const seconds = ((performance.now() - since) / 1_000).toFixed(1);
    lines.push(`  ${name.padEnd(13)}${counts.passed} passed, ${counts.failed} failed, ${seconds} s`);
  };

  const checks = CHECKS.filter((check) => wanted(check.name));
  if (checks.length > 0) {
    print('— checks');
    note('checks', add(await each(checks, CORES, runCheck)), started);
  }
  const suites = SUITES.filter((suite) => wanted(suite.name) || filters.length > 0);
  if (suites.length > 0) {
    const missing = ensureDebianPackages('test', print);
    if (missing !== null) {
      print(missing);
      return 1;
    }
  }
  for (const suite of suites) {
    const since = performance.now();
    const counts = await runSuite(suite, parts.has(suite.name) ? [] : filters);
    if (counts !== null) note(suite.name, counts, since);
  }
  if (total.length === 0) {
    print(`No test file matches ${filters.join(', ')}.`);
    return 1;
  }
  const { passed, failed, skipped } = add(total);
  print(`\n${lines.join('\n')}\n  in all       ${((performance.now() - started) / 1_000).toFixed(1)} s\n`);
  print(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
