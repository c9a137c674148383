/**
 * Query strings of requests, and the media type of their bodies.
 */
import { Type, type Static } from 'typebox';
import { LONGEST_WINDOW } from '../comparison/traffic-window.ts';
import { parseDuration } from '../schema/duration.ts';
import { DocumentError } from '../schema/faults.ts';
import type { DocumentBody } from '../rollout/write-request.ts';
import { closed, common } from '../helper/body-schemas.ts';
import { ApiError } from './problem.ts';

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
