/** What the limit on open files leaves for connections. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { descriptorLimit, planDescriptors } from '../../../src/runtime/descriptors.ts';

const WANTED = { maxConnections: 65_536, maxRequests: 65_536 };

test('without a limit all is as configured', () => {
  const { maxConnections, maxRequests, lingering } = planDescriptors(null, 4, WANTED);
  assert.deepEqual({ maxConnections, maxRequests, lingering }, { ...WANTED, lingering: 64 });
});

test('a high limit changes nothing', () => {
  const { maxConnections, maxRequests } = planDescriptors(1_048_576, 16, WANTED);
  assert.deepEqual({ maxConnections, maxRequests }, WANTED);
});

test('whatever the limit is, connections of all kinds fit into it, and something is left', () => {
  for (const limit of [256, 1000, 1024, 3000, 4096, 65_535, 65_536, 200_000])
    for (const workers of [1, 2, 8])
      for (const wanted of [
        WANTED,
        { maxConnections: 500, maxRequests: 100 },
        { maxConnections: 9, maxRequests: 65_536 },
      ]) {
        const plan = planDescriptors(limit, workers, wanted);
        const name = `${limit} descriptors, ${workers} workers, ${JSON.stringify(wanted)}: ${JSON.stringify(plan)}`;
        const used = plan.maxConnections + plan.maxRequests + plan.lingering * workers;
        assert.ok(plan.maxConnections >= 1 && plan.maxConnections <= wanted.maxConnections, name);
        assert.ok(plan.maxRequests >= 1 && plan.maxRequests <= wanted.maxRequests, name);
        // For the process itself, and the admin API, the ops server and peers.
        assert.ok(limit - used >= Math.min(limit / 4, 640), name);
      }
});

test('few requests leave more for connections', () => {
  const few = planDescriptors(3000, 2, { maxConnections: 65_536, maxRequests: 100 });
  assert.equal(few.maxRequests, 100);
  assert.ok(few.maxConnections > 1900, String(few.maxConnections));
});

test('the limit is read, and none is not a limit', () => {
  const text = (soft: string): string =>
    `Limit                     Soft Limit           Hard Limit           Units     \nMax open files            ${soft}                 4096                 files     \n`;
  assert.equal(
    descriptorLimit(() => text('3000')),
    3000,
  );
  assert.equal(
    descriptorLimit(() => text('unlimited')),
    null,
  );
  assert.equal(
    descriptorLimit(() => {
      throw Object.assign(new Error('no /proc'), { code: 'ENOENT' });
    }),
    null,
  );
});
