/**
 * The metrics of the fleet as one replica sees it, and of its talk with the others. A replica that is alone has no series of
 * them.
 */
import { PEER_FAILURES, PEER_MESSAGES, PEER_REFUSALS } from './fleet-counters.ts';
import type { MetricFamily, Sample } from './metric-family.ts';
import type { FleetSource } from './metrics-source.ts';
import type { ProcessReading } from './process-metrics.ts';

type Family = MetricFamily<ProcessReading>;

export const FLEET_METRICS: readonly Family[] = [
  {
    name: 'serin_fleet_replicas',
    help: 'Replicas that this one knows of, itself included, by state.',
    type: 'gauge',
    labels: ['state'],
    collect: reading(({ live, unreachable }) => [
      { labels: { state: 'live' }, value: live },
      { labels: { state: 'unreachable' }, value: unreachable },
    ]),
  },
  gauge(
    'serin_fleet_disagreement',
    '1 while live replicas differ in what they must have alike: raises are refused then.',
    ({ disagreements }) => Number(disagreements > 0),
  ),
  gauge('serin_fleet_leader', '1 on the replica that leads.', ({ leader }) => Number(leader)),
  gauge(
    'serin_fleet_fence',
    'The number of the leadership that this replica knows of; it rises with every new leader.',
    ({ fence }) => fence,
  ),
  gauge(
    'serin_fleet_fenced',
    '1 while this replica gives stable to everybody because it has lost the store for too long.',
    ({ fenced }) => Number(fenced),
  ),
  {
    name: 'serin_store_clock_error_seconds',
    help: "How wrong this replica's idea of the store's clock can be; absent before it has one.",
    type: 'gauge',
    labels: [],
    collect: reading(({ clockError }) =>
      Number.isFinite(clockError) ? [{ labels: {}, value: clockError / 1000 }] : [],
    ),
  },
  counts(
    'serin_peer_messages_sent_total',
    'Messages that another replica acknowledged, by type; one to three replicas counts three times.',
    'type',
    PEER_MESSAGES,
    ({ counters }) => counters.sent,
  ),
  counts(
    'serin_peer_messages_received_total',
    'Messages taken from other replicas, by type.',
    'type',
    PEER_MESSAGES,
    ({ counters }) => counters.received,
  ),
  counts(
    'serin_peer_requests_failed_total',
    'Requests to other replicas that came to nothing, by reason.',
    'reason',
    PEER_FAILURES,
    ({ counters }) => counters.failed,
  ),
  counts(
    'serin_peer_requests_refused_total',
    'Requests to the listener for replicas that were refused, by reason.',
    'reason',
    PEER_REFUSALS,
    ({ counters }) => counters.refused,
  ),
];

function reading(samples: (fleet: FleetSource) => Sample[]): Family['collect'] {
  return ({ source }) => {
    const fleet = source.fleet();
    return fleet === null ? [] : samples(fleet);
  };
}

function gauge(name: string, help: string, value: (fleet: FleetSource) => number): Family {
  return {
    name,
    help,
    type: 'gauge',
    labels: [],
    collect: reading((fleet) => [{ labels: {}, value: value(fleet) }]),
  };
}

function counts(
  name: string,
  help: string,
  label: string,
  values: readonly string[],
  slots: (fleet: FleetSource) => Float64Array,
): Family {
  return {
    name,
    help,
    type: 'counter',
    labels: [label],
    collect: reading((fleet) =>
      values.map((value, index) => ({ labels: { [label]: value }, value: slots(fleet)[index]! })),
    ),
  };
}
