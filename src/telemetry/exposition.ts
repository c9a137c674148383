/**
 * The exposition: everything that `/metrics` shows, in Prometheus' text format, printed by prom-client.
 *
 * Nothing is counted here. At each scrape the blocks of all workers are read and summed; series exist for what exists
 * then, so those of a removed service vanish. Scraping never disturbs a worker.
 */
import { setImmediate } from 'node:timers/promises';
import { collectDefaultMetrics, Registry, type Metric } from 'prom-client';
import { FLEET_METRICS } from './fleet-metrics.ts';
import { DISCOVERY_METRICS } from './discovery-metrics.ts';
import type { MetricFamily } from './metric-family.ts';
import type { MetricsSource } from './metrics-source.ts';
import { LATCH_METRICS } from './latch-metrics.ts';
import { PROCESS_METRICS, readProcess, type ProcessReading } from './process-metrics.ts';
import { STORE_METRICS } from './store-metrics.ts';
import { readService, type ServiceReading } from './service-family.ts';
import { SERVICE_METRICS } from './service-metrics.ts';
import { TLS_METRICS } from './tls-metrics.ts';

export interface Exposition {
  /** The metrics of this moment. Calls that overlap share one answer. */
  render(): Promise<string>;
  /** The value of Content-Type. */
  readonly contentType: string;
}

/** Default metrics that break Prometheus' naming rules (a gauge called `…_total`) or only repeat a better one. */
const LEFT_OUT = [
  'nodejs_active_handles',
  'nodejs_active_handles_total',
  'nodejs_active_requests',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
] as const;

/**
 * Makes the exposition of one process: Serin's metrics, and prom-client's default ones, whose `nodejs_…` part is about
 * the main thread. Make one per process: the default metrics start timers and observers that live as long as it does.
 */
export function createExposition(source: MetricsSource): Exposition {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const name of LEFT_OUT) registry.removeSingleMetric(name);

  let processReading: ProcessReading | null = null;
  let services: readonly ServiceReading[] = [];
  let turn = Promise.resolve();
  const nextTurn = (): Promise<void> => (turn = turn.then(() => setImmediate()));
  for (const family of [
    ...PROCESS_METRICS,
    ...TLS_METRICS,
    ...FLEET_METRICS,
    ...STORE_METRICS,
    ...LATCH_METRICS,
    ...DISCOVERY_METRICS,
  ])
    register(registry, family, nextTurn, () => processReading ?? readProcess(source));
  for (const family of SERVICE_METRICS) register(registry, family, nextTurn, () => services);

  let rendering: Promise<string> | null = null;
  return {
    contentType: registry.contentType,
    render: () => {
      if (rendering !== null) return rendering;
      processReading = readProcess(source);
      services = source.services().map(readService);
      rendering = registry.metrics().finally(() => (rendering = null));
      return rendering;
    },
  };
}

/**
 * Registers a family with prom-client. A registry asks a metric for its name, its type and `get`; giving it just those
 * spares a second copy of all series inside prom-client, which would have to be reset at each scrape.
 *
 * Each family waits for its turn of the event loop: a hundred services take 50 ms to print, and a rollback that comes in
 * meanwhile must not wait for all of that.
 */
function register<Reading>(
  registry: Registry,
  { name, help, type, collect }: MetricFamily<Reading>,
  nextTurn: () => Promise<void>,
  reading: () => Reading,
): void {
  const metric = {
    name,
    help,
    type,
    get: async () => {
      await nextTurn();
      return { name, help, type, aggregator: 'sum', values: collect(reading()) };
    },
    reset: () => {},
  };
  registry.registerMetric(metric as unknown as Metric);
}
