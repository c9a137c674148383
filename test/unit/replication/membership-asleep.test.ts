/** Who is in the fleet as a replica sees it that was stopped for a while. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMembership, type Membership } from '../../../src/replication/membership.ts';
import { AWAKE_TICK, createAwakeClock } from '../../../src/runtime/awake-clock.ts';
import { replica } from '../../support/replica.ts';

const LEASE = 5000;
const MAX_STALENESS = 600_000;
const CHANGE = { service: 'notes', revision: 7, changeId: 'c7', rolledBack: null };

const names = (fleet: Membership): string[] =>
  fleet.replicas().map(({ record, state }) => `${record.boot} ${state}`);

test('a replica that slept calls nobody unreachable, and counts them', () => {
  const real = { now: 1_000_000 };
  const awake = createAwakeClock(() => real.now);
  const fleet = createMembership({
    self: { name: 'a', boot: 'a-1' },
    lease: LEASE,
    maxStaleness: MAX_STALENESS,
    monotonicNow: awake.now,
  });
  fleet.hear(replica('a'), 0);
  fleet.hear(replica('b', { revision: 6 }), 0);
  real.now += 3_600_000;
  assert.deepEqual(names(fleet), ['a-1 live', 'b-1 live']);
  assert.equal(fleet.acknowledgement(CHANGE).progress, '1 of 2 replicas');
  // What the store says of silence is real: it was awake.
  fleet.synced([
    { record: replica('a'), age: 0 },
    { record: replica('b', { revision: 6 }), age: 3_600_000 },
    { record: replica('c'), age: 3_600_000 },
  ]);
  assert.deepEqual(names(fleet), ['a-1 live', 'b-1 live', 'c-1 unreachable']);
  for (let passed = 0; passed <= LEASE; passed += AWAKE_TICK) {
    real.now += AWAKE_TICK;
    awake.tick();
  }
  assert.deepEqual(names(fleet), ['a-1 unreachable', 'b-1 unreachable', 'c-1 unreachable']);
});
