/**
 * What of stable's requests is also sent to the canary, as the configuration file and the API say it.
 */
import { Type } from 'typebox';
import { closed, count, duration } from './schema-parts.ts';

/** Methods that can be mirrored: those with a meaning of their own for proxies, and PATCH. */
const MIRRORED_METHODS = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

export const MirrorDefinition = Type.Object(
  {
    percentage: Type.Number({ minimum: 0, maximum: 100, description: 'percent of the requests of stable' }),
    methods: Type.Optional(
      Type.Array(Type.Union(MIRRORED_METHODS.map((method) => Type.Literal(method))), {
        minItems: 1,
        description: 'the methods that are mirrored; only safe ones unless others are named here',
      }),
    ),
    timeout: duration('after which a mirrored request is given up'),
    maxConcurrent: count('mirrored requests at a time in all workers; more are dropped', 1, 100_000),
  },
  {
    ...closed,
    description: "sends a part of stable's requests to the canary too, and throws its answers away",
  },
);
