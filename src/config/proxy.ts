/**
 * The section `proxy`: where requests come in, how many, and how the listener ends. Its schema, its defaults, its checks.
 * Times are milliseconds, sizes bytes.
 */
import { Type, type Static } from 'typebox';
import type { ProxySettings } from '../contract/snapshot.ts';
import { milliseconds } from '../schema/duration.ts';
import type { Fault } from '../schema/faults.ts';
import { closed, count, duration, listen, path } from './schema-parts.ts';

const ListenerTlsDefinition = Type.Object(
  {
    listen: listen('where requests come in under TLS'),
    certificates: Type.Array(
      Type.Object(
        {
          certificate: path('PEM certificates: the own one, then those that lead to its authority'),
          key: path('the PEM private key of the certificate'),
        },
        closed,
      ),
      {
        minItems: 1,
        maxItems: 1000,
        description:
          'certificates with keys, such as [{ certificate: tls.crt, key: tls.key }]; the first one is for unknown server names',
      },
    ),
    minVersion: Type.Optional(
      Type.Union([Type.Literal('1.2'), Type.Literal('1.3')], {
        description: 'a version in quotes, "1.2" or "1.3"; the oldest one of TLS that is spoken',
      }),
    ),
    strictServerNames: Type.Optional(
      Type.Boolean({
        description: 'refuse clients that ask for a server name that no certificate has, or none',
      }),
    ),
    clientCa: Type.Optional(
      path('PEM certificates of the authorities that every client must be certified by'),
    ),
  },
  { ...closed, description: 'a listener for TLS beside the plain one' },
);

const ProxyProtocolDefinition = Type.Object(
  {
    from: Type.Array(
      Type.String({ minLength: 1, description: 'a network such as 10.8.0.0/16 or 2001:db8::/32' }),
      {
        minItems: 1,
        description:
          'networks such as ["10.8.0.0/28"]; whose connections must begin with a PROXY header, and whose word on the client is taken',
      },
    ),
  },
  closed,
);

export const ProxyDefinition = Type.Object(
  {
    listen: listen('where requests come in'),
    workers: Type.Optional(
      Type.Union([Type.Literal('auto'), Type.Integer({ minimum: 1, maximum: 256 })], {
        description: 'worker threads; auto is one a core',
      }),
    ),
    limits: Type.Optional(
      Type.Object(
        {
          requestLine: count('bytes of a request line', 256, 1_048_576),
          head: count('bytes of a request or response head', 1024, 4_194_304),
          fields: count('header fields of a head', 8, 10_000),
          connections: count('open client connections of all workers', 1, 10_000_000),
          handshakes: count(
            'connections of one worker that may owe a TLS handshake or a PROXY header at once',
            1,
            1_000_000,
          ),
          requests: count('requests in flight in all workers', 1, 10_000_000),
          latches: count('users with an identity header whose latch is kept in memory', 1000, 10_000_000),
          memory: Type.Optional(
            Type.Union([Type.Literal('auto'), Type.Literal('off'), Type.Integer({ minimum: 1_048_576 })], {
              description:
                'bytes of resident memory, auto or off; above it new work is refused, auto is 90 % of what there is',
            }),
          ),
        },
        closed,
      ),
    ),
    timeouts: Type.Optional(
      Type.Object(
        {
          requestHead: duration('to receive a whole request head'),
          keepAlive: duration('how long an idle client connection is kept'),
          handshake: duration('to complete a TLS handshake'),
          proxyHeader: duration('to receive the PROXY header where one is owed'),
        },
        closed,
      ),
    ),
    tls: Type.Optional(ListenerTlsDefinition),
    proxyProtocol: Type.Optional(ProxyProtocolDefinition),
    sharePort: Type.Optional(
      Type.Boolean({
        description:
          'another Serin of this user may listen on the same address, so that a new one can start before the old one ends',
      }),
    ),
    http2: Type.Optional(
      Type.Object(
        {
          enabled: Type.Optional(
            Type.Boolean({ description: 'clients may speak HTTP/2 on the same port; true if unsaid' }),
          ),
          maxConcurrentStreams: count('requests that one session may have under way', 1, 10_000),
        },
        closed,
      ),
    ),
    drain: Type.Optional(
      Type.Object(
        {
          delay: duration('after a stop signal: not ready, but connections are still accepted'),
          grace: duration('then: how long running requests may finish'),
          idle: duration('meanwhile: how long a connection may stay open without a request; at most grace'),
        },
        closed,
      ),
    ),
  },
  closed,
);
export type ProxyDefinition = Static<typeof ProxyDefinition>;

export const DEFAULT_PROXY_LISTEN = '0.0.0.0:8080';
export const DEFAULT_TLS_LISTEN = '0.0.0.0:8443';

const DEFAULT_PROXY: ProxySettings = {
  requestLineLimit: 8 * 1024,
  headLimit: 32 * 1024,
  fieldLimit: 100,
  requestHeadTimeout: 10_000,
  keepAliveTimeout: 75_000,
  maxConnections: 65_536,
  maxRequests: 65_536,
  http2: { enabled: true, maxConcurrentStreams: 100 },
  handshakeTimeout: 10_000,
  proxyHeaderTimeout: 5000,
  maxHandshakes: 1024,
};

const DEFAULT_LATCHES = 1_000_000;

export const DEFAULT_TLS_VERSION = '1.2';
export const DEFAULT_STRICT_SERVER_NAMES = false;

/** How a stop goes: not ready for `delay`, then up to `grace` for running requests, and `idle` for a connection's next. */
export interface DrainSettings {
  readonly delay: number;
  readonly grace: number;
  /** At most `grace`. */
  readonly idle: number;
}
const DEFAULT_DRAIN: DrainSettings = { delay: 10_000, grace: 25_000, idle: 5000 };

export const DEFAULT_SHARE_PORT = false;

export function proxySettings(proxy: ProxyDefinition = {}): ProxySettings {
  const { limits = {}, timeouts = {}, http2 = {} } = proxy;
  return {
    requestLineLimit: limits.requestLine ?? DEFAULT_PROXY.requestLineLimit,
    headLimit: limits.head ?? DEFAULT_PROXY.headLimit,
    fieldLimit: limits.fields ?? DEFAULT_PROXY.fieldLimit,
    requestHeadTimeout: milliseconds(timeouts.requestHead, DEFAULT_PROXY.requestHeadTimeout),
    keepAliveTimeout: milliseconds(timeouts.keepAlive, DEFAULT_PROXY.keepAliveTimeout),
    maxConnections: limits.connections ?? DEFAULT_PROXY.maxConnections,
    maxRequests: limits.requests ?? DEFAULT_PROXY.maxRequests,
    http2: {
      enabled: http2.enabled ?? DEFAULT_PROXY.http2.enabled,
      maxConcurrentStreams: http2.maxConcurrentStreams ?? DEFAULT_PROXY.http2.maxConcurrentStreams,
    },
    handshakeTimeout: milliseconds(timeouts.handshake, DEFAULT_PROXY.handshakeTimeout),
    proxyHeaderTimeout: milliseconds(timeouts.proxyHeader, DEFAULT_PROXY.proxyHeaderTimeout),
    maxHandshakes: limits.handshakes ?? DEFAULT_PROXY.maxHandshakes,
  };
}

/** Latches of header identities that a replica keeps; 54 bytes each, most of them unused until there is one. */
export function latchLimit(proxy: ProxyDefinition = {}): number {
  return proxy.limits?.latches ?? DEFAULT_LATCHES;
}

/** Bytes of resident memory above which new work is refused. */
export function memoryLimit(proxy: ProxyDefinition = {}): number | 'auto' | 'off' {
  return proxy.limits?.memory ?? 'auto';
}

export function drainSettings(proxy: ProxyDefinition = {}): DrainSettings {
  const grace = milliseconds(proxy.drain?.grace, DEFAULT_DRAIN.grace);
  return {
    delay: milliseconds(proxy.drain?.delay, DEFAULT_DRAIN.delay),
    grace,
    idle: Math.min(grace, milliseconds(proxy.drain?.idle, DEFAULT_DRAIN.idle)),
  };
}

/** Pointers begin at the settings. */
export function proxyFaults(proxy: ProxyDefinition = {}): Fault[] {
  const { requestLineLimit, headLimit } = proxySettings(proxy);
  if (requestLineLimit <= headLimit) return [];
  const pointer = proxy.limits?.requestLine === undefined ? '/limits/head' : '/limits/requestLine';
  return [
    {
      pointer,
      detail: `a request line of ${requestLineLimit} bytes does not fit into a head of ${headLimit}; expected requestLine to be at most head`,
    },
  ];
}

/** What is allowed but unwise. */
export function proxyWarnings(proxy: ProxyDefinition = {}): Fault[] {
  const warnings: Fault[] = [];
  for (const [index, text] of (proxy.proxyProtocol?.from ?? []).entries()) {
    if (text.endsWith('/0')) {
      const detail = `${text} takes everybody's word on who they are, and refuses whoever sends no PROXY header; name only your own load balancers`;
      warnings.push({ pointer: `/proxyProtocol/from/${index}`, detail });
    }
  }
  return warnings;
}
