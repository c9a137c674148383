import { test } from 'node:test';
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import {
  DURATION_BOUNDS,
  DURATION_BUCKETS,
  durationBucket,
  HISTOGRAM_SLOTS,
  observe,
} from '../../../src/telemetry/duration-buckets.ts';

/** Prometheus' definition, word for word: the first bucket whose bound is not below the value. */
function naiveBucket(seconds: number): number {
  const index = DURATION_BOUNDS.findIndex((bound) => seconds <= bound);
  if (Number.isNaN(seconds)) return 0;
  return index === -1 ? DURATION_BOUNDS.length : index;
}

/** The doubles just below and above a positive double. */
function neighbours(value: number): number[] {
  const view = new BigInt64Array(Float64Array.of(value).buffer);
  const bits = view[0]!;
  return [bits - 1n, bits + 1n].map((near) => new Float64Array(BigInt64Array.of(near).buffer)[0]!);
}

test('bounds are ascending, from 100 µs to 60 s, and read back from their decimal text', () => {
  assert.equal(DURATION_BOUNDS[0], 0.0001);
  assert.equal(DURATION_BOUNDS.at(-1), 60);
  assert.deepEqual(
    DURATION_BOUNDS,
    [...DURATION_BOUNDS].sort((a, b) => a - b),
  );
  assert.equal(new Set(DURATION_BOUNDS).size, DURATION_BOUNDS.length);
  for (const bound of DURATION_BOUNDS) {
    assert.equal(Number(String(bound)), bound);
    assert.ok(String(bound).length <= 7, `${bound} is a short decimal`);
  }
});

test('a bucket is at most 1.7 times as wide as it starts, so that quantiles can be trusted', () => {
  DURATION_BOUNDS.slice(1, -1).forEach((bound, index) => {
    assert.ok(bound / DURATION_BOUNDS[index]! <= 1.7, `${DURATION_BOUNDS[index]} to ${bound}`);
  });
});

test('each bound and its neighbouring doubles fall into the right buckets', () => {
  DURATION_BOUNDS.forEach((bound, index) => {
    const [below, above] = neighbours(bound);
    assert.equal(durationBucket(bound), index);
    assert.equal(durationBucket(below!), index);
    assert.equal(durationBucket(above!), index + 1);
  });
});

test('any double falls into the bucket that a loop over the bounds finds', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.double(),
        fc.double({ min: 0, max: 100, noNaN: true }),
        fc.double({ min: -5, max: 3, noNaN: true }).map((exponent) => 10 ** exponent),
        fc.constantFrom(...DURATION_BOUNDS.flatMap((bound) => [bound, ...neighbours(bound)])),
      ),
      (seconds) => {
        assert.equal(durationBucket(seconds), naiveBucket(seconds));
      },
    ),
    { numRuns: 20_000 },
  );
});

test('what is no positive duration falls into the first bucket, the infinite into the last', () => {
  for (const odd of [0, -0, -1, -Infinity, NaN]) assert.equal(durationBucket(odd), 0);
  for (const long of [Infinity, Number.MAX_VALUE, 60.000001]) {
    assert.equal(durationBucket(long), DURATION_BUCKETS - 1);
  }
  assert.equal(durationBucket(Number.MIN_VALUE), 0);
});

test('a histogram equals a naive one after any observations', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: -1, max: 200, noDefaultInfinity: true })), (durations) => {
      const slots = new Float64Array(HISTOGRAM_SLOTS + 2).fill(0);
      const naive = Array.from(slots);
      for (const seconds of durations) {
        observe(slots, 1, seconds);
        if (Number.isNaN(seconds) || seconds < 0) continue;
        naive[1 + naiveBucket(seconds)]!++;
        naive[1 + DURATION_BUCKETS]! += seconds;
      }
      assert.deepEqual([...slots], naive);
    }),
  );
});

test('what is no duration is left out', () => {
  const slots = new Float64Array(HISTOGRAM_SLOTS);
  for (const seconds of [NaN, Infinity, -Infinity, -3, 2]) observe(slots, 0, seconds);
  assert.equal(slots[DURATION_BUCKETS], 2);
  assert.equal(
    slots.slice(0, DURATION_BUCKETS).reduce((sum, count) => sum + count, 0),
    1,
  );
});
