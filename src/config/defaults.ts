/**
 * What holds where the configuration says nothing, and the step from what it says to what the workers read.
 *
 * Every default is in this file and in no other. Times are milliseconds, sizes bytes.
 */
import type { CookieSettings, MirrorSettings, ProxySettings, ServiceSettings } from '../contract/snapshot.ts';
import { upstreamSettings } from './upstream-defaults.ts';
import type { IdentityTier } from '../policy/identity/identity-tier.ts';
import { milliseconds } from '../schema/duration.ts';
import type { Configuration, ProxyDefinition, ServiceDefinition } from './schema.ts';

export const DEFAULT_PROXY_LISTEN = '0.0.0.0:8080';
export const DEFAULT_TLS_LISTEN = '0.0.0.0:8443';
export const DEFAULT_ADMIN_LISTEN = '127.0.0.1:9090';
export const DEFAULT_OPS_LISTEN = '0.0.0.0:9091';
export const DEFAULT_STORE = './data';
/** Bytes that the history of all writes takes at most. */
export const DEFAULT_HISTORY_BYTES = 64 * 1024 * 1024;
export const DEFAULT_STORE_PREFIX = 'serin';
export const DEFAULT_SNAPSHOT = './data/snapshot';
export const DEFAULT_MAX_STALENESS = '10m';
/** The key ring's name inside the store's directory, where `secretFile` is not set. */
export const DEFAULT_SECRET_NAME = 'secret';

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

const DEFAULT_SERVICE = {
  connectTimeout: 1000,
  responseHeadTimeout: 30_000,
  requestBodyIdleTimeout: 30_000,
  responseIdleTimeout: 30_000,
  clientRate: 240,
  upstreamKeepAlive: 60_000,
  tunnelIdleTimeout: 600_000,
  streamGrace: 30_000,
  maxRequests: 65_536,
  maxTunnels: 65_536,
  maxRetries: 2,
  fallbackToStable: true,
  fallbackToCanary: false,
};

/** Safe methods (RFC 9110, 9.2.1) but TRACE, which no application serves. */
const DEFAULT_MIRROR = {
  methods: ['GET', 'HEAD', 'OPTIONS'],
  timeout: 10_000,
  maxConcurrent: 100,
} as const;

const DEFAULT_COOKIES: CookieSettings = {
  sameSite: 'Lax',
  secure: 'auto',
  partitioned: false,
  // Browsers keep no cookie for longer than 400 days.
  maxAge: 400 * 86_400,
};

export const DEFAULT_IDENTITY: readonly IdentityTier[] = [
  { cookie: 'serin_id', mint: true },
  { fingerprint: true },
];

export const DEFAULT_CACHE = 'preserve';
export const DEFAULT_CLIENT_HINTS = false;
const DEFAULT_PATH_PREFIX = '/';

/** How a stop goes: not ready for `delay`, then up to `grace` for running requests, and `idle` for a connection's next. */
export interface DrainSettings {
  readonly delay: number;
  readonly grace: number;
  /** At most `grace`. */
  readonly idle: number;
}
const DEFAULT_DRAIN: DrainSettings = { delay: 10_000, grace: 25_000, idle: 5000 };

export const DEFAULT_SHARE_PORT = false;

export interface AccessLogSettings {
  readonly mode: 'off' | 'sampled' | 'on';
  /** Share of the requests that `sampled` logs, 0 to 1. */
  readonly share: number;
}
const DEFAULT_ACCESS_LOG: AccessLogSettings = { mode: 'off', share: 0.01 };

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

export interface LogSettings {
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  readonly pretty: boolean;
}
const DEFAULT_LOG: LogSettings = { level: 'info', pretty: false };

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

export function discoverySettings({ discovery = {} }: Configuration): DiscoverySettings {
  return {
    keepEmpty: milliseconds(discovery.keepEmpty, DEFAULT_DISCOVERY.keepEmpty),
    startTimeout: milliseconds(discovery.startTimeout, DEFAULT_DISCOVERY.startTimeout),
    dnsServers: discovery.dnsServers ?? DEFAULT_DISCOVERY.dnsServers,
    allowLoopback: discovery.allowLoopback ?? DEFAULT_DISCOVERY.allowLoopback,
  };
}

export function serviceSettings(service: ServiceDefinition): ServiceSettings {
  const { timeouts = {}, fallback = {}, limits = {} } = service;
  return {
    connectTimeout: milliseconds(timeouts.connect, DEFAULT_SERVICE.connectTimeout),
    responseHeadTimeout: milliseconds(timeouts.responseHead, DEFAULT_SERVICE.responseHeadTimeout),
    requestBodyIdleTimeout: milliseconds(timeouts.requestBodyIdle, DEFAULT_SERVICE.requestBodyIdleTimeout),
    responseIdleTimeout: milliseconds(timeouts.responseIdle, DEFAULT_SERVICE.responseIdleTimeout),
    clientRate: limits.clientRate ?? DEFAULT_SERVICE.clientRate,
    upstreamKeepAlive: milliseconds(timeouts.upstreamKeepAlive, DEFAULT_SERVICE.upstreamKeepAlive),
    tunnelIdleTimeout: milliseconds(timeouts.tunnelIdle, DEFAULT_SERVICE.tunnelIdleTimeout),
    streamGrace: milliseconds(service.rollback?.streamGrace, DEFAULT_SERVICE.streamGrace),
    maxRequests: limits.requests ?? DEFAULT_SERVICE.maxRequests,
    maxTunnels: limits.tunnels ?? DEFAULT_SERVICE.maxTunnels,
    maxRetries: service.retries ?? DEFAULT_SERVICE.maxRetries,
    fallbackToStable: fallback.toStable ?? DEFAULT_SERVICE.fallbackToStable,
    fallbackToCanary: fallback.toCanary ?? DEFAULT_SERVICE.fallbackToCanary,
    mirror: mirrorSettings(service),
    ...upstreamSettings(service),
  };
}

/** A mirror of 0 % is none. */
function mirrorSettings({ mirror }: ServiceDefinition): MirrorSettings | null {
  if (mirror === undefined || mirror.percentage === 0) return null;
  return {
    percentage: mirror.percentage,
    methods: mirror.methods ?? DEFAULT_MIRROR.methods,
    timeout: milliseconds(mirror.timeout, DEFAULT_MIRROR.timeout),
    maxConcurrent: mirror.maxConcurrent ?? DEFAULT_MIRROR.maxConcurrent,
  };
}

/** Where the service's paths begin: with `/`, and without one at the end unless it is `/`. */
export function pathPrefix(service: ServiceDefinition): string {
  const prefix = service.pathPrefix ?? DEFAULT_PATH_PREFIX;
  return prefix.length > 1 && prefix.endsWith('/') ? prefix.slice(0, -1) : prefix;
}

export function cookieSettings(service: ServiceDefinition): CookieSettings {
  const { cookies = {} } = service;
  return {
    sameSite: cookies.sameSite ?? DEFAULT_COOKIES.sameSite,
    secure: cookies.secure ?? DEFAULT_COOKIES.secure,
    partitioned: cookies.partitioned ?? DEFAULT_COOKIES.partitioned,
    maxAge: Math.floor(milliseconds(cookies.maxAge, DEFAULT_COOKIES.maxAge * 1000) / 1000),
  };
}

export function logSettings(configuration: Configuration): LogSettings {
  return { ...DEFAULT_LOG, ...configuration.log };
}

export function accessLogSettings(configuration: Configuration): AccessLogSettings {
  const { mode, percentage } = configuration.accessLog ?? {};
  return {
    mode: mode ?? DEFAULT_ACCESS_LOG.mode,
    share: percentage === undefined ? DEFAULT_ACCESS_LOG.share : percentage / 100,
  };
}
