/** A comparison of stable and canary as people read it at a terminal. */
import type { Json } from './json.ts';
import { plain, record, records, table } from './show.ts';

export function comparisonText(body: Json): string {
  const sides = [record(body['stable']), record(body['canary'])];
  const row = (name: string, cell: (side: Json) => string): string[] => [name, ...sides.map(cell)];
  const classes = ['2xx', '3xx', '4xx', '5xx', '1xx', 'other'].filter((name) =>
    sides.some((side) => Number(record(side['statusClasses'])[name]) > 0),
  );
  const rows = [
    ['', 'STABLE', 'CANARY'],
    row('requests', ({ requests }) => plain(requests)),
    row('share of requests', ({ share }) => percent(share)),
    row('requests per second', ({ requestsPerSecond }) => plain(requestsPerSecond)),
    row('errors (5xx)', ({ errorRatio }) => percent(errorRatio)),
    ...classes.map((name) => row(`  ${name}`, (side) => plain(record(side['statusClasses'])[name]))),
    row('transport failures', ({ transportFailures }) => plain(transportFailures)),
    row('fallbacks', ({ fallbacks }) => plain(fallbacks)),
    ...['p50', 'p95', 'p99'].map((name) =>
      row(`latency ${name}`, ({ latency }) => time(record(latency)[name])),
    ),
  ];
  const replicas = records(body['replicas']).map(({ name }) => plain(name));
  const missing = Array.isArray(body['missing']) ? body['missing'].map(plain) : [];
  const covered = Number(body['coveredSeconds']);
  const window = Number(body['windowSeconds']);
  return [
    `${plain(body['service'])}, the last ${covered < window ? `${covered} of ${window}` : window} s, replicas: ${replicas.join(', ')}`,
    ...(missing.length === 0 ? [] : [`without the newest of: ${missing.join(', ')}`]),
    '',
    table(rows),
    '',
    plain(body['note']),
  ].join('\n');
}

function percent(ratio: unknown): string {
  return typeof ratio === 'number' ? `${Number((ratio * 100).toFixed(4))} %` : '-';
}

/** As exact as the bucket is wide. */
function time(percentile: unknown): string {
  const { ms, from, to } = record(percentile);
  if (typeof from !== 'number') return '-';
  return typeof ms === 'number' ? `${ms} ms (${from} to ${plain(to)})` : `over ${from} ms`;
}
