/**
 * Compares fresh outcomes with stored ones: ratios only, so that another machine may check them, and wide bounds, so that
 * only a real step back shows.
 */
import { DISTURBED } from './goals.ts';
import type { ContenderOutcome, Outcomes, ScenarioOutcome } from './outcome.ts';

/** A ratio may be so many times the stored one. */
const BOUND = 1.5;

export interface Verdict {
  /** One line for each step back or failure. */
  readonly worse: string[];
  /** One line for each scenario that could not be judged. */
  readonly unsure: string[];
  readonly compared: number;
}

interface Figure {
  readonly what: string;
  readonly fresh: number;
  readonly stored: number;
}

/** Memory of a connection to the reference's. */
function memoryRatio(scenario: ScenarioOutcome, one: ContenderOutcome): number | undefined {
  const reference = scenario.contenders[scenario.reference]?.idle?.bytesEach;
  return one.idle === undefined || reference === undefined || reference <= 0
    ? undefined
    : one.idle.bytesEach / reference;
}

function figures(name: string, stored: ScenarioOutcome, fresh: ScenarioOutcome): Figure[] {
  return Object.entries(fresh.contenders).flatMap(([contender, one]): Figure[] => {
    const before = stored.contenders[contender];
    if (one.peer !== 'serin' || contender === fresh.reference || before === undefined) return [];
    const memory = memoryRatio(fresh, one);
    const memoryBefore = memoryRatio(stored, before);
    return [
      // The best round: what got slower is slower in each, what was disturbed is not.
      { what: `${name}, CPU of ${one.title}`, fresh: one.ratio.min, stored: before.ratio.median },
      ...(memory === undefined || memoryBefore === undefined
        ? []
        : [{ what: `${name}, memory of a connection of ${one.title}`, fresh: memory, stored: memoryBefore }]),
    ];
  });
}

/** Judges fresh outcomes by stored ones; scenarios that only one of them has are passed over. */
export function compare(stored: Outcomes, fresh: Outcomes): Verdict {
  const worse: string[] = [];
  const unsure: string[] = [];
  let compared = 0;
  for (const [name, outcome] of Object.entries(fresh)) {
    for (const { title, failed, requests } of Object.values(outcome.contenders)) {
      if (failed > 0) worse.push(`${name}: ${failed} of ${requests} requests to ${title} failed`);
    }
    const before = stored[name];
    if (before === undefined) continue;
    if (outcome.disturbed > DISTURBED) {
      unsure.push(
        `${name}: something else used ${(outcome.disturbed * 100).toFixed(0)} % of the proxy's core`,
      );
      continue;
    }
    for (const { what, fresh: now, stored: then } of figures(name, before, outcome)) {
      compared += 1;
      if (now <= then * BOUND) continue;
      const reference = outcome.contenders[outcome.reference]?.title ?? outcome.reference;
      worse.push(
        `${what}: ${now.toFixed(2)} × ${reference}, and ${then.toFixed(2)} × is stored; up to ${(then * BOUND).toFixed(2)} × would pass`,
      );
    }
  }
  return { worse, unsure, compared };
}
