/** What one worker counts for one service: a block of counters as `counters.ts` says. */
import { REASONS, TIERS } from '../policy/rollout.ts';
import {
  CIRCUIT_LIMITS,
  MIRROR_OUTCOMES,
  type MirrorOutcome,
  OUTCOMES,
  SERVICE_OVERLOADS,
  type ServiceOverload,
  SLOW_CLIENTS,
  type SlowClient,
  slotsOf,
  type VariantIndex,
} from './counters.ts';
import { HISTOGRAM_SLOTS, observe } from './duration-buckets.ts';
import { STATUS_LABELS, statusSlot } from './status-codes.ts';

const CODES = STATUS_LABELS.length;
const DECISIONS = REASONS.length * TIERS.length;

/** Slots of a service's block, each the start of an array: by variant, then by index. Gauges come last. */
export const SERVICE_SLOT = (() => {
  const codes = 0;
  const duration = codes + 2 * CODES;
  const upstreamDuration = duration + 2 * HISTOGRAM_SLOTS;
  const outcomes = upstreamDuration + 2 * HISTOGRAM_SLOTS;
  const decisions = outcomes + 2 * OUTCOMES.length;
  const retries = decisions + DECISIONS;
  const fallbacks = retries + 2;
  const flips = fallbacks + 2;
  const sharedCacheable = flips + 1;
  const ejections = sharedCacheable + 1;
  const circuitRefusals = ejections + 2;
  const retriesRefused = circuitRefusals + 2 * CIRCUIT_LIMITS.length;
  const overloaded = retriesRefused + 2;
  const mirrorOutcomes = overloaded + SERVICE_OVERLOADS.length;
  const mirrorCodes = mirrorOutcomes + MIRROR_OUTCOMES.length;
  const mirrorDuration = mirrorCodes + CODES;
  const slowClients = mirrorDuration + HISTOGRAM_SLOTS;
  const inFlight = slowClients + SLOW_CLIENTS.length;
  const upstreamConnections = inFlight + 2;
  const tunnelsOpen = upstreamConnections + 2;
  const mirrorsInFlight = tunnelsOpen + 1;
  const end = mirrorsInFlight + 1;
  return {
    codes,
    duration,
    upstreamDuration,
    outcomes,
    decisions,
    retries,
    fallbacks,
    flips,
    sharedCacheable,
    ejections,
    circuitRefusals,
    retriesRefused,
    overloaded,
    mirrorOutcomes,
    mirrorCodes,
    mirrorDuration,
    slowClients,
    /** From here on gauges, which `adopt` clears. */
    gauges: inFlight,
    inFlight,
    upstreamConnections,
    tunnelsOpen,
    mirrorsInFlight,
    end,
  } as const;
})();

export const SERVICE_SLOTS = SERVICE_SLOT.end;
export const SERVICE_COUNTER_BYTES = SERVICE_SLOTS * Float64Array.BYTES_PER_ELEMENT;

// Constants of the hot methods, so that none of them reads an object's property.
const AT_DURATION = SERVICE_SLOT.duration;
const AT_UPSTREAM_DURATION = SERVICE_SLOT.upstreamDuration;
const AT_OUTCOMES = SERVICE_SLOT.outcomes;
const AT_DECISIONS = SERVICE_SLOT.decisions;
const SWITCHING_PROTOCOLS = 101;
const OUTCOME_COUNT = OUTCOMES.length;
const TIER_COUNT = TIERS.length;

/** What one worker counts for one service. */
export class ServiceCounters {
  readonly slots: Float64Array;

  /** `buffer` holds SERVICE_COUNTER_BYTES bytes; RangeError otherwise. */
  constructor(buffer: SharedArrayBuffer) {
    this.slots = slotsOf(buffer, SERVICE_SLOTS);
  }

  /** Called once by a worker before it serves: what a predecessor had open is no longer open. */
  adopt(): void {
    this.slots.fill(0, SERVICE_SLOT.gauges);
  }

  /** A request was answered by `variant` with `status`; its answer ended `seconds` after its head was complete. */
  request(variant: VariantIndex, status: number, seconds: number): void {
    this.slots[variant * CODES + statusSlot(status)]!++;
    // A tunnel's life is no latency.
    if (status !== SWITCHING_PROTOCOLS) observe(this.slots, AT_DURATION + variant * HISTOGRAM_SLOTS, seconds);
  }

  /** A decision was made; indices in REASONS and TIERS. */
  decision(reasonIndex: number, tierIndex: number): void {
    this.slots[AT_DECISIONS + reasonIndex * TIER_COUNT + tierIndex]!++;
  }

  /** An attempt at an endpoint ended; `outcomeIndex` in OUTCOMES. Negative `seconds` (a tunnel's) are no duration. */
  upstreamResult(variant: VariantIndex, outcomeIndex: number, seconds: number): void {
    this.slots[AT_OUTCOMES + variant * OUTCOME_COUNT + outcomeIndex]!++;
    observe(this.slots, AT_UPSTREAM_DURATION + variant * HISTOGRAM_SLOTS, seconds);
  }

  retry(variant: VariantIndex): void {
    this.slots[SERVICE_SLOT.retries + variant]!++;
  }

  /** A retry would have been safe, but the budget had none left. */
  retryRefused(variant: VariantIndex): void {
    this.slots[SERVICE_SLOT.retriesRefused + variant]!++;
  }

  /** Endpoints were ejected because they kept failing. */
  ejected(variant: VariantIndex, endpoints: number): void {
    this.slots[SERVICE_SLOT.ejections + variant]! += endpoints;
  }

  /** An attempt was not made because a limit is reached; `limitIndex` in CIRCUIT_LIMITS. */
  circuitRefused(variant: VariantIndex, limitIndex: number): void {
    this.slots[SERVICE_SLOT.circuitRefusals + variant * CIRCUIT_LIMITS.length + limitIndex]!++;
  }

  /** A request left its assigned variant `from` for the other one, which had usable endpoints. */
  fallback(from: VariantIndex): void {
    this.slots[SERVICE_SLOT.fallbacks + from]!++;
  }

  /** A user of the canary got stable in the same rollout with no write and no fallback between: must stay 0. */
  flip(): void {
    this.slots[SERVICE_SLOT.flips]!++;
  }

  /** During a rollout, an answer was sent that a shared cache may store. */
  sharedCacheable(): void {
    this.slots[SERVICE_SLOT.sharedCacheable]!++;
  }

  /** `delta` is 1 or -1. */
  inFlight(variant: VariantIndex, delta: number): void {
    this.slots[SERVICE_SLOT.inFlight + variant]! += delta;
  }

  /** A request was turned away before it was decided, because the service has as many as it may have. */
  overloaded(why: ServiceOverload): void {
    this.slots[SERVICE_SLOT.overloaded + SERVICE_OVERLOADS.indexOf(why)]!++;
  }

  /** A client was cut because it kept an endpoint's connection busy. */
  slowClient(why: SlowClient): void {
    this.slots[SERVICE_SLOT.slowClients + SLOW_CLIENTS.indexOf(why)]!++;
  }

  /** A mirrored request ended, or was not sent. `status` and `seconds` count where there was an answer and where it was sent. */
  mirrored(outcome: MirrorOutcome, status: number, seconds: number): void {
    this.slots[SERVICE_SLOT.mirrorOutcomes + MIRROR_OUTCOMES.indexOf(outcome)]!++;
    if (outcome === 'answered') this.slots[SERVICE_SLOT.mirrorCodes + statusSlot(status)]!++;
    if (seconds >= 0) observe(this.slots, SERVICE_SLOT.mirrorDuration, seconds);
  }

  /** `delta` is 1 or -1. */
  mirrorInFlight(delta: number): void {
    this.slots[SERVICE_SLOT.mirrorsInFlight]! += delta;
  }

  get mirrorsInFlight(): number {
    return this.slots[SERVICE_SLOT.mirrorsInFlight]!;
  }

  /** Of both variants, tunnels included. */
  get requestsInFlight(): number {
    return this.slots[SERVICE_SLOT.inFlight]! + this.slots[SERVICE_SLOT.inFlight + 1]!;
  }

  tunnelOpened(): void {
    this.slots[SERVICE_SLOT.tunnelsOpen]!++;
  }

  tunnelClosed(): void {
    this.slots[SERVICE_SLOT.tunnelsOpen]!--;
  }

  get tunnelsOpen(): number {
    return this.slots[SERVICE_SLOT.tunnelsOpen]!;
  }

  /** `delta` is 1 or -1. */
  upstreamConnections(variant: VariantIndex, delta: number): void {
    this.slots[SERVICE_SLOT.upstreamConnections + variant]! += delta;
  }
}

/** Where a variant's histogram starts within a service's block. */
export function histogramSlot(start: number, variant: VariantIndex): number {
  return start + variant * HISTOGRAM_SLOTS;
}
