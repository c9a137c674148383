/**
 * What a worker thread costs: its CPU time, how busy its event loop is, how long the loop was held up, its heap.
 *
 * `sample` is called with every heartbeat (four times a second), in the worker. It takes some microseconds.
 */
import { performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import type { WorkerCounters } from './worker-counters.ts';
import { every, guarded } from '../runtime/guard.ts';

/** Everything the operating system and the engine are asked for; tests put their own in its place. */
export interface UsageSystem {
  /** CPU time of this thread, in microseconds. */
  readonly threadCpu: () => { readonly user: number; readonly system: number };
  /** Busy time of this event loop since its start, in milliseconds. */
  readonly activeMs: () => number;
  /** The longest event-loop delay since the last call, in milliseconds. */
  readonly longestDelayMs: () => number;
  readonly heapBytes: () => number;
}

/** How many samples the shown worst delay looks back on: 30 s at four a second, so that every scrape sees it. */
const SAMPLES_BACK = 120;

/** How often the loop is checked, in ms; a shorter delay cannot be seen. */
const CHECK_EVERY = 20;

/** The real thing. Starts a timer that does not keep the thread alive. */
export function usageSystem(): UsageSystem {
  let longest = 0;
  let last = performance.now();
  const check = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last - CHECK_EVERY);
    last = now;
  };
  // Not perf_hooks' monitorEventLoopDelay: it misses the delay that follows a reset of its histogram.
  every(CHECK_EVERY, guarded('measuring the event loop', check)).unref();
  return {
    threadCpu: () => process.threadCpuUsage(),
    activeMs: () => performance.eventLoopUtilization().active,
    longestDelayMs: () => {
      const result = longest;
      longest = 0;
      return result;
    },
    heapBytes: () => getHeapStatistics().used_heap_size,
  };
}

/** Writes this thread's usage into `counters` each time it is sampled. */
export function createUsageSampler(
  counters: WorkerCounters,
  system: UsageSystem = usageSystem(),
): { sample(): void } {
  const delays = new Float64Array(SAMPLES_BACK);
  let next = 0;
  let cpu = 0;
  let active = 0;
  return {
    sample: () => {
      const { user, system: kernel } = system.threadCpu();
      const cpuNow = (user + kernel) / 1e6;
      const activeNow = system.activeMs() / 1000;
      delays[next] = system.longestDelayMs() / 1000;
      next = (next + 1) % SAMPLES_BACK;
      // Differences are added, so that the sums go on rising when a replacement takes over the block.
      counters.usage(cpuNow - cpu, activeNow - active, Math.max(...delays), system.heapBytes());
      cpu = cpuNow;
      active = activeNow;
    },
  };
}
