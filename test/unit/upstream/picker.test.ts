import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Endpoint } from '../../../src/upstream/endpoint.ts';
import { hasEndpointUp, pickEndpoint } from '../../../src/upstream/picker.ts';

function endpoints(count: number): Endpoint[] {
  return Array.from({ length: count }, (_, index) => new Endpoint('127.0.0.1', 1000 + index));
}

/** A source of numbers in [0, 1) that repeats what it is given. */
function sequence(...values: readonly number[]): () => number {
  let at = 0;
  return () => values[at++ % values.length]!;
}

test('of two endpoints drawn, the one with fewer requests in flight is picked', () => {
  const [a, b] = endpoints(2) as [Endpoint, Endpoint];
  a.inFlight = 3;
  b.inFlight = 2;
  for (const draw of [0, 0.49, 0.51, 0.99]) {
    assert.equal(pickEndpoint([a, b], 0, sequence(draw), [], false), b);
  }
});

test('an endpoint that is down is left out until its time is over', () => {
  const [a, b] = endpoints(2) as [Endpoint, Endpoint];
  a.markDown(10_000);
  for (const draw of [0, 0.5, 0.99]) assert.equal(pickEndpoint([a, b], 10_500, sequence(draw), [], false), b);
  assert.equal(pickEndpoint([a, b], 11_000, sequence(0), [], false), a);
});

test('with all endpoints down only panic picks one', () => {
  const all = endpoints(3);
  for (const endpoint of all) endpoint.markDown(0);
  assert.equal(hasEndpointUp(all, 1), false);
  assert.equal(pickEndpoint(all, 1, sequence(0.5), [], false), null);
  assert.ok(pickEndpoint(all, 1, sequence(0.5), [], true));
});

test('nothing is picked twice for one request, and nothing from nothing', () => {
  const [a, b] = endpoints(2) as [Endpoint, Endpoint];
  assert.equal(pickEndpoint([a, b], 0, sequence(0.1), [a], true), b);
  assert.equal(pickEndpoint([a, b], 0, sequence(0.1), [a, b], true), null);
  assert.equal(pickEndpoint([], 0, sequence(0.1), [], true), null);
});

test('every endpoint that is up gets its turn, and none that is not', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 12 }),
      fc.array(fc.nat(11)),
      fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
      (count, down, draws) => {
        const all = endpoints(count);
        for (const index of down) all[index]?.markDown(0);
        const up = all.filter((endpoint) => endpoint.isUp(1));
        const picked = pickEndpoint(all, 1, () => draws.next().value as number, [], false);
        assert.equal(picked === null, up.length === 0);
        if (picked !== null) assert.ok(up.includes(picked));
      },
    ),
  );
});

test('requests spread evenly over idle endpoints', () => {
  const all = endpoints(4);
  const counts = new Map(all.map((endpoint) => [endpoint, 0]));
  let state = 1;
  // A linear congruential generator (Numerical Recipes): the same numbers in every run.
  const random = (): number => (state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32) / 2 ** 32;
  for (let n = 0; n < 40_000; n += 1) {
    const picked = pickEndpoint(all, 0, random, [], false)!;
    counts.set(picked, counts.get(picked)! + 1);
  }
  for (const count of counts.values()) assert.ok(Math.abs(count - 10_000) < 400, `${count} of 10,000`);
});
