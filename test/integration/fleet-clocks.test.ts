/** Replicas whose wall clocks are five seconds apart begin with a new percentage together all the same. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { perform, startNotesFleet, type TestFleet, type TestReplica, together } from '../support/fleet.ts';

const SHIFT = 5000;

/** How long after a write all begin by it unless that is set, in ms. */
const ACTIVATION = 100;

let fleet: TestFleet;
let replicas: readonly TestReplica[];

before(async () => {
  fleet = await startNotesFleet({
    names: ['a', 'b'],
  });
  ({ replicas } = fleet);
  await replicas[1]!.start({
    nodeArguments: ['--import', path.join(import.meta.dirname, '../support/shifted-clock.ts')],
    env: { SHIFTED_CLOCK: String(SHIFT) },
  });
  await together(replicas);
});

after(async () => {
  await fleet?.close();
});

test('the moment of activation does not depend on wall clocks', async () => {
  const [a, b] = replicas as [TestReplica, TestReplica];
  await perform(a, 'PUT', '', { rules: [{ name: 'everyone', percentage: 0 }] });
  for (const [writer, percentage, expected] of [
    [a, 100, 'canary'],
    [b, 0, 'stable'],
    [b, 100, 'canary'],
  ] as const) {
    // Asked without a pause, each replica shows the moment at which it begins, a request's time late at most.
    const begins = replicas.map(async (replica) => {
      for (;;) {
        const [variant] = await replica.variants('someone', 1);
        if (variant === expected) return performance.now();
      }
    });
    const asked = performance.now();
    await perform(writer, 'POST', '/percentage', { percentage, allowDecrease: true });
    // By a clock that is five seconds ahead the moment is past, and by one that is behind it is too far away to be waited for:
    // either would begin at once.
    for (const moment of await Promise.all(begins))
      assert.ok(moment - asked >= ACTIVATION - 10, `after ${(moment - asked).toFixed(0)} ms`);
  }
});
