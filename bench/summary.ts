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
  /** Whether latency is measured where a scenario has it. */
  readonly latency: boolean;
}

/** The samples of a contender by round; a hole where it was not measured. */
export type Rounds = (Sample | undefined)[];

function titleOf(runner: Runner): string {
  const { peer, contender } = runner;
  return contender.note === undefined ? peer.title : `${peer.title}, ${contender.note}`;
}

type Figure = (one: Sample) => number;

/** A contender's figures from its samples; ratios are taken round by round. */
export function summarise(runner: Runner, rounds: Rounds, reference: Rounds): ContenderOutcome {
  const samples = rounds.filter((one) => one !== undefined);
  const of = (pick: Figure) => median(samples.map((one) => pick(one)));
  const ratio = (pick: Figure) =>
    spread(
      rounds.flatMap((one, round) => {
        const other = reference[round];
        return one === undefined || other === undefined ? [] : [pick(one) / pick(other)];
      }),
    );
  const cpu: Figure = ({ user, kernel }) => user + kernel;
  const perSecond: Figure = (one) => one.perSecond;
  const memory: Figure = (one) => one.memory / 2 ** 20;
  return {
    title: titleOf(runner),
    peer: runner.peer.name,
    cpu: of(cpu),
    user: of(({ user }) => user),
    kernel: of(({ kernel }) => kernel),
    ratio: ratio(cpu),
    perSecond: of(perSecond),
    perSecondRatio: ratio(perSecond),
    busy: of(({ busy }) => busy),
    memoryMiB: of(memory),
    memoryRatio: ratio(memory),
    requests: samples.reduce((sum, { requests }) => sum + requests, 0),
    failed: samples.reduce((sum, { failed }) => sum + failed, 0),
    rounds: samples.map((one) => cpu(one)),
  };
}

export function outcomeOf(
  scenario: Scenario,
  effort: Effort,
  rest: Pick<ScenarioOutcome, 'contenders' | 'disturbed' | 'absent' | 'direct'>,
): ScenarioOutcome {
  const { title, about, reference } = scenario;
  const { quick, rounds, seconds } = effort;
  return { title, about, at: new Date().toISOString(), quick, rounds, seconds, reference, ...rest };
}
