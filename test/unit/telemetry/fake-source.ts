/** A source of metrics for tests: real counter blocks, and settable answers for everything else. */
import { ControlCounters } from '../../../src/telemetry/control-counters.ts';
import { SERVICE_COUNTER_BYTES, ServiceCounters } from '../../../src/telemetry/service-counters.ts';
import { WORKER_COUNTER_BYTES, WorkerCounters } from '../../../src/telemetry/worker-counters.ts';
import { FleetCounters } from '../../../src/telemetry/fleet-counters.ts';
import { StoreCounters } from '../../../src/telemetry/store-counters.ts';
import type {
  MetricsSource,
  ServiceSource,
  UpstreamSource,
  WorkerSource,
} from '../../../src/telemetry/metrics-source.ts';
import type { RolloutState } from '../../../src/policy/rollout.ts';

export interface FakeSource extends MetricsSource {
  workerList: WorkerSource[];
  serviceList: ServiceSource[];
  clock: number;
  migrate: boolean | null;
}

export function fakeSource(workers = 2, services: readonly string[] = ['notes']): FakeSource {
  return {
    workerList: Array.from({ length: workers }, (_, index) => ({
      index,
      counters: newWorkerCounters(),
      revision: 7,
    })),
    serviceList: services.map((name) => newService(name, workers)),
    clock: 1_800_000_000_000,
    migrate: true,
    version: '1.2.3',
    refusals: ['bad_method', 'bad_target'],
    handshakeFailures: ['timeout', 'closed'],
    proxyHeaderFaults: ['absent', 'timeout'],
    certificates: () => [{ file: '/etc/serin/tls.crt', expires: 1_800_086_400_000, stale: false }],
    discoveryTroubles: ['connect', 'forbidden'],
    discovery: () => [
      {
        name: 'kubernetes notes/notes:http',
        synced: false,
        staleSeconds: 1.5,
        endpoints: 3,
        holding: true,
        events: 4,
        reads: 2,
        refused: 1,
        troubles: new Map([['forbidden', 5]]),
      },
    ],
    control: new ControlCounters(),
    wallNow() {
      return this.clock;
    },
    workers() {
      return this.workerList;
    },
    services() {
      return this.serviceList;
    },
    restarts: () => 3,
    faults: () => new Map([['reading the memory in use', 2]]),
    slept: () => 1500,
    limits: () => ({ maxConnections: 1500, maxRequests: 1400 }),
    revision: () => 7,
    ready: () => true,
    storeAvailable: () => true,
    fleet: () => ({
      counters: new FleetCounters(),
      store: { condition: 'readOnly', counters: storeCounters() },
      live: 2,
      unreachable: 1,
      disagreements: 0,
      leader: true,
      fence: 4,
      fenced: false,
      clockError: 1.5,
    }),
    memory: () => ({ short: true, shortages: 2, highWater: 1000 }),
    latches: () => ({
      held: 11,
      limit: 12,
      bytes: 13,
      takenOver: 14,
      refused: 15,
      evicted: 16,
      lost: 17,
      waiting: 18,
    }),
    tcpMigrateReq() {
      return this.migrate;
    },
  };
}

function storeCounters(): StoreCounters {
  const counters = new StoreCounters();
  counters.command(0.002);
  counters.command(0.3);
  counters.commandFailed('read_only');
  counters.reconnects = 3;
  counters.hints = 9;
  return counters;
}

export function newService(
  name: string,
  workers: number,
  rollout: RolloutState | null = null,
): ServiceSource {
  return {
    name,
    blocks: Array.from({ length: workers }, newServiceCounters),
    rollout,
    upstream: newUpstream(),
  };
}

/** Two endpoints, nothing wrong with them. */
function newUpstream(): UpstreamSource {
  return {
    standings: [
      { variant: 'stable', standing: 'good' },
      { variant: 'canary', standing: 'good' },
    ],
    breaker: 'closed',
    breakerOpened: 0,
    checks: { stable: { good: 0, bad: 0 }, canary: { good: 0, bad: 0 } },
  };
}

export function newWorkerCounters(): WorkerCounters {
  return new WorkerCounters(new SharedArrayBuffer(WORKER_COUNTER_BYTES));
}

export function newServiceCounters(): ServiceCounters {
  return new ServiceCounters(new SharedArrayBuffer(SERVICE_COUNTER_BYTES));
}

/** A running rollout; `changes` replaces some of its fields. */
export function rollout(changes: Partial<RolloutState> = {}): RolloutState {
  return {
    id: 'r1',
    epoch: 4,
    seed: '00'.repeat(16),
    bucketAlgorithm: 'xxh64-1',
    fingerprintKey: 'k1',
    phase: 'running',
    document: {
      rules: [
        { name: 'office', match: { segment: 'office' }, percentage: 100 },
        { name: 'everyone', percentage: 1.5 },
      ],
    },
    step: 0,
    startedAt: '2026-01-02T03:04:05Z',
    ...changes,
  };
}
