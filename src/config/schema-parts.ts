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
