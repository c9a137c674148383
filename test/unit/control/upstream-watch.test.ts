import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import * as fc from 'fast-check';
import { listedEndpoints } from '../../../src/config/variant.ts';
import { serviceSnapshot } from '../../../src/state/build-snapshot.ts';
import { createUpstreamWatch } from '../../../src/control/upstream-watch.ts';
import type { ServiceSnapshot } from '../../../src/contract/snapshot.ts';
import type { RolloutState } from '../../../src/policy/rollout.ts';
import { OUTCOMES } from '../../../src/telemetry/counters.ts';
import { SERVICE_COUNTER_BYTES, ServiceCounters } from '../../../src/telemetry/service-counters.ts';
import {
  GATE_OPEN,
  LOAD,
  LOAD_FIELDS,
  replicaBlocks,
  type ReplicaBlocks,
} from '../../../src/upstream/shared-blocks.ts';
import { rollout } from '../telemetry/fake-source.ts';

const CHECKED = { path: '/healthz' };

function service(state: RolloutState | null = rollout(), healthCheck = false): ServiceSnapshot {
  const check = healthCheck ? { healthCheck: CHECKED } : {};
  const definition = {
    hosts: ['*'],
    stable: { endpoints: ['10.0.0.1:80', { address: '10.0.0.2:80', weight: 3 }], ...check },
    canary: { endpoints: ['10.0.0.9:80'] },
  };
  return serviceSnapshot(
    { name: 'notes', source: 'file', definition, rollout: state, revision: 1 },
    new Map(),
    () => {
      throw new Error('no file is named');
    },
    listedEndpoints,
  );
}

function started(first: ServiceSnapshot, workers = 2) {
  let services = [first];
  let now = 0;
  let failure = '';
  const blocks: ReplicaBlocks = replicaBlocks(3, workers, null);
  const counters = Array.from(
    { length: workers },
    () => new ServiceCounters(new SharedArrayBuffer(SERVICE_COUNTER_BYTES)),
  );
  const lines: string[] = [];
  const watch = createUpstreamWatch({
    services: () => services,
    blocks: () => blocks,
    counters: () => counters,
    probe: async () => failure,
    slept: () => 0,
    monotonicNow: () => now,
    wallNow: () => 1_800_000_000_000 + now,
    random: () => 0,
    log: {
      info: (_: object, line?: string) => lines.push(line!),
      warn: (_: object, line?: string) => lines.push(line!),
    },
  });
  watch.tick();
  return {
    watch,
    blocks,
    lines,
    gate: () => new Int32Array(blocks.gate)[0]!,
    health: () => [...new Uint8Array(blocks.health)],
    set: (next: ServiceSnapshot) => (services = [next]),
    fails: (why: string) => (failure = why),
    count: (worker: number, outcome: (typeof OUTCOMES)[number], times: number, variant: 0 | 1 = 1): void => {
      for (let n = 0; n < times; n += 1)
        counters[worker]!.upstreamResult(variant, OUTCOMES.indexOf(outcome), 0.01);
    },
    wait: async (ms: number): Promise<void> => {
      for (const end = now + ms; now < end;) {
        now += 250;
        watch.tick();
        await nextTurn();
      }
    },
  };
}

test('the failures of all workers open the breaker, and the gate lets the lowest buckets in first', async () => {
  const { count, wait, gate, watch, lines } = started(service());
  assert.equal(gate(), GATE_OPEN);
  count(0, 'reset', 8);
  count(1, 'connect_timeout', 8);
  count(1, 'response_timeout', 8);
  count(0, 'ok', 20);
  await wait(250);
  assert.equal(gate(), 0);
  assert.equal(watch.reading('notes').breaker, 'open');
  assert.match(lines[0]!, /breaker is open/);
  await wait(10_000);
  assert.equal(watch.reading('notes').breaker, 'halfOpen');
  const gates = [gate()];
  for (let n = 0; n < 39; n += 1) {
    await wait(250);
    gates.push(gate());
  }
  // The office rule admits everybody, so a 64th of all buckets probes at first.
  assert.equal(gates[0], 15_625);
  assert.deepEqual(
    gates,
    gates.toSorted((a, b) => a - b),
    'nobody who was let in is sent away again',
  );
  await wait(500);
  assert.equal(gate(), GATE_OPEN);
  assert.equal(watch.reading('notes').breakerOpened, 1);
});

test('the share is one of those whom the rules admit', async () => {
  const state = rollout({ document: { rules: [{ name: 'everyone', percentage: 1 }] } });
  const { count, wait, gate } = started(service(state));
  count(0, 'reset', 50);
  await wait(10_250);
  assert.equal(gate(), Math.ceil(10_000 / 64));
});

test('clients who leave, stable, and failures of stable say nothing about the canary', async () => {
  const { count, wait, gate } = started(service());
  count(0, 'client_gone', 500);
  count(0, 'reset', 500, 0);
  count(0, 'ok', 20);
  await wait(500);
  assert.equal(gate(), GATE_OPEN);
});

test('the breaker of one rollout is not that of the next, and none is there without one', async () => {
  const { count, wait, gate, set, watch } = started(service());
  count(0, 'reset', 50);
  await wait(250);
  assert.equal(gate(), 0);
  set(service(rollout({ id: 'r1', phase: 'rolledBack' })));
  await wait(250);
  assert.equal(gate(), GATE_OPEN);
  count(0, 'reset', 50);
  await wait(1000);
  assert.equal(gate(), GATE_OPEN);
  set(service(rollout({ id: 'r2' })));
  await wait(1000);
  assert.equal(gate(), GATE_OPEN);
  assert.equal(watch.reading('notes').breakerOpened, 1);
});

test('a promoted rollout probes with a share of everybody', async () => {
  const state = rollout({ phase: 'promoted', document: { rules: [{ name: 'everyone', percentage: 1 }] } });
  const { count, wait, gate } = started(service(state));
  count(0, 'reset', 50);
  await wait(10_250);
  assert.equal(gate(), 15_625);
});

test('health is in shared memory, counted, and forgotten when it is checked no more', async () => {
  const { wait, health, fails, set, watch, lines } = started(service(null, true));
  assert.deepEqual(health(), [0, 0, 0]);
  await wait(250);
  assert.deepEqual(health(), [1, 1, 0]);
  fails('status 500');
  await wait(30_000);
  assert.deepEqual(health(), [2, 2, 0]);
  assert.deepEqual(
    watch.reading('notes').standings.map(({ variant, standing }) => `${variant} ${standing}`),
    ['stable unhealthy', 'stable unhealthy', 'canary good'],
  );
  const [first] = watch.endpoints();
  assert.equal(first!.health!.failure, 'status 500');
  assert.match(first!.health!.checkedAt!, /^2027-01-15T/);
  const { good, bad } = watch.reading('notes').checks.stable;
  assert.ok(good >= 2 && bad >= 6);
  assert.ok(lines.includes('an endpoint is unhealthy'));
  set(service(null, false));
  await wait(250);
  assert.deepEqual(health(), [0, 0, 0]);
  assert.equal(watch.endpoints()[0]!.health, null);
});

test('endpoints are shown with what all workers know of them', () => {
  const { watch, blocks } = started(service());
  const [one, other] = blocks.loads.map((block) => new Float64Array(block));
  for (const loads of [one!, other!]) loads.fill(-1);
  const put = (loads: Float64Array, endpoint: number, values: readonly number[]): void =>
    loads.set(values, endpoint * LOAD_FIELDS);
  assert.equal(LOAD.ejectedFor, 4);
  put(one!, 0, [3, 8, 2, 0, 0]);
  put(other!, 0, [1, 2, 4, 0, 0]);
  put(one!, 1, [0, 0, -1, 1, 0]);
  put(other!, 1, [0, 1, -1, 0, 0]);
  put(one!, 2, [0, 0, -1, 1, 0]);
  put(other!, 2, [0, 0, 7.12345, 0, 29_500.5]);
  const shown = watch
    .endpoints()
    .map(({ address, weight, standing, load }) => [
      address,
      weight,
      standing,
      ...(Object.values(load) as number[]),
    ]);
  assert.deepEqual(shown, [
    ['10.0.0.1:80', 1, 'good', 4, 10, 3, 0, 0, 0],
    ['10.0.0.2:80', 3, 'down', 0, 1, null, 1, 0, 0],
    ['10.0.0.9:80', 1, 'ejected', 0, 0, 7.123, 1, 1, 29_501],
  ]);
});

test('while it recovers, exactly the lowest buckets of those admitted are let in', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 100 }),
      fc.nat(40),
      fc.array(fc.nat(999_999), { minLength: 1, maxLength: 50 }),
      async (percentage, ticks, buckets) => {
        const state = rollout({ document: { rules: [{ name: 'everyone', percentage }] } });
        const { count, wait, gate } = started(service(state));
        count(0, 'reset', 50);
        await wait(10_000 + 250 * (ticks + 1));
        const top = percentage * 10_000;
        const admitted = buckets.filter((bucket) => bucket < top);
        const probing = admitted.filter((bucket) => bucket < gate());
        // Whoever probes has a lower bucket than whoever does not, and the share is that of the moment.
        const rest = admitted.filter((bucket) => !probing.includes(bucket));
        assert.ok(Math.max(-1, ...probing) < Math.min(1_000_000, ...rest));
        const share = Math.min(1, (1 / 64) ** (1 - ticks / 40));
        if (ticks < 40) assert.equal(gate(), Math.max(1, Math.ceil(share * top)));
        else assert.equal(gate(), GATE_OPEN);
      },
    ),
    { numRuns: 40 },
  );
});
