/**
 * Latency at one rate for all, open-loop: requests are due at moments that do not wait for answers, and each counts from
 * when it was due. The path without a proxy is measured in the same rounds: it is what generator and origin cost, and
 * the error that all the figures share.
 */
import type { Bench, Runner } from './field.ts';
import type { DirectOutcome, LatencyOutcome } from './outcome.ts';
import { loadOptions, sample, type Sample } from './sample.ts';
import type { Scenario } from './scenario.ts';
import { median, rotated, spread } from './statistics.ts';
import type { Effort } from './summary.ts';

export interface Latencies {
  readonly direct: DirectOutcome;
  readonly latencies: ReadonlyMap<string, LatencyOutcome>;
}

/** Rates are comparable between runs when they are round. */
function roundRate(rate: number): number {
  return rate > 2_000 ? Math.round(rate / 500) * 500 : Math.max(1, Math.round(rate / 50) * 50);
}

/** A runner that is the origin itself. */
function directRunner(bench: Bench, like: Runner): Runner {
  const { origins } = bench;
  return {
    ...like,
    contender: { name: 'direct', peer: like.contender.peer },
    peer: { ...like.peer, title: 'without a proxy', port: origins.stable, pids: () => [origins.pid] },
  };
}

export async function measureLatency(
  bench: Bench,
  scenario: Scenario,
  runners: readonly Runner[],
  wanted: number,
  effort: Effort,
): Promise<Latencies> {
  const rate = roundRate(wanted);
  const all = [...runners, directRunner(bench, runners[0] as Runner)];
  const samples = new Map<string, Sample[]>(all.map(({ contender }) => [contender.name, []]));
  for (let round = 0; round < Math.min(effort.rounds, 5); round++) {
    for (const runner of rotated(all, round)) {
      const one = await sample(runner, { ...loadOptions(bench, runner, effort.seconds), rate });
      samples.get(runner.contender.name)?.push(one);
    }
  }
  const of = (name: string, key: 'p50' | 'p99' | 'p999') =>
    (samples.get(name) ?? []).map(({ latency }) => latency[key]);
  const ratio = (name: string, key: 'p50' | 'p99' | 'p999') => {
    const reference = of(scenario.reference, key);
    return spread(of(name, key).map((own, round) => own / (reference[round] as number)));
  };
  const added = (name: string, key: 'p50' | 'p99') => {
    const reference = of(scenario.reference, key);
    const direct = of('direct', key);
    const over = (time: number, round: number) => Math.max(1, time - (direct[round] as number));
    return spread(
      of(name, key).map((own, round) => over(own, round) / over(reference[round] as number, round)),
    );
  };
  const outcome = (name: string): LatencyOutcome => ({
    p50: median(of(name, 'p50')),
    p99: median(of(name, 'p99')),
    p999: median(of(name, 'p999')),
    p50Ratio: ratio(name, 'p50'),
    p99Ratio: ratio(name, 'p99'),
    p999Ratio: ratio(name, 'p999'),
    addedP50Ratio: added(name, 'p50'),
    addedP99Ratio: added(name, 'p99'),
    failed: (samples.get(name) ?? []).reduce((sum, { failed }) => sum + failed, 0),
  });
  const every = [...samples.values()].flat();
  const late = Math.max(...every.map((one) => one.late));
  const loadBusy = Math.max(...every.map((one) => one.loadBusy));
  const { p50, p99, p999 } = outcome('direct');
  return {
    direct: { rate, p50, p99, p999, late, loadBusy },
    latencies: new Map(runners.map(({ contender: { name } }) => [name, outcome(name)])),
  };
}
