/**
 * The metrics against the real Prometheus: it scrapes them, understands every line, and answers every example query and
 * alert rule of docs/metrics.md.
 */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parse, stringify } from 'yaml';
import { createExposition } from '../../src/telemetry/exposition.ts';
import { startOps } from '../../src/telemetry/ops-server.ts';
import type { SmallServer } from '../../src/server/small-server.ts';
import { eventually, within } from '../support/bounded.ts';
import { fakeSource, newService, rollout, type FakeSource } from '../unit/telemetry/fake-source.ts';
import { documentedMetrics, documentedRules } from '../unit/telemetry/metrics-doc.ts';
import { parseSeries } from '../unit/telemetry/parse-exposition.ts';

interface Sample {
  readonly metric: Record<string, string>;
  readonly value: readonly [number, string];
}

const folder = mkdtempSync(join(tmpdir(), 'serin-prometheus-'));
const source: FakeSource = fakeSource(2, []);
source.serviceList = [newService('notes', 2, rollout()), newService('mail "m" \\ é', 2)];
const exposition = createExposition(source);
let ops: SmallServer;
let prometheus: ChildProcess;
let api: string;

before(async () => {
  await tool('promtool', ['--version'], '');
  ops = await startOps({
    host: '127.0.0.1',
    port: 0,
    ready: () => ({ ready: true, reasons: [] }),
    metrics: exposition,
  });
  const configuration = {
    // As long as a scrape may take on a busy machine: a time-out is no longer than the interval.
    global: { scrape_interval: '5s', scrape_timeout: '5s' },
    scrape_configs: [{ job_name: 'serin', static_configs: [{ targets: [`127.0.0.1:${ops.port}`] }] }],
  };
  writeFileSync(join(folder, 'prometheus.yml'), stringify(configuration));
  prometheus = spawn(
    'prometheus',
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      '--web.listen-address=127.0.0.1:0',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  api = await within(listeningAddress(prometheus), 'Prometheus listens');
  await eventually(async () => (await fetch(`${api}/-/ready`)).ok, 'Prometheus is ready');
});

after(async () => {
  if (prometheus?.exitCode === null) {
    prometheus.kill('SIGKILL');
    await once(prometheus, 'exit');
  }
  await ops?.close();
  rmSync(folder, { recursive: true, force: true });
});

test('promtool finds nothing wrong with the exposition', async () => {
  countSomething();
  await tool('promtool', ['check', 'metrics'], await exposition.render());
});

test('Prometheus takes every series with its value', async () => {
  countSomething();
  // Nothing counts any more, so one of the next scrapes has exactly this.
  const shown = parseSeries(await exposition.render());
  const expected = new Map([...shown].filter(([key]) => key.startsWith('serin_')));
  let found = new Map<string, number>();
  await eventually(async () => {
    const { activeTargets } = (await get('/api/v1/targets')) as { activeTargets: { lastError: string }[] };
    for (const { lastError } of activeTargets) assert.equal(lastError, '');
    const samples = await query('{__name__=~"serin_.+"}');
    found = new Map(samples.map(({ metric, value }) => [keyOf(metric), Number(value[1])]));
    return found.get('serin_config_reloads_total{result="success"}') === source.control.reloads;
  }, 'Prometheus has scraped');
  assert.deepEqual(found, expected);
});

test('a quantile by Prometheus is within the bucket that the durations are in', async () => {
  const { blocks } = source.serviceList[0]!;
  for (let n = 0; n < 1000; n++) blocks[n & 1]!.request(1, 200, 0.18);
  const seen = 'serin_request_duration_seconds_count{service="notes",variant="canary"} >= 1000';
  await eventually(async () => (await query(seen)).length === 1, 'the requests are scraped');
  const quantile =
    'histogram_quantile(0.5, serin_request_duration_seconds_bucket{service="notes",variant="canary"})';
  const [sample] = await query(quantile);
  const value = Number(sample?.value[1]);
  assert.ok(value > 0.15 && value <= 0.2, `${value} s`);
});

test('the series of a removed service end at the next scrape', async () => {
  const all = source.serviceList;
  assert.equal((await query('count(serin_flips_total)'))[0]?.value[1], '2');
  source.serviceList = all.slice(0, 1);
  try {
    await eventually(
      async () => (await query('count(serin_flips_total)'))[0]?.value[1] === '1',
      'the series is gone',
    );
  } finally {
    source.serviceList = all;
  }
});

test('every example of docs/metrics.md is a query that Prometheus answers', async () => {
  for (const { example } of documentedMetrics()) await query(example);
});

test('promtool finds nothing wrong with the alert rules of docs/metrics.md', async () => {
  const file = join(folder, 'alerts.yml');
  writeFileSync(file, documentedRules());
  await tool('promtool', ['check', 'rules', '--lint-fatal', file], '');
});

test('the alert rules fire when they should and are silent when they should be', async () => {
  // Annotations hold figures; what counts here is which alert fires for what.
  const rules = parse(documentedRules()) as { groups: { rules: { annotations?: object }[] }[] };
  for (const group of rules.groups) for (const rule of group.rules) delete rule.annotations;
  writeFileSync(join(folder, 'rules.yml'), stringify(rules));
  writeFileSync(
    join(folder, 'tests.yml'),
    stringify({
      rule_files: ['rules.yml'],
      evaluation_interval: '15s',
      tests: ALERT_CASES.map(({ series, alert, fires }) => ({
        interval: '15s',
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
        alert_rule_test: [
          {
            eval_time: '20m',
            alertname: alert,
            exp_alerts: fires === null ? [] : [{ exp_labels: fires }],
          },
        ],
      })),
    }),
  );
  await tool('promtool', ['test', 'rules', join(folder, 'tests.yml')], '');
});

interface AlertCase {
  /** Values in promtool's notation, every 15 s. */
  readonly series: { readonly [name: string]: string };
  readonly alert: string;
  /** The labels of the alert, or null where it must be silent. */
  readonly fires: { readonly [label: string]: string } | null;
}

const requests = (variant: string, code: string): string =>
  `serin_requests_total{service="notes",variant="${variant}",code="${code}",instance="a"}`;

const ALERT_CASES: readonly AlertCase[] = [
  {
    alert: 'SerinCanaryFails',
    series: {
      [requests('canary', '200')]: '0+27x80',
      [requests('canary', '500')]: '0+3x80',
      [requests('stable', '200')]: '0+300x80',
      [requests('stable', '500')]: '0+0x80',
    },
    fires: { service: 'notes', severity: 'critical' },
  },
  {
    // Stable has no traffic at all: everybody is on the canary.
    alert: 'SerinCanaryFails',
    series: {
      [requests('canary', '200')]: '0+27x80',
      [requests('canary', '500')]: '0+3x80',
      [requests('stable', '200')]: '0+0x80',
      [requests('stable', '500')]: '0+0x80',
    },
    fires: { service: 'notes', severity: 'critical' },
  },
  {
    // Both fail alike: no fault of the canary.
    alert: 'SerinCanaryFails',
    series: {
      [requests('canary', '200')]: '0+27x80',
      [requests('canary', '500')]: '0+3x80',
      [requests('stable', '200')]: '0+270x80',
      [requests('stable', '500')]: '0+30x80',
    },
    fires: null,
  },
  {
    // One failure among a handful of requests says nothing.
    alert: 'SerinCanaryFails',
    series: {
      [requests('canary', '200')]: '0+1x80',
      [requests('canary', '500')]: '0+1x80',
      [requests('stable', '200')]: '0+300x80',
      [requests('stable', '500')]: '0+0x80',
    },
    fires: null,
  },
  {
    alert: 'SerinServiceFails',
    series: { [requests('stable', '200')]: '0+9x80', [requests('stable', '503')]: '0+1x80' },
    fires: { service: 'notes', severity: 'critical' },
  },
  {
    alert: 'SerinFlips',
    series: { 'serin_flips_total{service="notes",instance="a"}': '0x70 1x10' },
    fires: { service: 'notes', severity: 'warning' },
  },
  {
    alert: 'SerinFlips',
    series: { 'serin_flips_total{service="notes",instance="a"}': '0x80' },
    fires: null,
  },
  {
    alert: 'SerinEndpointsFail',
    series: {
      'serin_upstream_results_total{service="notes",variant="canary",outcome="ok"}': '0+9x80',
      'serin_upstream_results_total{service="notes",variant="canary",outcome="reset"}': '0+1x80',
      'serin_upstream_results_total{service="notes",variant="stable",outcome="ok"}': '0+9x80',
      'serin_upstream_results_total{service="notes",variant="stable",outcome="client_gone"}': '0+9x80',
    },
    fires: { service: 'notes', variant: 'canary', severity: 'warning' },
  },
  {
    alert: 'SerinWorkerBehind',
    series: {
      'serin_worker_revision{worker="0",instance="a"}': '7x80',
      'serin_worker_revision{worker="1",instance="a"}': '6x80',
      'serin_revision{instance="a"}': '7x80',
      'serin_worker_revision{worker="0",instance="b"}': '7x80',
      'serin_revision{instance="b"}': '7x80',
    },
    fires: { instance: 'a', severity: 'critical' },
  },
  {
    alert: 'SerinWorkerHangs',
    series: { 'serin_worker_heartbeat_age_seconds{worker="1",instance="a"}': '11x80' },
    fires: { instance: 'a', worker: '1', severity: 'critical' },
  },
  {
    alert: 'SerinStoreUnavailable',
    series: {
      'serin_store_available{instance="a"}': '1x80',
      'serin_store_write_errors_total{instance="a"}': '0x74 1+0x6',
    },
    fires: { instance: 'a', severity: 'critical' },
  },
  {
    // Time begins at 0 in promtool: the rollout started eight days before that.
    alert: 'SerinRolloutForgotten',
    series: {
      'serin_rollout_start_timestamp_seconds{service="notes"}': '-691200x80',
      'serin_rollout_phase{service="notes",phase="idle"}': '1x80',
      'serin_rollout_phase{service="notes",phase="paused"}': '0x80',
    },
    fires: null,
  },
];

/** Counts something in every metric that has a series only then. */
function countSomething(): void {
  const { blocks } = source.serviceList[0]!;
  blocks[0]!.request(1, 200, 0.012);
  blocks[1]!.request(0, 418, 99);
  blocks[1]!.upstreamResult(1, 3, 0.5);
  blocks[0]!.decision(7, 2);
  source.workerList[0]!.counters.heartbeat(source.clock - 1500);
  source.control.configurationTaken(source.clock);
  source.control.configurationRefused(source.clock);
}

async function get(path: string): Promise<unknown> {
  const response = await fetch(api + path);
  const { status, data, error } = (await response.json()) as {
    status: string;
    data: unknown;
    error?: string;
  };
  assert.equal(status, 'success', `${decodeURIComponent(path)}: ${error}`);
  return data;
}

async function query(expression: string): Promise<Sample[]> {
  const { result } = (await get(`/api/v1/query?query=${encodeURIComponent(expression)}`)) as {
    result: Sample[];
  };
  return result;
}

/** The key that `parseSeries` gives to a series, without the labels that the scrape added. */
function keyOf({
  __name__: name,
  instance: _instance,
  job: _job,
  ...labels
}: Record<string, string>): string {
  const pairs = Object.entries(labels).map(
    ([label, value]) => `${label}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`,
  );
  return pairs.length === 0 ? name! : `${name}{${pairs.sort().join(',')}}`;
}

async function listeningAddress(child: ChildProcess): Promise<string> {
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stderr! })) {
    lines.push(line);
    const address = /msg="?Listening on"? address=(\S+)/.exec(line)?.[1];
    if (address === undefined) continue;
    // Nobody reads on, and a full pipe would stop it.
    child.stderr!.resume();
    return `http://${address}`;
  }
  throw new Error(`Prometheus ended:\n${lines.join('\n')}`);
}

/** Runs a tool that must succeed and, being a linter, must have nothing to say. */
async function tool(command: string, parameters: readonly string[], input: string): Promise<void> {
  const output = await new Promise<string>((resolve, reject) => {
    const child = execFile(command, parameters, (error, stdout, stderr) => {
      if (error === null) resolve(stderr);
      else if (error.code === 'ENOENT') {
        reject(
          new Error(
            `this test needs ${command}: install the Debian package prometheus (apt-get install prometheus)`,
          ),
        );
      } else reject(new Error(`${command} ${parameters.join(' ')}:\n${stdout}${stderr}`));
    });
    child.stdin!.end(input);
  });
  if (parameters[0] === 'check') assert.equal(output.trim(), '');
}
