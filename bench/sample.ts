/** One measurement: a load on one contender, and what the contender used meanwhile. */
import { availableParallelism } from 'node:os';
import { coreTime, cpuSince, cpuTime, residentMemory } from './cpu.ts';
import type { Bench, Runner } from './field.ts';
import { failedOf, openLoad, type LoadOptions, type Quantiles } from './load/client.ts';
import { LOAD_CORE, PINNED, PROXY_CORE } from './process.ts';

export interface Sample {
  /** CPU of the proxy in microseconds per request. */
  readonly user: number;
  readonly kernel: number;
  readonly perSecond: number;
  readonly requests: number;
  readonly failed: number;
  readonly failures: Readonly<Record<string, number>>;
  readonly latency: Quantiles;
  /** Microseconds that the generator was late at the 99th percentile. */
  readonly late: number;
  /** Share of its cores that the proxy used: near 1, it was the proxy that set the pace. */
  readonly busy: number;
  /** Share of the load's core that was busy. */
  readonly loadBusy: number;
  /** Share of the proxy's core that something else used meanwhile. */
  readonly disturbed: number;
  /** Resident memory of the proxy in bytes, after the load, its connections still open. */
  readonly memory: number;
}

/** Addresses that connections come from: there may be more of them than one address has ports. */
const SOURCES = 8;

/** Each load's own range of numbers, so that what is never seen is new for all of the run. */
let loads = 0;

export function loadOptions(bench: Bench, runner: Runner, seconds: number): LoadOptions {
  const { traffic, script, peer } = runner;
  return {
    program: bench.programs.client,
    script,
    port: peer.port,
    connections: traffic.connections,
    seconds,
    sources: SOURCES,
    firstNumber: ++loads * 100_000_000,
    ...(traffic.perConnection === undefined ? {} : { perConnection: traffic.perConnection }),
    ...(traffic.upgrade === undefined ? {} : { upgrade: traffic.upgrade }),
  };
}

const coreTimeIf = (core: number) => (PINNED ? coreTime(core) : 0);

/** Loads with the options and measures. `during` is called when all connections are open. */
export async function sample(
  runner: Runner,
  options: LoadOptions,
  during?: () => Promise<void>,
): Promise<Sample> {
  const load = await openLoad(options);
  try {
    await during?.();
    const pids = runner.peer.pids();
    const before = cpuTime(pids);
    const [proxyBefore, loadBefore] = [coreTimeIf(PROXY_CORE), coreTimeIf(LOAD_CORE)];
    const result = await load.go();
    const { user, kernel } = cpuSince(before, pids);
    const time = result.seconds * 1e6;
    const cores = Math.min(runner.contender.settings?.workers ?? 1, availableParallelism());
    const others = cores === 1 ? coreTimeIf(PROXY_CORE) - proxyBefore - user - kernel : 0;
    return {
      user: user / result.requests,
      kernel: kernel / result.requests,
      perSecond: result.requests / result.seconds,
      requests: result.requests,
      failed: failedOf(result),
      failures: result.failures,
      latency: result.latency,
      late: result.late.p99,
      busy: (user + kernel) / (time * cores),
      loadBusy: Math.min(1, (coreTimeIf(LOAD_CORE) - loadBefore) / time),
      disturbed: Math.max(0, others / time),
      memory: residentMemory(pids),
    };
  } finally {
    await load.end();
  }
}
