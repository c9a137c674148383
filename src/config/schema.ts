/**
 * The configuration file: its JSON Schema, and the types that follow from it. Field names are a contract.
 *
 * Each section is a file: its schema, its defaults and its checks. What concerns several of them is in `cross-checks.ts`. Descriptions are
 * read by people: editors show them, and a fault says "expected ‹description up to the first ;›, got …". A field that holds a secret is marked
 * `writeOnly`, so that no message quotes it.
 */
import { Type, type Static } from 'typebox';
import { AdminDefinition } from './admin.ts';
import { DiscoveryDefinition, KubernetesAccessDefinition } from './discovery.ts';
import { FleetDefinition } from './fleet.ts';
import { AccessLogDefinition, LogDefinition } from './logs.ts';
import { ProxyDefinition } from './proxy.ts';
import { closed, listen, networks, path, ServiceName } from './schema-parts.ts';
import { ServiceDefinition } from './service.ts';
import { StoreDefinition } from './store.ts';

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

export const DEFAULT_OPS_LISTEN = '0.0.0.0:9091';
/** The key ring's name inside the store's directory, where `secretFile` is not set. */
export const DEFAULT_SECRET_NAME = 'secret';
