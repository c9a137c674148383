/** The metrics of a store that replicas share. A replica that is alone has no series of them. */
import { histogramSamples, type MetricFamily, type Sample } from './metric-family.ts';
import type { SharedStoreSource } from './metrics-source.ts';
import type { ProcessReading } from './process-metrics.ts';
import { STORE_CONDITIONS, STORE_TROUBLES } from './store-counters.ts';

type Family = MetricFamily<ProcessReading>;

const DURATION = 'serin_store_command_duration_seconds';

export const STORE_METRICS: readonly Family[] = [
  {
    name: 'serin_store_condition',
    help: 'How the shared store is doing: 1 for what it is, 0 for the others.',
    type: 'gauge',
    labels: ['condition'],
    collect: reading(({ condition }) =>
      STORE_CONDITIONS.map((one) => ({ labels: { condition: one }, value: Number(one === condition) })),
    ),
  },
  {
    name: DURATION,
    help: 'Time that commands to the shared store took, those that came to nothing included.',
    type: 'histogram',
    labels: [],
    collect: reading(({ counters }) => histogramSamples(DURATION, {}, counters.durations, 0)),
  },
  {
    name: 'serin_store_command_errors_total',
    help: 'Commands to the shared store that came to nothing, by reason.',
    type: 'counter',
    labels: ['reason'],
    collect: reading(({ counters }) =>
      STORE_TROUBLES.map((reason, index) => ({ labels: { reason }, value: counters.failed[index]! })),
    ),
  },
  {
    name: 'serin_store_reconnects_total',
    help: 'Connections to the shared store that were made again after one was lost.',
    type: 'counter',
    labels: [],
    collect: reading(({ counters }) => [{ labels: {}, value: counters.reconnects }]),
  },
  {
    name: 'serin_store_hints_total',
    help: 'Hints that another replica wrote to the shared store.',
    type: 'counter',
    labels: [],
    collect: reading(({ counters }) => [{ labels: {}, value: counters.hints }]),
  },
];

function reading(samples: (store: SharedStoreSource) => Sample[]): Family['collect'] {
  return ({ source }) => {
    const fleet = source.fleet();
    return fleet === null ? [] : samples(fleet.store);
  };
}
