/** What docs/metrics.md says: its tables of metrics, and its alert rules. */
import { readFileSync } from 'node:fs';

export interface DocumentedMetric {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
  readonly meaning: string;
  readonly example: string;
}

const TEXT = readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8');

export function documentedMetrics(): DocumentedMetric[] {
  return TEXT.split('\n')
    .filter((line) => /^\| `(serin|process|nodejs)_/.test(line))
    .map((line) => {
      const [name, type, labels, meaning, example, ...rest] = line.slice(1, -1).split('|');
      if (example === undefined || rest.length > 0) throw new Error(`not five columns: ${line}`);
      return {
        name: unquoted(name!),
        type: type!.trim(),
        labels: labels!.trim() === '' ? [] : labels!.trim().split(' ').map(unquoted),
        meaning: meaning!.trim(),
        example: unquoted(example),
      };
    });
}

/** The bucket bounds that it lists. */
export function documentedBounds(): number[] {
  const list = /`(0\.0001 [\d. ]+)`/.exec(TEXT)?.[1];
  if (list === undefined) throw new Error('docs/metrics.md lists no buckets');
  return list.split(' ').map(Number);
}

/** The YAML of its alert rules. */
export function documentedRules(): string {
  const rules = /```yaml\n(groups:\n[^]*?)```/.exec(TEXT)?.[1];
  if (rules === undefined) throw new Error('docs/metrics.md has no alert rules');
  return rules;
}

function unquoted(cell: string): string {
  const text = cell.trim();
  if (!/^`[^`]+`$/.test(text)) throw new Error(`not in backticks: ${text}`);
  return text.slice(1, -1);
}
