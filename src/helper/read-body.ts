/**
 * From the bytes of a request body to its value: parse, check. Pure, so that it runs on the main thread for small bodies and in a
 * helper thread for all others, with the same result.
 *
 * It promises that what `isSmall` admits takes a few milliseconds, whatever it says: nothing else may be read on the main thread,
 * which answers probes and rollbacks.
 */
import type { TSchema } from 'typebox';
import { checkServiceDefinition } from '../config/service-checks.ts';
import type { Fault } from '../schema/faults.ts';
import { isRecord } from '../schema/json-value.ts';
import type { DocumentBody } from '../rollout/write-request.ts';
import { ActionBody, checked, ExplainBody, PercentageBody, RestoreBody, StepBody } from './body-schemas.ts';
import { parseBody } from './parse-body.ts';

const SCHEMAS = {
  action: ActionBody,
  percentage: PercentageBody,
  step: StepBody,
  restore: RestoreBody,
  explain: ExplainBody,
} as const satisfies Record<string, TSchema>;

/** `service` is a definition, checked; `document` is any value, for whoever checks it later. */
export type BodyKind = keyof typeof SCHEMAS | 'service' | 'document';

export interface ReadBody {
  readonly value: unknown;
  /** What is wrong with a service's definition, told along with what is wrong with its place. */
  readonly faults: readonly Fault[];
}

/** Throws DocumentError `malformed_body`, `request_invalid`. An empty body is an empty object, where it is no document. */
export function readBody(kind: BodyKind, body: DocumentBody): ReadBody {
  const parsed = parseBody(body);
  if (kind === 'document') return { value: withoutStatus(parsed), faults: [] };
  if (kind === 'service') {
    const value = withoutStatus(parsed);
    return { value, faults: checkServiceDefinition(value) };
  }
  return { value: checked(SCHEMAS[kind], parsed ?? {}, ''), faults: [] };
}

/** `status`, which answers carry beside a document, is left out of account. */
function withoutStatus(value: unknown): unknown {
  if (!isRecord(value) || !Object.hasOwn(value, 'status')) return value;
  const { status: _status, ...document } = value;
  return document;
}

/** Bytes of JSON that are read on the main thread: wrong from end to end, they take some 15 ms. */
const SMALL_JSON = 8192;
/** The parser of YAML takes time by the square of the keys, and for nested keys by a power of two. */
const SMALL_YAML = 1024;
const MOST_LINES = 40;

/** Whether a value has about as much in it as a small body. */
export function isSmallValue(value: unknown): boolean {
  let left = SMALL_JSON / 4;
  const visit = (part: unknown): boolean => {
    left -= typeof part === 'string' ? 1 + part.length / 4 : 1;
    if (left < 0) return false;
    return typeof part !== 'object' || part === null || Object.values(part).every(visit);
  };
  return visit(value);
}

/** A field with a plain or quoted scalar, an entry of a list, a comment: what an action's body in YAML is made of. */
const PLAIN_LINE =
  /^ {0,8}(?:#.*|(?:- )?(?:[A-Za-z][\w-]{0,40}:(?: +|$))?(?:(?:[\w./+]|-(?=\d))[^#:{}[\],&*!|>%@`"'?]*|"[^"\\]*"|'[^']*')?) *$/;

/** Whether the body may be read on the main thread. */
export function isSmall({ bytes, format }: DocumentBody): boolean {
  if (format === 'json') return bytes.length <= SMALL_JSON;
  if (bytes.length > SMALL_YAML) return false;
  const lines = Buffer.from(bytes).toString('latin1').split(/\r?\n/);
  return lines.length <= MOST_LINES && lines.every((line) => PLAIN_LINE.test(line));
}
