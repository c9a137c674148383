/**
 * The metrics of the latches of header identities, which a replica holds in memory.
 */
import type { MetricFamily } from './metric-family.ts';
import type { LatchReading, MetricsSource } from './metrics-source.ts';

type Family = MetricFamily<{ readonly source: MetricsSource }>;

export const LATCH_METRICS: readonly Family[] = [
  figure('gauge', 'serin_latches', 'Latches of header identities that are held.', 'held'),
  figure('gauge', 'serin_latches_limit', 'How many are held at most.', 'limit'),
  figure('gauge', 'serin_latches_table_bytes', 'Memory that their table takes when it is full.', 'bytes'),
  figure('gauge', 'serin_latches_waiting', 'Latches that are not in the store yet.', 'waiting'),
  figure(
    'counter',
    'serin_latches_taken_over_total',
    'Latches taken over from other replicas or from the store.',
    'takenOver',
  ),
  figure(
    'counter',
    'serin_latches_refused_total',
    'Latches from elsewhere that were not genuine, or not of a rollout under way.',
    'refused',
  ),
  figure(
    'counter',
    'serin_latches_evicted_total',
    'Latches that went for others, because as many were held as may be.',
    'evicted',
  ),
  figure(
    'counter',
    'serin_latches_lost_total',
    'Latches that were not kept or not passed on, because too many came at once.',
    'lost',
  ),
];

function figure(type: Family['type'], name: string, help: string, key: keyof LatchReading): Family {
  return {
    name,
    help,
    type,
    labels: [],
    collect: ({ source }) => [{ labels: {}, value: source.latches()[key] }],
  };
}
