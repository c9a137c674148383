/**
 * What a replica has counted of a service since it started, in few numbers, so that replicas can add up what they did.
 *
 * A variant is one list: requests by status class, transport failures, fallbacks, and the buckets of its request durations.
 */
import { DURATION_BUCKETS } from '../telemetry/duration-buckets.ts';
import { histogramSlot, SERVICE_SLOT, type ServiceCounters } from '../telemetry/service-counters.ts';
import { OUTCOMES } from '../telemetry/counters.ts';
import { STATUS_LABELS } from '../telemetry/status-codes.ts';

export const STATUS_CLASSES = ['1xx', '2xx', '3xx', '4xx', '5xx', 'other'] as const;

// Places in the list.
export const AT_FAILURES = STATUS_CLASSES.length;
export const AT_FALLBACKS = AT_FAILURES + 1;
export const AT_DURATIONS = AT_FALLBACKS + 1;
export const TOTALS = AT_DURATIONS + DURATION_BUCKETS;

export type Totals = readonly number[];
/** Stable's and canary's. */
export type ServiceTotals = readonly [Totals, Totals];

/** What one process has counted. Within one boot no number falls. */
export interface ReplicaReport {
  readonly name: string;
  /** Random, new with each start of the process. */
  readonly boot: string;
  /** How long it has run, in ms. */
  readonly uptime: number;
  readonly services: { readonly [name: string]: ServiceTotals };
}

const CLASS_OF_SLOT = STATUS_LABELS.map((label) => {
  const index = STATUS_CLASSES.findIndex((name) => name[0] === label[0]);
  return index < 0 ? STATUS_CLASSES.length - 1 : index;
});

/** Attempts that brought no answer through no fault of the client. */
const FAILURES = OUTCOMES.flatMap((outcome, index) =>
  outcome === 'ok' || outcome === 'gateway_error' || outcome === 'client_gone' || outcome === 'shortage'
    ? []
    : [index],
);

export function noTotals(): number[] {
  return Array.from({ length: TOTALS }, () => 0);
}

/** All workers of this replica together. */
export function totalsOf(blocks: readonly ServiceCounters[]): ServiceTotals {
  return [sumOf(blocks, 0), sumOf(blocks, 1)];
}

function sumOf(blocks: readonly ServiceCounters[], variant: 0 | 1): number[] {
  const totals = noTotals();
  for (const { slots } of blocks) {
    const codes = SERVICE_SLOT.codes + variant * STATUS_LABELS.length;
    for (const [slot, place] of CLASS_OF_SLOT.entries()) totals[place]! += slots[codes + slot]!;
    const outcomes = SERVICE_SLOT.outcomes + variant * OUTCOMES.length;
    for (const index of FAILURES) totals[AT_FAILURES]! += slots[outcomes + index]!;
    totals[AT_FALLBACKS]! += slots[SERVICE_SLOT.fallbacks + variant]!;
    const durations = histogramSlot(SERVICE_SLOT.duration, variant);
    for (let bucket = 0; bucket < DURATION_BUCKETS; bucket++)
      totals[AT_DURATIONS + bucket]! += slots[durations + bucket]!;
  }
  return totals;
}
