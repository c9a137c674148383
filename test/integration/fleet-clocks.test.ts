/** Replicas whose wall clocks are five seconds apart begin with a new percentage together all the same. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { perform, startNotesFleet, type TestFleet, type TestReplica, together } from '../support/fleet.ts';

/** What a machine with other work may add to each way, in ms; far less than the clocks are apart. */
const BOUND = 1000;
const SHIFT = 5000;

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
    // Asked without a pause, each replica shows the moment at which it begins.
    const begins = replicas.map(async (replica) => {
      for (;;) {
        const [variant] = await replica.variants('someone', 1);
        if (variant === expected) return performance.now();
      }
    });
    const asked = performance.now();
    await perform(writer, 'POST', '/percentage', { percentage, allowDecrease: true });
    const moments = await Promise.all(begins);
    const apart = Math.max(...moments) - Math.min(...moments);
    assert.ok(apart < BOUND, `${apart.toFixed(0)} ms apart`);
    assert.ok(Math.max(...moments) - asked < BOUND + 100, 'nobody waits for a clock that is behind');
  }
});
