import { test } from 'node:test';
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { REASONS, TIERS } from '../../../src/policy/rollout.ts';
import {
  MIRROR_OUTCOMES,
  OUTCOMES,
  SERVICE_OVERLOADS,
  WORKER_OVERLOADS,
} from '../../../src/telemetry/counters.ts';
import {
  REFUSAL_SLOTS,
  WORKER_COUNTER_BYTES,
  WORKER_SLOT,
  WorkerCounters,
} from '../../../src/telemetry/worker-counters.ts';
import {
  SERVICE_COUNTER_BYTES,
  SERVICE_SLOT,
  SERVICE_SLOTS,
  ServiceCounters,
} from '../../../src/telemetry/service-counters.ts';
import { DURATION_BUCKETS, durationBucket } from '../../../src/telemetry/duration-buckets.ts';
import { STATUS_LABELS, statusSlot } from '../../../src/telemetry/status-codes.ts';
import { PROTOCOL_ERRORS } from '../../../src/http1/protocol-errors.ts';
import { newServiceCounters, newWorkerCounters } from './fake-source.ts';

test('a block of another size is refused', () => {
  assert.throws(() => new WorkerCounters(new SharedArrayBuffer(WORKER_COUNTER_BYTES + 8)), RangeError);
  assert.throws(() => new ServiceCounters(new SharedArrayBuffer(SERVICE_COUNTER_BYTES - 8)), RangeError);
});

test('there is room for every reason of refusal, and one beyond does not reach the next slot', () => {
  assert.ok(PROTOCOL_ERRORS.length < REFUSAL_SLOTS);
  const counters = newWorkerCounters();
  counters.refused(REFUSAL_SLOTS + 5);
  assert.equal(counters.slots[WORKER_SLOT.refused + REFUSAL_SLOTS - 1], 1);
  assert.equal(
    counters.slots.reduce((sum, value) => sum + value, 0),
    1,
  );
});

const variant = fc.constantFrom(0 as const, 1 as const);
const seconds = fc.double({ min: 0, max: 100, noNaN: true });

/** One call to a block, and the slots that it must add to. */
interface Call {
  readonly run: (counters: ServiceCounters) => void;
  readonly adds: readonly (readonly [slot: number, amount: number])[];
}

const call: fc.Arbitrary<Call> = fc.oneof(
  fc
    .tuple(variant, fc.oneof(fc.constant(101), fc.integer({ min: 0, max: 700 })), seconds)
    .map(([which, status, took]) => ({
      run: (counters: ServiceCounters) => {
        counters.request(which, status, took);
      },
      adds: [
        [SERVICE_SLOT.codes + which * STATUS_LABELS.length + statusSlot(status), 1] as const,
        ...(status === 101 ? [] : observed(SERVICE_SLOT.duration, which, took)),
      ],
    })),
  fc.tuple(variant, fc.nat(OUTCOMES.length - 1), seconds).map(([which, outcome, took]) => ({
    run: (counters: ServiceCounters) => {
      counters.upstreamResult(which, outcome, took);
    },
    adds: [
      [SERVICE_SLOT.outcomes + which * OUTCOMES.length + outcome, 1] as const,
      ...observed(SERVICE_SLOT.upstreamDuration, which, took),
    ],
  })),
  fc.tuple(fc.nat(REASONS.length - 1), fc.nat(TIERS.length - 1)).map(([reason, tier]) => ({
    run: (counters: ServiceCounters) => {
      counters.decision(reason, tier);
    },
    adds: [[SERVICE_SLOT.decisions + reason * TIERS.length + tier, 1] as const],
  })),
  fc.tuple(variant, fc.constantFrom(1, -1)).map(([which, delta]) => ({
    run: (counters: ServiceCounters) => {
      counters.inFlight(which, delta);
      counters.upstreamConnections(which, -delta);
    },
    adds: [
      [SERVICE_SLOT.inFlight + which, delta],
      [SERVICE_SLOT.upstreamConnections + which, -delta],
    ] as const,
  })),
  fc
    .tuple(fc.constantFrom(...MIRROR_OUTCOMES), fc.integer({ min: 200, max: 599 }), seconds)
    .map(([outcome, status, took]) => ({
      run: (counters: ServiceCounters) => {
        counters.mirrored(outcome, status, took);
        counters.mirrorInFlight(1);
      },
      adds: [
        [SERVICE_SLOT.mirrorOutcomes + MIRROR_OUTCOMES.indexOf(outcome), 1] as const,
        ...(outcome === 'answered' ? [[SERVICE_SLOT.mirrorCodes + statusSlot(status), 1] as const] : []),
        ...observed(SERVICE_SLOT.mirrorDuration, 0, took),
        [SERVICE_SLOT.mirrorsInFlight, 1] as const,
      ],
    })),
  fc.constantFrom(...SERVICE_OVERLOADS).map((why) => ({
    run: (counters: ServiceCounters) => {
      counters.overloaded(why);
      counters.tunnelOpened();
    },
    adds: [
      [SERVICE_SLOT.overloaded + SERVICE_OVERLOADS.indexOf(why), 1],
      [SERVICE_SLOT.tunnelsOpen, 1],
    ] as const,
  })),
  variant.map((which) => ({
    run: (counters: ServiceCounters) => {
      counters.retry(which);
      counters.fallback(which);
      counters.flip();
      counters.sharedCacheable();
    },
    adds: [
      [SERVICE_SLOT.retries + which, 1],
      [SERVICE_SLOT.fallbacks + which, 1],
      [SERVICE_SLOT.flips, 1],
      [SERVICE_SLOT.sharedCacheable, 1],
    ] as const,
  })),
);

function observed(start: number, which: 0 | 1, took: number): (readonly [number, number])[] {
  const at = start + which * (DURATION_BUCKETS + 1);
  return [
    [at + durationBucket(took), 1],
    [at + DURATION_BUCKETS, took],
  ];
}

test('any calls to a service block add to their own slots and to no other', () => {
  fc.assert(
    fc.property(fc.array(call, { maxLength: 200 }), (calls) => {
      const counters = newServiceCounters();
      const naive = new Float64Array(SERVICE_SLOTS);
      for (const { run, adds } of calls) {
        run(counters);
        for (const [slot, amount] of adds) naive[slot]! += amount;
      }
      assert.deepEqual(counters.slots, naive);
    }),
  );
});

test('no two arrays of a service block overlap', () => {
  const { end, gauges, ...starts } = SERVICE_SLOT;
  const inOrder = Object.values(starts).sort((a, b) => a - b);
  assert.equal(new Set(inOrder).size, inOrder.length);
  assert.equal(starts.inFlight, gauges);
  assert.equal(end * 8, SERVICE_COUNTER_BYTES);
});

test('each method of a worker block has a slot of its own', () => {
  const counters = newWorkerCounters();
  const expected = new Float64Array(counters.slots.length);
  const check = (run: () => void, slots: { [slot: number]: number }): void => {
    run();
    for (const [slot, value] of Object.entries(slots)) expected[Number(slot)] = value;
    assert.deepEqual(counters.slots, expected);
  };
  check(() => counters.accepted(), { [WORKER_SLOT.accepted]: 1 });
  check(() => counters.connectionOpened(), { [WORKER_SLOT.connections]: 1 });
  check(() => counters.connectionOpened(), { [WORKER_SLOT.connections]: 2 });
  check(() => counters.connectionClosed(), { [WORKER_SLOT.connections]: 1 });
  check(() => counters.tunnelOpened(), { [WORKER_SLOT.tunnels]: 1, [WORKER_SLOT.tunnelsOpen]: 1 });
  check(() => counters.tunnelClosed(), { [WORKER_SLOT.tunnelsOpen]: 0 });
  check(() => counters.http2SessionOpened(), { [WORKER_SLOT.http2SessionsOpen]: 1 });
  check(() => counters.http2SessionClosed(), { [WORKER_SLOT.http2SessionsOpen]: 0 });
  check(() => counters.http2StreamOpened(), {
    [WORKER_SLOT.http2Streams]: 1,
    [WORKER_SLOT.http2StreamsOpen]: 1,
  });
  check(() => counters.http2StreamClosed(), { [WORKER_SLOT.http2StreamsOpen]: 0 });
  check(() => counters.http2StreamReset(), { [WORKER_SLOT.http2Resets]: 1 });
  check(() => counters.http2SessionRefused(), { [WORKER_SLOT.http2Refused]: 1 });
  check(() => counters.refused(2), { [WORKER_SLOT.refused + 2]: 1 });
  check(() => counters.unmatchedHost(), { [WORKER_SLOT.unmatchedHost]: 1 });
  for (const [index, why] of WORKER_OVERLOADS.entries())
    check(() => counters.overloaded(why), { [WORKER_SLOT.overloaded + index]: 1 });
  check(() => counters.requestBegan(), { [WORKER_SLOT.requests]: 1 });
  check(() => counters.requestEnded(), { [WORKER_SLOT.requests]: 0 });
  check(() => (counters.bufferedBytes = 7), { [WORKER_SLOT.bufferedBytes]: 7 });
  check(() => counters.clientAborted(), { [WORKER_SLOT.clientAborted]: 1 });
  check(() => counters.logWritten(), { [WORKER_SLOT.logWritten]: 1 });
  check(() => counters.logDropped(4), { [WORKER_SLOT.logDropped]: 4 });
  check(() => counters.heartbeat(99), { [WORKER_SLOT.heartbeat]: 99 });
  check(() => (counters.revision = 12), { [WORKER_SLOT.revision]: 12 });
  check(() => counters.usage(1, 2, 3, 4), {
    [WORKER_SLOT.cpuSeconds]: 1,
    [WORKER_SLOT.activeSeconds]: 2,
    [WORKER_SLOT.loopDelay]: 3,
    [WORKER_SLOT.heapBytes]: 4,
  });
  check(() => counters.usage(1, 2, 5, 6), {
    [WORKER_SLOT.cpuSeconds]: 2,
    [WORKER_SLOT.activeSeconds]: 4,
    [WORKER_SLOT.loopDelay]: 5,
    [WORKER_SLOT.heapBytes]: 6,
  });
  assert.equal(counters.lastHeartbeat, 99);
  assert.equal(counters.revision, 12);
});

test('a replacement keeps the counts and forgets what its predecessor had open', () => {
  const worker = newWorkerCounters();
  worker.accepted();
  worker.connectionOpened();
  worker.tunnelOpened();
  worker.refused(1);
  worker.heartbeat(5);
  worker.revision = 9;
  worker.usage(1, 1, 1, 1);
  const service = newServiceCounters();
  service.request(1, 200, 0.01);
  service.flip();
  service.sharedCacheable();
  service.inFlight(0, 1);
  service.upstreamConnections(1, 1);

  const replacement = new WorkerCounters(worker.slots.buffer as SharedArrayBuffer);
  replacement.adopt();
  const replacementService = new ServiceCounters(service.slots.buffer as SharedArrayBuffer);
  replacementService.adopt();

  const { accepted, connections, tunnels, tunnelsOpen, refused, cpuSeconds } = WORKER_SLOT;
  assert.equal(worker.slots[accepted], 1);
  assert.equal(worker.slots[tunnels], 1);
  assert.equal(worker.slots[refused + 1], 1);
  assert.equal(worker.slots[cpuSeconds], 1);
  assert.equal(worker.slots[connections], 0);
  assert.equal(worker.slots[tunnelsOpen], 0);
  assert.equal(worker.revision, 0);
  assert.equal(worker.lastHeartbeat, 0);
  assert.equal(service.slots[SERVICE_SLOT.codes + STATUS_LABELS.length + statusSlot(200)], 1);
  assert.equal(service.slots[SERVICE_SLOT.flips], 1);
  assert.equal(service.slots[SERVICE_SLOT.sharedCacheable], 1);
  assert.equal(service.slots[SERVICE_SLOT.inFlight], 0);
  assert.equal(service.slots[SERVICE_SLOT.upstreamConnections + 1], 0);
});
