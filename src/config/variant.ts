/**
 * A service's `stable` and `canary`: where a version runs, and how its endpoints are spoken to. Their schema, defaults and checks.
 * Times are milliseconds.
 */
import { Type, type Static } from 'typebox';
import type { EndpointSnapshot, EndpointTls, VariantSnapshot } from '../contract/snapshot.ts';
import type { CircuitSettings, HealthCheckSettings } from '../contract/upstream-settings.ts';
import { parseEndpoint } from '../net/host-port.ts';
import { milliseconds } from '../schema/duration.ts';
import type { Fault } from '../schema/faults.ts';
import { sourceName } from './endpoint-source.ts';
import { closed, count, duration, path } from './schema-parts.ts';

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

const DEFAULT_HEALTH_CHECK: Omit<HealthCheckSettings, 'path'> = {
  interval: 10_000,
  timeout: 2000,
  healthyThreshold: 2,
  unhealthyThreshold: 3,
  expectedStatus: [],
};

const NO_LIMITS: CircuitSettings = { maxConnections: 0, maxPending: 0, maxRequests: 0 };

const DEFAULT_WEIGHT = 1;

const DEFAULT_PROTOCOL = 'http1';

/** A variant as the workers see it: with its listed endpoints, or with `endpoints` where these were discovered. */
export function variantSnapshot(
  variant: VariantDefinition = {},
  tls: EndpointTls | null = null,
  endpoints: readonly EndpointSnapshot[] = listedEndpoints(variant),
): VariantSnapshot {
  const { protocol = DEFAULT_PROTOCOL, circuit, healthCheck } = variant;
  return {
    protocol,
    endpoints,
    source: sourceName(variant),
    circuit: { ...NO_LIMITS, ...circuit },
    healthCheck:
      healthCheck === undefined
        ? null
        : {
            path: healthCheck.path,
            interval: milliseconds(healthCheck.interval, DEFAULT_HEALTH_CHECK.interval),
            timeout: checkTimeout(healthCheck),
            healthyThreshold: healthCheck.healthyThreshold ?? DEFAULT_HEALTH_CHECK.healthyThreshold,
            unhealthyThreshold: healthCheck.unhealthyThreshold ?? DEFAULT_HEALTH_CHECK.unhealthyThreshold,
            expectedStatus: healthCheck.expectedStatus ?? DEFAULT_HEALTH_CHECK.expectedStatus,
          },
    tls,
  };
}

type HealthCheck = Static<typeof HealthCheckDefinition>;

/** Where nothing is said, a check is over before the next one begins. */
function checkTimeout({ interval, timeout }: HealthCheck): number {
  const most = milliseconds(interval, DEFAULT_HEALTH_CHECK.interval);
  return milliseconds(timeout, Math.min(most, DEFAULT_HEALTH_CHECK.timeout));
}

/** The endpoints that a definition lists. They must have been checked. */
export function listedEndpoints({ endpoints = [] }: VariantDefinition): readonly EndpointSnapshot[] {
  return endpoints.map(endpointSnapshot);
}

function endpointSnapshot(definition: EndpointDefinition): EndpointSnapshot {
  const parsed = parseEndpoint(endpointAddress(definition));
  // The definition's checks have been through it.
  if (typeof parsed === 'string') throw new Error(parsed);
  return { ...parsed, weight: endpointWeight(definition) };
}

/** The address of an endpoint as the definition writes it. */
export function endpointAddress(definition: EndpointDefinition): string {
  return typeof definition === 'string' ? definition : definition.address;
}

function endpointWeight(definition: EndpointDefinition): number {
  return typeof definition === 'string' ? DEFAULT_WEIGHT : (definition.weight ?? DEFAULT_WEIGHT);
}

/** What must hold of a variant's health check beyond its schema. Pointers begin at the variant. */
export function healthCheckFaults({ healthCheck: check, protocol }: VariantDefinition = {}): Fault[] {
  if (check === undefined) return [];
  const pointer = '/healthCheck';
  if (protocol === 'h2c') {
    const detail =
      'health checks speak HTTP/1.1, which endpoints of protocol h2c do not; leave it out, and endpoints are judged by requests';
    return [{ pointer, detail }];
  }
  const { healthCheck } = variantSnapshot({ healthCheck: check });
  const { interval, timeout } = healthCheck!;
  if (interval < 100) {
    return [
      {
        pointer: `${pointer}/interval`,
        detail: `a check every ${check.interval} is a load of its own; expected 100ms or more`,
      },
    ];
  }
  if (timeout === 0) {
    return [
      {
        pointer: `${pointer}/timeout`,
        detail: 'with 0s no answer would come in time; expected a duration above 0, such as 2s',
      },
    ];
  }
  if (timeout <= interval) return [];
  return [
    {
      pointer: `${pointer}/timeout`,
      detail: `a timeout of ${check.timeout} is longer than the interval of ${interval} ms, so checks of an endpoint would overlap; expected at most the interval`,
    },
  ];
}
