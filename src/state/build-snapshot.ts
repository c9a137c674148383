/**
 * Builds the snapshot that all workers serve by, from the state and from what was compiled ahead. Pure.
 */
import type { ServiceView } from './service-view.ts';
import {
  cookieSettings,
  DEFAULT_CACHE,
  DEFAULT_CLIENT_HINTS,
  DEFAULT_IDENTITY,
  pathPrefix,
  serviceSettings,
} from '../config/service.ts';
import { DEFAULT_STRICT_SERVER_NAMES, DEFAULT_TLS_VERSION, proxySettings } from '../config/proxy.ts';
import type { Configuration } from '../config/schema.ts';
import { nameOf, targetOf } from '../config/endpoint-source.ts';
import { variantSnapshot, type VariantDefinition } from '../config/variant.ts';
import type {
  Credential,
  EndpointTls,
  KeyData,
  ListenerTls,
  ServiceSnapshot,
  Snapshot,
} from '../contract/snapshot.ts';
import type { Discovery } from '../discovery/discovery.ts';
import { networksKey, ruleNetworks, withoutLongLists } from '../policy/network-lists.ts';
import { EMPTY_NETWORKS, type NetworkSetData } from '../ip/network.ts';
import { normaliseHost } from '../policy/service-match.ts';
import type { RolloutDocument } from '../policy/schema.ts';
import type { CredentialFiles, NeededCredential } from '../credentials/credentials.ts';
import { isUnderWay } from '../rollout/lifecycle.ts';

export interface SnapshotSource {
  readonly revision: number;
  readonly configuration: Configuration;
  readonly services: Iterable<ServiceView>;
  readonly keys: readonly KeyData[];
  readonly regionDatabase: SharedArrayBuffer | null;
  /** The contents of the files that the configuration and the services name. */
  readonly credential: (files: CredentialFiles) => Credential;
  /** Networks compiled ahead, by `networksKey`; lists that are not among them are left to the workers. */
  readonly networks: ReadonlyMap<string, NetworkSetData>;
  /** A variant's endpoints, listed or discovered. */
  readonly endpoints: Discovery['endpoints'];
}

export function buildSnapshot(source: SnapshotSource): Snapshot {
  const { revision, configuration, services, keys, regionDatabase, credential, networks, endpoints } = source;
  const named = namedLists(configuration);
  const compiled = (list: readonly string[]): NetworkSetData => {
    if (list.length === 0) return EMPTY_NETWORKS;
    const data = networks.get(networksKey(list));
    if (data === undefined)
      throw new Error('A list of networks of the configuration was not compiled ahead.');
    return data;
  };
  return {
    revision,
    proxy: proxySettings(configuration.proxy),
    services: [...services].map((view) =>
      forWorkers(serviceSnapshot(view, networks, credential, endpoints, configuration.admin?.tlsDirectory)),
    ),
    trustedProxies: compiled(named.trustedProxies),
    followPeers: compiled(named.followPeers),
    proxyProtocol: compiled(named.proxyProtocol),
    tls: listenerTls(configuration, credential),
    segments: Object.fromEntries(
      Object.entries(named.segments).map(([name, list]) => [name, compiled(list)]),
    ),
    regionDatabase,
    keys,
  };
}

/** One service as the workers see it. */
export function serviceSnapshot(
  view: ServiceView,
  networks: ReadonlyMap<string, NetworkSetData>,
  credential: SnapshotSource['credential'],
  endpoints: SnapshotSource['endpoints'],
  tlsDirectory?: string,
): ServiceSnapshot {
  const { name, definition, rollout, revision } = view;
  const tlsOf = (variant: VariantDefinition): EndpointTls | null =>
    endpointTls(variant, (files) => credential(allowedFiles(view, files, tlsDirectory)));
  const { stable, canary = {} } = definition;
  return {
    name,
    hosts: definition.hosts.map(normaliseHost),
    pathPrefix: pathPrefix(definition),
    identity: definition.identity ?? DEFAULT_IDENTITY,
    cookies: cookieSettings(definition),
    cache: definition.cache ?? DEFAULT_CACHE,
    clientHints: definition.clientHints ?? DEFAULT_CLIENT_HINTS,
    follow: definition.follow ?? [],
    settings: serviceSettings(definition),
    stable: variantSnapshot(stable, tlsOf(stable), endpoints(stable)),
    canary: variantSnapshot(canary, tlsOf(canary), endpoints(canary)),
    rollout,
    revision,
    networks: rollout === null || !isUnderWay(rollout.phase) ? {} : compiledAhead(rollout.document, networks),
  };
}

/**
 * Without long lists of networks: they would be copied to every worker with every write, whichever service it is for. Where no rollout
 * is under way nobody looks at them.
 */
function forWorkers(service: ServiceSnapshot): ServiceSnapshot {
  const { rollout, networks } = service;
  if (rollout === null) return service;
  const underWay = isUnderWay(rollout.phase);
  const document = withoutLongLists(rollout.document, (key) => !underWay || Object.hasOwn(networks, key));
  return { ...service, rollout: { ...rollout, document } };
}

function endpointTls(
  variant: VariantDefinition,
  credential: SnapshotSource['credential'],
): EndpointTls | null {
  const { tls } = variant;
  if (tls === undefined) return null;
  return {
    // Discovered endpoints are addresses; the name that led to them is what their certificates are for.
    serverName: tls.serverName ?? nameOf(targetOf(variant)),
    verify: tls.insecureSkipVerify !== true,
    credential: credential(tls),
  };
}

function listenerTls({ proxy }: Configuration, credential: SnapshotSource['credential']): ListenerTls | null {
  if (proxy?.tls === undefined) return null;
  const { certificates, minVersion, strictServerNames, clientCa } = proxy.tls;
  return {
    certificates: certificates.map((files) => credential(files)),
    minVersion: `TLSv${minVersion ?? DEFAULT_TLS_VERSION}`,
    strictServerNames: strictServerNames ?? DEFAULT_STRICT_SERVER_NAMES,
    clientCa: clientCa === undefined ? '' : credential({ ca: clientCa }).ca,
  };
}

function compiledAhead(
  document: RolloutDocument,
  networks: ReadonlyMap<string, NetworkSetData>,
): ServiceSnapshot['networks'] {
  const found = Object.keys(ruleNetworks(document)).flatMap((key) => {
    const data = networks.get(key);
    return data === undefined ? [] : [[key, data] as const];
  });
  return Object.fromEntries(found);
}

/** The lists of networks that the configuration holds. */
function namedLists({ trustedProxies = [], followPeers = [], segments = {}, proxy }: Configuration) {
  return { trustedProxies, followPeers, segments, proxyProtocol: proxy?.proxyProtocol?.from ?? [] };
}

/** Every list of networks that a snapshot of these services needs, by `networksKey`. */
export function neededNetworks(
  configuration: Configuration,
  services: Iterable<ServiceView>,
): ReadonlyMap<string, readonly string[]> {
  const needed = new Map<string, readonly string[]>();
  const { trustedProxies, followPeers, segments, proxyProtocol } = namedLists(configuration);
  for (const list of [trustedProxies, followPeers, proxyProtocol, ...Object.values(segments)])
    needed.set(networksKey(list), list);
  for (const { rollout } of services) {
    if (rollout === null || !isUnderWay(rollout.phase)) continue;
    for (const [key, list] of Object.entries(ruleNetworks(rollout.document))) needed.set(key, list);
  }
  return needed;
}

/** The files of every certificate, key and authority that a snapshot of these services needs. */
export function neededCredentials(
  { proxy, admin }: Configuration,
  services: Iterable<ServiceView>,
): NeededCredential[] {
  const needed: NeededCredential[] = [];
  for (const [index, files] of (proxy?.tls?.certificates ?? []).entries())
    needed.push({ pointer: `/proxy/tls/certificates/${index}`, files });
  const clientCa = proxy?.tls?.clientCa;
  if (clientCa !== undefined) needed.push({ pointer: '/proxy/tls', files: { ca: clientCa } });
  for (const view of services) {
    for (const variant of ['stable', 'canary'] as const) {
      const tls = view.definition[variant]?.tls;
      if (tls === undefined) continue;
      const files = allowedFiles(view, tls, admin?.tlsDirectory);
      needed.push({ pointer: `/services/${view.name}/${variant}/tls`, files });
    }
  }
  return needed;
}

/** The files that a service names, and for one that the API made the directory that they have to be in. */
function allowedFiles(
  { source }: ServiceView,
  { certificate, key, ca }: CredentialFiles,
  tlsDirectory = '',
): CredentialFiles {
  return {
    ...(certificate === undefined ? {} : { certificate }),
    ...(key === undefined ? {} : { key }),
    ...(ca === undefined ? {} : { ca }),
    ...(source === 'api' ? { within: tlsDirectory } : {}),
  };
}

/** The variants of these services, whose endpoints a snapshot of them needs. */
export function neededVariants(services: Iterable<ServiceView>): VariantDefinition[] {
  return [...services].flatMap(({ definition: { stable, canary = {} } }) => [stable, canary]);
}
