/**
 * The sections `discovery` and `kubernetes`: what holds for all sources of endpoints, and how Kubernetes' API server is reached. Only the
 * configuration file says it, never the API. Their schema, defaults and checks.
 */
import { Type, type Static } from 'typebox';
import { parseAddress } from '../ip/address.ts';
import { parseListen } from '../net/host-port.ts';
import { milliseconds } from '../schema/duration.ts';
import type { Fault } from '../schema/faults.ts';
import { closed, duration, path } from './schema-parts.ts';

export const DiscoveryDefinition = Type.Object(
  {
    keepEmpty: duration('how long the last known endpoints are used when a source names none any more'),
    startTimeout: duration('how long readiness waits for the first word of all sources'),
    dnsServers: Type.Optional(
      Type.Array(
        Type.String({ minLength: 1, description: 'an address such as 10.96.0.10:53 or [2001:db8::53]:53' }),
        { minItems: 1, maxItems: 10, description: "the DNS servers that are asked; the system's if unsaid" },
      ),
    ),
    allowLoopback: Type.Optional(
      Type.Boolean({
        description: 'discovered endpoints may be on this machine, where the API answers; for tests alone',
      }),
    ),
  },
  { ...closed, description: 'how endpoints are discovered' },
);
export type DiscoveryDefinition = Static<typeof DiscoveryDefinition>;

export const KubernetesAccessDefinition = Type.Object(
  {
    kubeconfig: Type.Optional(path('the kubeconfig that says how the API server is reached')),
    context: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 253,
        description: 'a context of the kubeconfig; its current one if unsaid',
      }),
    ),
  },
  {
    ...closed,
    description: "how Kubernetes' API server is reached; as the pod that Serin runs in if unsaid",
  },
);
export type KubernetesAccessDefinition = Static<typeof KubernetesAccessDefinition>;

/** Times in ms. */
export interface DiscoverySettings {
  readonly keepEmpty: number;
  readonly startTimeout: number;
  /** Empty: the system's. */
  readonly dnsServers: readonly string[];
  readonly allowLoopback: boolean;
}
const DEFAULT_DISCOVERY: DiscoverySettings = {
  keepEmpty: 60_000,
  startTimeout: 10_000,
  dnsServers: [],
  allowLoopback: false,
};

export function discoverySettings({
  discovery = {},
}: {
  readonly discovery?: DiscoveryDefinition;
}): DiscoverySettings {
  return {
    keepEmpty: milliseconds(discovery.keepEmpty, DEFAULT_DISCOVERY.keepEmpty),
    startTimeout: milliseconds(discovery.startTimeout, DEFAULT_DISCOVERY.startTimeout),
    dnsServers: discovery.dnsServers ?? DEFAULT_DISCOVERY.dnsServers,
    allowLoopback: discovery.allowLoopback ?? DEFAULT_DISCOVERY.allowLoopback,
  };
}

/** Pointers begin at the settings. */
export function discoveryFaults(discovery: DiscoveryDefinition = {}): Fault[] {
  return (discovery.dnsServers ?? []).flatMap((text, index): Fault[] => {
    const address = parseListen(text);
    const pointer = `/dnsServers/${index}`;
    if (typeof address === 'string') return [{ pointer, detail: address }];
    if (parseAddress(address.host) !== null && address.port > 0) return [];
    const detail = `"${text}" is no address of a DNS server; expected an IP address with its port, such as 10.96.0.10:53`;
    return [{ pointer, detail }];
  });
}

/** What is allowed but unwise. */
export function discoveryWarnings({ allowLoopback = false }: DiscoveryDefinition = {}): Fault[] {
  if (!allowLoopback) return [];
  const detail =
    "with allowLoopback, whoever can write a DNS record or an EndpointSlice can send users' requests to this machine's own ports, the API among them; leave it out but for tests";
  return [{ pointer: '/allowLoopback', detail }];
}
