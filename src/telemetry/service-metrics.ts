/**
 * The metrics of services: requests, upstream attempts, decisions, and the rollout that they belong to.
 *
 * Bounded: labels take their values from fixed lists, service names, and at most RULES_SHOWN rule names. Series that an
 * alert needs to see rise from zero are always there.
 */
import { REASONS, TIERS, type Phase } from '../policy/rollout.ts';
import { histogramSlot, SERVICE_SLOT } from './service-counters.ts';
import { MIRROR_OUTCOMES, SERVICE_OVERLOADS, SLOW_CLIENTS } from './counters.ts';
import { histogramSamples, type Labels, type Sample } from './metric-family.ts';
import { byVariant, family, type Family, gaugePair, single, VARIANTS } from './service-family.ts';
import { STATUS_LABELS } from './status-codes.ts';
import { UPSTREAM_METRICS } from './upstream-metrics.ts';

const PHASES: readonly Phase[] = ['idle', 'running', 'paused', 'promoted', 'rolledBack'];

/** A rollout may have thousands of rules; the first so many have a series, and `everyone` always. */
export const RULES_SHOWN = 100;

/** Codes whose series exist from the start, so that `increase` sees the first of a kind. */
const ALWAYS_SHOWN: ReadonlySet<string> = new Set(['200', '500', '502', '503', '504']);

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
    'serin_slow_clients_total',
    'Clients that were cut because they stopped sending a request body or reading an answer, or did it too slowly.',
    ['service', 'reason'],
    ({ name, slots }) =>
      SLOW_CLIENTS.map((reason, index) => ({
        labels: { service: name, reason },
        value: slots[SERVICE_SLOT.slowClients + index]!,
      })),
  ),
  ...UPSTREAM_METRICS,
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

function ofRollout(service: string, value: number | undefined): Sample[] {
  const labels: Labels = { service };
  return value === undefined || Number.isNaN(value) ? [] : [{ labels, value }];
}
