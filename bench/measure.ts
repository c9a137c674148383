/**
 * Measures a scenario: starts its field, warms it up, and takes interleaved rounds, so that whatever changes on the machine
 * meanwhile meets everybody.
 */
import { startField, type Bench, type Field, type Runner } from './field.ts';
import { measureIdle } from './idle.ts';
import { measureLatency } from './latency.ts';
import type { ContenderOutcome, ScenarioOutcome } from './outcome.ts';
import { loadOptions, sample } from './sample.ts';
import { LEADERS, OTHERS, type Scenario } from './scenario.ts';
import { median, rotated } from './statistics.ts';
import { outcomeOf, summarise, type Effort, type Rounds } from './summary.ts';

/** Rounds of those that are several times slower: what they differ by shows in a few. */
const BRIEF = 3;

const isBrief = ({ contender }: Runner) => OTHERS.includes(contender.peer);

async function rounds(bench: Bench, field: Field, effort: Effort): Promise<Map<Runner, Rounds>> {
  const samples = new Map<Runner, Rounds>(field.runners.map((runner) => [runner, []]));
  for (const runner of field.runners) {
    await sample(runner, loadOptions(bench, runner, effort.quick ? 0.5 : 2));
  }
  for (let round = 0; round < effort.rounds; round++) {
    for (const runner of rotated(field.runners, round)) {
      if (round >= (effort.quick ? 1 : BRIEF) && isBrief(runner)) continue;
      const list = samples.get(runner) as Rounds;
      list[round] = await sample(runner, loadOptions(bench, runner, effort.seconds));
    }
  }
  return samples;
}

async function measureBusy(bench: Bench, scenario: Scenario, effort: Effort): Promise<ScenarioOutcome> {
  const field = await startField(bench, scenario);
  try {
    const samples = await rounds(bench, field, effort);
    const referee = field.runners.find(({ contender }) => contender.name === scenario.reference);
    const reference = (referee === undefined ? undefined : samples.get(referee)) ?? [];
    const contenders: Record<string, ContenderOutcome> = {};
    for (const [runner, list] of samples) {
      contenders[runner.contender.name] = summarise(runner, list, reference);
    }
    const all = [...samples.values()].map((list) => median(list.map((one) => one?.disturbed ?? 0)));
    const paced = field.runners.filter(({ contender }) => LEADERS.includes(contender.peer));
    if (scenario.latency !== true || !effort.latency || paced.length === 0)
      return outcomeOf(scenario, effort, { contenders, disturbed: Math.max(...all), absent: field.absent });
    const slowest = Math.min(...paced.map((one) => contenders[one.contender.name]?.perSecond ?? Infinity));
    const { direct, latencies } = await measureLatency(bench, scenario, paced, slowest / 2, effort);
    for (const [name, latency] of latencies) {
      const one = contenders[name] as ContenderOutcome;
      contenders[name] = { ...one, failed: one.failed + latency.failed, latency };
    }
    return outcomeOf(scenario, effort, {
      contenders,
      direct,
      disturbed: Math.max(...all),
      absent: field.absent,
    });
  } finally {
    await field.stop();
  }
}

export function measure(bench: Bench, scenario: Scenario, effort: Effort): Promise<ScenarioOutcome> {
  return scenario.idle === undefined
    ? measureBusy(bench, scenario, effort)
    : measureIdle(bench, scenario, scenario.idle, effort);
}
