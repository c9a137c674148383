import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Endpoint } from '../../../src/upstream/endpoint.ts';
import { makePicture, pick, pickUntried } from '../../../src/upstream/picker.ts';
import { endpoints, generator, sequence } from './support.ts';

/** Counts of 40,000 picks by endpoint, with `held` requests kept in flight at a time, oldest given back first. */
function shares(all: readonly Endpoint[], held: number, slowStart = 0, now = 0): number[] {
  const { picture } = makePicture(all, now, slowStart);
  const random = generator();
  const counts = new Map(all.map((endpoint) => [endpoint, 0]));
  const inFlight: Endpoint[] = [];
  for (let n = 0; n < 40_000; n += 1) {
    const picked = pick(picture, random)!;
    counts.set(picked, counts.get(picked)! + 1);
    picked.inFlight += 1;
    inFlight.push(picked);
    if (inFlight.length > held) inFlight.shift()!.inFlight -= 1;
  }
  for (const endpoint of inFlight) endpoint.inFlight -= 1;
  return [...counts.values()].map((count) => count / 40_000);
}

const close = (got: readonly number[], expected: readonly number[], by: number): void => {
  for (const [index, share] of got.entries())
    assert.ok(Math.abs(share - expected[index]!) <= by, `${got.join()} for ${expected.join()}`);
};

test('of two endpoints, the one with fewer requests in flight is picked', () => {
  const [a, b] = endpoints(2) as [Endpoint, Endpoint];
  a.inFlight = 3;
  b.inFlight = 2;
  const { picture } = makePicture([a, b], 0, 0);
  for (const draw of [0, 0.49, 0.51, 0.99]) assert.equal(pick(picture, sequence(draw)), b);
});

test('of two endpoints, the faster one is picked, and noise decides nothing', () => {
  const [a, b] = endpoints(2) as [Endpoint, Endpoint];
  const { picture } = makePicture([a, b], 0, 0);
  a.latency = 20;
  b.latency = 10;
  for (const draw of [0, 0.49, 0.51, 0.99]) assert.equal(pick(picture, sequence(draw)), b);
  a.latency = 11;
  assert.equal(pick(picture, sequence(0)), a);
  assert.equal(pick(picture, sequence(0.99)), b);
});

test('nothing is picked from nothing, and one from one', () => {
  assert.equal(pick(makePicture([], 0, 0).picture, sequence(0.5)), null);
  const [only] = endpoints(1) as [Endpoint];
  assert.equal(pick(makePicture([only], 0, 0).picture, sequence(0.99)), only);
});

test('shares follow the weights, with little in flight and with much', () => {
  for (const held of [0, 4, 400]) {
    close(shares(endpoints(4), held), [0.25, 0.25, 0.25, 0.25], 0.02);
    const weighted = endpoints(2);
    weighted[0]!.weight = 9;
    close(shares(weighted, held), [0.9, 0.1], held === 4 ? 0.1 : 0.03);
    const three = endpoints(3);
    three[2]!.weight = 2;
    close(shares(three, held), [0.25, 0.25, 0.5], held === 4 ? 0.1 : 0.06);
  }
});

test('an endpoint in its slow start gets a part of its share that grows', () => {
  const of = (age: number, held: number): number => {
    const all = endpoints(4);
    all[3]!.usedSince = 0;
    return shares(all, held, 10_000, age)[3]!;
  };
  for (const held of [0, 200]) {
    close([of(0, held), of(5000, held), of(10_000, held)], [0.1 / 3.1, 0.5 / 3.5, 0.25], 0.04);
    assert.ok(of(1000, held) < of(5000, held) && of(5000, held) < of(9000, held));
  }
});

test('a picture of endpoints in their slow start is not settled, and all new ones share alike', () => {
  const all = endpoints(3);
  assert.equal(makePicture(all, 0, 1000).settled, true);
  for (const endpoint of all) endpoint.usedSince = 0;
  const { picture, settled } = makePicture(all, 0, 1000);
  assert.equal(settled, false);
  assert.equal(picture.sums, null);
  assert.equal(makePicture(all, 1000, 1000).settled, true);
});

test('every endpoint of a picture gets its turn, and nothing else', () => {
  const weight = fc.double({ min: 1e-3, max: 1000, noNaN: true });
  const draws = fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), {
    minLength: 2,
    maxLength: 9,
  });
  fc.assert(
    fc.property(fc.array(weight, { minLength: 1, maxLength: 12 }), draws, (weights, values) => {
      const all = endpoints(weights.length);
      for (const [index, endpoint] of all.entries()) endpoint.weight = weights[index]!;
      const { picture } = makePicture(all, 0, 0);
      assert.ok(all.includes(pick(picture, sequence(...values))!));
      if (picture.sums === null) return;
      // The middle of an endpoint's own stretch draws it first, and with nothing to tell them apart it stays.
      let from = 0;
      const total = picture.sums.at(-1)!;
      for (const [index, sum] of picture.sums.entries()) {
        const middle = (from + sum) / 2 / total;
        const narrow = sum - from < total * 1e-9;
        if (!narrow) assert.equal(pick(picture, sequence(middle, values[0]!)), all[index]);
        from = sum;
      }
    }),
  );
});

test('the second one is drawn by weight among the others', () => {
  const all = endpoints(3);
  for (const [index, endpoint] of all.entries()) endpoint.weight = index + 1;
  const { picture } = makePicture(all, 0, 0);
  const second = (first: number, draw: number): number => {
    for (const endpoint of all) endpoint.latency = 1;
    all[first]!.latency = 100;
    const middle = [0.5, 2, 4.5][first]! / 6;
    return all.indexOf(pick(picture, sequence(middle, draw))!);
  };
  // Weights 1, 2, 3: among the second and the third the former has two fifths, and so on.
  assert.deepEqual([second(0, 0.39), second(0, 0.41)], [1, 2]);
  assert.deepEqual([second(1, 0.24), second(1, 0.26)], [0, 2]);
  assert.deepEqual([second(2, 0.32), second(2, 0.34)], [0, 1]);
});

test('nothing is picked twice for one request', () => {
  const [a, b] = endpoints(2) as [Endpoint, Endpoint];
  assert.equal(pickUntried([a, b], [a], sequence(0.1)), b);
  assert.equal(pickUntried([a, b], [a, b], sequence(0.1)), null);
});
