/** The regression check compares ratios with wide bounds, and says when it cannot tell. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ContenderOutcome, Outcomes, ScenarioOutcome } from '../../../bench/outcome.ts';
import { compare } from '../../../bench/regression.ts';

function contender(peer: string, cpu: number, ratio: number, more: Partial<ContenderOutcome> = {}) {
  return {
    title: peer,
    peer,
    cpu,
    user: cpu / 2,
    kernel: cpu / 2,
    ratio: { median: ratio, min: ratio * 0.9, max: ratio * 1.1 },
    perSecond: 1000,
    perSecondRatio: { median: 1, min: 1, max: 1 },
    busy: 1,
    memoryMiB: 10,
    memoryRatio: { median: 1, min: 1, max: 1 },
    requests: 100,
    failed: 0,
    rounds: [cpu],
    ...more,
  };
}

/** A run in which Serin needs `ratio` times HAProxy's CPU; `pace` is how slow the machine is. */
function outcomes(ratio: number, pace = 1, more: Partial<ScenarioOutcome> = {}, bytesEach = 6000): Outcomes {
  const idle = (bytes: number) => ({ idle: { connections: 1000, bytesEach: bytes } });
  const scenario: ScenarioOutcome = {
    title: 'small',
    about: 'small answers',
    at: '2026-01-01T00:00:00Z',
    quick: true,
    rounds: 2,
    seconds: 1,
    reference: 'haproxy',
    contenders: {
      serin: contender('serin', 20 * ratio * pace, ratio, idle(bytesEach)),
      haproxy: contender('haproxy', 20 * pace, 1, idle(1000)),
    },
    disturbed: 0,
    absent: [],
    ...more,
  };
  return { small: scenario };
}

test('the same ratios on a machine of half the speed are no step back', () => {
  assert.deepEqual(compare(outcomes(1), outcomes(1, 2)), { worse: [], unsure: [], compared: 2 });
});

test('a ratio within the bound passes, one beyond it is named with both figures', () => {
  assert.deepEqual(compare(outcomes(1), outcomes(1.6)).worse, []);
  const { worse } = compare(outcomes(1), outcomes(1.8));
  assert.equal(worse.length, 1);
  assert.match(worse[0] ?? '', /^small, CPU of serin: 1\.62 × haproxy, and 1\.00 × is stored; up to 1\.50 ×/);
});

test('memory of a connection is compared as a ratio too', () => {
  const { worse } = compare(outcomes(1), outcomes(1, 1, {}, 9100));
  assert.match(worse[0] ?? '', /^small, memory of a connection of serin: 9\.10 ×/);
});

test('a disturbed scenario is not judged', () => {
  const verdict = compare(outcomes(1), outcomes(3, 1, { disturbed: 0.5 }));
  assert.deepEqual(verdict.worse, []);
  assert.deepEqual(verdict.unsure, ["small: something else used 50 % of the proxy's core"]);
  assert.equal(verdict.compared, 0);
});

test('failed requests are a step back, whatever is stored', () => {
  const failing = outcomes(1);
  const scenario = failing['small'] as ScenarioOutcome;
  const serin = contender('serin', 20, 1, { failed: 3 });
  const fresh = { small: { ...scenario, contenders: { ...scenario.contenders, serin } } };
  assert.deepEqual(compare({}, fresh).worse, ['small: 3 of 100 requests to serin failed']);
});
