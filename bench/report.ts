/** Outcomes as Markdown: the goals first, then a table for each scenario. */
import { GOALS, reached } from './goals.ts';
import type { ContenderOutcome, Outcomes, ScenarioOutcome } from './outcome.ts';
import { table } from './results.ts';
import type { Spread } from './statistics.ts';

const number = (value: number) => value.toFixed(value < 10 ? 2 : value < 1000 ? 1 : 0);
const percent = (share: number) => `${(share * 100).toFixed(0)} %`;
const ratio = ({ median, min, max }: Spread) => `${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`;

/** Below this share of its cores, the load and not the proxy set the pace. */
const SATURATED = 0.95;

function goalTable(outcomes: Outcomes): string {
  const rows = GOALS.flatMap((goal) => {
    const figure = goal.figure(outcomes);
    if (figure === undefined || Number.isNaN(figure)) return [];
    const sign = goal.direction === 'most' ? '≤' : '≥';
    const limit = `${sign} ${goal.limit.toFixed(2)}${goal.unit}`;
    const verdict = { true: 'yes', false: 'no', null: 'disturbed' }[`${reached(goal, figure, outcomes)}`];
    return [[goal.what, limit, `${figure.toFixed(2)}${goal.unit}`, verdict]];
  });
  return table([['what', 'goal', 'measured', 'reached'], ...rows]);
}

function cpuTable(scenario: ScenarioOutcome): string {
  const contenders = Object.values(scenario.contenders);
  const idle = contenders.some((one) => one.idle !== undefined);
  const head = [
    'proxy',
    'CPU µs/request',
    'user',
    'kernel',
    'ratio (spread)',
    'requests/s',
    'ratio (spread)',
    'memory MiB',
    'ratio (spread)',
    ...(idle ? ['KiB/connection'] : []),
    'failed',
  ];
  const row = (one: ContenderOutcome) => [
    one.title,
    number(one.cpu),
    number(one.user),
    number(one.kernel),
    ratio(one.ratio),
    `${!idle && one.busy < SATURATED ? '≥ ' : ''}${one.perSecond.toFixed(0)}`,
    ratio(one.perSecondRatio),
    one.memoryMiB.toFixed(0),
    ratio(one.memoryRatio),
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
    'ratio (spread)',
    'p99 µs',
    'ratio (spread)',
    'p99.9 µs',
    'ratio (spread)',
  ];
  const added = ['added p50, ratio (spread)', 'added p99, ratio (spread)'];
  const rows = Object.values(contenders).flatMap(({ title, latency: one }) => {
    if (one === undefined) return [];
    const of = (time: number, spread: Spread) => [time.toFixed(0), ratio(spread)];
    return [
      [
        title,
        ...of(one.p50, one.p50Ratio),
        ...of(one.p99, one.p99Ratio),
        ...of(one.p999, one.p999Ratio),
        ratio(one.addedP50Ratio),
        ratio(one.addedP99Ratio),
      ],
    ];
  });
  const own = [direct.p50, direct.p99, direct.p999].flatMap((time) => [time.toFixed(0), '']);
  return [
    `Latency at ${direct.rate} requests/s, open-loop, counted from when a request was due; «added» is what is over the path without a proxy:`,
    table([[...head, ...added], ...rows, ['(without a proxy)', ...own, '', '']]),
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
    ...(scenario.direct === undefined
      ? []
      : [
          `At that rate the core of generator and origin was at most ${percent(scenario.direct.loadBusy)} busy, and the generator sent at most ${scenario.direct.late.toFixed(0)} µs late (p99 of the worst round).`,
        ]),
    ...(scenario.disturbed > 0.05
      ? [
          `Something else used ${percent(scenario.disturbed)} of the proxy's core: measure again on a quiet machine.`,
        ]
      : []),
    `Ratios are to ${scenario.contenders[scenario.reference]?.title ?? scenario.reference}.`,
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
