import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { upstreamSettings } from '../../../src/config/upstream.ts';
import { Breaker } from '../../../src/upstream/breaker.ts';

const { breaker: SETTINGS } = upstreamSettings({});
const TICK = 250;

/** A breaker with a clock and totals that are moved along. */
function started(settings = SETTINGS) {
  const breaker = new Breaker();
  let now = 0;
  let attempts = 0;
  let failures = 0;
  const tick = (good = 0, bad = 0): string => {
    now += TICK;
    attempts += good + bad;
    failures += bad;
    breaker.tick(now, { attempts, failures }, settings);
    return breaker.state;
  };
  /** Ticks with nothing for so many ms. */
  const wait = (ms: number): string => {
    for (let left = ms; left > 0; left -= TICK) tick();
    return breaker.state;
  };
  tick();
  return { breaker, tick, wait };
}

test('it opens above half of failures, not at half, and not with few attempts', () => {
  assert.equal(started().tick(10, 10), 'closed');
  assert.equal(started().tick(10, 11), 'open');
  assert.equal(started().tick(0, 19), 'closed');
  assert.equal(started().tick(0, 20), 'open');
  assert.equal(started({ ...SETTINGS, failureRatio: 1 }).tick(0, 1000), 'closed');
});

test('what happened before the window does not count', () => {
  const { tick, wait } = started();
  tick(0, 15);
  wait(SETTINGS.window);
  assert.equal(tick(0, 15), 'closed');
  assert.equal(tick(0, 5), 'open');
});

test('what happened before the first look does not count', () => {
  const breaker = new Breaker();
  breaker.tick(0, { attempts: 1000, failures: 1000 }, SETTINGS);
  breaker.tick(TICK, { attempts: 1000, failures: 1000 }, SETTINGS);
  assert.equal(breaker.state, 'closed');
});

test('open, it lets nobody in for its time; then a few, then all', () => {
  const { breaker, tick, wait } = started();
  tick(0, 100);
  assert.equal(breaker.share, 0);
  assert.equal(wait(SETTINGS.openTime - TICK), 'open');
  assert.equal(breaker.share, 0);
  assert.equal(tick(), 'halfOpen');
  assert.equal(breaker.share, 1 / 64);
  wait(SETTINGS.recoveryTime / 2);
  assert.ok(Math.abs(breaker.share - 1 / 8) < 1e-9, String(breaker.share));
  assert.equal(wait(SETTINGS.recoveryTime / 2 - TICK), 'halfOpen');
  assert.equal(tick(5, 0), 'closed');
  assert.equal(breaker.share, 1);
  assert.equal(breaker.opened, 1);
});

test('probes that fail open it again, with a quarter of the attempts that it takes otherwise', () => {
  const { breaker, tick, wait } = started();
  tick(0, 100);
  wait(SETTINGS.openTime);
  assert.equal(tick(0, 4), 'halfOpen');
  assert.equal(tick(0, 1), 'open');
  assert.equal(breaker.opened, 2);
  wait(SETTINGS.openTime);
  assert.equal(tick(3, 3), 'halfOpen');
});

test('the failures that opened it do not open it again', () => {
  const { tick, wait } = started();
  tick(0, 1000);
  wait(SETTINGS.openTime);
  wait(SETTINGS.recoveryTime);
  assert.equal(tick(19, 0), 'closed');
});

test('nor where it is open for less than the window', () => {
  const { tick, wait } = started({ ...SETTINGS, openTime: 1000, recoveryTime: 2000 });
  tick(0, 1000);
  assert.equal(wait(1000), 'halfOpen');
  assert.equal(tick(), 'halfOpen');
  // Nor do the probes' failures count once it is closed.
  tick(0, 4);
  assert.equal(wait(1500), 'closed');
  assert.equal(tick(0, 16), 'closed');
  assert.equal(tick(0, 4), 'open');
});

test('the window is covered whole', () => {
  const { tick } = started({ ...SETTINGS, window: 4 * TICK });
  tick(0, 15);
  tick();
  tick();
  assert.equal(tick(0, 5), 'open');
});

test('a look that says the state changed, says so once', () => {
  const breaker = new Breaker();
  breaker.tick(0, { attempts: 0, failures: 0 }, SETTINGS);
  assert.equal(breaker.tick(250, { attempts: 50, failures: 50 }, SETTINGS), true);
  assert.equal(breaker.tick(500, { attempts: 50, failures: 50 }, SETTINGS), false);
});

test('whatever happens: the share fits the state, grows while it recovers, and opening takes a reason', () => {
  const step = fc.record({ good: fc.nat(40), bad: fc.nat(40), wait: fc.constantFrom(1, 1, 4, 39, 41) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { breaker, tick } = started();
      let attempts = 0;
      let failures = 0;
      for (const { good, bad, wait } of steps) {
        for (let n = 0; n < wait; n += 1) {
          const { state, share } = breaker;
          const [ok, failed] = n === 0 ? [good, bad] : [0, 0];
          attempts += ok + failed;
          failures += failed;
          tick(ok, failed);
          if (breaker.state === 'closed') assert.equal(breaker.share, 1);
          else if (breaker.state === 'open') assert.equal(breaker.share, 0);
          else assert.ok(breaker.share >= 1 / 64 && breaker.share < 1);
          if (breaker.state === 'halfOpen' && state === 'halfOpen') assert.ok(breaker.share >= share);
          if (breaker.state === 'halfOpen' && state !== 'halfOpen') assert.equal(state, 'open');
          if (breaker.state === 'open' && state !== 'open') assert.ok(attempts >= 5 && failures >= 3);
        }
      }
    }),
  );
});
