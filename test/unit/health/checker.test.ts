import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { variantSnapshot } from '../../../src/config/variant.ts';
import { type CheckTarget, createChecker } from '../../../src/health/checker.ts';

const SETTINGS = variantSnapshot({ healthCheck: { path: '/', interval: '10s' } }).healthCheck!;

function target(port: number, interval = 10_000): CheckTarget {
  return {
    key: `notes stable 127.0.0.1:${port}`,
    service: 'notes',
    variant: 'stable',
    address: { host: '127.0.0.1', port },
    settings: { ...SETTINGS, interval },
    tls: null,
  };
}

/** A checker with a clock of its own, whose probes wait until they are answered. */
function started(random = () => 0.5) {
  let now = 0;
  let slept = 0;
  const asked: number[] = [];
  const waiting = new Map<number, (failure: string) => void>();
  const verdicts: string[] = [];
  const results: boolean[] = [];
  const checker = createChecker({
    slept: () => slept,
    monotonicNow: () => now,
    wallNow: () => 1_000_000 + now,
    random,
    probe: ({ address: { port } }) => {
      assert.equal(waiting.has(port), false, 'two checks of one endpoint at a time');
      asked.push(port);
      return new Promise((resolve) => waiting.set(port, resolve));
    },
    onVerdict: ({ address }, { verdict }) => verdicts.push(`${address.port} ${verdict}`),
    onResult: (_, good) => results.push(good),
  });
  return {
    checker,
    verdicts,
    results,
    waiting,
    /** The ports that were asked since the last call. */
    asked: () => asked.splice(0),
    /** Ticks four times a second until `ms` have gone by. */
    wait: (ms: number): void => {
      for (const end = now + ms; now < end; checker.tick()) now += 250;
    },
    sleep: (ms: number): void => void (slept += ms),
    answer: async (port: number, failure = ''): Promise<void> => {
      waiting.get(port)!(failure);
      waiting.delete(port);
      await nextTurn();
    },
  };
}

test('endpoints are asked again and again, one question at a time, from the beginning of the one before', async () => {
  const { checker, wait, asked, answer, results } = started();
  checker.targets([target(1)]);
  wait(250);
  assert.deepEqual(asked(), []);
  wait(250);
  assert.deepEqual(asked(), [1]);
  wait(30_000);
  assert.deepEqual(asked(), []);
  await answer(1);
  wait(250);
  assert.deepEqual(asked(), [1]);
  await answer(1);
  wait(9750);
  assert.deepEqual(asked(), []);
  wait(250);
  assert.deepEqual(asked(), [1]);
  assert.deepEqual(results, [true, true]);
});

test('intervals are up to a tenth shorter or longer, and first checks are spread out', async () => {
  let chance = 0;
  const { checker, wait, asked, answer } = started(() => chance);
  chance = 0.999;
  checker.targets([target(1)]);
  wait(750);
  assert.deepEqual(asked(), []);
  wait(250);
  assert.deepEqual(asked(), [1]);
  chance = 0;
  await answer(1);
  wait(8750);
  assert.deepEqual(asked(), []);
  wait(250);
  assert.deepEqual(asked(), [1]);
});

test('a verdict is told with its reason and kept, also when the list of endpoints changes', async () => {
  const { checker, wait, answer, verdicts } = started();
  checker.targets([target(1)]);
  assert.deepEqual(checker.view(target(1).key), { verdict: 'unknown', checkedAt: null, failure: '' });
  wait(500);
  await answer(1, 'status 500');
  assert.deepEqual(verdicts, ['1 unhealthy']);
  checker.targets([target(2), target(1)]);
  const view = checker.view(target(1).key);
  assert.deepEqual(view, { verdict: 'unhealthy', checkedAt: 1_000_500, failure: 'status 500' });
  assert.equal(checker.view('notes canary 127.0.0.1:1'), null);
});

test('what failed while this thread slept says nothing of the endpoint, which is asked again at once', async () => {
  const { checker, wait, asked, answer, verdicts, results, sleep } = started();
  checker.targets([target(1)]);
  wait(500);
  await answer(1);
  wait(10_000);
  assert.deepEqual(asked(), [1, 1]);
  sleep(7000);
  await answer(1, 'timeout');
  assert.deepEqual(results, [true]);
  wait(250);
  assert.deepEqual(asked(), [1]);
  await answer(1, 'timeout');
  assert.deepEqual(results, [true, false]);
  wait(10_000);
  sleep(7000);
  await answer(1);
  assert.deepEqual(results, [true, false, true]);
  assert.deepEqual(verdicts, ['1 healthy']);
});

test('that this process lacks descriptors says nothing of the endpoint, which is asked again when it is due', async () => {
  const { checker, wait, asked, answer, verdicts, results } = started();
  checker.targets([target(1)]);
  wait(500);
  await answer(1, 'EMFILE');
  assert.deepEqual(asked(), [1]);
  wait(9500);
  assert.deepEqual(asked(), []);
  wait(500);
  assert.deepEqual(asked(), [1]);
  assert.deepEqual([verdicts, results], [[], []]);
});

test('an endpoint that is gone is forgotten, and its late answer changes nothing', async () => {
  const { checker, wait, asked, answer, verdicts, results } = started();
  checker.targets([target(1)]);
  wait(500);
  checker.targets([]);
  await answer(1, 'timeout');
  assert.equal(checker.view(target(1).key), null);
  assert.deepEqual([verdicts, results], [[], []]);
  wait(30_000);
  assert.deepEqual(asked(), [1]);
});

test('a shorter interval counts at once', async () => {
  const { checker, wait, asked, answer } = started();
  checker.targets([target(1, 3_600_000)]);
  wait(1000);
  await answer(1);
  checker.targets([target(1, 1000)]);
  asked();
  wait(1000);
  assert.deepEqual(asked(), [1]);
});

test('no more than 128 at a time, and everybody in turn', async () => {
  const { checker, wait, asked, answer, waiting } = started();
  checker.targets(Array.from({ length: 300 }, (_, index) => target(index + 1)));
  wait(1000);
  assert.equal(waiting.size, 128);
  const seen = new Set(asked());
  for (let round = 0; round < 3; round += 1) {
    await Promise.all([...waiting.keys()].map((port) => answer(port)));
    // As slow as the interval, so the first are due again before the last were asked.
    wait(10_000);
    for (const port of asked()) seen.add(port);
  }
  assert.equal(seen.size, 300);
});
