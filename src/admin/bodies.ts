/**
 * Bodies and query strings of requests: their media type, their schema, their values.
 *
 * The same schemas are in the OpenAPI document, so what it says and what is checked cannot differ.
 */
import { Type, type Static, type TSchema } from 'typebox';
import { LONGEST_WINDOW } from '../comparison/traffic-window.ts';
import { parseDuration } from '../config/duration.ts';
import { DocumentError, type Fault } from '../policy/faults.ts';
import { Percentage } from '../policy/schema.ts';
import { checkSchema } from '../schema/check.ts';
import type { DocumentBody } from './backend.ts';
import { ApiError } from './problem.ts';

const closed = { additionalProperties: false } as const;

const RequestId = Type.String({
  minLength: 1,
  maxLength: 200,
  description: 'names the request: the same id answers the same change',
});
const Reason = Type.String({ maxLength: 1000, description: 'why; the history shows it' });
const AllowDecrease = Type.Boolean({ description: 'users may lose the canary' });

const common = { requestId: Type.Optional(RequestId), reason: Type.Optional(Reason) };

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

const Flag = Type.Union([Type.Literal('true'), Type.Literal('false')]);

/** Of actions, whose body has the rest. */
export const ActionQuery = Type.Object({ dryRun: Type.Optional(Flag) }, closed);
/** Of writes that have no body, or one that is a document. */
export const WriteQuery = Type.Object(common, closed);
export const DefinitionQuery = Type.Object({ dryRun: Type.Optional(Flag), ...common }, closed);
export const DocumentQuery = Type.Object(
  { dryRun: Type.Optional(Flag), allowDecrease: Type.Optional(Flag), ...common },
  closed,
);

export const HistoryQuery = Type.Object(
  {
    before: Type.Optional(
      Type.String({ pattern: '^[0-9]{1,15}$', description: 'a revision; only what is older' }),
    ),
    limit: Type.Optional(
      Type.String({ pattern: '^(?:[1-9][0-9]?|100)$', description: '1 to 100; 20 if unsaid' }),
    ),
  },
  closed,
);
export type HistoryQuery = Static<typeof HistoryQuery>;

export const ComparisonQuery = Type.Object(
  {
    window: Type.Optional(
      Type.String({ maxLength: 20, description: 'how far back, from 10s to 1h, such as 10m; 10m if unsaid' }),
    ),
  },
  closed,
);

const DEFAULT_WINDOW = '10m';
const SHORTEST_WINDOW = 10_000;

/** The milliseconds of a window. Throws DocumentError `request_invalid`. */
export function windowLength(text = DEFAULT_WINDOW): number {
  let window = Number.NaN;
  try {
    window = parseDuration(text);
  } catch {
    // Said below, with what would be right.
  }
  if (window >= SHORTEST_WINDOW && window <= LONGEST_WINDOW) return window;
  throw new DocumentError('request_invalid', 'The request is not valid.', [
    {
      pointer: '/query/window',
      detail: `expected a duration from 10s to 1h, such as 10m, got ${JSON.stringify(text)}`,
    },
  ]);
}

export const NoQuery = Type.Object({}, closed);

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

/** What the media type says of the body's format. Throws ApiError `unsupported_media_type`. */
export function bodyFormat(
  contentType: string | undefined,
  size: number,
  patch: boolean,
): DocumentBody['format'] {
  const type = (contentType ?? '').split(';')[0]!.trim().toLowerCase();
  if (type === 'application/json' || (patch && type === 'application/merge-patch+json')) return 'json';
  if (!patch && (type === 'application/yaml' || type === 'application/x-yaml')) return 'yaml';
  // An action without a body needs no media type: there is nothing to misread.
  if (type === '' && size === 0) return 'json';
  throw new ApiError(
    'unsupported_media_type',
    `Send the body as application/json${patch ? ' or application/merge-patch+json' : ' or application/yaml'}; the request says ${type === '' ? 'nothing' : JSON.stringify(type.slice(0, 100))}.`,
  );
}

/** Compressed bodies are not read. Throws ApiError `unsupported_media_type`. */
export function checkEncoding(contentEncoding: string | undefined): void {
  if (contentEncoding === undefined || contentEncoding.trim().toLowerCase() === 'identity') return;
  throw new ApiError(
    'unsupported_media_type',
    `Send the body as it is; the request says content-encoding: ${contentEncoding.slice(0, 100)}.`,
    { 'accept-encoding': 'identity' },
  );
}
