/** What a replica counts of its talk with a store that replicas share. Lives on the main thread. Counting never throws. */
import { HISTOGRAM_SLOTS, observe } from './duration-buckets.ts';

/** How the store is doing; what each means is said where the store's interface is. */
export const STORE_CONDITIONS = [
  'available',
  'unreachable',
  'readOnly',
  'full',
  'denied',
  'unreadable',
] as const;
export type StoreCondition = (typeof STORE_CONDITIONS)[number];

/** Why a command came to nothing. */
export const STORE_TROUBLES = [
  'disconnected',
  'timeout',
  'loading',
  'busy',
  'cluster_down',
  'read_only',
  'too_few_replicas',
  'full',
  'denied',
  'foreign',
  'newer',
  'corrupt',
  'other',
] as const;
export type StoreTrouble = (typeof STORE_TROUBLES)[number];

export class StoreCounters {
  /** Seconds that commands took, those that came to nothing included. */
  readonly durations = new Float64Array(HISTOGRAM_SLOTS);
  readonly failed = new Float64Array(STORE_TROUBLES.length);
  /** Connections that were made again after one was lost. */
  reconnects = 0;
  /** Hints that another replica wrote. */
  hints = 0;

  command(seconds: number): void {
    observe(this.durations, 0, seconds);
  }

  commandFailed(trouble: StoreTrouble): void {
    this.failed[STORE_TROUBLES.indexOf(trouble)]!++;
  }
}
