/**
 * The main thread's part in the care for endpoints: it moves the canaries' breakers, has endpoints checked, and tells what all
 * workers know of them.
 *
 * Everything happens in `tick`, four times a second: totals are read from the workers' counters, and the results are written
 * to shared memory, where workers find them. It never waits and never throws.
 */
import type { EndpointView } from './api.ts';
import type { EndpointSnapshot, ServiceSnapshot } from '../contract/snapshot.ts';
import {
  type Checker,
  type CheckTarget,
  createChecker,
  type HealthView,
  type Probe,
} from '../health/checker.ts';
import { BUCKETS } from '../policy/bucket.ts';
import { isActive } from '../rollout/lifecycle.ts';
import { OUTCOMES } from '../telemetry/counters.ts';
import { SERVICE_SLOT, type ServiceCounters } from '../telemetry/service-counters.ts';
import type { Logger } from '../telemetry/log.ts';
import type { UpstreamSource } from '../telemetry/metrics-source.ts';
import { Breaker, type Totals } from '../upstream/breaker.ts';
import { endpointName } from '../upstream/endpoint.ts';
import { GATE_OPEN, HEALTH, LOAD, LOAD_FIELDS, type ReplicaBlocks } from '../upstream/shared-blocks.ts';

const VARIANTS = ['stable', 'canary'] as const;

export interface UpstreamWatchOptions {
  /** The services that the workers were last given; the same list for as long as it is the same. */
  services(): readonly ServiceSnapshot[];
  blocks(service: string): ReplicaBlocks | null;
  counters(service: string): readonly ServiceCounters[];
  readonly probe: Probe;
  /** An awake clock, in ms, and how long it has slept so far: a time for which nobody could be asked says nothing of endpoints. */
  readonly monotonicNow: () => number;
  readonly slept: () => number;
  /** Milliseconds since 1970. */
  readonly wallNow: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: Pick<Logger, 'info' | 'warn'>;
}

export interface UpstreamWatch {
  tick(): void;
  /** All endpoints of all services, as they are now. */
  endpoints(): readonly EndpointView[];
  /** What metrics show of a service's endpoints. */
  reading(service: string): UpstreamSource;
}

interface Watched {
  breaker: Breaker;
  /** The rollout that the breaker is about. */
  rolloutId: string | null;
  readonly checks: UpstreamSource['checks'];
}

type Named = EndpointSnapshot & { readonly variant: 'stable' | 'canary'; readonly name: string };

export function createUpstreamWatch(options: UpstreamWatchOptions): UpstreamWatch {
  const { monotonicNow, log } = options;
  let known: readonly ServiceSnapshot[] = [];
  let watched = new Map<string, Watched>();

  const checker: Checker = createChecker({
    ...options,
    onVerdict(target, view) {
      tell(target, view);
      writeHealth(known.find(({ name }) => name === target.service));
    },
    onResult({ service, variant }, good) {
      const checks = watched.get(service)?.checks[variant];
      if (checks !== undefined) checks[good ? 'good' : 'bad'] += 1;
    },
  });

  function tell({ service, variant, address }: CheckTarget, { verdict, failure }: HealthView): void {
    const fields = {
      'serin.service': service,
      'serin.variant': variant,
      'server.address': endpointName(address.host, address.port),
    };
    if (verdict === 'healthy') log.info(fields, 'an endpoint is healthy');
    else log.warn({ ...fields, 'error.type': failure }, 'an endpoint is unhealthy');
  }

  function take(services: readonly ServiceSnapshot[]): void {
    known = services;
    const before = watched;
    watched = new Map(services.map(({ name }) => [name, before.get(name) ?? newlyWatched()]));
    checker.targets(services.flatMap(targetsOf));
    for (const service of services) writeHealth(service);
  }

  function writeHealth(service: ServiceSnapshot | undefined): void {
    if (service === undefined) return;
    const blocks = options.blocks(service.name);
    if (blocks === null) return;
    const health = new Uint8Array(blocks.health);
    for (const [index, endpoint] of named(service).entries()) {
      health[index] = HEALTH.indexOf(checker.view(keyOf(service, endpoint))?.verdict ?? 'unknown');
    }
  }

  function moveBreaker(service: ServiceSnapshot, own: Watched): void {
    const { rollout } = service;
    const rolloutId = rollout !== null && isActive(rollout.phase) ? rollout.id : null;
    const gate = options.blocks(service.name)?.gate;
    if (own.rolloutId !== rolloutId) {
      // A new rollout is not judged by what went before.
      const { opened } = own.breaker;
      own.breaker = new Breaker();
      own.breaker.opened = opened;
      own.rolloutId = rolloutId;
    }
    if (gate === undefined) return;
    const { breaker } = own;
    if (rolloutId !== null) {
      const totals = canaryTotals(options.counters(service.name));
      if (breaker.tick(monotonicNow(), totals, service.settings.breaker)) {
        const fields = { 'serin.service': service.name, 'serin.breaker': breaker.state };
        if (breaker.state === 'open')
          log.warn(fields, 'the canary fails: its breaker is open, its users get stable');
        else log.info(fields, 'the breaker of the canary moves');
      }
    }
    Atomics.store(new Int32Array(gate), 0, gateOf(service, breaker.share));
  }

  return {
    tick() {
      const services = options.services();
      if (services !== known) take(services);
      checker.tick();
      for (const service of services) moveBreaker(service, watched.get(service.name)!);
    },

    endpoints: () =>
      options.services().flatMap((service) => viewsOf(service, options.blocks(service.name), checker)),

    reading(name) {
      const service = options.services().find((one) => one.name === name);
      const own = watched.get(name) ?? newlyWatched();
      const views = service === undefined ? [] : viewsOf(service, options.blocks(name), checker);
      return {
        standings: views.map(({ variant, standing }) => ({ variant, standing })),
        breaker: own.breaker.state,
        breakerOpened: own.breaker.opened,
        checks: own.checks,
      };
    },
  };
}

function newlyWatched(): Watched {
  const checks = { stable: { good: 0, bad: 0 }, canary: { good: 0, bad: 0 } };
  return { breaker: new Breaker(), rolloutId: null, checks };
}

/** Endpoints in the order of the blocks. */
function named(service: ServiceSnapshot): Named[] {
  return VARIANTS.flatMap((variant) =>
    service[variant].endpoints.map((endpoint) => ({
      ...endpoint,
      variant,
      name: endpointName(endpoint.host, endpoint.port),
    })),
  );
}

function keyOf(service: ServiceSnapshot, { variant, name }: Named): string {
  return `${service.name} ${variant} ${name}`;
}

function targetsOf(service: ServiceSnapshot): CheckTarget[] {
  return named(service).flatMap((endpoint) => {
    const { variant, host, port } = endpoint;
    const { healthCheck: settings, tls } = service[variant];
    if (settings === null) return [];
    const key = keyOf(service, endpoint);
    return [{ key, service: service.name, variant, address: { host, port }, settings, tls }];
  });
}

function canaryTotals(blocks: readonly ServiceCounters[]): Totals {
  let attempts = 0;
  let failures = 0;
  for (const { slots } of blocks) {
    for (const [index, outcome] of OUTCOMES.entries()) {
      // Who leaves says nothing about the endpoint, and what this process lacks says nothing either.
      if (outcome === 'client_gone' || outcome === 'shortage') continue;
      const count = slots[SERVICE_SLOT.outcomes + OUTCOMES.length + index]!;
      attempts += count;
      if (outcome !== 'ok') failures += count;
    }
  }
  return { attempts, failures };
}

/** The first bucket that does not get the canary: a share of the buckets that the rules admit. */
function gateOf({ rollout }: ServiceSnapshot, share: number): number {
  if (share >= 1) return GATE_OPEN;
  if (share <= 0) return 0;
  let top = 0;
  for (const { percentage } of rollout?.document.rules ?? []) top = Math.max(top, percentage);
  if (rollout?.phase === 'promoted') top = 100;
  return Math.max(1, Math.ceil((share * top * BUCKETS) / 100));
}

function viewsOf(service: ServiceSnapshot, blocks: ReplicaBlocks | null, checker: Checker): EndpointView[] {
  const loads = (blocks?.loads ?? []).map((block) => new Float64Array(block));
  return named(service).map((endpoint, index) => {
    const at = index * LOAD_FIELDS;
    const of = (field: number): number[] => loads.map((load) => load[at + field] ?? 0);
    const latencies = of(LOAD.latency).filter((latency) => latency >= 0);
    const ejections = of(LOAD.ejectedFor).filter((ms) => ms > 0);
    const downOnWorkers = sum(of(LOAD.down));
    const health = checker.view(keyOf(service, endpoint));
    return {
      service: service.name,
      variant: endpoint.variant,
      address: endpoint.name,
      source: service[endpoint.variant].source,
      weight: endpoint.weight,
      standing:
        health?.verdict === 'unhealthy'
          ? 'unhealthy'
          : ejections.length > 0
            ? 'ejected'
            : downOnWorkers > 0
              ? 'down'
              : 'good',
      load: {
        inFlight: sum(of(LOAD.inFlight)),
        connections: sum(of(LOAD.connections)),
        latencyMs: latencies.length === 0 ? null : round(sum(latencies) / latencies.length),
        downOnWorkers,
        ejectedOnWorkers: ejections.length,
        ejectedForMs: Math.ceil(Math.max(0, ...ejections)),
      },
      health:
        health === null
          ? null
          : {
              state: health.verdict,
              checkedAt: health.checkedAt === null ? null : new Date(health.checkedAt).toISOString(),
              failure: health.failure === '' ? null : health.failure,
            },
    };
  });
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** To microseconds. */
function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
