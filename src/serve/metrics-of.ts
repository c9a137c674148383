/** What the metrics of this process are read from. */
import type { ControlPlane } from '../control/control-plane.ts';
import type { RunningDiscovery } from '../discovery/start.ts';
import { TROUBLES } from '../discovery/source.ts';
import { PROTOCOL_ERRORS } from '../http1/protocol-errors.ts';
import { HANDSHAKE_FAILURES } from '../proxy/connection/handshake-failure.ts';
import { PROXY_HEADER_FAULTS } from '../proxy-protocol/outcome.ts';
import type { AwakeClock } from '../runtime/awake-clock.ts';
import { survivedFaults } from '../runtime/guard.ts';
import type { ControlCounters } from '../telemetry/control-counters.ts';
import { readTcpMigrateReq } from '../telemetry/kernel.ts';
import type { MetricsSource } from '../telemetry/metrics-source.ts';
import type { DataPlane } from './data-plane.ts';
import type { FleetParts } from './join-fleet.ts';

export interface MetricsOfOptions {
  readonly version: string;
  readonly dataPlane: DataPlane;
  readonly awake: AwakeClock;
  readonly counters: ControlCounters;
  readonly discovery: RunningDiscovery;
  /** Null for a replica that is alone. */
  readonly fleet: Pick<FleetParts, 'reading'> | null;
  /** Null until it has started. */
  readonly controlPlane: () => ControlPlane | null;
  /** Latches that wait for the store. */
  readonly latchesWaiting: () => number;
  readonly isReady: () => boolean;
}

export function metricsOf(options: MetricsOfOptions): MetricsSource {
  const { version, dataPlane, awake, counters, discovery, fleet, controlPlane } = options;
  const { pool, upstreams, memory } = dataPlane;
  return {
    version,
    refusals: PROTOCOL_ERRORS.map(({ code }) => code),
    handshakeFailures: HANDSHAKE_FAILURES,
    proxyHeaderFaults: PROXY_HEADER_FAULTS,
    certificates: () => controlPlane()?.certificates() ?? [],
    discoveryTroubles: TROUBLES,
    discovery: () => discovery.readings(),
    control: counters,
    wallNow: Date.now,
    workers: () =>
      pool.counters().map((worker) => ({
        ...worker,
        revision: pool.appliedRevision()[worker.index]?.revision ?? -1,
      })),
    services: () =>
      (pool.snapshot?.services ?? []).map(({ name, rollout }) => ({
        name,
        rollout,
        blocks: pool.serviceCounters(name),
        upstream: upstreams.reading(name),
      })),
    restarts: () => pool.restarts,
    revision: () => pool.snapshot?.revision ?? 0,
    ready: options.isReady,
    storeAvailable: () => controlPlane()?.storeAvailable() ?? false,
    fleet: () => fleet?.reading(controlPlane()?.fleet() ?? null, controlPlane()?.fence() ?? 0) ?? null,
    memory: () => memory,
    latches: () => ({ ...pool.latchFigures(), waiting: options.latchesWaiting() }),
    faults: survivedFaults,
    slept: () => awake.slept,
    limits: () => pool.limits(),
    tcpMigrateReq: () => readTcpMigrateReq(),
  };
}
