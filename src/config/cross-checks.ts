/**
 * What must hold of a configuration beyond its schema, and what is allowed but unwise.
 *
 * It compiles the networks on the way, because that is how they are checked. Nothing here reads a file.
 */
import type { EndpointAddress } from '../contract/endpoint-address.ts';
import { parseAddress } from '../ip/address.ts';
import { DocumentError, type Fault } from '../schema/faults.ts';
import { compileNetworks, EMPTY_NETWORKS, type NetworkSetData } from '../ip/network.ts';
import { joinPointer } from '../schema/json-value.ts';
import {
  DEFAULT_ADMIN_LISTEN,
  DEFAULT_OPS_LISTEN,
  DEFAULT_PROXY_LISTEN,
  DEFAULT_TLS_LISTEN,
  proxySettings,
} from './defaults.ts';
import { fleetFaults } from './fleet-checks.ts';
import { DEFAULT_FLEET_LISTEN } from './fleet-defaults.ts';
import { formatHostPort, isLoopback, parseListen } from '../net/host-port.ts';
import { networksOverlap } from '../ip/overlap.ts';
import type { Configuration, ProxyDefinition, TokenDefinition } from './schema.ts';
import { collisionFaults, serviceFaults, serviceWarnings } from './service-checks.ts';
import { storeFaults } from './store-checks.ts';

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
    ...adminFaults(configuration),
    ...limitFaults(configuration),
    ...prefixed('/fleet', fleetFaults(configuration.fleet)),
    ...dnsFaults(configuration),
    ...prefixed('/store', storeFaults(configuration)),
  );
  const services = Object.entries(configuration.services ?? {});
  for (const [name, service] of services) {
    faults.push(...prefixed(joinPointer('/services', name), serviceFaults(service)));
  }
  faults.push(...prefixed('/services', collisionFaults(services)));
  return { faults, warnings: warningsOf(configuration, networks), networks };
}

function prefixed(pointer: string, faults: readonly Fault[]): Fault[] {
  return faults.map((fault) => ({ ...fault, pointer: pointer + fault.pointer }));
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

function adminFaults({ admin = {} }: Configuration): Fault[] {
  const faults: Fault[] = [];
  const tokens = admin.tokens ?? [];
  const address = parseListen(admin.listen ?? DEFAULT_ADMIN_LISTEN);
  if (tokens.length === 0 && typeof address !== 'string' && !isLoopback(address.host)) {
    const detail = `${formatHostPort(address)} can be reached from other machines, so the API needs tokens; set admin.tokens, or listen on 127.0.0.1`;
    faults.push({ pointer: '/admin/listen', detail });
  }
  if (admin.publicUrl !== undefined) faults.push(...publicUrlFaults(admin.publicUrl));
  const names = new Map<string, number>();
  for (const [index, token] of tokens.entries()) {
    const pointer = `/admin/tokens/${index}`;
    const before = names.get(token.name);
    if (before !== undefined) {
      faults.push({
        pointer: `${pointer}/name`,
        detail: `the name "${token.name}" is that of token ${before} already; the history needs to tell them apart`,
      });
    }
    names.set(token.name, before ?? index);
    faults.push(...prefixed(pointer, sourceFaults(token)));
  }
  return faults;
}

function sourceFaults(token: TokenDefinition): Fault[] {
  const sources = (['sha256', 'file', 'env'] as const).filter((source) => token[source] !== undefined);
  if (sources.length === 1) return [];
  const got = sources.length === 0 ? 'none' : sources.map((source) => `"${source}"`).join(' and ');
  return [
    { pointer: '', detail: `expected exactly one of the fields "sha256", "file" or "env", got ${got}` },
  ];
}

function publicUrlFaults(text: string): Fault[] {
  const url = URL.canParse(text) ? new URL(text) : null;
  const plain =
    url !== null &&
    url.username === '' &&
    url.password === '' &&
    url.search === '' &&
    url.hash === '' &&
    url.pathname === '/';
  return plain
    ? []
    : [
        {
          pointer: '/admin/publicUrl',
          detail: 'expected scheme and host only, such as https://canary.example.com',
        },
      ];
}

function limitFaults({ proxy }: Configuration): Fault[] {
  const { requestLineLimit, headLimit } = proxySettings(proxy);
  if (requestLineLimit <= headLimit) return [];
  const pointer =
    proxy?.limits?.requestLine === undefined ? '/proxy/limits/head' : '/proxy/limits/requestLine';
  return [
    {
      pointer,
      detail: `a request line of ${requestLineLimit} bytes does not fit into a head of ${headLimit}; expected requestLine to be at most head`,
    },
  ];
}

function dnsFaults({ discovery = {} }: Configuration): Fault[] {
  return (discovery.dnsServers ?? []).flatMap((text, index): Fault[] => {
    const address = parseListen(text);
    const pointer = `/discovery/dnsServers/${index}`;
    if (typeof address === 'string') return [{ pointer, detail: address }];
    if (parseAddress(address.host) !== null && address.port > 0) return [];
    const detail = `"${text}" is no address of a DNS server; expected an IP address with its port, such as 10.96.0.10:53`;
    return [{ pointer, detail }];
  });
}

function warningsOf(configuration: Configuration, networks: ConfiguredNetworks): Fault[] {
  const warnings: Fault[] = [];
  if (configuration.discovery?.allowLoopback === true) {
    const detail =
      "with allowLoopback, whoever can write a DNS record or an EndpointSlice can send users' requests to this machine's own ports, the API among them; leave it out but for tests";
    warnings.push({ pointer: '/discovery/allowLoopback', detail });
  }
  for (const [index, text] of (configuration.trustedProxies ?? []).entries()) {
    if (text.endsWith('/0')) {
      const detail = `${text} trusts everybody's X-Forwarded-For, so any user can claim any address; name only your own proxies`;
      warnings.push({ pointer: `/trustedProxies/${index}`, detail });
    }
  }
  for (const [index, text] of (configuration.proxy?.proxyProtocol?.from ?? []).entries()) {
    if (text.endsWith('/0')) {
      const detail = `${text} takes everybody's word on who they are, and refuses whoever sends no PROXY header; name only your own load balancers`;
      warnings.push({ pointer: `/proxy/proxyProtocol/from/${index}`, detail });
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
