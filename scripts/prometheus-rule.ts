/**
 * Writes k8s/monitoring/prometheus-rule.yaml: the alert rules of docs/metrics.md as the Prometheus operator takes them.
 *
 * The document is where they are kept; a test says when the file is out of date.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.dirname(import.meta.dirname);

/** The file, and what should be in it. */
export function prometheusRule(): { readonly file: string; readonly text: string } {
  const document = readFileSync(path.join(ROOT, 'docs/metrics.md'), 'utf8');
  const groups = /```yaml\n(groups:\n[^]*?)```/.exec(document)?.[1];
  if (groups === undefined) throw new Error('docs/metrics.md has no alert rules');
  const head = [
    '# Made by `node scripts/prometheus-rule.ts` from docs/metrics.md; change it there.',
    'apiVersion: monitoring.coreos.com/v1',
    'kind: PrometheusRule',
    'metadata:',
    '  name: serin',
    'spec:',
  ];
  const indented = groups.trimEnd().replaceAll(/^(?=.)/gm, '  ');
  return {
    file: path.join(ROOT, 'k8s/monitoring/prometheus-rule.yaml'),
    text: `${[...head, indented].join('\n')}\n`,
  };
}

if (import.meta.main) {
  const { file, text } = prometheusRule();
  writeFileSync(file, text);
}
