/** Retries and fallbacks are counted when they are made, not when they were meant to be. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Attempts } from '../../../src/proxy/exchange/attempts.ts';
import type { ServiceRoute } from '../../../src/proxy/routing.ts';
import type { WorkerContext } from '../../../src/proxy/worker-context.ts';
import { SERVICE_SLOT } from '../../../src/telemetry/counters.ts';
import type { UpstreamHandler } from '../../../src/upstream/connection.ts';
import { RetryBudget } from '../../../src/upstream/retry-budget.ts';
import { newServiceCounters } from '../telemetry/fake-source.ts';

interface Variant {
  /** Endpoints that are left to ask. */
  left: number;
  full: boolean;
  readonly budget: RetryBudget;
}

function setUp(endpoints: readonly [number, number], minPerSecond = 1) {
  const counters = newServiceCounters();
  const variants = endpoints.map((left): Variant => ({ left, full: false, budget: new RetryBudget() }));
  const upstreams = variants.map((variant) => ({
    pick: () => (variant.left > 0 ? endpoint() : null),
    hasOther: () => variant.left > 0,
    get limitsRequests() {
      return variant.full;
    },
    limitsPending: false,
    limits: {},
    circuit: { takeRequest: () => false, takeConnection: () => true },
    settings: { retryBudget: { share: 0, minPerSecond } },
    budget: variant.budget,
    failed: () => false,
  }));
  const endpoint = () => ({
    name: 'e',
    inFlight: 0,
    takeIdle: () => ({ destroy() {}, reused: false }),
    observeAtLeast() {},
  });
  const route = { name: 'notes', counters, upstreams } as unknown as ServiceRoute;
  const context = { random: () => 0, now: () => 0, warn() {} } as unknown as WorkerContext;
  const attempts = new Attempts({} as UpstreamHandler, context);
  attempts.reset();
  const count = (slot: 'retries' | 'retriesRefused' | 'fallbacks'): number =>
    counters.slots[SERVICE_SLOT[slot]]! + counters.slots[SERVICE_SLOT[slot] + 1]!;
  const fail = (): void => {
    attempts.broken('upstream_reset');
  };
  return { attempts, route, variants, count, fail };
}

test('a retry at another endpoint counts once it is made', () => {
  const { attempts, route, count, fail } = setUp([2, 0]);
  assert.equal(attempts.next(route, 0, 0), 'ready');
  fail();
  assert.equal(attempts.mayRetry(2), true);
  assert.equal(count('retries'), 0);
  assert.equal(attempts.next(route, 0, 0), 'ready');
  assert.equal(count('retries'), 1);
});

test('where no endpoint is left there is no retry, and none is refused either', () => {
  const { attempts, route, variants, count, fail } = setUp([1, 0]);
  attempts.next(route, 0, 0);
  fail();
  variants[0]!.left = 0;
  assert.equal(attempts.mayRetry(2), false);
  assert.deepEqual([count('retries'), count('retriesRefused')], [0, 0]);
});

test('a retry that a limit forbids is none, and the budget has it back', () => {
  const { attempts, route, variants, count, fail } = setUp([2, 0]);
  attempts.next(route, 0, 0);
  const { budget } = variants[0]!;
  variants[0]!.full = true;
  for (let turn = 0; turn < 30; turn += 1) {
    fail();
    assert.equal(attempts.mayRetry(2), true, `turn ${turn}: the budget of ten is not used up`);
    assert.equal(attempts.next(route, 0, 0), 'none');
  }
  assert.equal(count('retries'), 0);
  assert.equal(budget.take({ share: 0, minPerSecond: 1 }), true);
});

test('a budget that has none left is told apart', () => {
  const { attempts, route, count, fail } = setUp([2, 0], 0);
  attempts.next(route, 0, 0);
  fail();
  assert.equal(attempts.mayRetry(2), false);
  assert.deepEqual([count('retries'), count('retriesRefused')], [0, 1]);
});

test('a fallback counts when the other variant is asked, once', () => {
  const { attempts, route, variants, count, fail } = setUp([1, 0]);
  attempts.fallBack(1);
  assert.equal(attempts.next(route, 1, 0), 'none');
  assert.equal(count('fallbacks'), 0);
  attempts.fallBack(0);
  variants[1]!.left = 2;
  assert.equal(attempts.next(route, 1, 0), 'ready');
  assert.equal(count('fallbacks'), 1);
  fail();
  assert.equal(attempts.mayRetry(2), true);
  attempts.next(route, 1, 0);
  assert.deepEqual([count('fallbacks'), count('retries')], [1, 1]);
});
