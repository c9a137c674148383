/**
 * What a metric is before prom-client prints it: a name, a meaning, and a way to read its values at scrape time.
 */
import { DURATION_BOUNDS, DURATION_BUCKETS } from './duration-buckets.ts';

export type Labels = Readonly<Record<string, string | number>>;

/** One line of the exposition. */
export interface Sample {
  readonly labels: Labels;
  readonly value: number;
  /** Where it is not the family's own: a histogram's `…_bucket`, `…_sum` and `…_count`. */
  readonly metricName?: string;
}

/** A metric with all its series; `collect` reads them from `Reading`, what was read of the sources for this scrape. */
export interface MetricFamily<Reading> {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly collect: (reading: Reading) => Sample[];
}

/**
 * The samples of the histogram at slot `at`, cumulative. Each slot is read once, and the count is the sum of what was
 * read, so that the lines agree with each other although somebody writes meanwhile.
 */
export function histogramSamples(name: string, labels: Labels, slots: Float64Array, at: number): Sample[] {
  const samples: Sample[] = [];
  const metricName = `${name}_bucket`;
  let count = 0;
  for (let bucket = 0; bucket < DURATION_BUCKETS; bucket++) {
    count += slots[at + bucket]!;
    samples.push({ metricName, labels: { ...labels, le: DURATION_BOUNDS[bucket] ?? '+Inf' }, value: count });
  }
  samples.push({ metricName: `${name}_sum`, labels, value: slots[at + DURATION_BUCKETS]! });
  samples.push({ metricName: `${name}_count`, labels, value: count });
  return samples;
}
