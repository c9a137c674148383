/**
 * A snapshot made ready for serving: hosts to services, services to policies and endpoints.
 *
 * It is immutable but for the live state of endpoints, which outlives a snapshot: an endpoint that the next snapshot
 * names again keeps its connections. A worker swaps its routing whole between two requests.
 */
import { Endpoint, endpointName } from '../upstream/endpoint.ts';
import type { ChunkedLimits } from '../http1/body.ts';
import type { HeadLimits } from '../http1/request-head.ts';
import { compileContext, compilePolicy, type CompiledPolicy, type PolicyContext } from '../policy/compile.ts';
import { FlipTable } from '../policy/flip.ts';
import { NetworkSet } from '../policy/network.ts';
import { compileServiceMatcher, type ServiceMatcher } from '../policy/service-match.ts';
import type { ServiceCounters } from '../telemetry/counters.ts';
import type {
  EndpointAddress,
  ProxySettings,
  ServiceSettings,
  ServiceSnapshot,
  Snapshot,
} from './snapshot.ts';

/** Bytes of chunk extensions in one message: nobody uses them but attackers. */
const CHUNK_EXTENSION_LIMIT = 256;

export interface ServiceRoute {
  readonly name: string;
  readonly snapshot: ServiceSnapshot;
  readonly settings: ServiceSettings;
  readonly policy: CompiledPolicy;
  readonly counters: ServiceCounters;
  /** Watches for users who lose the canary without a cause; kept for as long as the rollout lasts. */
  readonly flips: FlipTable;
  readonly stable: readonly Endpoint[];
  readonly canary: readonly Endpoint[];
  /** Open connections to stable's and to canary's endpoints when they were last counted. */
  readonly openConnections: [number, number];
  /** Whether a rollout is under way (running, paused or promoted). */
  readonly rollingOut: boolean;
}

export interface Routing {
  readonly revision: number;
  readonly proxy: ProxySettings;
  readonly headLimits: HeadLimits;
  readonly bodyLimits: ChunkedLimits;
  readonly responseLimits: HeadLimits & ChunkedLimits;
  readonly matcher: ServiceMatcher;
  readonly services: readonly ServiceRoute[];
  readonly trustedProxies: NetworkSet;
  readonly context: PolicyContext;
}

/**
 * Compiles `snapshot`. `previous` gives what can be taken over; endpoints that are no longer named are retired.
 * Throws what the policy compiler throws; `previous` is then untouched and goes on.
 */
export function compileRouting(
  snapshot: Snapshot,
  previous: Routing | null,
  countersOf: (service: string) => ServiceCounters,
): Routing {
  const context = compileContext(snapshot, previous?.context ?? null);
  const before = new Map(previous?.services.map((route) => [route.name, route]));
  const compiled = snapshot.services.map((service) => ({
    service,
    policy: compilePolicy(service, context),
  }));
  const matcher = compileServiceMatcher(snapshot.services);
  const services = compiled.map(({ service, policy }) => {
    const old = before.get(service.name);
    const phase = service.rollout?.phase;
    return {
      name: service.name,
      snapshot: service,
      settings: service.settings,
      policy,
      counters: old?.counters ?? countersOf(service.name),
      flips:
        old !== undefined && old.snapshot.rollout?.id === service.rollout?.id ? old.flips : new FlipTable(),
      stable: takeOver(service.stable.endpoints, old?.stable),
      canary: takeOver(service.canary.endpoints, old?.canary),
      openConnections: old?.openConnections ?? [0, 0],
      rollingOut: phase === 'running' || phase === 'paused' || phase === 'promoted',
    };
  });
  retireUnused(previous, services);
  return {
    revision: snapshot.revision,
    proxy: snapshot.proxy,
    ...limitsOf(snapshot.proxy),
    matcher,
    services,
    trustedProxies: new NetworkSet(snapshot.trustedProxies),
    context,
  };
}

function limitsOf(proxy: ProxySettings): Pick<Routing, 'headLimits' | 'bodyLimits' | 'responseLimits'> {
  const headLimits = { requestLine: proxy.requestLineLimit, head: proxy.headLimit, fields: proxy.fieldLimit };
  const bodyLimits = { extension: CHUNK_EXTENSION_LIMIT, trailer: proxy.headLimit, fields: proxy.fieldLimit };
  return { headLimits, bodyLimits, responseLimits: { ...headLimits, ...bodyLimits } };
}

function takeOver(
  addresses: readonly EndpointAddress[],
  before: readonly Endpoint[] | undefined,
): Endpoint[] {
  return addresses.map(({ host, port }) => {
    const name = endpointName(host, port);
    return before?.find((endpoint) => endpoint.name === name) ?? new Endpoint(host, port);
  });
}

function retireUnused(previous: Routing | null, services: readonly ServiceRoute[]): void {
  if (previous === null) return;
  const used = new Set<Endpoint>();
  for (const route of services) {
    for (const endpoint of route.stable) used.add(endpoint);
    for (const endpoint of route.canary) used.add(endpoint);
  }
  for (const route of previous.services) {
    for (const endpoint of [...route.stable, ...route.canary]) {
      if (!used.has(endpoint)) endpoint.retire();
    }
  }
}
