import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { createMembership, type Membership } from '../../../src/replication/membership.ts';
import type { ReplicaRecord } from '../../../src/replication/replica-record.ts';
import { DIGESTS, replica } from '../../support/replica.ts';

const LEASE = 5000;
const MAX_STALENESS = 600_000;

function start(): { fleet: Membership; clock: { now: number } } {
  const clock = { now: 1_000_000 };
  const fleet = createMembership({
    self: { name: 'a', boot: 'a-1' },
    lease: LEASE,
    maxStaleness: MAX_STALENESS,
    monotonicNow: () => clock.now,
  });
  fleet.hear(replica('a'), 0);
  return { fleet, clock };
}

const names = (fleet: Membership): string[] =>
  fleet.replicas().map(({ record, state }) => `${record.boot} ${state}`);

const CHANGE = { service: 'notes', revision: 7, changeId: 'c7', rolledBack: null };
const ROLLBACK = { ...CHANGE, rolledBack: ['r1'] };

describe('who is in the fleet', () => {
  it('is live within its lease and unreachable after it', () => {
    const { fleet, clock } = start();
    fleet.hear(replica('b'), 0);
    clock.now += LEASE;
    assert.deepEqual(names(fleet), ['a-1 live', 'b-1 live']);
    clock.now += 1;
    assert.deepEqual(names(fleet), ['a-1 unreachable', 'b-1 unreachable']);
  });

  it('is forgotten after a day, and when it leaves', () => {
    const { fleet, clock } = start();
    fleet.hear(replica('b'), 0);
    fleet.hear(replica('c'), 0);
    fleet.left('c');
    assert.deepEqual(names(fleet), ['a-1 live', 'b-1 live']);
    // What was under way when it left does not bring it back.
    fleet.hear(replica('c', { sequence: 9 }), 0);
    assert.deepEqual(names(fleet), ['a-1 live', 'b-1 live']);
    clock.now += 24 * 3_600_000 + 1;
    fleet.hear(replica('a', { sequence: 2 }), 0);
    assert.deepEqual(names(fleet), ['a-1 live']);
  });

  it('is back when it left by mistake and goes on talking', () => {
    const { fleet } = start();
    fleet.hear(replica('b'), 0);
    fleet.left('b', 'b-1');
    for (const sequence of [2, 3]) fleet.hear(replica('b', { sequence }), 0);
    assert.deepEqual(names(fleet), ['a-1 live', 'b-1 live']);
  });

  it('takes an age from the store into account', () => {
    const { fleet } = start();
    fleet.synced([
      { record: replica('b'), age: LEASE + 1 },
      { record: replica('c'), age: LEASE - 1 },
    ]);
    assert.deepEqual(names(fleet), ['a-1 live', 'b-1 unreachable', 'c-1 live']);
  });

  it('goes by the newest sequence, and a record said again makes nobody younger', () => {
    const { fleet, clock } = start();
    fleet.hear(replica('b', { sequence: 5, revision: 9 }), 0);
    fleet.hear(replica('b', { sequence: 4, revision: 8 }), 0);
    assert.equal(fleet.replicas()[1]?.record.revision, 9);
    clock.now += LEASE + 1;
    fleet.hear(replica('b', { sequence: 5, revision: 9 }), 0);
    assert.equal(fleet.replicas()[1]?.state, 'unreachable');
    fleet.hear(replica('b', { sequence: 6, revision: 9 }), 0);
    assert.equal(fleet.replicas()[1]?.state, 'live');
  });

  it('replaces a former boot by a new one, whatever the order in which the two are heard', () => {
    const { fleet, clock } = start();
    fleet.hear(replica('b', { sequence: 50 }), 0);
    clock.now += 300;
    fleet.hear(replica('b', { boot: 'b-2' }), 0);
    // The store still shows the last beat of the former one.
    fleet.synced([{ record: replica('b', { sequence: 51 }), age: 400 }]);
    assert.deepEqual(names(fleet), ['a-1 live', 'b-2 live']);
    assert.deepEqual(fleet.disagreements(DIGESTS), []);

    const fresh = start();
    fresh.fleet.hear(replica('b', { boot: 'b-2' }), 0);
    fresh.clock.now += 300;
    fresh.fleet.synced([{ record: replica('b', { sequence: 51 }), age: 400 }]);
    assert.deepEqual(names(fresh.fleet), ['a-1 live', 'b-2 live']);
  });

  it('tells two live processes of one name from a restart: both count, and it is reported', () => {
    const { fleet } = start();
    for (let sequence = 1; sequence < 5; sequence++) {
      fleet.hear(replica('b', { sequence }), 0);
      fleet.hear(replica('b', { sequence, boot: 'b-2', revision: 3 }), 0);
    }
    assert.deepEqual(names(fleet), ['a-1 live', 'b-1 live', 'b-2 live']);
    assert.equal(fleet.acknowledgement(CHANGE).progress, '2 of 3 replicas');
    assert.match(fleet.disagreements(DIGESTS).join(), /two live replicas are called "b"/);
  });

  it('notices a twin of its own, and forgets it when it is silent', () => {
    const { fleet, clock } = start();
    for (let sequence = 1; sequence < 4; sequence++) fleet.hear(replica('a', { sequence, boot: 'twin' }), 0);
    assert.match(fleet.disagreements(DIGESTS).join(), /called "a"/);
    clock.now += LEASE + 1;
    fleet.hear(replica('a', { sequence: 2 }), 0);
    assert.deepEqual(fleet.disagreements(DIGESTS), []);
    assert.deepEqual(names(fleet), ['a-1 live']);
  });
});

describe('when a change is applied', () => {
  it('needs every worker of every live replica', () => {
    const { fleet } = start();
    fleet.hear(replica('b'), 0);
    fleet.hear(
      replica('c', {
        workers: [
          { index: 0, revision: 7 },
          { index: 1, revision: 6 },
        ],
      }),
      0,
    );
    assert.deepEqual(fleet.acknowledgement(CHANGE), {
      applied: false,
      done: 2,
      of: 3,
      progress: '2 of 3 replicas',
      missing: ['c'],
      unreachable: [],
      cutOff: [],
    });
    fleet.hear(replica('c', { sequence: 2 }), 0);
    assert.equal(fleet.acknowledgement(CHANGE).applied, true);
  });

  it('waits for nobody whose lease is over', () => {
    const { fleet } = start();
    fleet.synced([{ record: replica('b', { revision: 6 }), age: LEASE + 1 }]);
    const { applied, progress, unreachable, missing } = fleet.acknowledgement(CHANGE);
    assert.equal(applied, true);
    assert.equal(progress, '1 of 1 replicas; unreachable: b');
    assert.deepEqual([unreachable, missing], [['b'], []]);
  });

  it('goes on without a replica that is heard of but has lost the store for a lease, and says so', () => {
    const { fleet, clock } = start();
    const behind = replica('b', { revision: 6 });
    fleet.synced([{ record: behind, age: 10 }]);
    const later = (sequence: number, more = {}): void => {
      fleet.hear(replica('a', { sequence }), 0);
      fleet.hear(replica('b', { sequence, revision: 6, ...more }), 0);
    };
    clock.now += LEASE - 100;
    later(2);
    fleet.synced([{ record: behind, age: LEASE - 90 }]);
    assert.equal(fleet.acknowledgement(CHANGE).progress, '1 of 2 replicas');
    clock.now += 200;
    later(3);
    fleet.synced([{ record: behind, age: LEASE + 110 }]);
    assert.deepEqual(fleet.replicas()[1]?.state, 'live');
    assert.deepEqual(fleet.acknowledgement(CHANGE), {
      applied: true,
      done: 1,
      of: 1,
      progress: '1 of 1 replicas; cut off from the store: b',
      missing: [],
      unreachable: [],
      cutOff: ['b'],
    });
    assert.equal(fleet.acknowledgement(ROLLBACK).applied, false, 'its users may still get the canary');
    later(4, { rolledBack: ['r1'] });
    assert.equal(fleet.acknowledgement(ROLLBACK).applied, true);
    // Who has not looked into the store for a lease cannot tell.
    clock.now += LEASE + 1;
    later(5);
    assert.equal(fleet.acknowledgement(CHANGE).progress, '1 of 2 replicas');
  });

  it('is not cut off from the store because it is silent', () => {
    const { fleet, clock } = start();
    const behind = replica('b', { revision: 6 });
    fleet.synced([{ record: behind, age: 100 }]);
    fleet.hear({ ...behind, sequence: 2 }, 0);
    clock.now += LEASE;
    fleet.hear(replica('a', { sequence: 2 }), 0);
    fleet.synced([{ record: behind, age: LEASE + 100 }]);
    assert.equal(fleet.acknowledgement(CHANGE).progress, '1 of 2 replicas');
    clock.now += 1;
    assert.equal(fleet.acknowledgement(CHANGE).progress, '1 of 1 replicas; unreachable: b');
  });

  it('gives a replica that is back a lease to show in the store', () => {
    const { fleet, clock } = start();
    fleet.hear(replica('b', { revision: 6 }), 0);
    clock.now += 2 * LEASE;
    fleet.hear(replica('a', { sequence: 2 }), 0);
    fleet.hear(replica('b', { sequence: 2, revision: 6 }), 0);
    fleet.synced([]);
    assert.equal(fleet.acknowledgement(CHANGE).progress, '1 of 2 replicas');
    clock.now += LEASE - 1;
    for (const sequence of [3, 4]) {
      fleet.hear(replica('a', { sequence }), 0);
      fleet.hear(replica('b', { sequence, revision: 6 }), 0);
      fleet.synced([]);
      const expected = sequence === 3 ? '1 of 2 replicas' : '1 of 1 replicas; cut off from the store: b';
      assert.equal(fleet.acknowledgement(CHANGE).progress, expected);
      clock.now += 2;
    }
  });

  it('does not count a replica that decides by another change of that number, or that has no workers', () => {
    for (const other of [{ changeId: 'x' }, { workers: [] }, { revision: 6 }]) {
      const { fleet } = start();
      fleet.hear(replica('b', other), 0);
      assert.deepEqual(fleet.acknowledgement(CHANGE).missing, ['b']);
    }
    const { fleet } = start();
    fleet.hear(replica('b', { revision: 8, changeId: 'c8' }), 0);
    assert.equal(fleet.acknowledgement(CHANGE).applied, true);
  });

  it('does not count a replica that cannot read the service at that revision', () => {
    const { fleet } = start();
    const fault = (service: string, revision: number): Partial<ReplicaRecord> => ({
      faults: [{ service, revision, detail: 'newer' }],
    });
    fleet.hear(replica('b', { sequence: 2, ...fault('notes', 7) }), 0);
    assert.deepEqual(fleet.acknowledgement(CHANGE).missing, ['b']);
    fleet.hear(replica('b', { sequence: 3, ...fault('shop', 7) }), 0);
    assert.equal(fleet.acknowledgement(CHANGE).applied, true);
    fleet.hear(replica('b', { sequence: 4, revision: 9, ...fault('notes', 9) }), 0);
    assert.equal(fleet.acknowledgement(CHANGE).applied, true, 'the change before the fault is applied');
  });

  it('is applied nowhere while no replica is known', () => {
    const fleet = createMembership({
      self: { name: 'a', boot: 'a-1' },
      lease: LEASE,
      maxStaleness: MAX_STALENESS,
      monotonicNow: () => 0,
    });
    assert.equal(fleet.acknowledgement(CHANGE).applied, false);
  });
});

describe('when a rollback is applied', () => {
  it('waits for an unreachable replica until it has fenced itself, by what the store last showed', () => {
    const { fleet, clock } = start();
    fleet.synced([{ record: replica('b', { revision: 6 }), age: LEASE + 1 }]);
    const waiting = fleet.acknowledgement(ROLLBACK);
    assert.deepEqual([waiting.applied, waiting.done, waiting.of], [false, 1, 2]);
    assert.deepEqual(waiting.missing, ['b']);
    clock.now += MAX_STALENESS + 10_000;
    fleet.hear(replica('a', { sequence: 2 }), 0);
    assert.equal(fleet.acknowledgement(ROLLBACK).applied, false, 'nobody has looked into the store since');
    fleet.synced([]);
    assert.equal(fleet.acknowledgement(ROLLBACK).applied, true);
  });

  it('counts one that treats the rollout as rolled back, that gives stable to all, or that comes back with it', () => {
    for (const back of [{ rolledBack: ['r1'] }, { fenced: true }, { revision: 7 }]) {
      const { fleet } = start();
      fleet.hear(replica('b', { revision: 6 }), 0);
      assert.equal(fleet.acknowledgement(ROLLBACK).applied, false);
      fleet.hear(replica('b', { sequence: 2, revision: 6, ...back }), 0);
      assert.equal(fleet.acknowledgement(ROLLBACK).applied, true);
    }
  });

  it('counts only those that know of it while the store does not have it', () => {
    const { fleet } = start();
    const ahead = { ...ROLLBACK, revision: null, changeId: null };
    assert.equal(fleet.acknowledgement(ahead).progress, '0 of 1 replicas');
    fleet.hear(replica('a', { sequence: 2, rolledBack: ['r1'] }), 0);
    assert.equal(fleet.acknowledgement(ahead).applied, true);
  });

  it('is no sooner applied than a change by the same records', () => {
    const record = fc.record({
      name: fc.constantFrom('a', 'b', 'c', 'd'),
      boot: fc.constantFrom('1', '2', '3'),
      sequence: fc.nat(5),
      revision: fc.constantFrom(6, 7, 8),
      changeId: fc.constantFrom('c7', 'x'),
      age: fc.constantFrom(0, 100, LEASE + 1),
    });
    fc.assert(
      fc.property(fc.array(record, { maxLength: 20 }), (records) => {
        const { fleet } = start();
        for (const { age, boot, name, ...rest } of records)
          fleet.hear(replica(name, { ...rest, boot: `${name}-${boot}` }), age);
        const change = fleet.acknowledgement(CHANGE);
        const rollback = fleet.acknowledgement(ROLLBACK);
        assert.ok(!rollback.applied || change.applied);
        assert.equal(change.done + change.missing.length, change.of);
        assert.equal(rollback.done + rollback.missing.length, rollback.of);
      }),
    );
  });
});

describe('what replicas have to have alike', () => {
  const differing = (digests: Partial<typeof DIGESTS>): string => {
    const { fleet } = start();
    fleet.hear(replica('b', { digests: { ...DIGESTS, ...digests } }), 0);
    return fleet.disagreements(DIGESTS).join('; ');
  };

  it('says which replica differs in what', () => {
    assert.equal(differing({}), '');
    assert.equal(differing({ segments: {} }), 'b lacks the segment "office"');
    assert.equal(differing({ segments: { office: 'x' } }), 'b defines the segment "office" otherwise');
    assert.equal(
      differing({ segments: { office: 'four', campus: 'x' } }),
      'b has the segment "campus", this replica has not',
    );
    assert.equal(differing({ services: { notes: 'x' } }), 'b defines the service "notes" otherwise');
    assert.equal(differing({ region: 'x' }), 'b has a region database, this replica has none');
    assert.equal(differing({ keys: { k1: 'x' } }), 'b has another secret under the key "k1" of the key ring');
    assert.equal(differing({ keys: { k2: 'x' } }), 'the key ring of b has no key in common with this one');
    assert.equal(
      differing({ bucketAlgorithms: ['other'] }),
      'b knows no bucket algorithm that this replica knows',
    );
  });

  it('allows a ring to be renewed replica by replica', () => {
    assert.equal(differing({ keys: { k2: 'two', k1: 'one' } }), '');
  });

  it('asks for what running rollouts need', () => {
    const { fleet } = start();
    fleet.hear(replica('b'), 0);
    const pinned = { keys: ['k0'], bucketAlgorithms: ['xxh64-0'] };
    assert.deepEqual(fleet.disagreements(DIGESTS, pinned), [
      'b lacks the key "k0", which a running rollout makes fingerprints with',
      'b does not know the bucket algorithm "xxh64-0" of a running rollout',
    ]);
  });

  it('leaves out replicas that are away', () => {
    const { fleet, clock } = start();
    fleet.hear(replica('b', { digests: { ...DIGESTS, region: 'x', keys: {} } }), 0);
    clock.now += LEASE + 1;
    assert.deepEqual(fleet.disagreements(DIGESTS), []);
    assert.deepEqual([...fleet.commonKeys(DIGESTS)], ['k1']);
  });

  it('shares the keys that every live replica has', () => {
    const { fleet } = start();
    const own = { ...DIGESTS, keys: { k2: 'two', k1: 'one', constructor: 'x' } };
    fleet.hear(replica('b', { digests: { ...DIGESTS, keys: { k1: 'one', k2: 'other' } } }), 0);
    fleet.hear(replica('c', { digests: own }), 0);
    assert.deepEqual([...fleet.commonKeys(own)], ['k1']);
  });
});
