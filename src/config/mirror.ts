/**
 * A service's `mirror`: what of stable's requests is also sent to the canary. Its schema and its defaults.
 */
import { Type, type Static } from 'typebox';
import type { MirrorSettings } from '../contract/snapshot.ts';
import { milliseconds } from '../schema/duration.ts';
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

/** Safe methods (RFC 9110, 9.2.1) but TRACE, which no application serves. */
const DEFAULT_MIRROR = {
  methods: ['GET', 'HEAD', 'OPTIONS'],
  timeout: 10_000,
  maxConcurrent: 100,
} as const;

/** A mirror of 0 % is none. */
export function mirrorSettings(mirror: Static<typeof MirrorDefinition> | undefined): MirrorSettings | null {
  if (mirror === undefined || mirror.percentage === 0) return null;
  return {
    percentage: mirror.percentage,
    methods: mirror.methods ?? DEFAULT_MIRROR.methods,
    timeout: milliseconds(mirror.timeout, DEFAULT_MIRROR.timeout),
    maxConcurrent: mirror.maxConcurrent ?? DEFAULT_MIRROR.maxConcurrent,
  };
}
