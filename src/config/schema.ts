/**
 * The configuration file: its JSON Schema, and the types that follow from it. Field names are a contract.
 *
 * Descriptions are read by people: editors show them, and a fault says "expected ‹description up to the first ;›, got …".
 * What a schema cannot say is in `cross-checks.ts` and `service-checks.ts`; what is used where nothing is said, in
 * `defaults.ts`. A field that holds a secret is marked `writeOnly`, so that no message quotes it.
 */
import { Type, type Static } from 'typebox';
import { FleetDefinition } from './fleet-schema.ts';
import { DiscoveryDefinition, KubernetesAccessDefinition } from './discovery-schema.ts';
import { MirrorDefinition } from './mirror-schema.ts';
import { ListenerTlsDefinition, ProxyProtocolDefinition } from './listener-schema.ts';
import { closed, count, duration, listen, path } from './schema-parts.ts';
import { StoreDefinition } from './store-schema.ts';
import {
  BalanceDefinition,
  BreakerDefinition,
  CanaryDefinition,
  OutlierDefinition,
  RetryBudgetDefinition,
  StableDefinition,
} from './upstream-schema.ts';

/** RFC 9110 token: the characters of field and cookie names. */
const TOKEN = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";

const networks = (description: string) =>
  Type.Array(Type.String({ minLength: 1, description: 'a network such as 10.8.0.0/16 or 2001:db8::/32' }), {
    description,
  });

/** The name of a service: it is part of URLs, cookie names and metrics. */
export const ServiceName = Type.String({
  pattern: '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$',
  description: 'a name of at most 63 lower-case letters, digits and inner hyphens',
});

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

export const Role = Type.Union([Type.Literal('viewer'), Type.Literal('operator'), Type.Literal('admin')]);
export type Role = Static<typeof Role>;

/** One API token. Exactly one of `sha256`, `file` and `env` says what it is. */
export const TokenDefinition = Type.Object(
  {
    name: Type.String({
      pattern: '^[A-Za-z0-9._-]{1,64}$',
      description: 'a name of at most 64 letters, digits, ".", "_" and "-"; the history shows it',
    }),
    role: Role,
    services: Type.Optional(
      Type.Array(ServiceName, { minItems: 1, description: 'the services it is limited to; all if unsaid' }),
    ),
    sha256: Type.Optional(
      Type.String({
        pattern: '^[0-9a-f]{64}$',
        writeOnly: true,
        description: "the token's SHA-256 as 64 lower-case hex digits; `printf %s TOKEN | sha256sum`",
      }),
    ),
    file: Type.Optional(path('a file that holds the token')),
    env: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z_][A-Za-z0-9_]*$',
        description: 'the name of an environment variable; it holds the token',
      }),
    ),
  },
  closed,
);
export type TokenDefinition = Static<typeof TokenDefinition>;

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

export const AdminDefinition = Type.Object(
  {
    listen: listen('where the API answers'),
    publicUrl: Type.Optional(
      Type.String({
        pattern: '^https?://',
        description: 'a URL such as https://canary.example.com; how others reach the API',
      }),
    ),
    tokens: Type.Optional(Type.Array(TokenDefinition, { maxItems: 1000 })),
    tlsDirectory: Type.Optional(
      path('the directory of the certificates, keys and authorities that services of the API may name'),
    ),
  },
  closed,
);
export type AdminDefinition = Static<typeof AdminDefinition>;

const LogDefinition = Type.Object(
  {
    level: Type.Optional(
      Type.Union([
        Type.Literal('debug'),
        Type.Literal('info'),
        Type.Literal('warn'),
        Type.Literal('error'),
        Type.Literal('silent'),
      ]),
    ),
    pretty: Type.Optional(Type.Boolean({ description: 'for people at a terminal; JSON lines if false' })),
  },
  closed,
);

const AccessLogDefinition = Type.Object(
  {
    mode: Type.Optional(
      Type.Union([Type.Literal('off'), Type.Literal('sampled'), Type.Literal('on')], {
        description: 'which requests are logged',
      }),
    ),
    percentage: Type.Optional(
      Type.Number({ minimum: 0, maximum: 100, description: 'percent of requests that "sampled" logs' }),
    ),
  },
  closed,
);

export const Configuration = Type.Object(
  {
    $schema: Type.Optional(Type.String({ description: 'the JSON Schema of this file, for editors' })),
    proxy: Type.Optional(ProxyDefinition),
    admin: Type.Optional(AdminDefinition),
    ops: Type.Optional(Type.Object({ listen: listen('where /livez, /readyz and /metrics answer') }, closed)),
    trustedProxies: Type.Optional(networks('whose X-Forwarded-… headers are believed; as narrow as can be')),
    followPeers: Type.Optional(networks('from whom x-canary is believed')),
    store: Type.Optional(StoreDefinition),
    fleet: Type.Optional(FleetDefinition),
    secretFile: Type.Optional(path('the key ring')),
    region: Type.Optional(Type.Object({ database: path('a MaxMind-format database with cities') }, closed)),
    segments: Type.Optional(
      Type.Record(
        Type.String({ pattern: '^[A-Za-z0-9]([A-Za-z0-9_.-]{0,98}[A-Za-z0-9])?$' }),
        networks('the networks of the segment'),
        {
          ...closed,
          propertyNames: {
            type: 'string',
            description: 'a name of letters, digits and inner ".", "_" and "-"',
          },
          description: 'named sets of networks that rules refer to',
        },
      ),
    ),
    services: Type.Optional(
      Type.Record(ServiceName, ServiceDefinition, {
        ...closed,
        propertyNames: ServiceName,
        description: 'the services, by name',
      }),
    ),
    discovery: Type.Optional(DiscoveryDefinition),
    kubernetes: Type.Optional(KubernetesAccessDefinition),
    log: Type.Optional(LogDefinition),
    accessLog: Type.Optional(AccessLogDefinition),
  },
  closed,
);
export type Configuration = Static<typeof Configuration>;
