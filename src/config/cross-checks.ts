/**
 * What must hold of a configuration beyond its schema, and what is allowed but unwise: what its sections say of themselves, and what
 * concerns several of them.
 *
 * It compiles the networks on the way, because that is how they are checked. Nothing here reads a file.
 */
import type { EndpointAddress } from '../contract/endpoint-address.ts';
import { DocumentError, prefixed, type Fault } from '../schema/faults.ts';
import { compileNetworks, EMPTY_NETWORKS, type NetworkSetData } from '../ip/network.ts';
import { joinPointer } from '../schema/json-value.ts';
import { adminFaults, DEFAULT_ADMIN_LISTEN } from './admin.ts';
import { discoveryFaults, discoveryWarnings } from './discovery.ts';
import { DEFAULT_FLEET_LISTEN, fleetFaults } from './fleet.ts';
import { formatHostPort, parseListen } from '../net/host-port.ts';
import { networksOverlap } from '../ip/overlap.ts';
import {
  DEFAULT_PROXY_LISTEN,
  DEFAULT_TLS_LISTEN,
  proxyFaults,
  proxyWarnings,
  type ProxyDefinition,
} from './proxy.ts';
import { DEFAULT_OPS_LISTEN, type Configuration } from './schema.ts';
import { collisionFaults, serviceFaults, serviceWarnings } from './service-checks.ts';
import { storeFaults } from './store.ts';

/** Every list of networks of a configuration, compiled. */
export interface ConfiguredNetworks {
  readonly trustedProxies: NetworkSetData;
  readonly followPeers: NetworkSetData;
  readonly proxyProtocol: NetworkSetData;
  readonly segments: { readonly [name: string]: NetworkSetData };
}

export interface CrossChecked {
  readonly faults: readonly Fault[];
  /** What deserves a look; nothing is refused for it. */
  readonly warnings: readonly Fault[];
  /** Lists with faults are empty in it. */
  readonly networks: ConfiguredNetworks;
}

/** Checks a configuration that its schema admits. */
export function crossCheck(configuration: Configuration): CrossChecked {
  const faults: Fault[] = [];
  const compile = (pointer: string, list: readonly string[] | undefined): NetworkSetData => {
    try {
      return list === undefined ? EMPTY_NETWORKS : compileNetworks(list);
    } catch (error) {
      if (!(error instanceof DocumentError)) throw error;
      faults.push(...error.faults.map((fault) => ({ ...fault, pointer: pointer + fault.pointer })));
      return EMPTY_NETWORKS;
    }
  };
  const segments: [string, NetworkSetData][] = Object.entries(configuration.segments ?? {}).map(
    ([name, list]) => [name, compile(joinPointer('/segments', name), list)],
  );
  const networks: ConfiguredNetworks = {
    trustedProxies: compile('/trustedProxies', configuration.trustedProxies),
    followPeers: compile('/followPeers', configuration.followPeers),
    proxyProtocol: compile('/proxy/proxyProtocol/from', configuration.proxy?.proxyProtocol?.from),
    segments: Object.fromEntries(segments),
  };
  faults.push(
    ...listenFaults(configuration),
    ...prefixed('/admin', adminFaults(configuration.admin)),
    ...prefixed('/proxy', proxyFaults(configuration.proxy)),
    ...prefixed('/fleet', fleetFaults(configuration.fleet)),
    ...prefixed('/discovery', discoveryFaults(configuration.discovery)),
    ...prefixed('/store', storeFaults(configuration)),
  );
  const services = Object.entries(configuration.services ?? {});
  for (const [name, service] of services) {
    faults.push(...prefixed(joinPointer('/services', name), serviceFaults(service)));
  }
  faults.push(...prefixed('/services', collisionFaults(services)));
  return { faults, warnings: warningsOf(configuration, networks), networks };
}

function listenFaults(configuration: Configuration): Fault[] {
  const faults: Fault[] = [];
  const taken: { pointer: string; address: EndpointAddress }[] = [];
  for (const [pointer, text] of [
    ['/proxy/listen', configuration.proxy?.listen ?? DEFAULT_PROXY_LISTEN],
    ...tlsListen(configuration.proxy),
    ['/admin/listen', configuration.admin?.listen ?? DEFAULT_ADMIN_LISTEN],
    ['/ops/listen', configuration.ops?.listen ?? DEFAULT_OPS_LISTEN],
    ...fleetListen(configuration),
  ] as const) {
    const address = parseListen(text);
    if (typeof address === 'string') {
      faults.push({ pointer, detail: address });
      continue;
    }
    const other = taken.find((one) => collide(one.address, address));
    if (other !== undefined) {
      const detail = `${formatHostPort(address)} is taken by ${other.pointer.slice(1).replaceAll('/', '.')}; give each listener its own port`;
      faults.push({ pointer, detail });
    }
    taken.push({ pointer, address });
  }
  return faults;
}

function tlsListen(proxy: ProxyDefinition = {}): [pointer: string, text: string][] {
  return proxy.tls === undefined ? [] : [['/proxy/tls/listen', proxy.tls.listen ?? DEFAULT_TLS_LISTEN]];
}

/** A replica that is alone has no such listener, so its default takes no port from anybody. */
function fleetListen({ fleet, store }: Configuration): [pointer: string, text: string][] {
  if (fleet?.listen === undefined && (store === undefined || !('redis' in store))) return [];
  return [['/fleet/listen', fleet?.listen ?? DEFAULT_FLEET_LISTEN]];
}

/** True where two listeners cannot both bind: the same port, and the same host or one that stands for all. */
function collide(a: EndpointAddress, b: EndpointAddress): boolean {
  return (
    a.port !== 0 && a.port === b.port && (a.host === b.host || standsForAll(a.host) || standsForAll(b.host))
  );
}

function standsForAll(host: string): boolean {
  return host === '0.0.0.0' || /^[0:]+$/.test(host);
}

function warningsOf(configuration: Configuration, networks: ConfiguredNetworks): Fault[] {
  const warnings: Fault[] = [];
  warnings.push(
    ...prefixed('/discovery', discoveryWarnings(configuration.discovery)),
    ...prefixed('/proxy', proxyWarnings(configuration.proxy)),
  );
  for (const [index, text] of (configuration.trustedProxies ?? []).entries()) {
    if (text.endsWith('/0')) {
      const detail = `${text} trusts everybody's X-Forwarded-For, so any user can claim any address; name only your own proxies`;
      warnings.push({ pointer: `/trustedProxies/${index}`, detail });
    }
  }
  for (const [name, service] of Object.entries(configuration.services ?? {})) {
    warnings.push(...prefixed(joinPointer('/services', name), serviceWarnings(service)));
  }
  for (const [name, segment] of Object.entries(networks.segments)) {
    if (networksOverlap(networks.trustedProxies, segment)) {
      const detail = `the segment "${name}" overlaps with trustedProxies: its users could claim any address by X-Forwarded-For; narrow one of them`;
      warnings.push({ pointer: joinPointer('/segments', name), detail });
    }
  }
  return warnings;
}
