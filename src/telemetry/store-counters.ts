/** What a replica counts of its talk with a store that replicas share. Lives on the main thread. Counting never throws. */
import { HISTOGRAM_SLOTS, observe } from './duration-buckets.ts';

export const STORE_CONDITIONS = [
  'available',
  /** No connection, or no answer in time. */
  'unreachable',
  /** It answers, but takes no writes: a replica without its master, or not enough of them. */
  'readOnly',
  /** It answers, but has no memory left for writes. */
  'full',
  /** It refuses the name or the password. */
  'denied',
  /** What is in it can't be read by this version. */
  'unreadable',
] as const;

/** How the store is doing, by the last thing that was tried. */
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
