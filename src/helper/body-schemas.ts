/**
 * What the bodies of the API's actions hold: their schemas, and the check by a schema.
 *
 * The same schemas are in the OpenAPI document, so what it says and what is checked cannot differ.
 */
import { Type, type Static, type TSchema } from 'typebox';
import { Percentage } from '../policy/schema.ts';
import { checkSchema } from '../schema/check.ts';
import { DocumentError, type Fault } from '../schema/faults.ts';

/** Objects that hold nothing but what their schema names. */
export const closed = { additionalProperties: false } as const;

const RequestId = Type.String({
  minLength: 1,
  maxLength: 200,
  description: 'names the request: the same id answers the same change',
});
const Reason = Type.String({ maxLength: 1000, description: 'why; the history shows it' });
const AllowDecrease = Type.Boolean({ description: 'users may lose the canary' });

/** What every write may say. */
export const common = { requestId: Type.Optional(RequestId), reason: Type.Optional(Reason) };

/** promote, finish, rollback, pause, resume. */
export const ActionBody = Type.Object(common, closed);
export type ActionBody = Static<typeof ActionBody>;

export const PercentageBody = Type.Object(
  {
    percentage: Percentage,
    rule: Type.Optional(Type.String({ minLength: 1, maxLength: 100, description: 'everyone if unsaid' })),
    allowDecrease: Type.Optional(AllowDecrease),
    ...common,
  },
  closed,
);
export type PercentageBody = Static<typeof PercentageBody>;

/** One of `requestId` and `from` is needed, so that a retry cannot step twice. */
export const StepBody = Type.Object({ from: Type.Optional(Percentage), ...common }, closed);
export type StepBody = Static<typeof StepBody>;

export const RestoreBody = Type.Object({ allowDecrease: Type.Optional(AllowDecrease), ...common }, closed);
export type RestoreBody = Static<typeof RestoreBody>;

export const ExplainBody = Type.Object(
  {
    method: Type.Optional(Type.String({ minLength: 1, maxLength: 32 })),
    path: Type.Optional(
      Type.String({ minLength: 1, maxLength: 8192, description: 'with the query, if any' }),
    ),
    headers: Type.Optional(
      Type.Record(Type.String({ minLength: 1 }), Type.Union([Type.String(), Type.Array(Type.String())]), {
        description: 'by name; cookies are the header cookie',
      }),
    ),
    clientAddress: Type.Optional(
      Type.String({ maxLength: 64, description: 'as it is found behind trusted proxies' }),
    ),
    peerAddress: Type.Optional(Type.String({ maxLength: 64, description: "the socket's other end" })),
    identity: Type.Optional(
      Type.String({ maxLength: 4096, description: 'the user, as the identity chain says it' }),
    ),
    secure: Type.Optional(Type.Boolean({ description: 'the client came over TLS' })),
    revision: Type.Optional(Type.Integer({ minimum: 1, description: 'by the policy of that revision' })),
  },
  closed,
);
export type ExplainBody = Static<typeof ExplainBody>;

const checks = new WeakMap<TSchema, (value: unknown) => Fault[]>();

/** Compiles a schema's check before it is needed: that takes some 20 ms, and a rollback must not wait for it. */
export function prepareCheck(schema: TSchema): (value: unknown) => Fault[] {
  let check = checks.get(schema);
  if (check === undefined) checks.set(schema, (check = checkSchema(schema)));
  return check;
}

/** The value, when the schema admits it. Throws DocumentError `request_invalid`; pointers begin with `prefix`. */
export function checked(schema: TSchema, value: unknown, prefix: string): unknown {
  const faults = prepareCheck(schema)(value).map((fault) => ({ ...fault, pointer: prefix + fault.pointer }));
  if (faults.length > 0) throw new DocumentError('request_invalid', 'The request is not valid.', faults);
  return value;
}
