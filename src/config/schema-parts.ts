/** What the schemas of the configuration are made of: kinds of values that many settings have. */
import { Type } from 'typebox';
import { DURATION_PATTERN } from '../schema/duration.ts';

export const closed = { additionalProperties: false } as const;

export const duration = (description: string) =>
  Type.Optional(
    Type.String({ pattern: DURATION_PATTERN, description: `a duration such as 30s; ${description}` }),
  );

export const count = (description: string, minimum: number, maximum: number) =>
  Type.Optional(Type.Integer({ minimum, maximum, description }));

export const percent = (description: string) =>
  Type.Optional(Type.Number({ minimum: 0, maximum: 100, description: `a percentage; ${description}` }));

export const path = (description: string) =>
  Type.String({ minLength: 1, description: `a path; ${description}` });

export const listen = (description: string) =>
  Type.Optional(
    Type.String({
      minLength: 1,
      description: `an address such as 127.0.0.1:8080 or [::1]:8080; ${description}`,
    }),
  );

/** RFC 9110 token: the characters of field and cookie names. */
export const TOKEN = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";

export const networks = (description: string) =>
  Type.Array(Type.String({ minLength: 1, description: 'a network such as 10.8.0.0/16 or 2001:db8::/32' }), {
    description,
  });

/** The name of a service: it is part of URLs, cookie names and metrics. */
export const ServiceName = Type.String({
  pattern: '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$',
  description: 'a name of at most 63 lower-case letters, digits and inner hyphens',
});
