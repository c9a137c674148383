/**
 * The metrics of the process: its workers, their connections, and the control plane.
 */
import { CHANGE_STATUSES } from '../contract/change-status.ts';
import { REFUSAL_SLOTS, WORKER_SLOT } from './worker-counters.ts';
import { WORKER_OVERLOADS } from './counters.ts';
import { histogramSamples, type MetricFamily, type Sample } from './metric-family.ts';
import type { MetricsSource, WorkerSource } from './metrics-source.ts';

/** What one scrape reads of the process: all from one moment, as near as may be. */
export interface ProcessReading {
  readonly source: MetricsSource;
  readonly workers: readonly WorkerSource[];
  readonly now: number;
}

export function readProcess(source: MetricsSource): ProcessReading {
  return { source, workers: source.workers(), now: source.wallNow() };
}

type Family = MetricFamily<ProcessReading>;

/** Refusals that no codec makes, with the slots that they are counted in. */
const OTHER_REJECTIONS = [
  ['unmatched_host', WORKER_SLOT.unmatchedHost],
  ['loop_detected', WORKER_SLOT.loopsDetected],
] as const;

export const PROCESS_METRICS: readonly Family[] = [
  {
    name: 'serin_build_info',
    help: 'Always 1; the labels say what runs.',
    type: 'gauge',
    labels: ['version', 'node'],
    collect: ({ source }) => [{ labels: { version: source.version, node: process.versions.node }, value: 1 }],
  },
  plain('gauge', 'serin_ready', '1 when /readyz answers 200.', ({ source }) => Number(source.ready())),
  total('serin_connections_accepted_total', 'Client connections accepted.', WORKER_SLOT.accepted),
  sum(
    'gauge',
    'serin_connections_open',
    'Client connections open, idle ones included.',
    WORKER_SLOT.connections,
  ),
  total('serin_tunnels_total', 'Connections that became tunnels (Upgrade).', WORKER_SLOT.tunnels),
  sum('gauge', 'serin_tunnels_open', 'Tunnels open.', WORKER_SLOT.tunnelsOpen),
  sum(
    'gauge',
    'serin_http2_sessions_open',
    'HTTP/2 sessions of clients open.',
    WORKER_SLOT.http2SessionsOpen,
  ),
  sum('gauge', 'serin_http2_streams_open', 'HTTP/2 streams of clients open.', WORKER_SLOT.http2StreamsOpen),
  total('serin_http2_streams_total', 'HTTP/2 streams that clients opened.', WORKER_SLOT.http2Streams),
  total(
    'serin_http2_resets_total',
    'HTTP/2 streams that clients reset before they were answered.',
    WORKER_SLOT.http2Resets,
  ),
  total(
    'serin_http2_sessions_refused_total',
    'HTTP/2 sessions ended because of what the client did: broken frames, floods, too many resets.',
    WORKER_SLOT.http2Refused,
  ),
  total(
    'serin_client_aborts_total',
    'Clients that left before their answer was complete.',
    WORKER_SLOT.clientAborted,
  ),
  {
    name: 'serin_rejected_requests_total',
    help: 'Requests answered by the proxy itself without looking for an endpoint, by reason.',
    type: 'counter',
    labels: ['reason'],
    collect: rejections,
  },
  {
    name: 'serin_overload_refusals_total',
    help: 'Connections and requests turned away before any work was done for them, by what was short.',
    type: 'counter',
    labels: ['reason'],
    collect: overloads,
  },
  plain(
    'gauge',
    'serin_connections_limit',
    'Client connections that are taken at most: as configured, or what the limit on open files leaves.',
    ({ source }) => source.limits().maxConnections,
  ),
  plain(
    'gauge',
    'serin_requests_limit',
    'Requests that may be under way at most: as configured, or what the limit on open files leaves.',
    ({ source }) => source.limits().maxRequests,
  ),
  {
    name: 'serin_faults_survived_total',
    help: 'Faults of the system (no descriptors, no disk space, missing files) that a task met and survived, by task; those of workers together.',
    type: 'counter',
    labels: ['task'],
    collect: ({ source, workers }) => [
      { labels: { task: 'workers' }, value: sumSlot(workers, WORKER_SLOT.faults) },
      ...[...source.faults()].map(([task, value]) => ({ labels: { task }, value })),
    ],
  },
  {
    name: 'serin_slept_seconds_total',
    help: 'Time for which a thread was stopped or held up, by thread; no time-out counts it, nor does a duration.',
    type: 'counter',
    labels: ['thread'],
    collect: ({ source, workers }) => [
      { labels: { thread: 'main' }, value: source.slept() / 1000 },
      ...workers.map(({ index, counters }) => ({
        labels: { thread: `worker-${index}` },
        value: counters.slots[WORKER_SLOT.sleptSeconds]!,
      })),
    ],
  },
  sum(
    'gauge',
    'serin_buffered_bytes',
    'Bytes that wait in buffers of active connections for a slow client, a slow endpoint or their turn.',
    WORKER_SLOT.bufferedBytes,
  ),
  plain('gauge', 'serin_memory_short', '1 while new work is refused because memory is short.', ({ source }) =>
    Number(source.memory().short),
  ),
  plain(
    'counter',
    'serin_memory_shortages_total',
    'Times that memory became short.',
    ({ source }) => source.memory().shortages,
  ),
  {
    name: 'serin_memory_high_water_bytes',
    help: 'The resident memory above which new work is refused; absent where there is no such mark.',
    type: 'gauge',
    labels: [],
    collect: ({ source }) => {
      const { highWater } = source.memory();
      return Number.isFinite(highWater) ? [{ labels: {}, value: highWater }] : [];
    },
  },
  total('serin_access_log_records_total', 'Access-log records taken for writing.', WORKER_SLOT.logWritten),
  total(
    'serin_access_log_dropped_total',
    'Access-log records dropped because their destination was slow or gone.',
    WORKER_SLOT.logDropped,
  ),
  plain('gauge', 'serin_workers', 'Worker threads.', ({ workers }) => workers.length),
  plain(
    'counter',
    'serin_worker_restarts_total',
    'Workers replaced because they died or hung.',
    ({ source }) => source.restarts(),
  ),
  perWorker(
    'gauge',
    'serin_worker_revision',
    'The revision that a worker decides by; -1 while it starts.',
    ({ revision }) => revision,
  ),
  {
    name: 'serin_worker_heartbeat_age_seconds',
    help: 'Time since a worker last showed that it is alive; absent before its first heartbeat.',
    type: 'gauge',
    labels: ['worker'],
    collect: ({ workers, now }) =>
      workers
        .filter(({ counters }) => counters.lastHeartbeat > 0)
        .map(({ index, counters }) => ({
          labels: { worker: index },
          value: Math.max(0, now - counters.lastHeartbeat) / 1000,
        })),
  },
  perWorkerSlot(
    'gauge',
    'serin_worker_event_loop_delay_seconds',
    "The longest time that a worker's event loop was held up within the last 30 s.",
    WORKER_SLOT.loopDelay,
  ),
  perWorkerSlot(
    'counter',
    'serin_worker_event_loop_active_seconds_total',
    "Time that a worker's event loop was busy; its rate is the loop's utilisation.",
    WORKER_SLOT.activeSeconds,
  ),
  perWorkerSlot(
    'counter',
    'serin_worker_cpu_seconds_total',
    'CPU time of a worker thread.',
    WORKER_SLOT.cpuSeconds,
  ),
  perWorkerSlot(
    'gauge',
    'serin_worker_heap_bytes',
    'JavaScript heap that a worker uses; buffers are not in it.',
    WORKER_SLOT.heapBytes,
  ),
  plain('gauge', 'serin_revision', 'The newest revision, which all workers are to decide by.', ({ source }) =>
    source.revision(),
  ),
  {
    name: 'serin_changes_total',
    help: 'Changes that reached a status.',
    type: 'counter',
    labels: ['status'],
    collect: ({ source }) =>
      CHANGE_STATUSES.map((status, index) => ({ labels: { status }, value: source.control.changes[index]! })),
  },
  {
    name: 'serin_change_apply_duration_seconds',
    help: 'Time from the acceptance of a change to APPLIED.',
    type: 'histogram',
    labels: [],
    collect: ({ source }) =>
      histogramSamples('serin_change_apply_duration_seconds', {}, source.control.applied, 0),
  },
  {
    name: 'serin_config_reloads_total',
    help: 'Readings of the configuration, the first included, by result.',
    type: 'counter',
    labels: ['result'],
    collect: ({ source }) => [
      { labels: { result: 'success' }, value: source.control.reloads },
      { labels: { result: 'failure' }, value: source.control.failedReloads },
    ],
  },
  plain(
    'gauge',
    'serin_config_last_reload_successful',
    '1 when the last reading of the configuration was taken, 0 when it was refused and the former one goes on.',
    ({ source }) => Number(source.control.lastReloadSucceeded),
  ),
  timestamp(
    'serin_config_last_reload_success_timestamp_seconds',
    'When a configuration was last taken, in seconds since 1970; absent while none was.',
    ({ source }) => source.control.lastReloadSuccess,
  ),
  timestamp(
    'serin_config_last_reload_failure_timestamp_seconds',
    'When a configuration was last refused, in seconds since 1970; absent while none was.',
    ({ source }) => source.control.lastReloadFailure,
  ),
  plain(
    'counter',
    'serin_store_write_errors_total',
    'Writes that the store did not take.',
    ({ source }) => source.control.storeWriteErrors,
  ),
  plain(
    'counter',
    'serin_login_failures_total',
    'Requests to the admin API without a valid token.',
    ({ source }) => source.control.loginFailures,
  ),
  plain('gauge', 'serin_store_available', '1 while the store takes writes.', ({ source }) =>
    Number(source.storeAvailable()),
  ),
  {
    name: 'serin_tcp_migrate_req',
    help: 'The kernel setting net.ipv4.tcp_migrate_req: 1 is needed to replace a worker without resets; absent where unknown.',
    type: 'gauge',
    labels: [],
    collect: ({ source }) => {
      const value = source.tcpMigrateReq();
      return value === null ? [] : [{ labels: {}, value: Number(value) }];
    },
  },
];

function overloads({ workers }: Pick<ProcessReading, 'workers'>): Sample[] {
  return WORKER_OVERLOADS.map((reason, index) => ({
    labels: { reason },
    value: sumSlot(workers, WORKER_SLOT.overloaded + index),
  }));
}

function rejections({ source, workers }: ProcessReading): Sample[] {
  const samples: Sample[] = source.refusals
    .slice(0, REFUSAL_SLOTS)
    .map((reason, index) => ({ labels: { reason }, value: sumSlot(workers, WORKER_SLOT.refused + index) }));
  for (const [reason, slot] of OTHER_REJECTIONS) {
    samples.push({ labels: { reason }, value: sumSlot(workers, slot) });
  }
  const overloaded = overloads({ workers }).reduce((sum, { value }) => sum + value, 0);
  samples.push({ labels: { reason: 'overloaded' }, value: overloaded });
  return samples;
}

function plain(
  type: 'counter' | 'gauge',
  name: string,
  help: string,
  value: (reading: ProcessReading) => number,
): Family {
  return { name, help, type, labels: [], collect: (reading) => [{ labels: {}, value: value(reading) }] };
}

function timestamp(name: string, help: string, milliseconds: (reading: ProcessReading) => number): Family {
  return {
    name,
    help,
    type: 'gauge',
    labels: [],
    collect: (reading) => {
      const value = milliseconds(reading);
      return value === 0 ? [] : [{ labels: {}, value: value / 1000 }];
    },
  };
}

function sum(type: 'counter' | 'gauge', name: string, help: string, slot: number): Family {
  return plain(type, name, help, ({ workers }) => sumSlot(workers, slot));
}

function total(name: string, help: string, slot: number): Family {
  return sum('counter', name, help, slot);
}

function perWorker(
  type: 'counter' | 'gauge',
  name: string,
  help: string,
  value: (worker: WorkerSource) => number,
): Family {
  return {
    name,
    help,
    type,
    labels: ['worker'],
    collect: ({ workers }) =>
      workers.map((worker) => ({ labels: { worker: worker.index }, value: value(worker) })),
  };
}

function perWorkerSlot(type: 'counter' | 'gauge', name: string, help: string, slot: number): Family {
  return perWorker(type, name, help, ({ counters }) => counters.slots[slot]!);
}

/** A slot of all workers' blocks, summed. */
export function sumSlot(workers: readonly WorkerSource[], slot: number): number {
  return workers.reduce((sum, { counters }) => sum + counters.slots[slot]!, 0);
}
