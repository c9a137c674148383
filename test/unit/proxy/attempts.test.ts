/** Retries and fallbacks are counted when they are made, not when they were meant to be. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Attempts } from '../../../src/proxy/exchange/attempts.ts';
import type { ServiceRoute } from '../../../src/proxy/routing.ts';
import type { WorkerContext } from '../../../src/proxy/worker-context.ts';
import { SERVICE_SLOT } from '../../../src/telemetry/service-counters.ts';
import type { UpstreamHandler } from '../../../src/upstream/connection.ts';
import { RetryBudget } from '../../../src/upstream/retry-budget.ts';
import { newServiceCounters } from '../telemetry/fake-source.ts';

interface Variant {
  /** Endpoints that are left to ask. */
  left: number;
  full: boolean;
  /** It has endpoints, and none of them is usable at present. */
  unusable: boolean;
  /** How many endpoints were named as tried when one was asked for last. */
  passedOver: number;
  readonly budget: RetryBudget;
}

function setUp(endpoints: readonly [number, number], minPerSecond = 1) {
  const counters = newServiceCounters();
  const variants = endpoints.map((left): Variant => ({
    left,
    full: false,
    unusable: false,
    passedOver: 0,
    budget: new RetryBudget(),
  }));
  const upstreams = variants.map((variant) => ({
    pick: (tried: readonly unknown[]) => {
      variant.passedOver = tried.length;
      return variant.left > 0 && !variant.unusable ? endpoint() : null;
    },
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
  const context = { random: () => 0, monotonicNow: () => 0, warn() {} } as unknown as WorkerContext;
  const attempts = new Attempts({} as UpstreamHandler, context);
  attempts.reset();
  type Slot = 'retries' | 'retriesRefused' | 'fallbacks';
  const byVariant = (slot: Slot): [stable: number, canary: number] => [
    counters.slots[SERVICE_SLOT[slot]]!,
    counters.slots[SERVICE_SLOT[slot] + 1]!,
  ];
  const count = (slot: Slot): number => byVariant(slot)[0] + byVariant(slot)[1];
  const fail = (): void => {
    attempts.broken('upstream_reset');
  };
  return { attempts, route, variants, count, byVariant, fail };
}

test('a retry at another endpoint counts once it is made', () => {
  const { attempts, route, count, byVariant, fail } = setUp([0, 2]);
  assert.equal(attempts.next(route, 1, 0), 'ready');
  fail();
  assert.equal(attempts.mayRetry(2), true);
  assert.equal(count('retries'), 0);
  assert.equal(attempts.next(route, 1, 0), 'ready');
  assert.deepEqual(byVariant('retries'), [0, 1]);
});

test('there are no more retries than the service allows', () => {
  const { attempts, route, count, fail } = setUp([5, 0]);
  for (const more of [true, true, false]) {
    attempts.next(route, 0, 0);
    fail();
    assert.equal(attempts.mayRetry(2), more);
  }
  assert.deepEqual([count('retries'), count('retriesRefused')], [2, 0]);
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

test('a retry for which no endpoint is usable is none, and the budget has it back', () => {
  const { attempts, route, variants, count, fail } = setUp([2, 1]);
  attempts.next(route, 0, 0);
  for (let turn = 0; turn < 30; turn += 1) {
    fail();
    variants[0]!.unusable = true;
    assert.equal(attempts.mayRetry(2), true, `turn ${turn}: the budget of ten is not used up`);
    assert.equal(attempts.next(route, 0, 0), 'none');
  }
  // What the other variant is asked next is no retry either.
  attempts.fallBack(0);
  assert.equal(attempts.next(route, 1, 0), 'ready');
  assert.deepEqual([count('retries'), count('fallbacks')], [0, 1]);
});

test('a budget that has none left is told apart', () => {
  const { attempts, route, count, fail } = setUp([2, 0], 0);
  attempts.next(route, 0, 0);
  fail();
  assert.equal(attempts.mayRetry(2), false);
  assert.deepEqual([count('retries'), count('retriesRefused')], [0, 1]);
});

test('a retry counts once, whatever is asked after it', () => {
  const { attempts, route, byVariant, fail } = setUp([2, 2]);
  attempts.next(route, 1, 0);
  fail();
  attempts.mayRetry(2);
  attempts.next(route, 1, 0);
  fail();
  attempts.fallBack(1);
  attempts.next(route, 0, 0);
  assert.deepEqual(byVariant('retries'), [0, 1]);
});

test('a fallback counts for the variant that the request left, and passes over no endpoint of the other', () => {
  const { attempts, route, variants, byVariant, fail } = setUp([1, 1]);
  attempts.next(route, 1, 0);
  fail();
  attempts.fallBack(1);
  assert.deepEqual(byVariant('fallbacks'), [0, 0]);
  attempts.next(route, 0, 0);
  assert.deepEqual(byVariant('fallbacks'), [0, 1]);
  assert.equal(variants[0]!.passedOver, 0);
});

test('of a fallback that was meant and not made the next request knows nothing', () => {
  const { attempts, route, variants, count } = setUp([1, 1]);
  variants[0]!.unusable = true;
  attempts.fallBack(1);
  assert.equal(attempts.next(route, 0, 0), 'none');
  attempts.reset();
  assert.equal(attempts.next(route, 1, 0), 'ready');
  assert.equal(count('fallbacks'), 0);
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
