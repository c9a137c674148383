/**
 * The metrics of a service's endpoints: attempts and how they ended, retries, and what became of endpoints in trouble.
 */
import { BREAKER_STATES } from '../upstream/breaker.ts';
import { STANDINGS } from '../upstream/standing.ts';
import { CIRCUIT_LIMITS, OUTCOMES } from './counters.ts';
import { histogramSlot, SERVICE_SLOT } from './service-counters.ts';
import { histogramSamples } from './metric-family.ts';
import { byVariant, family, type Family, gaugePair, pair } from './service-family.ts';

export const UPSTREAM_METRICS: readonly Family[] = [
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
];
