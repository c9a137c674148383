/**
 * Measures many connections that are mostly idle: the memory that each costs the proxy, and CPU per request while a few of
 * them are used. Each round has a proxy that was started for it and has carried load, so that what a first load costs
 * it is not booked on the connections.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { residentMemory } from './cpu.ts';
import { enter, entrants, NO_COOKIES, type Bench, type Runner } from './field.ts';
import type { ContenderOutcome, ScenarioOutcome } from './outcome.ts';
import { loadOptions, sample } from './sample.ts';
import type { Contender, Scenario } from './scenario.ts';
import { median, rotated } from './statistics.ts';
import { outcomeOf, summarise, type Effort, type Rounds } from './summary.ts';

const RATE = 2_000;
const ACTIVE = 100;
/** Milliseconds in which a proxy comes to rest, and its runtime may collect. */
const REST = 1_000;
/** Seconds of load at least: there are few requests in each. */
const LEAST = 2;

interface Kept {
  readonly runner: Runner;
  readonly rounds: Rounds;
  readonly bytesEach: number[];
}

async function round(
  bench: Bench,
  runner: Runner,
  connections: number,
  effort: Effort,
  kept: Kept,
): Promise<void> {
  await sample(runner, loadOptions(bench, runner, 1));
  await delay(REST);
  const pids = runner.peer.pids();
  const before = residentMemory(pids);
  const options = {
    ...loadOptions(bench, runner, Math.max(effort.seconds, LEAST)),
    connections,
    warm: true,
    active: ACTIVE,
    rate: RATE,
  };
  const one = await sample(runner, options, async () => {
    await delay(REST);
    kept.bytesEach.push((residentMemory(pids) - before) / connections);
  });
  kept.rounds.push(one);
}

export async function measureIdle(
  bench: Bench,
  scenario: Scenario,
  connections: number,
  effort: Effort,
): Promise<ScenarioOutcome> {
  const { can, absent } = entrants(bench, scenario);
  const all = new Map<Contender, Kept>();
  const rounds = Math.min(effort.rounds, effort.quick ? 1 : 3);
  for (let index = 0; index < rounds; index++) {
    for (const contender of rotated(can, index)) {
      const { runner } = await enter(bench, scenario, contender, NO_COOKIES);
      const kept = all.get(contender) ?? { runner, rounds: [], bytesEach: [] };
      all.set(contender, kept);
      try {
        await round(bench, runner, connections, effort, kept);
      } finally {
        await runner.peer.stop();
      }
    }
  }
  const reference = [...all].find(([{ name }]) => name === scenario.reference)?.[1].rounds ?? [];
  const contenders: Record<string, ContenderOutcome> = {};
  for (const contender of can) {
    const { runner, rounds: own, bytesEach } = all.get(contender) as Kept;
    contenders[contender.name] = {
      ...summarise(runner, own, reference),
      idle: { connections, bytesEach: median(bytesEach) },
    };
  }
  const disturbed = Math.max(
    ...[...all.values()].map((kept) => median(kept.rounds.map((one) => one?.disturbed ?? 0))),
  );
  const made = { ...effort, rounds, seconds: Math.max(effort.seconds, LEAST) };
  return outcomeOf(scenario, made, { contenders, disturbed, absent });
}
