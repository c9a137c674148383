/**
 * How endpoints are discovered, in the configuration: what holds for all sources, and how Kubernetes' API server is reached. Only the
 * configuration file says it, never the API. The same rules hold as for `schema.ts`.
 */
import { Type, type Static } from 'typebox';
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
