/**
 * What the latches of header identities cost: `node --expose-gc bench/micro/latches.ts [latches]`. About ten seconds.
 *
 * A table for as many latches as are asked for (1,000,000 where unsaid) is filled with that many users of a rollout, whose
 * hashes all have small buckets. Shown are the memory that the process took for it, what a read costs that finds the user and
 * one that doesn't (and each again while another thread writes), what it costs to keep a latch, to verify one from another
 * replica, and to clear all of them.
 */
import { Worker } from 'node:worker_threads';
import { createLatchKeeper } from '../../src/latches/latch-keeper.ts';
import type { ServiceSnapshot } from '../../src/contract/snapshot.ts';
import { identityHash } from '../../src/policy/bucket.ts';
import { KeyRing } from '../../src/policy/keys.ts';
import { Latches, latchScope, tagOf, type Latch } from '../../src/policy/latch/latch.ts';
import { ScopeLatches } from '../../src/policy/latch/latch-memory.ts';
import { LatchTable } from '../../src/policy/latch/latch-table.ts';
import { policySource } from '../../test/support/policy-source.ts';

const count = Number(process.argv[2] ?? 1_000_000);
const keys = [{ id: 'k', secret: new Uint8Array(32).fill(7) }];
const service = policySource(
  [{ name: 'office', match: { segment: 'office' }, percentage: 1 }],
  [{ header: 'x-user-id' }],
  'running',
) as unknown as ServiceSnapshot;
const rollout = service.rollout!;
const scope = latchScope(service.name, rollout.id);
const tag = tagOf('office');

/** Users of one percent: the upper bits of their hashes are alike. */
const hashes = Float64Array.from({ length: count }, (_, number) =>
  Math.floor(identityHash('salt', `user-${number}`) / 100),
);
const strangers = Float64Array.from({ length: count }, (_, number) =>
  identityHash('salt', `nobody-${number}`),
);

function latchOf(number: number): Latch {
  return { scope, bucket: number % 10_000, revision: 7, admitted: [tag], excluded: [] };
}

function time(name: string, runs: number, run: (index: number) => unknown): void {
  const started = performance.now();
  for (let index = 0; index < runs; index++) run(index);
  const each = ((performance.now() - started) * 1e6) / runs;
  console.log(`${name.padEnd(58)} ${each.toFixed(0).padStart(7)} ns`);
}

globalThis.gc?.();
const before = process.memoryUsage().rss;
const keeper = createLatchKeeper(count, 2);
keeper.follow({ services: [service], keys });
const latches = new ScopeLatches(scope, keeper.scopes[scope]!, new LatchTable(keeper.memory, 1));
const empty = process.memoryUsage().rss;
time('keep a new latch', count, (index) => latches.keep(hashes[index]!, latchOf(index)));
globalThis.gc?.();
const { held, evicted, bytes } = keeper.figures();
const MB = 1e6;
console.log(`${held} latches held, ${evicted} evicted; the table has ${(bytes / MB).toFixed(1)} MB`);
console.log(
  `resident: ${((empty - before) / MB).toFixed(1)} MB when empty, ${((process.memoryUsage().rss - before) / MB).toFixed(1)} MB when full`,
);

const READS = 2_000_000;
const reads = (suffix: string): void => {
  time(`find a user, any of them${suffix}`, READS, (index) => latches.find(hashes[(index * 7919) % count]!));
  time(`find a user, the same 1,024${suffix}`, READS, (index) => latches.find(hashes[index & 1023]!));
  time(`find no such user${suffix}`, READS, (index) => latches.find(strangers[(index * 7919) % count]!));
};
reads('');
time('keep a latch that is known', count, (index) => latches.keep(hashes[index]!, latchOf(index)));

const writer = new Worker(
  `const { workerData, parentPort } = require('node:worker_threads');
   (async () => {
     const { LatchTable } = await import(workerData.module);
     const table = new LatchTable(workerData.memory, 2);
     parentPort.postMessage('begins');
     for (let n = 0; ; n++)
       table.keep(0, 1, workerData.hashes[n % workerData.hashes.length],
         { bucket: 1, revision: 7, admitted: [2 + (n % 2)], excluded: [] });
   })();`,
  {
    eval: true,
    workerData: {
      module: new URL('../../src/policy/latch/latch-table.ts', import.meta.url).href,
      memory: keeper.memory,
      hashes,
    },
  },
);
await new Promise((resolve) => writer.once('message', resolve));
reads(' while another thread writes');
await writer.terminate();
// It may have held a lock.
keeper.workerEnded(1);

const seals = new Latches(new KeyRing(keys), 16);
const values = Array.from({ length: 10_000 }, (_, index) => seals.seal(latchOf(index), tagOf(rollout.id)));
time('take over a latch of another replica', values.length, (index) =>
  keeper.takeOver([
    { service: service.name, rolloutId: rollout.id, identityHash: hashes[index]!, value: values[index]! },
  ]),
);
keeper.follow({ services: [], keys });
keeper.tidy(0);
let longest = 0;
for (let at = 0; keeper.figures().held > 0; at++) {
  const started = performance.now();
  keeper.tidy(60_000 + at);
  longest = Math.max(longest, performance.now() - started);
}
console.log(`clear them all, a part each second: at most ${longest.toFixed(1)} ms at a time`);
