/**
 * The endpoints of a service in the configuration: where a variant runs, and what becomes of endpoints in trouble.
 * The same rules hold as for `schema.ts`.
 */
import { Type, type Static } from 'typebox';
import { closed, count, duration, path, percent } from './schema-parts.ts';

const address = Type.String({
  minLength: 1,
  description: 'an endpoint such as 10.1.0.7:8080, [2001:db8::7]:8080 or notes.internal:8080',
});

export const EndpointDefinition = Type.Union([
  address,
  Type.Object(
    {
      address,
      weight: Type.Optional(
        Type.Number({
          exclusiveMinimum: 0,
          maximum: 1000,
          description: "a number above 0; its share of the requests, relative to its siblings'",
        }),
      ),
    },
    { ...closed, description: 'an endpoint with a weight, such as { address: "10.1.0.7:8080", weight: 2 }' },
  ),
]);
export type EndpointDefinition = Static<typeof EndpointDefinition>;

const HealthCheckDefinition = Type.Object(
  {
    path: Type.String({
      pattern: '^/[!-"$-~]*$',
      maxLength: 1024,
      description: 'a path that begins with "/"; what is asked for, with a query if need be',
    }),
    interval: duration('between two checks of an endpoint'),
    timeout: duration('for the whole answer'),
    healthyThreshold: count('good answers in a row that make an unhealthy endpoint healthy', 1, 100),
    unhealthyThreshold: count('bad answers in a row that make an endpoint unhealthy', 1, 100),
    expectedStatus: Type.Optional(
      Type.Array(Type.Integer({ minimum: 200, maximum: 599 }), {
        minItems: 1,
        maxItems: 20,
        description: 'the statuses of a good answer, such as [200, 204]; any 2xx if unsaid',
      }),
    ),
  },
  { ...closed, description: 'regular questions to each endpoint, such as { path: /healthz }' },
);

const CircuitDefinition = Type.Object(
  {
    maxConnections: count('open connections of this replica to the endpoints', 1, 1_000_000),
    maxPending: count('requests that wait for a connection to open', 1, 1_000_000),
    maxRequests: count('requests under way at the endpoints', 1, 1_000_000),
  },
  { ...closed, description: 'what this replica may have under way at the endpoints' },
);

const Protocol = Type.Optional(
  Type.Union([Type.Literal('http1'), Type.Literal('h2c')], {
    description: 'what the endpoints speak; h2c is HTTP/2 without TLS, as gRPC servers speak it',
  }),
);

/** An empty object is TLS with the authorities that Node.js knows. */
const EndpointTlsDefinition = Type.Object(
  {
    ca: Type.Optional(path("PEM certificates of the authorities that endpoints' certificates come from")),
    serverName: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9_.:-]{1,253}$',
        description: "a host name such as notes.internal; what endpoints' certificates must be for",
      }),
    ),
    certificate: Type.Optional(path('the PEM certificate that is shown to endpoints; needs key')),
    key: Type.Optional(path('the PEM private key of certificate')),
    insecureSkipVerify: Type.Optional(
      Type.Boolean({
        description: 'believe any endpoint, so that anybody on the way can read and change all',
      }),
    ),
  },
  {
    ...closed,
    description: 'how TLS is spoken to the endpoints, such as { ca: /etc/serin/endpoints-ca.pem }',
  },
);

/** Kubernetes' own rules for the names of namespaces and services (DNS labels, RFC 1123 and 1035). */
const label = (description: string) =>
  Type.String({
    pattern: '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$',
    description: `a name of at most 63 lower-case letters, digits and inner hyphens; ${description}`,
  });

const KubernetesDefinition = Type.Object(
  {
    namespace: Type.Optional(label("where the Service is; Serin's own namespace if unsaid")),
    service: label('the Service whose pods are the endpoints'),
    port: Type.Union(
      [
        Type.String({
          pattern: '^(?=.*[a-z])[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$',
          description: "the name of the Service's port, such as http; a number stands without quotes",
        }),
        Type.Integer({
          minimum: 1,
          maximum: 65_535,
          description: "the number of the pods' port, from 1 to 65535",
        }),
      ],
      { description: "the name of the Service's port, such as http, or the number of the pods' port" },
    ),
  },
  {
    ...closed,
    description: 'the pods of a Service, such as { namespace: notes, service: notes-canary, port: http }',
  },
);
export type KubernetesDefinition = Static<typeof KubernetesDefinition>;

const Kubernetes = Type.Optional(KubernetesDefinition);

const Dns = Type.Optional(
  Type.String({
    minLength: 1,
    maxLength: 260,
    description:
      'a name with a port such as notes.internal:8080, or an SRV name such as _http._tcp.notes.internal',
  }),
);

/** That exactly one of `endpoints`, `kubernetes` and `dns` is there is checked in `service-checks.ts`. */
export const StableDefinition = Type.Object(
  {
    protocol: Protocol,
    endpoints: Type.Optional(
      Type.Array(EndpointDefinition, {
        minItems: 1,
        maxItems: 10_000,
        description: 'where the version runs, such as ["10.1.0.7:8080"]',
      }),
    ),
    kubernetes: Kubernetes,
    dns: Dns,
    tls: Type.Optional(EndpointTlsDefinition),
    circuit: Type.Optional(CircuitDefinition),
    healthCheck: Type.Optional(HealthCheckDefinition),
  },
  { ...closed, description: 'the version that runs now, such as { endpoints: ["10.1.0.7:8080"] }' },
);

export const CanaryDefinition = Type.Object(
  {
    protocol: Protocol,
    endpoints: Type.Optional(
      Type.Array(EndpointDefinition, {
        maxItems: 10_000,
        description: 'where the new version runs; may be empty until a rollout starts',
      }),
    ),
    kubernetes: Kubernetes,
    dns: Dns,
    tls: Type.Optional(EndpointTlsDefinition),
    circuit: Type.Optional(CircuitDefinition),
    healthCheck: Type.Optional(HealthCheckDefinition),
  },
  { ...closed, description: 'the new version; may be left out until a rollout starts' },
);

/** What stable and canary have in common; a stable's is one as well. */
export type VariantDefinition = Static<typeof CanaryDefinition>;

export const BalanceDefinition = Type.Object(
  {
    slowStart: duration('how long an endpoint that joins others or comes back gets less than its share'),
    latencyDecay: duration('how fast a bad latency is forgotten'),
  },
  { ...closed, description: 'how requests are divided among the endpoints of a variant' },
);

export const OutlierDefinition = Type.Object(
  {
    consecutiveFailures: count('failures in a row that eject an endpoint; 0: never for that', 0, 1000),
    failurePercentage: percent(
      'failures in a window above which an endpoint is ejected; 100: never for that',
    ),
    minRequests: count('attempts in a window below which the percentage says nothing', 1, 1_000_000),
    window: duration('over which failures are counted'),
    ejection: duration('how long the first ejection lasts; the n-th in a row lasts n times as long'),
    maxEjection: duration('how long an ejection lasts at most'),
    maxEjectedPercentage: percent(
      'endpoints of a variant that may be ejected at a time, one at least; 0: none ever is',
    ),
    panicPercentage: percent("stable's endpoints in good standing below which all of them are used"),
    gatewayStatuses: Type.Optional(
      Type.Boolean({ description: 'answers of 502, 503 and 504 are failures too' }),
    ),
  },
  { ...closed, description: 'when an endpoint that keeps failing is left out, and for how long' },
);

export const BreakerDefinition = Type.Object(
  {
    failurePercentage: percent('failures in the window above which canary users get stable; 100: never'),
    minRequests: count('attempts in the window below which the percentage says nothing', 1, 1_000_000),
    window: duration('over which failures are counted'),
    open: duration('how long all canary users get stable'),
    recovery: duration('from the first users who probe the canary to all of them'),
  },
  { ...closed, description: 'when canary users get stable because the canary fails' },
);

export const RetryBudgetDefinition = Type.Object(
  {
    percentage: percent('retries, of the requests of the last ten seconds'),
    minPerSecond: count('retries a second that are allowed on top', 0, 100_000),
  },
  { ...closed, description: 'how many retries a variant may see, in each worker' },
);
