/**
 * The metrics of services: requests, upstream attempts, decisions, and the rollout that they belong to.
 *
 * Bounded: labels take their values from fixed lists, service names, and at most RULES_SHOWN rule names. Series that an
 * alert needs to see rise from zero are always there.
 */
import { REASONS, TIERS, type Phase, type RolloutState } from '../policy/rollout.ts';
import {
  CIRCUIT_LIMITS,
  histogramSlot,
  MIRROR_OUTCOMES,
  OUTCOMES,
  SERVICE_OVERLOADS,
  SERVICE_SLOT,
  SERVICE_SLOTS,
  type ServiceCounters,
} from './counters.ts';
import { histogramSamples, type Labels, type MetricFamily, type Sample } from './metric-family.ts';
import type { ServiceSource, UpstreamSource } from './metrics-source.ts';
import { BREAKER_STATES } from '../upstream/breaker.ts';
import { STANDINGS } from '../upstream/standing.ts';
import { STATUS_LABELS } from './status-codes.ts';

/** One service, its counters summed over the workers. */
export interface ServiceReading {
  readonly name: string;
  readonly slots: Float64Array;
  readonly rollout: RolloutState | null;
  readonly upstream: UpstreamSource;
}

export function readService({ name, blocks, rollout, upstream }: ServiceSource): ServiceReading {
  return { name, slots: sumOf(blocks), rollout, upstream };
}

const VARIANTS = ['stable', 'canary'] as const;
const PHASES: readonly Phase[] = ['idle', 'running', 'paused', 'promoted', 'rolledBack'];

/** A rollout may have thousands of rules; the first so many have a series, and `everyone` always. */
export const RULES_SHOWN = 100;

/** Codes whose series exist from the start, so that `increase` sees the first of a kind. */
const ALWAYS_SHOWN: ReadonlySet<string> = new Set(['200', '500', '502', '503', '504']);

type Family = MetricFamily<readonly ServiceReading[]>;

const MIRROR_METRICS: readonly Family[] = [
  family(
    'counter',
    'serin_mirror_requests_total',
    'Requests that were to be mirrored, by how that ended.',
    ['service', 'outcome'],
    ({ name, slots }) =>
      MIRROR_OUTCOMES.map((outcome, index) => ({
        labels: { service: name, outcome },
        value: slots[SERVICE_SLOT.mirrorOutcomes + index]!,
      })),
  ),
  family(
    'counter',
    'serin_mirror_responses_total',
    'Answers to mirrored requests, by their status code; they were thrown away.',
    ['service', 'code'],
    ({ name, slots }) =>
      STATUS_LABELS.flatMap((code, slot) => {
        const value = slots[SERVICE_SLOT.mirrorCodes + slot]!;
        if (value === 0 && !ALWAYS_SHOWN.has(code)) return [];
        return [{ labels: { service: name, code }, value }];
      }),
  ),
  family(
    'histogram',
    'serin_mirror_duration_seconds',
    'Time of a mirrored request from its sending, connecting included, to the end of its answer.',
    ['service'],
    ({ name, slots }) =>
      histogramSamples(
        'serin_mirror_duration_seconds',
        { service: name },
        slots,
        SERVICE_SLOT.mirrorDuration,
      ),
  ),
  family(
    'gauge',
    'serin_mirror_requests_in_flight',
    'Mirrored requests under way.',
    ['service'],
    ({ name, slots }) => [{ labels: { service: name }, value: slots[SERVICE_SLOT.mirrorsInFlight]! }],
  ),
];

export const SERVICE_METRICS: readonly Family[] = [
  family(
    'counter',
    'serin_requests_total',
    'Requests answered, by the variant that answered and the status code sent to the client.',
    ['service', 'variant', 'code'],
    ({ name, slots }) =>
      byVariant((variant, index) =>
        STATUS_LABELS.flatMap((code, slot) => {
          const value = slots[SERVICE_SLOT.codes + index * STATUS_LABELS.length + slot]!;
          if (value === 0 && !ALWAYS_SHOWN.has(code)) return [];
          return [{ labels: { service: name, variant, code }, value }];
        }),
      ),
  ),
  family(
    'histogram',
    'serin_request_duration_seconds',
    'Time from a complete request head to the end of the answer; tunnels are left out.',
    ['service', 'variant'],
    ({ name, slots }) =>
      byVariant((variant, index) =>
        histogramSamples(
          'serin_request_duration_seconds',
          { service: name, variant },
          slots,
          histogramSlot(SERVICE_SLOT.duration, index),
        ),
      ),
  ),
  gaugePair('serin_requests_in_flight', 'Requests being served.', SERVICE_SLOT.inFlight),
  ...MIRROR_METRICS,
  family(
    'gauge',
    'serin_service_tunnels_open',
    'Tunnels open, of both variants.',
    ['service'],
    ({ name, slots }) => [{ labels: { service: name }, value: slots[SERVICE_SLOT.tunnelsOpen]! }],
  ),
  family(
    'counter',
    'serin_service_overload_refusals_total',
    'Requests turned away before a decision because the service has as many requests or tunnels as it may have.',
    ['service', 'reason'],
    ({ name, slots }) =>
      SERVICE_OVERLOADS.map((reason, index) => ({
        labels: { service: name, reason },
        value: slots[SERVICE_SLOT.overloaded + index]!,
      })),
  ),
  family(
    'counter',
    'serin_upstream_results_total',
    'Attempts to get an answer from an endpoint, by how they ended.',
    ['service', 'variant', 'outcome'],
    ({ name, slots }) =>
      byVariant((variant, index) =>
        OUTCOMES.map((outcome, slot) => ({
          labels: { service: name, variant, outcome },
          value: slots[SERVICE_SLOT.outcomes + index * OUTCOMES.length + slot]!,
        })),
      ),
  ),
  family(
    'histogram',
    'serin_upstream_duration_seconds',
    'Time of one attempt at an endpoint, connecting included, whatever its outcome.',
    ['service', 'variant'],
    ({ name, slots }) =>
      byVariant((variant, index) =>
        histogramSamples(
          'serin_upstream_duration_seconds',
          { service: name, variant },
          slots,
          histogramSlot(SERVICE_SLOT.upstreamDuration, index),
        ),
      ),
  ),
  gaugePair(
    'serin_upstream_connections',
    'Open connections to endpoints, idle ones included.',
    SERVICE_SLOT.upstreamConnections,
  ),
  family(
    'counter',
    'serin_retries_total',
    'Attempts after the first, at another endpoint of the same variant.',
    ['service', 'variant'],
    ({ name, slots }) => pair(name, slots, SERVICE_SLOT.retries),
  ),
  family(
    'counter',
    'serin_retries_refused_total',
    'Attempts that would have been safe to repeat, but the retry budget had none left.',
    ['service', 'variant'],
    ({ name, slots }) => pair(name, slots, SERVICE_SLOT.retriesRefused),
  ),
  family(
    'counter',
    'serin_upstream_ejections_total',
    'Endpoints left out for a while because their requests kept failing; each worker judges by itself.',
    ['service', 'variant'],
    ({ name, slots }) => pair(name, slots, SERVICE_SLOT.ejections),
  ),
  family(
    'counter',
    'serin_circuit_refusals_total',
    'Attempts that were not made because a limit of the variant (label limit) was reached.',
    ['service', 'variant', 'limit'],
    ({ name, slots }) =>
      byVariant((variant, index) =>
        CIRCUIT_LIMITS.map((limit, slot) => ({
          labels: { service: name, variant, limit },
          value: slots[SERVICE_SLOT.circuitRefusals + index * CIRCUIT_LIMITS.length + slot]!,
        })),
      ),
  ),
  family(
    'gauge',
    'serin_upstream_endpoints',
    'Endpoints by how they stand: good, down (refuse connections), ejected (kept failing), unhealthy (by checks).',
    ['service', 'variant', 'standing'],
    ({ name, upstream }) =>
      byVariant((variant) =>
        STANDINGS.map((standing) => ({
          labels: { service: name, variant, standing },
          value: upstream.standings.filter((one) => one.variant === variant && one.standing === standing)
            .length,
        })),
      ),
  ),
  family(
    'gauge',
    'serin_breaker_state',
    '1 for the state of the canary breaker of this replica, 0 for the others.',
    ['service', 'state'],
    ({ name, upstream }) =>
      BREAKER_STATES.map((state) => ({
        labels: { service: name, state },
        value: state === upstream.breaker ? 1 : 0,
      })),
  ),
  family(
    'counter',
    'serin_breaker_opens_total',
    'How often the canary breaker has opened.',
    ['service'],
    ({ name, upstream }) => [{ labels: { service: name }, value: upstream.breakerOpened }],
  ),
  family(
    'counter',
    'serin_health_checks_total',
    'Health checks of endpoints, by result.',
    ['service', 'variant', 'result'],
    ({ name, upstream }) =>
      byVariant((variant) =>
        (['good', 'bad'] as const).map((result) => ({
          labels: { service: name, variant, result },
          value: upstream.checks[variant][result],
        })),
      ),
  ),
  family(
    'counter',
    'serin_decisions_total',
    'Decisions, by reason and by the tier of the identity chain that spoke.',
    ['service', 'reason', 'tier'],
    ({ name, slots }) =>
      REASONS.flatMap((reason, row) =>
        TIERS.flatMap((tier, column) => {
          const value = slots[SERVICE_SLOT.decisions + row * TIERS.length + column]!;
          return value === 0 ? [] : [{ labels: { service: name, reason, tier }, value }];
        }),
      ),
  ),
  family(
    'counter',
    'serin_fallbacks_total',
    'Requests that left their assigned variant (label from) because it could not take them.',
    ['service', 'from'],
    ({ name, slots }) =>
      VARIANTS.map((from, index) => ({
        labels: { service: name, from },
        value: slots[SERVICE_SLOT.fallbacks + index]!,
      })),
  ),
  single(
    'serin_flips_total',
    'Users who got the canary and then stable in the same rollout with no write and no fallback between; must stay 0.',
    SERVICE_SLOT.flips,
  ),
  single(
    'serin_shared_cacheable_responses_total',
    'Answers sent during a rollout that a shared cache may store, and so mix the variants.',
    SERVICE_SLOT.sharedCacheable,
  ),
  family(
    'gauge',
    'serin_rollout_percentage',
    `Percentage of the users a rule matches; the first ${RULES_SHOWN} rules of a rollout, and everyone.`,
    ['service', 'rule'],
    ({ name, rollout }) =>
      (rollout?.document.rules ?? [])
        .filter((rule, index) => index < RULES_SHOWN || rule.name === 'everyone')
        .map((rule) => ({ labels: { service: name, rule: rule.name }, value: rule.percentage })),
  ),
  family(
    'gauge',
    'serin_rollout_phase',
    '1 for the phase that the rollout is in, 0 for the others.',
    ['service', 'phase'],
    ({ name, rollout }) =>
      PHASES.map((phase) => ({
        labels: { service: name, phase },
        value: phase === (rollout?.phase ?? 'idle') ? 1 : 0,
      })),
  ),
  family(
    'gauge',
    'serin_rollout_epoch',
    'Number of the latest rollout of the service; absent before the first.',
    ['service'],
    ({ name, rollout }) => ofRollout(name, rollout?.epoch),
  ),
  family(
    'gauge',
    'serin_rollout_step',
    'Steps of the ramp taken so far; absent before the first rollout.',
    ['service'],
    ({ name, rollout }) => ofRollout(name, rollout === null ? undefined : rollout.step + 1),
  ),
  family(
    'gauge',
    'serin_rollout_start_timestamp_seconds',
    'When the latest rollout started, in seconds since 1970; absent before the first.',
    ['service'],
    ({ name, rollout }) =>
      ofRollout(name, rollout === null ? undefined : Date.parse(rollout.startedAt) / 1000),
  ),
];

function family(
  type: Family['type'],
  name: string,
  help: string,
  labels: readonly string[],
  samples: (service: ServiceReading) => Sample[],
): Family {
  return { name, help, type, labels, collect: (services) => services.flatMap(samples) };
}

function gaugePair(name: string, help: string, slot: number): Family {
  return family('gauge', name, help, ['service', 'variant'], (service) =>
    pair(service.name, service.slots, slot),
  );
}

function single(name: string, help: string, slot: number): Family {
  return family('counter', name, help, ['service'], (service) => [
    { labels: { service: service.name }, value: service.slots[slot]! },
  ]);
}

function pair(service: string, slots: Float64Array, slot: number): Sample[] {
  return byVariant((variant, index) => [{ labels: { service, variant }, value: slots[slot + index]! }]);
}

function byVariant(samples: (variant: (typeof VARIANTS)[number], index: 0 | 1) => Sample[]): Sample[] {
  return [...samples('stable', 0), ...samples('canary', 1)];
}

function ofRollout(service: string, value: number | undefined): Sample[] {
  const labels: Labels = { service };
  return value === undefined || Number.isNaN(value) ? [] : [{ labels, value }];
}

function sumOf(blocks: readonly ServiceCounters[]): Float64Array {
  const sum = new Float64Array(SERVICE_SLOTS);
  for (const { slots } of blocks) {
    for (let slot = 0; slot < SERVICE_SLOTS; slot++) sum[slot]! += slots[slot]!;
  }
  return sum;
}
