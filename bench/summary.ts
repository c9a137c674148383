/** From the samples of a scenario to its outcome. */
import type { Runner } from './field.ts';
import type { ContenderOutcome, ScenarioOutcome } from './outcome.ts';
import type { Sample } from './sample.ts';
import type { Scenario } from './scenario.ts';
import { median, spread } from './statistics.ts';

export interface Effort {
  readonly quick: boolean;
  readonly rounds: number;
  /** Of one measurement. */
  readonly seconds: number;
}

/** The samples of a contender by round; a hole where it was not measured. */
export type Rounds = (Sample | undefined)[];

function titleOf(runner: Runner): string {
  const { peer, contender } = runner;
  return contender.note === undefined ? peer.title : `${peer.title}, ${contender.note}`;
}

/** A contender's figures from its samples. */
export function summarise(
  runner: Runner,
  rounds: Rounds,
  reference: Rounds,
  memory: number,
): ContenderOutcome {
  const samples = rounds.filter((one) => one !== undefined);
  const total = (one: Sample) => one.user + one.kernel;
  const ratios = rounds.flatMap((one, round) => {
    const other = reference[round];
    return one === undefined || other === undefined ? [] : [total(one) / total(other)];
  });
  const of = (pick: (one: Sample) => number) => median(samples.map((one) => pick(one)));
  return {
    title: titleOf(runner),
    peer: runner.peer.name,
    cpu: of(total),
    user: of(({ user }) => user),
    kernel: of(({ kernel }) => kernel),
    ratio: spread(ratios),
    perSecond: of(({ perSecond }) => perSecond),
    busy: of(({ busy }) => busy),
    memoryMiB: memory / 2 ** 20,
    requests: samples.reduce((sum, { requests }) => sum + requests, 0),
    failed: samples.reduce((sum, { failed }) => sum + failed, 0),
    rounds: samples.map((one) => total(one)),
  };
}

export function outcomeOf(
  scenario: Scenario,
  effort: Effort,
  rest: Pick<ScenarioOutcome, 'contenders' | 'disturbed' | 'absent' | 'direct'>,
): ScenarioOutcome {
  const { title, about, reference } = scenario;
  return { title, about, at: new Date().toISOString(), ...effort, reference, ...rest };
}
