/** The data plane as the main thread sees it: the workers, the watch over their endpoints, and the memory that all take. */
import { availableParallelism, totalmem } from 'node:os';
import { accessLogSettings, logSettings } from '../config/logs.ts';
import { DEFAULT_SHARE_PORT, latchLimit, memoryLimit } from '../config/proxy.ts';
import type { Configuration } from '../config/schema.ts';
import type { EndpointAddress } from '../contract/endpoint-address.ts';
import { createUpstreamWatch, type UpstreamWatch } from '../control/upstream-watch.ts';
import { createHttpProbe } from '../health/http-probe.ts';
import type { AwakeClock } from '../runtime/awake-clock.ts';
import { readTcpMigrateReq } from '../telemetry/kernel.ts';
import type { Logger } from '../telemetry/log.ts';
import { createMemoryReadings } from '../workers/memory-readings.ts';
import { createMemoryWatch, type MemoryWatch } from '../workers/memory-watch.ts';
import { createWorkerPool, type WorkerPool } from '../workers/worker-pool.ts';

/** A worker that was silent for this long hangs, in ms. */
const HANG_TIME = 5000;

export interface DataPlaneOptions {
  /** As it is now. */
  readonly configuration: () => Configuration;
  readonly listen: EndpointAddress;
  /** Where TLS is spoken, or null. */
  readonly tls: EndpointAddress | null;
  /** Descriptors that this process may have open; null: no limit, or unknown. */
  readonly descriptors: number | null;
  readonly awake: AwakeClock;
  readonly log: Logger;
}

export interface DataPlane {
  readonly pool: WorkerPool;
  readonly upstreams: UpstreamWatch;
  readonly memory: MemoryWatch;
  /** Starts the workers with the snapshot that was last applied; rejects when one can't listen. */
  start(): Promise<void>;
  /** Ends all workers at once. */
  close(): Promise<void>;
}

/** Rejects with the system's error where it can't listen. */
export async function createDataPlane(options: DataPlaneOptions): Promise<DataPlane> {
  const { configuration, listen, tls, descriptors, awake, log } = options;
  const first = configuration();
  const { workers = 'auto', sharePort = DEFAULT_SHARE_PORT } = first.proxy ?? {};
  const pool = await createWorkerPool({
    size: workers === 'auto' ? availableParallelism() : workers,
    ...listen,
    tls,
    sharePort,
    logLevel: logSettings(first).level,
    accessLog: accessLogSettings(first),
    log,
    wallNow: Date.now,
    monotonicNow: awake.now,
    hangTime: HANG_TIME,
    descriptors,
    latchLimit: latchLimit(first.proxy),
  });
  const health = createHttpProbe();
  const upstreams = createUpstreamWatch({
    services: () => pool.snapshot?.services ?? [],
    blocks: (service) => pool.upstreamBlocks(service),
    counters: (service) => pool.serviceCounters(service),
    probe: health.probe,
    monotonicNow: awake.now,
    slept: () => awake.slept,
    wallNow: Date.now,
    random: Math.random,
    log,
  });
  const memory = createMemoryWatch({
    ...createMemoryReadings({
      rss: () => process.memoryUsage.rss(),
      constrained: () => process.constrainedMemory(),
      total: totalmem,
    }),
    limit: () => memoryLimit(configuration().proxy),
    held: () => pool.counters().reduce((sum, { counters }) => sum + counters.bufferedBytes, 0),
    monotonicNow: awake.now,
    apply: (short) => pool.shortOfMemory(short),
    log,
  });
  return {
    pool,
    upstreams,
    memory,
    async start() {
      await pool.start();
      if (readTcpMigrateReq() !== false || (pool.size === 1 && !sharePort)) return;
      log.info(
        {},
        'net.ipv4.tcp_migrate_req is 0: when one of several listeners closes, the kernel resets connections that wait at it',
      );
    },
    async close() {
      await health.close();
      await pool.close();
    },
  };
}
