/**
 * A thread of the tests of the latch table: writes or reads the same users as its siblings, at the same time.
 *
 * Each user's latch says its own hash in bucket and revision, so that a mixture of two is seen. Writers go on until each
 * has written its own exclusion on every user; what a reader has seen of a user once, it must see again.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { LatchTable } from '../../../src/policy/latch/latch-table.ts';
import { numbered, type FoundLatch, type NumberedLatch } from '../../../src/policy/latch/packed-latch.ts';

export interface TableTask {
  readonly memory: SharedArrayBuffer;
  readonly owner: number;
  /** `flood`: every user once, in an order of its own. */
  readonly role: 'write' | 'read' | 'flood';
  readonly users: readonly number[];
  /** How many writes of each user are over. */
  readonly turns: SharedArrayBuffer;
  /** Two words: threads that are here, and writers that are done. */
  readonly go: SharedArrayBuffer;
  readonly threads: number;
}

const { memory, owner, role, users, turns, go, threads } = workerData as TableTask;
const table = new LatchTable(memory, owner);
const written = new Int32Array(turns);
const found: FoundLatch = { bucket: 0, revision: 0, admitted: 0, excluded: 0 };
const ROUNDS = 40;
/** Two of the threads write in every test. */
const WRITERS = 2;

const here = new Int32Array(go);
Atomics.add(here, 0, 1);
while (Atomics.load(here, 0) < threads);

parentPort!.postMessage(role === 'read' ? readAll() : writeAll());

function latchOf(hash: number, round: number): NumberedLatch {
  const excluded = role === 'write' && round > ROUNDS / 2 ? [owner] : [];
  return { bucket: hash % 1_000_000, revision: (hash % 1000) + 1, admitted: [(round % 3) + 1], excluded };
}

function writeAll(): string {
  const rounds = role === 'write' ? ROUNDS : 1;
  for (let round = 1; round <= rounds; round++) {
    for (let step = 0; step < users.length; step++) {
      const index = owner % 2 === 0 ? step : users.length - 1 - step;
      const hash = users[index]!;
      // Busy where the system put the thread to sleep that has the lock.
      while (table.keep(0, 1, hash, latchOf(hash, round)) === 'busy');
      Atomics.add(written, index, 1);
    }
  }
  Atomics.add(here, 1, 1);
  return '';
}

function readAll(): string {
  const seen = new Set<number>();
  const marks = new Map<number, number>();
  let last = false;
  while (!last) {
    // The last round comes after the writers have left.
    last = Atomics.load(here, 1) === WRITERS;
    for (const [index, hash] of users.entries()) {
      const before = Atomics.load(written, index);
      if (!table.find(0, hash, found)) {
        const mustBe = seen.has(hash) || before > 0;
        if (mustBe && table.evicted === 0) return `user ${index} was there and is not`;
        continue;
      }
      const { bucket, revision, admitted, excluded } = numbered(found);
      if (bucket !== hash % 1_000_000 || revision !== (hash % 1000) + 1)
        return `user ${index} has bucket ${bucket} and revision ${revision}`;
      if (admitted.length > 3 || excluded.length > 2) return `user ${index} has marks that nobody wrote`;
      if (excluded.length < (marks.get(hash) ?? 0)) return `user ${index} lost an exclusion`;
      marks.set(hash, excluded.length);
      seen.add(hash);
    }
  }
  return '';
}
