import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import * as fc from 'fast-check';
import { latchTableMemory } from '../../../src/policy/latch/latch-layout.ts';
import { LatchTable } from '../../../src/policy/latch/latch-table.ts';
import { merged } from '../../../src/policy/latch/latch.ts';
import { numbered, type FoundLatch, type NumberedLatch } from '../../../src/policy/latch/packed-latch.ts';
import type { TableTask } from './latch-table-thread.ts';

const found: FoundLatch = { bucket: 0, revision: 0, admitted: 0, excluded: 0 };

function read(table: LatchTable, scope: number, hash: number): NumberedLatch | null {
  return table.find(scope, hash, found) ? numbered(found) : null;
}

function open(limit: number, scopes = 1): LatchTable {
  const table = new LatchTable(latchTableMemory(limit), 1);
  for (let scope = 0; scope < scopes; scope++) table.openScope(scope, scope + 1, scope + 1);
  return table;
}

const latch = (bucket: number, revision = 1, admitted = [1], excluded: number[] = []): NumberedLatch => ({
  bucket,
  revision,
  admitted,
  excluded,
});

/** Well spread hashes of 53 bits. */
function hashOf(number: number): number {
  const mixed = BigInt.asUintN(64, BigInt(number + 1) * 0x9e3779b97f4a7c15n);
  return Number(BigInt.asUintN(64, (mixed ^ (mixed >> 29n)) * 0xbf58476d1ce4e5b9n) >> 11n);
}

const mark = fc.oneof(fc.constantFrom(1, 2, 3), fc.integer({ min: 1, max: 4095 }));
const marks = fc.uniqueArray(mark, { maxLength: 4 });
const anyLatch: fc.Arbitrary<NumberedLatch> = fc.record({
  bucket: fc.integer({ min: 0, max: 999_999 }),
  revision: fc.oneof(fc.nat(5), fc.integer({ min: 0, max: 2 ** 44 - 1 })),
  admitted: marks,
  excluded: marks,
});
/** Few users, so that they come again, and hashes at the ends of their range. */
const anyHash = fc.oneof(
  fc.nat(20).map(hashOf),
  fc.constantFrom(0, 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1),
  fc.maxSafeNat(),
);

test('it holds what a map would hold', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(2), anyHash, anyLatch), { maxLength: 200 }), (writes) => {
      const table = open(5000, 3);
      const model = new Map<string, NumberedLatch>();
      for (const [scope, hash, next] of writes) {
        const key = `${scope} ${hash}`;
        const before = model.get(key);
        const whole = before === undefined ? { ...next } : merged(before, { ...next });
        const kept = table.keep(scope, scope + 1, hash, next);
        assert.ok(kept === 'kept' || (kept === 'unchanged' && before !== undefined));
        model.set(key, whole);
        assert.deepEqual(read(table, scope, hash), whole);
      }
      assert.equal(table.count, model.size);
      for (const [key, whole] of model) {
        const [scope, hash] = key.split(' ').map(Number) as [number, number];
        assert.deepEqual(read(table, scope, hash), whole);
      }
      assert.equal(read(table, 0, hashOf(999)), null);
      assert.equal(table.evicted, 0);
    }),
  );
});

test('it holds as many latches as it is made for, and none is pushed out before', () => {
  for (const limit of [1000, 20_000, 200_000]) {
    const table = open(limit);
    for (let number = 0; number < limit; number++)
      // Users of one per cent: the upper bits of their hashes are alike.
      table.keep(0, 1, Math.floor(hashOf(number) / 100), latch(number % 10_000, number));
    assert.equal(table.evicted, 0);
    assert.equal(table.count, limit);
    for (let number = 0; number < limit; number += 97)
      assert.deepEqual(read(table, 0, Math.floor(hashOf(number) / 100)), latch(number % 10_000, number));
  }
});

test('when it is full, the latches of the oldest rollout go first, and it never holds more', () => {
  const limit = 2000;
  const table = open(limit, 2);
  for (let number = 0; number < limit / 2; number++) table.keep(0, 1, hashOf(number), latch(1));
  for (let number = 0; number < limit; number++) table.keep(1, 2, hashOf(10_000 + number), latch(2, number));
  assert.ok(table.count <= limit);
  assert.equal(table.evicted, limit / 2);
  // Each region is full for itself, and one may have less of the old than another.
  let lost = 0;
  for (let number = 0; number < limit; number++) if (read(table, 1, hashOf(10_000 + number)) === null) lost++;
  assert.ok(lost < limit / 50, `${lost} of the new rollout are gone`);
  assert.equal(table.countOf(0, 1), lost);
  // A scope that is over comes before an older one that is not.
  table.setAge(1, 0);
  const held = table.countOf(1, 2);
  for (let number = 0; number < 100; number++) table.keep(0, 1, hashOf(50_000 + number), latch(3));
  assert.equal(table.countOf(1, 2), held - 100);
});

test('a full table of one rollout lets the oldest admissions near by go', () => {
  const table = open(1000);
  for (let number = 0; number < 3000; number++) table.keep(0, 1, hashOf(number), latch(1, number));
  assert.equal(table.count, 1000);
  assert.equal(table.evicted, 2000);
  const kept = (from: number): number => {
    let count = 0;
    for (let number = from; number < from + 1000; number++)
      if (read(table, 0, hashOf(number)) !== null) count++;
    return count;
  };
  assert.ok(kept(2000) > 800);
  assert.ok(kept(0) < 50);
});

test('a rollout that is over leaves nothing behind, and its place says nothing of the next', () => {
  const table = open(5000, 2);
  for (let number = 0; number < 1000; number++) {
    table.keep(0, 1, hashOf(number), latch(1));
    table.keep(1, 2, hashOf(number), latch(2));
  }
  table.freeScope(0);
  assert.equal(table.countOf(0, 1), 0);
  assert.equal(table.keep(0, 1, hashOf(5), latch(1)), 'refused');
  let cleared = 0;
  for (let region = 0; region < table.regions; region++)
    cleared += table.clear(region, (scope) => scope === 0);
  assert.equal(cleared, 1000);
  assert.equal(table.count, 1000);
  table.openScope(0, 3, 3);
  assert.equal(read(table, 0, hashOf(5)), null);
  assert.equal(table.keep(0, 1, hashOf(5), latch(1)), 'refused');
  assert.equal(table.keep(0, 3, hashOf(5), latch(1)), 'kept');
  assert.deepEqual(read(table, 1, hashOf(5)), latch(2));
});

test('a lock that an ended thread left is opened; until then others give up in time', () => {
  const memory = latchTableMemory(1000);
  const table = new LatchTable(memory, 1);
  table.openScope(0, 1, 1);
  table.keep(0, 1, hashOf(1), latch(1));
  const held = new LatchTable(memory, 2);
  held.clear(0, () => {
    assert.equal(table.keep(0, 1, hashOf(2), latch(2)), 'busy');
    assert.equal(
      table.clear(0, () => false),
      -1,
    );
    assert.deepEqual(read(table, 0, hashOf(1)), latch(1));
    table.release(3);
    assert.equal(table.keep(0, 1, hashOf(2), latch(2)), 'busy');
    table.release(2);
    assert.equal(table.keep(0, 1, hashOf(2), latch(2)), 'kept');
    return false;
  });
});

async function run(tasks: readonly TableTask[]): Promise<string[]> {
  return Promise.all(
    tasks.map(
      async (task) =>
        new Promise<string>((resolve, reject) => {
          const worker = new Worker(new URL('./latch-table-thread.ts', import.meta.url), {
            workerData: task,
          });
          worker.on('message', resolve);
          worker.on('error', reject);
        }),
    ),
  );
}

test('threads that write and read at once see whole latches, never an older one, and lose none', async () => {
  const memory = latchTableMemory(2000);
  const table = new LatchTable(memory, 9);
  table.openScope(0, 1, 1);
  const users = Array.from({ length: 300 }, (_, number) => hashOf(number));
  const turns = new SharedArrayBuffer(users.length * 4);
  const go = new SharedArrayBuffer(8);
  const task = { memory, users, turns, go, threads: 4 };
  const faults = await run([
    { ...task, owner: 1, role: 'write' },
    { ...task, owner: 2, role: 'write' },
    { ...task, owner: 3, role: 'read' },
    { ...task, owner: 4, role: 'read' },
  ]);
  assert.deepEqual(faults, ['', '', '', '']);
  assert.equal(table.count, users.length);
  for (const hash of users) {
    const whole = read(table, 0, hash);
    assert.deepEqual(whole?.excluded.toSorted(), [1, 2]);
  }
});

test('threads that write to a full table leave it as consistent as one would', async () => {
  const limit = 1000;
  const memory = latchTableMemory(limit);
  const table = new LatchTable(memory, 9);
  table.openScope(0, 1, 1);
  const users = Array.from({ length: 6000 }, (_, number) => hashOf(number));
  const task = {
    memory,
    users,
    turns: new SharedArrayBuffer(users.length * 4),
    go: new SharedArrayBuffer(8),
    threads: 3,
  };
  const faults = await run([
    { ...task, owner: 1, role: 'flood' },
    { ...task, owner: 2, role: 'flood' },
    { ...task, owner: 3, role: 'read' },
  ]);
  assert.deepEqual(faults, ['', '', '']);
  const held = users.filter((hash) => read(table, 0, hash) !== null);
  assert.equal(held.length, table.count);
  assert.ok(table.count <= limit + 2);
});
