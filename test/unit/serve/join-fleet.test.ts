/** By which clock a replica judges the others: by that of its being awake, while its own knowledge ages by real time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joinFleet } from '../../../src/serve/join-fleet.ts';
import { createLog } from '../../../src/telemetry/log.ts';
import { StoreCounters } from '../../../src/telemetry/store-counters.ts';
import { freePort } from '../../support/ports.ts';
import { replica } from '../../support/replica.ts';

test('a replica that slept takes nobody for silent, and knows how long it slept', async (context) => {
  const real = performance.now.bind(performance);
  let slept = 0;
  context.mock.method(performance, 'now', () => real() + slept);
  const nobody = { port: 9092, connect() {}, send() {}, close: async () => {} };
  const fleet = await joinFleet({
    configuration: { fleet: { name: 'a', lease: '5s' } },
    store: {
      redis: `redis://127.0.0.1:${await freePort()}`,
      prefix: 'serin',
      snapshot: 'not-written',
      maxStaleness: '10m',
      historyBytes: 1_000_000,
    },
    storeCounters: new StoreCounters(),
    keys: [{ id: 'k1', secret: Buffer.alloc(32, 1) }],
    version: '1.0.0',
    log: createLog({ level: 'silent' }),
    onWaiting() {},
    // Nobody is there to be listened to.
    listening: async () => nobody,
  });
  context.after(() => fleet.close());
  const { membership, elapsed } = fleet.shared;
  const before = elapsed();
  membership.hear(replica('b'), 0);
  slept = 3_600_000;
  assert.deepEqual(
    membership.replicas().map(({ record, state }) => `${record.name} ${state}`),
    ['b live'],
  );
  assert.ok(elapsed() - before >= 3_600_000);
});
