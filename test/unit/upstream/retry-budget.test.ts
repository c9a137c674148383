import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { RetryBudget } from '../../../src/upstream/retry-budget.ts';

const NONE_FREE = { share: 0.2, minPerSecond: 0 };

function takes(budget: RetryBudget, settings: typeof NONE_FREE, most = 10_000): number {
  let taken = 0;
  while (taken < most && budget.take(settings)) taken += 1;
  return taken;
}

test('a fifth of the requests may be retried', () => {
  const budget = new RetryBudget();
  budget.tick(0);
  assert.equal(takes(budget, NONE_FREE), 0);
  budget.requests += 100;
  assert.equal(takes(budget, NONE_FREE), 20);
  budget.tick(250);
  assert.equal(takes(budget, NONE_FREE), 0);
  budget.requests += 5;
  assert.equal(takes(budget, NONE_FREE), 1);
});

test('low traffic may retry as well', () => {
  const budget = new RetryBudget();
  budget.requests += 1;
  assert.equal(takes(budget, { share: 0.2, minPerSecond: 10 }), 100);
});

test('after ten seconds everything is forgotten, requests and retries', () => {
  const budget = new RetryBudget();
  budget.tick(0);
  budget.requests += 100;
  assert.equal(takes(budget, NONE_FREE), 20);
  for (let now = 250; now <= 9_750; now += 250) budget.tick(now);
  assert.equal(takes(budget, NONE_FREE), 0);
  budget.tick(10_250);
  budget.requests += 10;
  assert.equal(takes(budget, NONE_FREE), 2);
});

test('a worker that was held up for long starts anew', () => {
  const budget = new RetryBudget();
  budget.tick(0);
  budget.requests += 100;
  budget.tick(3_600_000);
  assert.equal(takes(budget, NONE_FREE), 0);
});

test('whenever a retry is taken, those of the window are at most the share of its requests and what is free', () => {
  const step = fc.record({
    wait: fc.constantFrom(0, 100, 250, 251, 4000),
    requests: fc.nat(50),
    retries: fc.nat(50),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), fc.integer({ min: 0, max: 3 }), (steps, minPerSecond) => {
      const settings = { share: 0.2, minPerSecond };
      const budget = new RetryBudget();
      budget.tick(0);
      let now = 0;
      const events: { at: number; requests: number; retries: number }[] = [];
      for (const { wait, requests, retries } of steps) {
        budget.tick((now += wait));
        budget.requests += requests;
        const taken = takes(budget, settings, retries);
        events.push({ at: now, requests, retries: taken });
        const sum = (field: 'requests' | 'retries', since: number): number =>
          events.filter(({ at }) => at > since).reduce((total, event) => total + event[field], 0);
        if (taken === 0) continue;
        // A slot is a quarter of a second wide: retries of the shorter window, requests of the longer one.
        assert.ok(
          sum('retries', now - 9500) <= 0.2 * sum('requests', now - 10_250) + minPerSecond * 10 + 1e-9,
        );
      }
    }),
  );
});
