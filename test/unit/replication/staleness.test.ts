/** How old what a replica knows may get before it gives stable to everybody. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Staleness } from '../../../src/replication/staleness.ts';

function start(age = 0) {
  const held = { now: 50_000, fresh: [] as number[], said: [] as string[] };
  const activeState = {
    fenced: false,
    fence(fenced: boolean) {
      activeState.fenced = fenced;
    },
  };
  const say = (_: object, message: string): void => void held.said.push(message.split(' ', 4).join(' '));
  const staleness = new Staleness({
    activeState,
    workers: { freshFor: (ms) => held.fresh.push(ms) },
    maxStaleness: 1000,
    elapsed: () => held.now,
    age,
    log: { info: say, error: say } as ConstructorParameters<typeof Staleness>[0]['log'],
  });
  return { staleness, held, activeState };
}

test('the workers may give the canary for what is left, from when the store was asked', () => {
  const { staleness, held } = start(300);
  held.now += 100;
  assert.equal(staleness.age, 400);
  staleness.agree(held.now - 20);
  assert.deepEqual([held.fresh, staleness.age], [[700, 980], 20]);
  // An answer to an earlier question makes nothing older.
  staleness.agree(held.now - 900);
  assert.equal(staleness.age, 20);
});

test('too long without the store means stable for everybody, said once, until both agree again', () => {
  const { staleness, held, activeState } = start();
  held.now += 1000;
  staleness.mind();
  assert.equal(activeState.fenced, false);
  held.now += 1;
  staleness.mind();
  staleness.mind();
  assert.deepEqual([activeState.fenced, held.said], [true, ['the store was out']]);
  // An answer that lay unread for too long tells nothing of now.
  staleness.agree(held.now - 1001);
  assert.equal(activeState.fenced, true);
  staleness.agree(held.now);
  assert.equal(activeState.fenced, false);
});

test('the same trouble is said once, and that it is over', () => {
  const { staleness, held } = start();
  for (let count = 0; count < 3; count++) staleness.complain(new Error('gone'));
  staleness.complain(new Error('another'));
  staleness.agree(held.now);
  staleness.agree(held.now);
  assert.deepEqual(held.said, [
    'this replica cannot follow',
    'this replica cannot follow',
    'this replica and the',
  ]);
});
