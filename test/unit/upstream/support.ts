/** What tests of upstream parts share: endpoints, numbers that repeat, and settings to change. */
import { upstreamSettings } from '../../../src/config/upstream.ts';
import { Circuit, circuitBytes } from '../../../src/upstream/circuit.ts';
import { Endpoint } from '../../../src/upstream/endpoint.ts';
import type {
  CircuitSettings,
  OutlierSettings,
  UpstreamSettings,
} from '../../../src/contract/upstream-settings.ts';
import { LOAD_FIELDS } from '../../../src/upstream/shared-blocks.ts';
import { VariantUpstream } from '../../../src/upstream/variant-upstream.ts';

const DEFAULTS = upstreamSettings({});
export const OUTLIER: OutlierSettings = DEFAULTS.outlier;
export const NO_LIMITS: CircuitSettings = { maxConnections: 0, maxPending: 0, maxRequests: 0 };

export function endpoints(count: number): Endpoint[] {
  return Array.from({ length: count }, (_, index) => new Endpoint('127.0.0.1', 1000 + index));
}

/** A source of numbers in [0, 1) that repeats what it is given. */
export function sequence(...values: readonly number[]): () => number {
  let at = 0;
  return () => values[at++ % values.length]!;
}

/** A linear congruential generator (Numerical Recipes): the same numbers in every run. */
export function generator(seed = 1): () => number {
  let state = seed;
  return () => (state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32) / 2 ** 32;
}

export interface Made {
  readonly upstream: VariantUpstream;
  readonly health: Uint8Array;
  readonly loads: Float64Array;
}

/** A variant of these endpoints; `changes` replaces some of the default settings. */
export function variant(
  all: readonly Endpoint[],
  changes: { outlier?: Partial<OutlierSettings>; slowStart?: number; panics?: boolean } = {},
  now = 0,
  before: VariantUpstream | null = null,
): Made {
  const health = new Uint8Array(all.length);
  const loads = new Float64Array(all.length * LOAD_FIELDS);
  const settings: UpstreamSettings = {
    ...DEFAULTS,
    outlier: { ...OUTLIER, ...changes.outlier },
    balance: { slowStart: changes.slowStart ?? 10_000, latencyDecay: 10_000 },
  };
  const upstream = new VariantUpstream(
    {
      endpoints: all,
      settings,
      limits: NO_LIMITS,
      circuit: new Circuit(new SharedArrayBuffer(circuitBytes(1)), 0, 0),
      panics: changes.panics ?? false,
      health,
      loads,
      before,
    },
    now,
  );
  return { upstream, health, loads };
}
