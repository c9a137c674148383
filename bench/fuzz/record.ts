/** The record of a long fuzzing run: sums over its sessions, written into RESULTS.md. */
import { machine, table, writeSection } from '../results.ts';
import type { Report } from './worker.ts';

interface Sums {
  readonly executions: number;
  readonly accepted: number;
  readonly heads: number;
  readonly complete: number;
  readonly kept: number;
  readonly bytes: number;
  readonly cpu: number;
  readonly findings: number;
  readonly seeds: string;
  /** Where the codec stopped, how often. */
  readonly states: Readonly<Record<string, number>>;
  /** Of each refusal, the share of inputs that llhttp has no fault to find with. */
  readonly stricter: Readonly<Record<string, number>>;
}

function sumOf(reports: readonly Report[]): Sums {
  const sum = (of: (report: Report) => number): number => reports.reduce((all, one) => all + of(one), 0);
  const states: Record<string, number> = {};
  const stricter: Record<string, number> = {};
  for (const report of reports) {
    for (const [state, count] of Object.entries(report.states)) states[state] = (states[state] ?? 0) + count;
    for (const [pair, count] of Object.entries(report.opinions)) {
      const [code, opinion] = pair.split(' ') as [string, string];
      if (opinion === 'reads') stricter[code] = (stricter[code] ?? 0) + count;
    }
  }
  const seeds = reports.map((report) => report.seed);
  return {
    executions: sum((report) => report.executions),
    accepted: sum((report) => report.accepted),
    heads: sum((report) => report.heads),
    complete: sum((report) => report.complete),
    kept: sum((report) => report.kept),
    bytes: sum((report) => report.bytes),
    cpu: Math.round(sum((report) => report.cpu)),
    findings: sum((report) => report.findings.length),
    seeds: `${Math.min(...seeds)}–${Math.max(...seeds)}`,
    states,
    stricter,
  };
}

const millions = (count: number): string => `${(count / 1e6).toFixed(1)} M`;
const percent = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(1)} %`;

/** Writes the section `fuzz`. `codec`: the commit that was fuzzed. */
export function record(reports: readonly Report[], codec: string): void {
  const kinds = (['request', 'response'] as const).filter((kind) => reports.some((one) => one.kind === kind));
  const sums = kinds.map((kind) => sumOf(reports.filter((report) => report.kind === kind)));
  const row = (name: string, of: (sum: Sums) => string): string[] => [name, ...sums.map(of)];
  const codes = (sum: Sums): string[] =>
    Object.keys(sum.states).filter(
      (state) => !['between', 'end', 'incomplete', 'until-close'].includes(state),
    );
  const rows = [
    ['what', ...kinds.map((kind) => `${kind}s`)],
    row('executions', (sum) => millions(sum.executions)),
    row('seeds, a session each', (sum) => sum.seeds),
    row('CPU seconds', (sum) => String(sum.cpu)),
    row('bytes', (sum) => `${(sum.bytes / 1e9).toFixed(1)} GB`),
    row('inputs of which nothing was refused', (sum) => percent(sum.accepted, sum.executions)),
    row('heads accepted, and read alike', (sum) => millions(sum.heads)),
    row('messages read alike to their end', (sum) => millions(sum.complete)),
    row('reasons for a refusal that were met', (sum) => String(codes(sum).length)),
    row('inputs kept because they led somewhere new', (sum) => String(sum.kept)),
    row('**findings**', (sum) => String(sum.findings)),
  ];
  const { cpu, kernel, node } = machine();
  const where = `- Codec: ${codec}. ${cpu}, Linux ${kernel}, Node.js ${node}.`;
  const meaning =
    '- An execution: one input, delivered to the codec and to llhttp in strict mode, and compared (method, target, status, version, fields, ' +
    'trailers, body bytes, number of messages, whether the connection is kept). A finding: llhttp refuses, or reads otherwise, what the codec accepts.';
  writeSection('fuzz', 'Differential fuzzing', `${table(rows)}\n\n${where}\n${meaning}`, {
    codec,
    kinds,
    sums,
  });
}
