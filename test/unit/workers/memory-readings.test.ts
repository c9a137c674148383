/** What holds of memory where the system can't say. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryReadings } from '../../../src/workers/memory-readings.ts';

function fault(): never {
  throw Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' });
}

test('the memory that there is: the container has a limit or it has none', () => {
  const available = (constrained: number, total: number): number =>
    createMemoryReadings({ rss: () => 0, constrained: () => constrained, total: () => total }).available();
  assert.equal(available(0, 100), 100);
  assert.equal(available(50, 100), 50);
  // What cgroups say where there is no limit.
  assert.equal(available(18_446_744_073_709_552_000, 100), 100);
});

test('what was read last holds while nothing can be read', () => {
  const system = { rss: () => 70, constrained: () => 50, total: () => 100 };
  const readings = createMemoryReadings({
    rss: () => system.rss(),
    constrained: () => system.constrained(),
    total: () => system.total(),
  });
  assert.equal(readings.rss(), 70);
  assert.equal(readings.available(), 50);
  system.rss = fault;
  assert.equal(readings.rss(), 70);
  // libuv says 0 where it can't read the container's limit.
  system.constrained = () => 0;
  assert.equal(readings.available(), 50);
  system.total = fault;
  assert.equal(readings.available(), 50);
  system.constrained = () => 40;
  system.rss = () => 60;
  assert.equal(readings.available(), 40);
  assert.equal(readings.rss(), 60);
});

test('a mistake of the program is not hidden', () => {
  const readings = createMemoryReadings({
    rss() {
      throw new TypeError('a mistake');
    },
    constrained: () => 0,
    total: () => 1,
  });
  assert.throws(() => readings.rss(), TypeError);
});
