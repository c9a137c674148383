import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readProcess } from '../../../src/telemetry/process-metrics.ts';
import { STORE_METRICS } from '../../../src/telemetry/store-metrics.ts';
import { fakeSource } from './fake-source.ts';

const source = fakeSource(1, []);

/** The samples of a family that are not 0, as `name{label} value`. */
const shown = (fleet: ReturnType<typeof source.fleet>): string[] =>
  STORE_METRICS.flatMap((family) =>
    family
      .collect(readProcess({ ...source, fleet: () => fleet }))
      .filter(({ value, metricName }) => value !== 0 && metricName?.endsWith('_bucket') !== true)
      .map(({ metricName, labels, value }) => {
        const text = Object.values(labels).join();
        return `${metricName ?? family.name}${text === '' ? '' : `{${text}}`} ${value}`;
      }),
  );

test('the shared store shows its condition, commands, errors, reconnections and hints', () => {
  assert.deepEqual(shown(source.fleet()), [
    'serin_store_condition{readOnly} 1',
    'serin_store_command_duration_seconds_sum 0.302',
    'serin_store_command_duration_seconds_count 2',
    'serin_store_command_errors_total{read_only} 1',
    'serin_store_reconnects_total 3',
    'serin_store_hints_total 9',
  ]);
});

test('a replica that is alone has no series of it', () => {
  assert.deepEqual(shown(null), []);
});
