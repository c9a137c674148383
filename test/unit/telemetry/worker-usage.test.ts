import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createUsageSampler, usageSystem } from '../../../src/telemetry/worker-usage.ts';
import { WORKER_SLOT } from '../../../src/telemetry/worker-counters.ts';
import { newWorkerCounters } from './fake-source.ts';

const { cpuSeconds, activeSeconds, loopDelay, heapBytes } = WORKER_SLOT;

function fakeSystem(): { cpu: number; active: number; delay: number } & Parameters<
  typeof createUsageSampler
>[1] {
  return {
    cpu: 0,
    active: 0,
    delay: 0,
    threadCpu() {
      return { user: this.cpu * 0.75, system: this.cpu * 0.25 };
    },
    activeMs() {
      return this.active;
    },
    longestDelayMs() {
      return this.delay;
    },
    heapBytes: () => 4096,
  };
}

test('CPU and busy time grow by what was used since the last sample', () => {
  const counters = newWorkerCounters();
  const system = fakeSystem();
  const sampler = createUsageSampler(counters, system);
  system.cpu = 2_000_000;
  system.active = 500;
  sampler.sample();
  assert.equal(counters.slots[cpuSeconds], 2);
  assert.equal(counters.slots[activeSeconds], 0.5);
  assert.equal(counters.slots[heapBytes], 4096);
  system.cpu = 3_000_000;
  system.active = 750;
  sampler.sample();
  assert.equal(counters.slots[cpuSeconds], 3);
  assert.equal(counters.slots[activeSeconds], 0.75);
});

test('a replacement, whose own times start at zero, adds to the sums', () => {
  const counters = newWorkerCounters();
  const first = fakeSystem();
  first.cpu = 5_000_000;
  createUsageSampler(counters, first).sample();
  counters.adopt();
  const second = fakeSystem();
  second.cpu = 1_000_000;
  createUsageSampler(counters, second).sample();
  assert.equal(counters.slots[cpuSeconds], 6);
});

test('the worst delay stays in sight for half a minute, then goes', () => {
  const counters = newWorkerCounters();
  const system = fakeSystem();
  const sampler = createUsageSampler(counters, system);
  system.delay = 300;
  sampler.sample();
  system.delay = 5;
  for (let n = 1; n < 120; n++) sampler.sample();
  assert.equal(counters.slots[loopDelay], 0.3);
  sampler.sample();
  assert.equal(counters.slots[loopDelay], 0.005);
});

test('the real system sees a loop that is held up, and CPU that is used', async () => {
  const counters = newWorkerCounters();
  const sampler = createUsageSampler(counters, usageSystem());
  sampler.sample();
  const before = counters.slots[cpuSeconds]!;
  // The check runs every 20 ms: whatever part of one is left, at least 80 of 100 ms are seen.
  // Until it has worked for 20 ms as well: a busy machine may not let it work at all for 100 ms.
  const until = performance.now() + 100;
  const used = process.threadCpuUsage();
  while (performance.now() < until || process.threadCpuUsage(used).user < 20_000);
  await new Promise<void>((resolve) => setTimeout(resolve, 1));
  await new Promise<void>((resolve) => setImmediate(resolve));
  sampler.sample();
  assert.ok(counters.slots[loopDelay]! >= 0.079, `${counters.slots[loopDelay]} s`);
  assert.ok(counters.slots[cpuSeconds]! - before > 0.01);
  assert.ok(counters.slots[heapBytes]! > 1e6);
});
