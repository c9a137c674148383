/** Outcomes as Markdown: the goals first, then a table for each scenario. */
import { GOALS, reached } from './goals.ts';
import type { ContenderOutcome, Outcomes, ScenarioOutcome } from './outcome.ts';
import { table } from './results.ts';
import type { Spread } from './statistics.ts';

const number = (value: number) => value.toFixed(value < 10 ? 2 : value < 1000 ? 1 : 0);
const ratio = ({ median, min, max }: Spread) => `${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`;
const range = ({ min, max }: Spread) => `${min.toFixed(2)}–${max.toFixed(2)}`;

/** Below this share of its cores, the load and not the proxy set the pace. */
const SATURATED = 0.95;

function goalTable(outcomes: Outcomes): string {
  const rows = GOALS.flatMap((goal) => {
    const figure = goal.figure(outcomes);
    if (figure === undefined || Number.isNaN(figure)) return [];
    const sign = goal.direction === 'most' ? '≤' : '≥';
    const limit = `${sign} ${goal.limit.toFixed(2)}${goal.unit}`;
    return [[goal.what, limit, `${figure.toFixed(2)}${goal.unit}`, reached(goal, figure) ? 'yes' : 'no']];
  });
  return table([['what', 'goal', 'measured', 'reached'], ...rows]);
}

function cpuTable(scenario: ScenarioOutcome): string {
  const contenders = Object.values(scenario.contenders);
  const idle = contenders.some((one) => one.idle !== undefined);
  const reference = scenario.contenders[scenario.reference];
  const head = [
    'proxy',
    'CPU µs/request',
    'user',
    'kernel',
    `ratio to ${reference?.title ?? scenario.reference}`,
    'spread',
    'requests/s',
    'memory MiB',
    ...(idle ? ['KiB/connection'] : []),
    'failed',
  ];
  const row = (one: ContenderOutcome) => [
    one.title,
    number(one.cpu),
    number(one.user),
    number(one.kernel),
    one.ratio.median.toFixed(2),
    range(one.ratio),
    `${!idle && one.busy < SATURATED ? '≥ ' : ''}${one.perSecond.toFixed(0)}`,
    one.memoryMiB.toFixed(0),
    ...(idle ? [((one.idle?.bytesEach ?? 0) / 1024).toFixed(1)] : []),
    one.failed === 0 ? '0' : `**${one.failed}**`,
  ];
  return table([head, ...contenders.map(row)]);
}

function latencyTable({ contenders, direct }: ScenarioOutcome): string[] {
  if (direct === undefined) return [];
  const head = [
    'proxy',
    'p50 µs',
    'p99 µs',
    'p99.9 µs',
    'p50 ratio (spread)',
    'p99 ratio (spread)',
    'added p50 ratio (spread)',
    'added p99 ratio (spread)',
  ];
  const rows = Object.values(contenders).flatMap(({ title, latency }) =>
    latency === undefined
      ? []
      : [
          [
            title,
            ...[latency.p50, latency.p99, latency.p999].map((time) => time.toFixed(0)),
            ...[latency.p50Ratio, latency.p99Ratio, latency.addedP50Ratio, latency.addedP99Ratio].map((one) =>
              ratio(one),
            ),
          ],
        ],
  );
  const own = [direct.p50, direct.p99, direct.p999].map((time) => time.toFixed(0));
  return [
    `Latency at ${direct.rate} requests/s, open-loop, counted from when a request was due; «added» is what is over the path without a proxy:`,
    table([head, ...rows, ['(without a proxy)', ...own, '', '', '', '']]),
  ];
}

/** What a reader must know to trust the figures, or not to. */
function remarks(scenario: ScenarioOutcome): string[] {
  const failed = Object.values(scenario.contenders).filter((one) => one.failed > 0);
  const paced = Object.values(scenario.contenders).some(
    (one) => one.idle === undefined && one.busy < SATURATED,
  );
  return [
    ...scenario.absent,
    ...failed.map((one) => `**${one.title}: ${one.failed} of ${one.requests} requests failed.**`),
    ...(paced ? ['≥: the load, not the proxy, set the pace.'] : []),
    ...(scenario.direct !== undefined && scenario.direct.late > 0
      ? [`The generator sent at most ${scenario.direct.late.toFixed(0)} µs late (p99 of the worst round).`]
      : []),
    ...(scenario.disturbed > 0.05
      ? [
          `Something else used ${(scenario.disturbed * 100).toFixed(0)} % of the proxy's core: measure again on a quiet machine.`,
        ]
      : []),
    `${scenario.rounds} rounds of ${scenario.seconds} s${scenario.quick ? ', quick' : ''}, ${scenario.at.slice(0, 10)}.`,
  ];
}

function section(scenario: ScenarioOutcome): string {
  return [
    `### ${scenario.title}`,
    scenario.about,
    cpuTable(scenario),
    ...latencyTable(scenario),
    remarks(scenario)
      .map((one) => `- ${one}`)
      .join('\n'),
  ].join('\n\n');
}

/** The whole report. `notes` come before everything. */
export function report(outcomes: Outcomes, notes: readonly string[]): string {
  return [
    notes.map((note) => `- ${note}`).join('\n'),
    '![CPU per request of Serin and other proxies](results.svg)',
    '### Goals',
    goalTable(outcomes),
    ...Object.values(outcomes).map((scenario) => section(scenario)),
  ].join('\n\n');
}
