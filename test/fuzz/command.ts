/** The command line of a long run: `--executions 1e6 --seed 1 --seconds 600`. */
import process from 'node:process';
import { parseArgs } from 'node:util';
import type { Kind } from './reading.ts';
import { runSession } from './session.ts';

/** Runs a session as the arguments say, prints what came of it, and sets the exit code. */
export function runCommand(kind: Kind): void {
  const { values } = parseArgs({
    options: {
      executions: { type: 'string', default: '1e6' },
      seed: { type: 'string', default: '1' },
      seconds: { type: 'string', default: 'Infinity' },
    },
  });
  const [executions, seed, seconds] = [values.executions, values.seed, values.seconds].map(Number) as [
    number,
    number,
    number,
  ];
  if (![executions, seed, seconds].every((value) => value >= 0)) {
    throw new Error('--executions, --seed and --seconds must be numbers, such as 1e6, 1 and 600');
  }
  // Faults of llhttp are values here: nobody reads their stack traces, which take time.
  Error.stackTraceLimit = 0;
  const started = performance.now();
  const result = runSession(kind, seed, executions, seconds);
  const elapsed = (performance.now() - started) / 1_000;
  const lines = [
    `${result.executions} inputs in ${elapsed.toFixed(1)} s: ${result.accepted} accepted, ${result.heads} heads and ${result.complete} messages read alike, ${result.kept} led somewhere new`,
    ...[...result.states].toSorted(([, a], [, b]) => b - a).map(([state, count]) => `  ${state}: ${count}`),
    ...[...result.opinions]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([pair, count]) => `  ${pair}: ${count}`),
    ...result.findings.map((finding) => JSON.stringify(finding)),
    `${result.findings.length} findings`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  process.exitCode = result.findings.length === 0 ? 0 : 1;
}
