import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Endpoint } from '../../../src/upstream/endpoint.ts';
import { ejectionRoom } from '../../../src/upstream/outlier.ts';
import { LOAD, LOAD_FIELDS } from '../../../src/upstream/shared-blocks.ts';
import type { VariantUpstream } from '../../../src/upstream/variant-upstream.ts';
import { endpoints, generator, OUTLIER, sequence, variant } from './support.ts';

function fail(upstream: VariantUpstream, endpoint: Endpoint, now: number, times = 5): boolean {
  let ejected = false;
  for (let n = 0; n < times; n += 1) ejected = upstream.failed(endpoint, now) || ejected;
  return ejected;
}

test('an endpoint that refuses connections is left out for a second, or until it accepts one', () => {
  const all = endpoints(2);
  const { upstream } = variant(all);
  const [a, b] = all as [Endpoint, Endpoint];
  upstream.refused(a, 1000);
  assert.deepEqual(upstream.picture.endpoints, [b]);
  upstream.tick(1999);
  assert.deepEqual(upstream.picture.endpoints, [b]);
  upstream.tick(2000);
  assert.deepEqual(upstream.picture.endpoints, [a, b]);
  upstream.refused(a, 3000);
  upstream.connected(a, 3001);
  assert.deepEqual(upstream.picture.endpoints, [a, b]);
});

test('with every endpoint down the canary has none, stable goes on with all', () => {
  for (const panics of [false, true]) {
    const all = endpoints(3);
    const { upstream } = variant(all, { panics });
    for (const endpoint of all) upstream.refused(endpoint, 0);
    assert.equal(upstream.usable, false);
    const picked = upstream.pick([], sequence(0.5));
    assert.equal(picked === null, !panics);
  }
});

test('stable tries what is left of it, in whatever standing, the canary does not', () => {
  for (const panics of [false, true]) {
    const all = endpoints(2);
    const { upstream } = variant(all, { panics });
    const [a, b] = all as [Endpoint, Endpoint];
    upstream.refused(a, 0);
    assert.equal(upstream.pick([b], sequence(0)), panics ? a : null);
    assert.equal(upstream.pick([a, b], sequence(0)), null);
  }
});

test('one that keeps failing is ejected, and comes back by a slow start', () => {
  const all = endpoints(4);
  const { upstream } = variant(all);
  const [a] = all as [Endpoint];
  upstream.tick(0);
  assert.equal(fail(upstream, a, 1000), true);
  assert.equal(upstream.picture.endpoints.includes(a), false);
  upstream.tick(30_999);
  assert.equal(upstream.picture.endpoints.includes(a), false);
  upstream.tick(31_000);
  assert.equal(upstream.picture.endpoints.includes(a), true);
  assert.notEqual(upstream.picture.sums, null);
  upstream.tick(41_000);
  assert.equal(upstream.picture.sums, null);
});

test('a window with more failures than half ejects at its end', () => {
  const all = endpoints(2);
  const { upstream } = variant(all);
  const [a] = all as [Endpoint];
  upstream.tick(1);
  for (let n = 0; n < 15; n += 1) {
    upstream.failed(a, 5);
    upstream.failed(a, 5);
    a.outlier.success();
  }
  assert.equal(upstream.tick(10_000), 0);
  assert.equal(upstream.tick(10_001), 1);
  assert.deepEqual(upstream.picture.endpoints, [all[1]]);
});

test('with one endpoint, the canary loses it, stable keeps it', () => {
  for (const panics of [false, true]) {
    const all = endpoints(1);
    const { upstream } = variant(all, { panics });
    assert.equal(fail(upstream, all[0]!, 0), true);
    assert.equal(upstream.usable, false);
    assert.equal(upstream.pick([], sequence(0)), panics ? all[0] : null);
  }
});

test('health checks take an endpoint out, and back by a slow start', () => {
  const all = endpoints(3);
  const { upstream, health } = variant(all);
  health[1] = 2;
  upstream.tick(1000);
  assert.deepEqual(upstream.picture.endpoints, [all[0], all[2]]);
  health[1] = 1;
  upstream.tick(2000);
  assert.equal(upstream.picture.endpoints.length, 3);
  assert.equal(all[1]!.usedSince, 2000);
});

test('panic: with fewer than half in good standing stable uses all but those that are down', () => {
  const all = endpoints(4);
  const { upstream, health } = variant(all, { panics: true });
  health.set([2, 2, 0, 0]);
  upstream.tick(0);
  assert.deepEqual(upstream.picture.endpoints, [all[2], all[3]], 'half is enough');
  health.set([2, 2, 2, 0]);
  upstream.tick(250);
  assert.deepEqual(upstream.picture.endpoints, all);
  upstream.refused(all[0]!, 300);
  assert.deepEqual(upstream.picture.endpoints, all.slice(1));
  health.set([2, 2, 2, 2]);
  upstream.tick(500);
  assert.deepEqual(upstream.picture.endpoints, all.slice(1), 'also where none is in good standing');
  const calm = variant(all, { panics: true, outlier: { panicBelow: 0 } }, 2000);
  calm.health.set([2, 2, 2, 0]);
  calm.upstream.tick(2250);
  assert.deepEqual(calm.upstream.picture.endpoints, [all[3]], 'with 0 only when none is left');
  calm.health.set([2, 2, 2, 2]);
  calm.upstream.tick(2500);
  assert.deepEqual(calm.upstream.picture.endpoints, all);
  health.set([2, 2, 2, 0]);
  const canary = variant(all, {}, 3000);
  canary.health.set([2, 2, 2, 0]);
  canary.upstream.tick(3250);
  assert.deepEqual(canary.upstream.picture.endpoints, [all[3]], 'the canary never panics');
});

test('a slow endpoint gets few requests, and is tried again when it was long ago', () => {
  const all = endpoints(2);
  const { upstream } = variant(all);
  const [slow, fast] = all as [Endpoint, Endpoint];
  const random = generator(7);
  let toSlow = 0;
  let now = 0;
  for (let n = 0; n < 20_000; n += 1) {
    now += 5;
    const picked = upstream.pick([], random)!;
    if (picked === slow) toSlow += 1;
    picked.observeLatency(picked === slow ? 100 : 2, now, 10_000);
    if (n % 50 === 0) upstream.tick(now);
  }
  assert.ok(toSlow >= 2 && toSlow < 200, `${toSlow} of 20,000`);
  assert.ok(fast.latency < 3);
});

test('the retry budget outlives a snapshot, and forgets with time', () => {
  const all = endpoints(1);
  const { upstream } = variant(all);
  const settings = { share: 0.2, minPerSecond: 0 };
  upstream.tick(1);
  upstream.budget.requests += 5;
  const { upstream: next } = variant(all, {}, 2, upstream);
  assert.equal(next.budget.take(settings), true);
  assert.equal(next.budget.take(settings), false);
  next.budget.requests += 5;
  next.tick(20_000);
  assert.equal(next.budget.take(settings), false);
});

test('nothing is known of a newcomer, so it is taken to be like the others', () => {
  const all = endpoints(3);
  all[0]!.observeLatency(10, 1, 10_000);
  all[1]!.observeLatency(30, 1, 10_000);
  variant(all, {}, 2);
  assert.equal(all[2]!.latency, 20);
});

test('what a worker knows of its endpoints is in shared memory after a tick', () => {
  const all = endpoints(2);
  const { upstream, loads } = variant(all);
  const [a, b] = all as [Endpoint, Endpoint];
  a.inFlight = 3;
  a.connections = 5;
  b.observeLatency(12, 240, 10_000);
  fail(upstream, b, 200);
  upstream.refused(a, 100);
  upstream.tick(250);
  assert.deepEqual([...loads.subarray(0, LOAD_FIELDS)], [3, 5, -1, 1, 0]);
  assert.equal(loads[LOAD_FIELDS + LOAD.latency], 12);
  assert.equal(loads[LOAD_FIELDS + LOAD.ejectedFor], 29_950);
});

test('whatever happens, no more than the allowed share is ejected at a time', () => {
  const event = fc.record({
    endpoint: fc.nat(11),
    what: fc.constantFrom('failures', 'successes', 'refused', 'sick', 'well', 'wait'),
  });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 12 }),
      fc.constantFrom(0, 0.1, 0.5, 1),
      fc.boolean(),
      fc.array(event, { maxLength: 80 }),
      (count, maxEjected, panics, events) => {
        const all = endpoints(count);
        const { upstream, health } = variant(all, { outlier: { maxEjected }, panics });
        const room = ejectionRoom(count, { ...OUTLIER, maxEjected });
        let now = 0;
        for (const { endpoint: index, what } of events) {
          const endpoint = all[index % count]!;
          if (what === 'failures') fail(upstream, endpoint, now, 30);
          else if (what === 'successes') endpoint.outlier.success();
          else if (what === 'refused') upstream.refused(endpoint, now);
          else if (what === 'wait') now += 7000;
          else health[index % count] = what === 'sick' ? 2 : 1;
          now += 250;
          upstream.tick(now);
          assert.ok(all.filter(({ outlier }) => outlier.ejected).length <= room);
          const good = all.filter(
            (one) => !one.outlier.ejected && one.health !== 'unhealthy' && one.isUp(now),
          );
          assert.equal(upstream.usable, good.length > 0);
          if (panics) assert.ok(upstream.picture.endpoints.length > 0);
          else assert.deepEqual(upstream.picture.endpoints, good);
        }
      },
    ),
  );
});
