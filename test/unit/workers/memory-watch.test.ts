/** When memory is short and when it is not, with a measured memory that the test sets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryWatch, type MemoryLimit } from '../../../src/workers/memory-watch.ts';

function watched(limit: MemoryLimit = 1000) {
  const state = { used: 0, held: 0, now: 0, limit, told: [] as boolean[], lines: [] as string[] };
  const note = (level: string) => (fields: object, message: string) =>
    state.lines.push(`${level} ${JSON.stringify(fields)} ${message.split(':')[0]}`);
  const watch = createMemoryWatch({
    rss: () => state.used,
    available: () => 10_000,
    limit: () => state.limit,
    held: () => state.held,
    monotonicNow: () => state.now,
    apply: (short) => state.told.push(short),
    log: { warn: note('warn'), info: note('info') },
  });
  const sample = (used: number): boolean => {
    state.used = used;
    watch.sample();
    return watch.short;
  };
  return { state, watch, sample };
}

test('short above the mark, and until well below it', () => {
  const { state, watch, sample } = watched();
  assert.deepEqual([999, 1000, 1001, 1000, 950, 900, 899, 950, 1000, 1001].map(sample), [
    false,
    false,
    true,
    true,
    true,
    true,
    false,
    false,
    false,
    true,
  ]);
  assert.deepEqual(state.told, [true, false, true]);
  assert.equal(watch.shortages, 2);
  assert.deepEqual(state.lines.slice(0, 2), [
    'warn {"process.memory.usage":1001,"serin.memory.high_water":1000} memory is short',
    'info {"process.memory.usage":899,"serin.memory.high_water":1000} memory suffices again',
  ]);
});

test('auto is a part of what there is, off is never, and a changed mark holds at once', () => {
  const { state, watch, sample } = watched('auto');
  assert.equal(watch.highWater, 9000);
  assert.ok(!sample(9000));
  assert.ok(sample(9001));
  state.limit = 'off';
  assert.ok(!sample(1e12));
  assert.equal(watch.highWater, Number.POSITIVE_INFINITY);
  state.limit = 10;
  assert.ok(sample(11));
});

test('what stays in use without work raises the mark, until it falls by itself', () => {
  const { state, watch, sample } = watched();
  assert.ok(sample(1200));
  // Slow clients hold memory: refusing more of them helps.
  state.held = 2_000_000;
  for (state.now = 0; state.now < 100_000; state.now += 250) assert.ok(sample(1200));
  state.held = 1000;
  for (; state.now < 129_500; state.now += 250) assert.ok(sample(1200));
  state.now += 500;
  assert.ok(!sample(1200));
  assert.equal(watch.highWater, 1320);
  assert.ok(!sample(1320));
  assert.ok(sample(1321));
  assert.ok(!sample(1187));
  assert.equal(watch.highWater, 1320);
  assert.ok(!sample(899));
  assert.equal(watch.highWater, 1000);
  assert.ok(sample(1001));
  assert.deepEqual(state.told, [true, false, true, false, true]);
  assert.match(
    state.lines[1] ?? '',
    /^warn .*"serin.memory.high_water":1320.* memory stays in use without work/,
  );
});
