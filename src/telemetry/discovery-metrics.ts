/**
 * The metrics of the sources that endpoints are discovered from.
 */
import type { MetricFamily } from './metric-family.ts';
import type { DiscoveryReading } from './metrics-source.ts';
import type { ProcessReading } from './process-metrics.ts';

type Family = MetricFamily<ProcessReading>;

export const DISCOVERY_METRICS: readonly Family[] = [
  of('gauge', 'serin_discovery_synced', '1 while what is known of a source is how it is.', ({ synced }) =>
    Number(synced),
  ),
  of(
    'gauge',
    'serin_discovery_stale_seconds',
    'For how long a source could not be asked or followed; its last known endpoints are used.',
    ({ staleSeconds }) => staleSeconds,
  ),
  of(
    'gauge',
    'serin_discovery_endpoints',
    'Endpoints of a source that are used.',
    ({ endpoints }) => endpoints,
  ),
  of(
    'gauge',
    'serin_discovery_holding',
    '1 while a source names no endpoints any more and the last known ones are used all the same.',
    ({ holding }) => Number(holding),
  ),
  of(
    'counter',
    'serin_discovery_reads_total',
    'Whole lists read from a source: relists, or answers of DNS.',
    ({ reads }) => reads,
  ),
  of('counter', 'serin_discovery_events_total', 'Events of the watch of a source.', ({ events }) => events),
  of(
    'counter',
    'serin_discovery_refused_addresses_total',
    'Different addresses of a source that were left out because requests are never sent there.',
    ({ refused }) => refused,
  ),
  {
    name: 'serin_discovery_errors_total',
    help: 'Failures to ask or follow a source, by reason.',
    type: 'counter',
    labels: ['source', 'reason'],
    collect: ({ source }) =>
      source.discovery().flatMap(({ name, troubles }) =>
        source.discoveryTroubles.map((reason) => ({
          labels: { source: name, reason },
          value: troubles.get(reason) ?? 0,
        })),
      ),
  },
];

function of(
  type: Family['type'],
  name: string,
  help: string,
  value: (reading: DiscoveryReading) => number,
): Family {
  return {
    name,
    help,
    type,
    labels: ['source'],
    collect: ({ source }) =>
      source.discovery().map((reading) => ({ labels: { source: reading.name }, value: value(reading) })),
  };
}
