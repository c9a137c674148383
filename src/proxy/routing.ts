/**
 * A snapshot made ready for serving: hosts to services, services to policies and endpoints.
 *
 * It is immutable but for the live state of endpoints, which outlives a snapshot: an endpoint that the next snapshot
 * names again keeps its connections. A worker swaps its routing whole between two requests.
 */
import { Circuit } from '../upstream/circuit.ts';
import { ServiceAdmission } from './admission.ts';
import { Endpoint, endpointName } from '../upstream/endpoint.ts';
import { Mirror, type MirrorContext } from './mirror/mirror.ts';
import { LOAD_FIELDS, type UpstreamBlocks } from '../upstream/shared-blocks.ts';
import { VariantUpstream } from '../upstream/variant-upstream.ts';
import { headersRead } from '../policy/headers-read.ts';
import { FieldGuard } from './exchange/field-guard.ts';
import { h2cTransport } from '../upstream/h2c-transport.ts';
import { tlsTransport } from '../upstream/tls-transport.ts';
import { PLAIN, type Transport } from '../upstream/transport.ts';
import type { MessageLimits } from '../http1/request-reader.ts';
import { compileContext, compilePolicy, type CompiledPolicy, type PolicyContext } from '../policy/compile.ts';
import { FlipTable } from '../policy/flip.ts';
import { NetworkSet } from '../ip/network.ts';
import { compileServiceMatcher, type ServiceMatcher } from '../policy/service-match.ts';
import type { ServiceCounters } from '../telemetry/service-counters.ts';
import { makeVia, type Via } from './exchange/via.ts';
import { compileServerTls, type ServerTls } from './connection/server-tls.ts';
import type {
  ProxySettings,
  ServiceSettings,
  ServiceSnapshot,
  Snapshot,
  VariantSnapshot,
} from '../contract/snapshot.ts';

/** Bytes of chunk extensions in one message: nobody uses them but attackers. */
const CHUNK_EXTENSION_LIMIT = 256;

export interface ServiceRoute {
  readonly name: string;
  readonly snapshot: ServiceSnapshot;
  readonly settings: ServiceSettings;
  readonly policy: CompiledPolicy;
  /** Which fields an endpoint of it may take for ones that it trusts. */
  readonly guard: FieldGuard;
  readonly counters: ServiceCounters;
  readonly admission: ServiceAdmission;
  /** Null where nothing is mirrored. */
  readonly mirror: Mirror | null;
  /** Watches for users who lose the canary without a cause; kept for as long as the rollout lasts. */
  readonly flips: FlipTable;
  readonly stable: readonly Endpoint[];
  readonly canary: readonly Endpoint[];
  /** The same endpoints as requests meet them, stable's and canary's. */
  readonly upstreams: readonly [VariantUpstream, VariantUpstream];
  /** One number: canary users with a bucket below it get the canary. The main thread moves it. */
  readonly gate: Int32Array;
  /** Open connections to stable's and to canary's endpoints when they were last counted. */
  readonly openConnections: [number, number];
  /** Whether a rollout is under way (running, paused or promoted). */
  readonly rollingOut: boolean;
}

/** What a worker's routing is made with, apart from the snapshot. */
export interface RoutingSource {
  readonly worker: number;
  /** Monotonic, in ms. */
  readonly monotonicNow: () => number;
  readonly latchMemory: PolicyContext['latchMemory'];
  /** All workers' counters of a service, by index. */
  countersOf(service: string): readonly ServiceCounters[];
  blocksOf(service: string): UpstreamBlocks;
  readonly mirror: MirrorContext;
}

export interface Routing {
  readonly revision: number;
  readonly proxy: ProxySettings;
  /** Of requests and responses alike. */
  readonly messageLimits: MessageLimits;
  readonly matcher: ServiceMatcher;
  readonly services: readonly ServiceRoute[];
  readonly trustedProxies: NetworkSet;
  /** Peers that begin each connection with a PROXY header; null: nobody does. */
  readonly proxyPeers: NetworkSet | null;
  /** Null: there is no TLS listener. */
  readonly tls: ServerTls | null;
  readonly context: PolicyContext;
  readonly via: Via;
}

/**
 * Compiles `snapshot`. `previous` gives what can be taken over; endpoints that are no longer named are retired.
 * Throws what the policy compiler throws; `previous` is then untouched and goes on.
 */
export function compileRouting(snapshot: Snapshot, previous: Routing | null, source: RoutingSource): Routing {
  const context = compileContext(snapshot, previous?.context ?? null, source.latchMemory);
  const before = new Map(previous?.services.map((route) => [route.name, route]));
  const compiled = snapshot.services.map((service) => ({
    service,
    policy: compilePolicy(service, context),
  }));
  const matcher = compileServiceMatcher(snapshot.services);
  const services = compiled.map(({ service, policy }) => {
    const old = before.get(service.name);
    const phase = service.rollout?.phase;
    const all = source.countersOf(service.name);
    const own = all[source.worker]!;
    const blocks = source.blocksOf(service.name);
    const stable = variantUpstream(service, 0, blocks, old, source);
    const canary = variantUpstream(service, 1, blocks, old, source);
    return {
      name: service.name,
      snapshot: service,
      settings: service.settings,
      policy,
      guard: new FieldGuard(headersRead(service)),
      counters: own,
      admission: new ServiceAdmission(own, all, service.settings),
      mirror: isMirrored(service) ? (old?.mirror ?? new Mirror(own, all, source.mirror)) : null,
      flips:
        old !== undefined && old.snapshot.rollout?.id === service.rollout?.id ? old.flips : new FlipTable(),
      stable: stable.endpoints,
      canary: canary.endpoints,
      upstreams: [stable, canary] as const,
      gate: new Int32Array(blocks.gate),
      openConnections: old?.openConnections ?? [0, 0],
      rollingOut: phase === 'running' || phase === 'paused' || phase === 'promoted',
    };
  });
  retireUnused(previous, services);
  return {
    revision: snapshot.revision,
    proxy: snapshot.proxy,
    messageLimits: limitsOf(snapshot.proxy),
    matcher,
    services,
    trustedProxies: new NetworkSet(snapshot.trustedProxies),
    proxyPeers: snapshot.proxyProtocol.size > 0 ? new NetworkSet(snapshot.proxyProtocol) : null,
    tls: compileServerTls(snapshot.tls, previous?.tls ?? null),
    context,
    via: makeVia(snapshot.keys),
  };
}

/** A canary that was rolled back gets nothing any more, not even what nobody waits for. */
function isMirrored({ settings, rollout }: ServiceSnapshot): boolean {
  return settings.mirror !== null && rollout?.phase !== 'rolledBack';
}

function limitsOf(proxy: ProxySettings): MessageLimits {
  const { requestLineLimit: requestLine, headLimit: head, fieldLimit: fields } = proxy;
  return { requestLine, head, fields, extension: CHUNK_EXTENSION_LIMIT, trailer: head };
}

function variantUpstream(
  service: ServiceSnapshot,
  variant: 0 | 1,
  blocks: UpstreamBlocks,
  old: ServiceRoute | undefined,
  { worker, monotonicNow }: RoutingSource,
): VariantUpstream {
  const own = variant === 0 ? service.stable : service.canary;
  const before = old?.upstreams[variant] ?? null;
  const at = monotonicNow();
  const from = variant === 0 ? 0 : service.stable.endpoints.length;
  return new VariantUpstream(
    {
      endpoints: takeOver(own, before, at),
      settings: service.settings,
      limits: own.circuit,
      circuit: before?.circuit ?? new Circuit(blocks.circuit, worker, variant),
      // Only stable is used when it is sick: the canary falls back to it, stable has nothing better.
      panics: variant === 0,
      health: new Uint8Array(blocks.health, from, own.endpoints.length),
      loads: new Float64Array(
        blocks.loads,
        from * LOAD_FIELDS * Float64Array.BYTES_PER_ELEMENT,
        own.endpoints.length * LOAD_FIELDS,
      ),
      before,
    },
    at,
  );
}

/** Of one worker, like all its connections. */
const H2C = h2cTransport();

/** An endpoint that was there before goes on; one that joins others starts slowly. */
function takeOver(own: VariantSnapshot, before: VariantUpstream | null, now: number): Endpoint[] {
  const transport = transportFor(own, before?.endpoints[0]?.transport);
  const known = new Map(before?.endpoints.map((endpoint) => [endpoint.name, endpoint]));
  return own.endpoints.map(({ host, port, weight }) => {
    let endpoint = known.get(endpointName(host, port));
    if (endpoint === undefined) {
      endpoint = new Endpoint(host, port, transport);
      if (known.size > 0) endpoint.usedSince = now;
    } else endpoint.useTransport(transport);
    endpoint.weight = weight;
    return endpoint;
  });
}

/** The former transport where nothing has changed: it knows the sessions. */
function transportFor({ protocol, tls }: VariantSnapshot, former: Transport | undefined): Transport {
  if (tls === null) return protocol === 'h2c' ? H2C : PLAIN;
  const transport = tlsTransport(tls);
  return former?.id === transport.id ? former : transport;
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
    const { mirror } = route;
    if (mirror !== null && !services.some((service) => service.mirror === mirror)) mirror.close();
  }
}
