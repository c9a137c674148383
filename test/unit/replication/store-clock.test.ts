import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { createStoreClock, type StoreClock } from '../../../src/replication/store-clock.ts';

/** Two clocks in true time: this machine's monotonic one, and the store's, `skew` ms apart, that drifts by `drift`. */
interface World {
  readonly clock: StoreClock;
  /** True time in ms. */
  time: number;
  skew: number;
  readonly store: () => number;
  /** A round trip that takes `there` and `back` ms. */
  readonly trip: (there: number, back: number) => void;
  readonly error: () => number;
}

function world(skew: number, drift: number): World {
  const self: World = {
    clock: createStoreClock(() => self.time),
    time: 5000,
    skew,
    store: () => 1_700_000_000_000 + self.skew + self.time * (1 + drift),
    trip(there, back) {
      const sentAt = self.time;
      self.time += there;
      const time = Math.floor(self.store());
      self.time += back;
      self.clock.sample({ sentAt, receivedAt: self.time, time });
    },
    error: () => Math.abs((self.clock.now() ?? NaN) - self.store()),
  };
  return self;
}

const delay = fc.double({ min: 0.01, max: 250, noNaN: true });
const conditions = fc.record({
  skew: fc.double({ min: -5000, max: 5000, noNaN: true }),
  drift: fc.double({ min: -200e-6, max: 200e-6, noNaN: true }),
  trips: fc.array(fc.record({ pause: fc.constantFrom(0, 250, 1000, 30_000), there: delay, back: delay }), {
    minLength: 1,
    maxLength: 60,
  }),
});

describe('the clock of the store', () => {
  it('knows nothing before the first round trip', () => {
    const { clock } = world(0, 0);
    assert.equal(clock.now(), null);
    assert.equal(clock.errorBound(), Infinity);
    clock.sample({ sentAt: 2, receivedAt: 1, time: 5 });
    clock.sample({ sentAt: 1, receivedAt: 2, time: NaN });
    assert.equal(clock.now(), null);
  });

  it('is never wrong by more than it says: skew, drift, jitter, and ways of unequal length', () => {
    fc.assert(
      fc.property(conditions, ({ skew, drift, trips }) => {
        const one = world(skew, drift);
        for (const { pause, there, back } of trips) {
          one.time += pause;
          one.trip(there, back);
          for (const later of [0, 700]) {
            one.time += later;
            assert.ok(
              one.error() <= one.clock.errorBound() + 1e-3,
              `${one.error()} > ${one.clock.errorBound()}`,
            );
          }
        }
        assert.equal(one.clock.jumps, 0);
      }),
    );
  });

  it('keeps what fast trips told through slow ones', () => {
    const one = world(3000, 200e-6);
    one.trip(0.2, 0.2);
    for (let beat = 0; beat < 10; beat++) {
      one.time += 1000;
      one.trip(40, 2);
    }
    assert.ok(one.clock.errorBound() < 12, `${one.clock.errorBound()}`);
  });

  it('learns a jump with the first trip after it', () => {
    fc.assert(
      fc.property(conditions, fc.integer({ min: 600, max: 5000 }), fc.boolean(), (given, size, back) => {
        const one = world(given.skew, given.drift);
        for (const trip of given.trips) one.trip(trip.there, trip.back);
        one.skew += back ? -size : size;
        one.trip(1, 3);
        assert.ok(one.error() <= one.clock.errorBound() + 1e-3);
        assert.ok(one.clock.errorBound() <= 3);
        assert.equal(one.clock.jumps, 1);
      }),
    );
  });
});
