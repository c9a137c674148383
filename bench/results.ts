/**
 * Where results are kept: one section a benchmark in RESULTS.md, for people, and the same figures in results.json.
 * A section is replaced whole; the others are left as they are.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import type { Outcomes } from './outcome.ts';

const MARKDOWN = join(import.meta.dirname, 'RESULTS.md');
const DATA = join(import.meta.dirname, 'results.json');
const HEADING =
  '# Results\n\nWritten by the programs in this folder, each its own section; `results.json` has the figures.\n';

function sections(): Record<string, unknown> {
  return existsSync(DATA) ? (JSON.parse(readFileSync(DATA, 'utf8')) as Record<string, unknown>) : {};
}

/** Replaces the section `name`. `data` must be JSON. */
export function writeSection(name: string, title: string, markdown: string, data: unknown): void {
  const begin = `<!-- begin ${name} -->`;
  const end = `<!-- end ${name} -->`;
  const section = `${begin}\n\n## ${title}\n\n${markdown.trim()}\n\n${end}`;
  const text = existsSync(MARKDOWN) ? readFileSync(MARKDOWN, 'utf8') : HEADING;
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  const replaced =
    from >= 0 && to > from
      ? text.slice(0, from) + section + text.slice(to + end.length)
      : `${text.trimEnd()}\n\n${section}\n`;
  writeFileSync(MARKDOWN, replaced);
  writeFileSync(DATA, `${JSON.stringify({ ...sections(), [name]: data }, null, 2)}\n`);
}

/** A Markdown table, cells padded. */
export function table(rows: readonly (readonly string[])[]): string {
  const [head, ...body] = rows as [readonly string[], ...(readonly string[])[]];
  const widths = head.map((_, column) => Math.max(3, ...rows.map((row) => (row[column] ?? '').length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n');
}

/** What the figures were measured on. */
export function machine(): { cpu: string; cores: number; memoryGiB: number; kernel: string; node: string } {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
  };
}

/** What the last runs of `run.ts` came to, by scenario; empty where nothing is stored. */
export function storedOutcomes(): Outcomes {
  return (sections()['proxies'] as { scenarios: Outcomes } | undefined)?.scenarios ?? {};
}
