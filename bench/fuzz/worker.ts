/** A child process of the long fuzzing run: runs one session after another, as its parent asks, and answers with what came of each. */
import process from 'node:process';
import type { Kind } from '../../test/fuzz/reading.ts';
import { runSession, type Finding } from '../../test/fuzz/session.ts';

export interface Order {
  readonly kind: Kind;
  readonly seed: number;
  readonly executions: number;
}

/** One session, as a line of the log. */
export interface Report extends Order {
  readonly accepted: number;
  readonly heads: number;
  readonly complete: number;
  readonly kept: number;
  readonly bytes: number;
  /** CPU seconds, not those of a clock, which go on while the process is stopped or others are served. */
  readonly cpu: number;
  readonly states: Readonly<Record<string, number>>;
  readonly opinions: Readonly<Record<string, number>>;
  readonly findings: readonly Finding[];
}

// Faults of llhttp are values here: nobody reads their stack traces, which take time.
Error.stackTraceLimit = 0;

process.on('message', ({ kind, seed, executions }: Order) => {
  const before = process.cpuUsage();
  const { states, opinions, ...result } = runSession(kind, seed, executions);
  const used = process.cpuUsage(before);
  const report: Report = {
    kind,
    seed,
    ...result,
    cpu: (used.user + used.system) / 1e6,
    states: Object.fromEntries(states),
    opinions: Object.fromEntries(opinions),
  };
  process.send?.(report);
});
process.on('disconnect', () => process.exit(0));
