/**
 * One service, as the configuration file and the API define it: its schema and its defaults. What no schema can say of it is in
 * `service-checks.ts`. Times are milliseconds.
 */
import { Type, type Static } from 'typebox';
import type { CookieSettings, ServiceSettings } from '../contract/snapshot.ts';
import type { IdentityTier } from '../policy/identity/identity-tier.ts';
import { milliseconds } from '../schema/duration.ts';
import { MirrorDefinition, mirrorSettings } from './mirror.ts';
import { closed, count, duration, ServiceName, TOKEN } from './schema-parts.ts';
import {
  BalanceDefinition,
  BreakerDefinition,
  OutlierDefinition,
  RetryBudgetDefinition,
  upstreamSettings,
} from './upstream.ts';
import { CanaryDefinition, StableDefinition } from './variant.ts';

export const IdentityTierDefinition = Type.Union([
  Type.Object(
    { header: Type.String({ pattern: TOKEN, maxLength: 128, description: 'the name of a request header' }) },
    closed,
  ),
  Type.Object(
    {
      cookie: Type.String({ pattern: TOKEN, maxLength: 128, description: 'the name of a cookie' }),
      mint: Type.Optional(
        Type.Boolean({ description: 'the proxy mints this cookie; only for the cookie serin_id' }),
      ),
    },
    closed,
  ),
  Type.Object(
    { fingerprint: Type.Literal(true, { description: 'a keyed hash of client address and user agent' }) },
    closed,
  ),
]);
export type IdentityTierDefinition = Static<typeof IdentityTierDefinition>;

const CookieDefinition = Type.Object(
  {
    sameSite: Type.Optional(Type.Union([Type.Literal('Lax'), Type.Literal('Strict'), Type.Literal('None')])),
    secure: Type.Optional(
      Type.Union([Type.Literal('auto'), Type.Literal('always')], {
        description: 'auto: Secure where the client came over TLS',
      }),
    ),
    partitioned: Type.Optional(Type.Boolean({ description: 'for cross-site use; needs sameSite None' })),
    maxAge: duration('lifetime of the identity cookie'),
  },
  { ...closed, description: 'attributes of the cookies that the proxy sets' },
);

const ServiceTimeouts = Type.Object(
  {
    connect: duration('to open a connection to an endpoint'),
    responseHead: duration('from the end of the request to the head of the response'),
    requestBodyIdle: duration('between two pieces of a request body'),
    responseIdle: duration('how long a client may read nothing of a response that waits for it'),
    upstreamKeepAlive: duration('how long an idle connection to an endpoint is kept'),
    tunnelIdle: duration(
      'how long an upgraded connection or a two-way stream of HTTP/2 may be silent in both directions',
    ),
  },
  closed,
);

/** One service, as the configuration file and the API define it. Its name is the key or the path. */
export const ServiceDefinition = Type.Object(
  {
    hosts: Type.Array(
      Type.String({ minLength: 1, maxLength: 255, description: 'a host name, *.example.com or *' }),
      {
        minItems: 1,
        maxItems: 1000,
        description: 'the host names that the service answers to, such as ["notes.example.com"]',
      },
    ),
    pathPrefix: Type.Optional(
      Type.String({
        pattern: '^/',
        maxLength: 1024,
        description: 'a path that begins with "/"; / if unsaid',
      }),
    ),
    identity: Type.Optional(
      Type.Array(IdentityTierDefinition, {
        minItems: 1,
        maxItems: 16,
        description: 'where the identity of a user is found; the first tier present counts',
      }),
    ),
    cookies: Type.Optional(CookieDefinition),
    cache: Type.Optional(
      Type.Union([Type.Literal('preserve'), Type.Literal('private'), Type.Literal('vary')], {
        description: "what becomes of the application's caching headers while a rollout runs",
      }),
    ),
    clientHints: Type.Optional(
      Type.Boolean({
        description: 'answers ask browsers to tell the model and the version of their system (Accept-CH)',
      }),
    ),
    follow: Type.Optional(
      Type.Array(ServiceName, { maxItems: 1000, description: 'services whose variant this one follows' }),
    ),
    stable: StableDefinition,
    canary: Type.Optional(CanaryDefinition),
    timeouts: Type.Optional(ServiceTimeouts),
    limits: Type.Optional(
      Type.Object(
        {
          requests: count('requests in flight in all workers, tunnels included', 1, 10_000_000),
          tunnels: count('open tunnels in all workers', 1, 10_000_000),
          clientRate: count(
            'bytes a second, on average, that a client must send of a request body and read of an answer; 0: as few as it likes',
            0,
            10_000_000,
          ),
        },
        closed,
      ),
    ),
    mirror: Type.Optional(MirrorDefinition),
    retries: count('attempts after the first, for requests that are safe to send again', 0, 10),
    retryBudget: Type.Optional(RetryBudgetDefinition),
    balance: Type.Optional(BalanceDefinition),
    outlier: Type.Optional(OutlierDefinition),
    breaker: Type.Optional(BreakerDefinition),
    fallback: Type.Optional(
      Type.Object(
        {
          toStable: Type.Optional(
            Type.Boolean({ description: 'canary users get stable while canary has no usable endpoint' }),
          ),
          toCanary: Type.Optional(
            Type.Boolean({ description: 'stable users get canary while stable has no usable endpoint' }),
          ),
        },
        closed,
      ),
    ),
    rollback: Type.Optional(
      Type.Object(
        { streamGrace: duration('how long tunnels and streams on the canary may go on after a rollback') },
        closed,
      ),
    ),
  },
  closed,
);
export type ServiceDefinition = Static<typeof ServiceDefinition>;

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
    mirror: mirrorSettings(service.mirror),
    ...upstreamSettings(service),
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
