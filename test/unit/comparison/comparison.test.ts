import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { compare } from '../../../src/comparison/comparison.ts';
import { createCounterExchange } from '../../../src/comparison/counter-exchange.ts';
import { type ReplicaReport, type ServiceTotals, TOTALS, totalsOf } from '../../../src/comparison/totals.ts';
import { createTrafficWindow, type HeardReport } from '../../../src/comparison/traffic-window.ts';
import { readReport } from '../../../src/comparison/redis-counters.ts';
import { SERVICE_COUNTER_BYTES, ServiceCounters } from '../../../src/telemetry/service-counters.ts';

const counters = (): ServiceCounters => new ServiceCounters(new SharedArrayBuffer(SERVICE_COUNTER_BYTES));

/** Totals of so many answers of 200, at 1 ms each. */
function totals(stable: number, canary = 0): ServiceTotals {
  const own = counters();
  for (let count = 0; count < stable; count++) own.request(0, 200, 0.001);
  for (let count = 0; count < canary; count++) own.request(1, 200, 0.001);
  return totalsOf([own]);
}

function report(boot: string, stable: number, uptime = 0, name = boot): ReplicaReport {
  return { name, boot, uptime, services: { notes: totals(stable) } };
}

const at = (one: ReplicaReport, age = 0): HeardReport => ({ report: one, age });

test('all workers together, by variant: classes, failures, fallbacks, percentiles within their bucket', () => {
  const [one, two] = [counters(), counters()];
  for (let count = 0; count < 90; count++) one.request(0, 200, 0.012);
  for (let count = 0; count < 9; count++) two.request(0, 503, 0.4);
  two.request(0, 404, 100);
  two.request(1, 302, 0.0001);
  one.upstreamResult(1, 1, 0.1);
  one.upstreamResult(1, 0, 0.1);
  one.fallback(1);
  const { stable, canary } = compare('notes', 60_000, { totals: totalsOf([one, two]), covered: 50_000 }, []);
  assert.equal(stable.requests, 100);
  assert.equal(stable.requestsPerSecond, 2);
  assert.equal(stable.errorRatio, 0.09);
  assert.deepEqual(stable.statusClasses, { '1xx': 0, '2xx': 90, '3xx': 0, '4xx': 1, '5xx': 9, other: 0 });
  assert.deepEqual(stable.latency?.p50, { ms: 12.778, from: 10, to: 15 });
  assert.deepEqual([stable.latency?.p95.from, stable.latency?.p95.to], [300, 500]);
  assert.deepEqual(stable.latency?.p99, { ms: 500, from: 300, to: 500 });
  assert.equal(canary.transportFailures, 1);
  assert.equal(canary.fallbacks, 1);
  assert.equal(canary.share, 0.009901);
});

test('with nothing counted there are no ratios, and beyond the last bucket no percentile', () => {
  const { stable, canary } = compare('notes', 60_000, { totals: totalsOf([]), covered: 0 }, []);
  assert.deepEqual([stable.errorRatio, stable.share, stable.latency], [null, null, null]);
  assert.equal(canary.requests, 0);
  const slow = counters();
  slow.request(0, 200, 61);
  const { latency } = compare('notes', 60_000, { totals: totalsOf([slow]), covered: 1 }, []).stable;
  assert.deepEqual(latency?.p50, { ms: null, from: 60_000, to: null });
});

test('only what is new counts, and only within the window', () => {
  const window = createTrafficWindow(0);
  const requests = (length: number, now: number): number =>
    compare('notes', length, window.sum('notes', length, now), []).stable.requests;
  window.hear([at(report('a', 5))], 1000);
  window.hear([at(report('a', 5))], 6000);
  window.hear([at(report('a', 8))], 11_000);
  assert.equal(requests(60_000, 11_000), 8);
  assert.equal(requests(10_000, 11_000), 3);
  assert.equal(requests(60_000, 65_000), 3);
  assert.equal(requests(60_000, 200_000), 0);
  // The same report again, as long as its replica says nothing new.
  window.hear([at(report('a', 9), 5000)], 12_000);
  assert.equal(requests(60_000, 12_000), 8);
});

test('a replica that stops keeps its past, one that starts again begins anew, and nothing is negative', () => {
  const window = createTrafficWindow(0);
  const view = (now: number) =>
    compare('notes', 60_000, window.sum('notes', 60_000, now), window.replicas(60_000, now));
  window.hear([at(report('a', 10)), at(report('b1', 20, 0, 'b'))], 1000);
  window.hear([at(report('a', 12)), at(report('b1', 20, 0, 'b'), 10_000)], 11_000);
  window.hear([at(report('a', 12, 20_000))], 21_000);
  assert.equal(view(21_000).stable.requests, 32);
  assert.deepEqual(view(21_000).missing, ['b']);
  window.hear([at(report('a', 12, 24_000)), at(report('b2', 3, 2000, 'b'))], 25_000);
  assert.equal(view(25_000).stable.requests, 35);
  assert.deepEqual(view(25_000).missing, []);
  assert.deepEqual(
    view(25_000).replicas.map(({ name }) => name),
    ['a', 'b'],
  );
  // A number that falls within one boot was counted anew.
  window.hear([at(report('a', 4, 30_000))], 31_000);
  assert.equal(view(31_000).stable.requests, 39);
});

test('what a replica counted before anybody watched is not taken for news', () => {
  const window = createTrafficWindow(1_000_000);
  window.hear([at(report('old', 50_000, 900_000)), at(report('new', 7, 1000))], 1_001_000);
  const sum = window.sum('notes', 600_000, 1_001_000);
  const view = compare('notes', 600_000, sum, []);
  assert.equal(view.stable.requests, 7);
  assert.equal(view.coveredSeconds, 1);
});

test('however reports come, the sum is what was counted', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat(5), fc.integer({ min: 1, max: 20_000 })), {
        maxLength: 100,
      }),
      (steps) => {
        const window = createTrafficWindow(0);
        const counted: Record<string, number> = { a: 0, b: 0, c: 0 };
        let now = 0;
        let all = 0;
        for (const [boot, more, pause] of steps) {
          now += pause;
          counted[boot]! += more;
          all += more;
          window.hear(
            Object.entries(counted).map(([name, count]) => at(report(name, count, now))),
            now,
          );
        }
        if (now > 3_500_000) return;
        const { totals: sums, covered } = window.sum('notes', 3_600_000, now);
        assert.equal(compare('notes', 3_600_000, { totals: sums, covered }, []).stable.requests, all);
        assert.equal(covered, now);
      },
    ),
  );
});

test('an exchange that fails leaves this replica, and says who is missing', async () => {
  let now = 0;
  let fails = false;
  let own = 0;
  const exchange = createCounterExchange({
    boot: 'a1',
    name: 'a',
    totals: () => new Map([['notes', totals(own, own)]]),
    exchange: async (told) => {
      if (fails) throw new Error('gone');
      return [at(told), at(report('b1', 100, 1000, 'b'))];
    },
    monotonicNow: () => now,
  });
  now = 5000;
  own = 4;
  await exchange.exchange();
  assert.equal(exchange.comparison('notes', 60_000).stable.requests, 104);
  assert.equal(exchange.comparison('notes', 60_000).canary.requests, 4);
  fails = true;
  now = 25_000;
  own = 6;
  await exchange.exchange();
  const { stable, missing } = exchange.comparison('notes', 60_000);
  assert.equal(stable.requests, 106);
  assert.deepEqual(missing, ['b']);
  exchange.close();
});

test('whatever stands in the store is a report or is left out', () => {
  const good = report('a', 1);
  assert.deepEqual(readReport(JSON.stringify(good)), JSON.parse(JSON.stringify(good)));
  const bad = [
    null,
    '',
    '[]',
    '{}',
    JSON.stringify({ ...good, services: { notes: [[1], [2]] } }),
    JSON.stringify({ ...good, services: { notes: [Array(TOTALS).fill(-1), Array(TOTALS).fill(0)] } }),
    JSON.stringify({ ...good, boot: 5 }),
  ];
  for (const text of bad) assert.equal(readReport(text), null);
  fc.assert(fc.property(fc.json(), (text) => void readReport(text)));
});
