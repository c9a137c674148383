/** Who is admitted and who is turned away, over several workers that see each other's counts only. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Admission, ServiceAdmission } from '../../../src/proxy/admission.ts';
import { SERVICE_OVERLOADS, WORKER_OVERLOADS } from '../../../src/telemetry/counters.ts';
import { SERVICE_SLOT } from '../../../src/telemetry/service-counters.ts';
import { WORKER_SLOT } from '../../../src/telemetry/worker-counters.ts';
import { newServiceCounters, newWorkerCounters } from '../telemetry/fake-source.ts';

const LIMITS = { maxConnections: 4, maxRequests: 3 };

function workers(count: number, limits = LIMITS) {
  const all = Array.from({ length: count }, newWorkerCounters);
  return all.map((counters) => ({ counters, admission: new Admission(counters, all, limits) }));
}

function turnedAway(counters: ReturnType<typeof newWorkerCounters>): Record<string, number> {
  return Object.fromEntries(
    WORKER_OVERLOADS.map((why, index) => [why, counters.slots[WORKER_SLOT.overloaded + index]!]),
  );
}

test('one worker may use the whole limit when its siblings have nothing to do', () => {
  const [first, second] = workers(2) as [ReturnType<typeof workers>[0], ReturnType<typeof workers>[0]];
  for (let count = 0; count < 4; count++) {
    assert.ok(first.admission.connection());
    first.counters.connectionOpened();
  }
  assert.ok(!first.admission.connection());
  assert.deepEqual(turnedAway(first.counters), { connections: 1, requests: 0, memory: 0 });
  first.counters.connectionClosed();
  assert.ok(first.admission.connection());
  first.counters.connectionOpened();
  assert.ok(!second.admission.connection());
});

test('property: small limits are exact, however connections and requests are spread', () => {
  const step = fc.record({ worker: fc.nat(3), open: fc.boolean(), renew: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 40 }), (steps, limit) => {
      const all = workers(4, { maxConnections: limit, maxRequests: limit });
      const open = () => all.reduce((sum, one) => sum + one.counters.requestsOpen, 0);
      for (const { worker, open: opens, renew } of steps) {
        const { counters, admission } = all[worker]!;
        if (renew) admission.renew();
        if (!opens) {
          if (counters.requestsOpen > 0) counters.requestEnded();
          continue;
        }
        const room = open() < limit;
        assert.equal(admission.begin(), room);
        if (!room) counters.requestEnded();
        assert.equal(admission.connection(), true);
      }
    }),
  );
});

test('a large limit is passed for no longer than until allowances are renewed', () => {
  const limit = 10_000;
  const all = workers(2, { maxConnections: limit, maxRequests: limit });
  const [first, second] = all as [(typeof all)[0], (typeof all)[0]];
  for (const { admission } of all) admission.renew();
  const fill = ({ admission, counters }: (typeof all)[0]) => {
    let count = 0;
    while (admission.begin()) count += 1;
    counters.requestEnded();
    return count;
  };
  assert.equal(fill(first), limit);
  assert.ok(fill(second) <= limit / 4);
  for (const { admission } of all) admission.renew();
  while (first.counters.requestsOpen > 0) first.counters.requestEnded();
  assert.equal(fill(first), limit - second.counters.requestsOpen);
  assert.equal(fill(second), 0);
});

test('while memory is short nothing is admitted, whatever the limits become', () => {
  const [only] = workers(1) as [ReturnType<typeof workers>[0]];
  only.admission.shortOfMemory(true);
  only.admission.configure({ maxConnections: 1000, maxRequests: 1000 });
  only.admission.renew();
  assert.ok(!only.admission.connection());
  assert.ok(!only.admission.begin());
  only.counters.requestEnded();
  assert.deepEqual(turnedAway(only.counters), { connections: 0, requests: 0, memory: 2 });
  only.admission.shortOfMemory(false);
  for (let count = 0; count < 1000; count++) {
    assert.ok(only.admission.begin());
  }
  assert.ok(!only.admission.begin());
});

test('a service has requests and tunnels of its own, over all workers', () => {
  const all = [newServiceCounters(), newServiceCounters()] as const;
  const [first, second] = all;
  const admission = new ServiceAdmission(first, all, { maxRequests: 2, maxTunnels: 1 });
  assert.ok(admission.admits(false));
  first.inFlight(0, 1);
  assert.ok(admission.admits(false));
  second.inFlight(1, 1);
  assert.ok(!admission.admits(false));
  second.inFlight(1, -1);
  assert.ok(admission.admits(true));
  second.tunnelOpened();
  assert.ok(!admission.admits(true));
  assert.ok(admission.admits(false));
  assert.deepEqual(
    SERVICE_OVERLOADS.map((_, index) => first.slots[SERVICE_SLOT.overloaded + index]),
    [1, 1],
  );
  second.tunnelClosed();
  assert.ok(admission.admits(true));
});
