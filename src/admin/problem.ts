/**
 * Errors as answers: RFC 9457 problem details, one table from codes to statuses, one function that writes them.
 *
 * An error that is not in the table is an internal one: it is logged, and the answer says no more than that.
 */
import { DocumentError, type Fault } from '../schema/faults.ts';
import { RefusedError, type RefusalCode } from '../rollout/refusal.ts';

/** What the API itself refuses, before the control plane is asked. */
export type ApiCode =
  | 'unauthorized'
  | 'forbidden'
  | 'host_not_allowed'
  | 'origin_not_allowed'
  | 'not_found'
  | 'method_not_allowed'
  | 'unsupported_media_type'
  | 'body_too_large'
  | 'bad_request'
  | 'uri_too_long'
  | 'head_too_large'
  | 'request_timeout'
  | 'internal_error';

export type DocumentCode =
  | 'malformed_body'
  | 'body_too_costly'
  | 'request_invalid'
  | 'rollout_invalid'
  | 'service_invalid'
  | 'certificate_invalid'
  | 'unknown_rule'
  | 'networks_invalid';

/** Every code of the API with its status. */
export const STATUS: Readonly<Record<RefusalCode | ApiCode | DocumentCode, number>> = {
  bad_request: 400,
  malformed_body: 400,
  unauthorized: 401,
  forbidden: 403,
  host_not_allowed: 403,
  origin_not_allowed: 403,
  not_found: 404,
  service_not_found: 404,
  rollout_not_found: 404,
  revision_not_found: 404,
  change_not_found: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  no_rollout: 409,
  wrong_phase: 409,
  rollout_paused: 409,
  decrease_not_allowed: 409,
  no_next_step: 409,
  step_moved: 409,
  stable_not_ready: 409,
  canary_not_ready: 409,
  nothing_to_restore: 409,
  service_read_only: 409,
  rollout_active: 409,
  request_id_reused: 409,
  change_canceled: 409,
  precondition_failed: 412,
  body_too_large: 413,
  uri_too_long: 414,
  unsupported_media_type: 415,
  body_too_costly: 422,
  request_invalid: 422,
  rollout_invalid: 422,
  service_invalid: 422,
  certificate_invalid: 422,
  unknown_rule: 422,
  networks_invalid: 422,
  precondition_required: 428,
  head_too_large: 431,
  internal_error: 500,
  fleet_disagrees: 409,
  store_unavailable: 503,
  stopping: 503,
  too_many_bodies: 429,
  too_many_subscribers: 429,
};

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  409: 'Conflict',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  414: 'URI Too Long',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  428: 'Precondition Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly instance: string;
  readonly code: string;
  readonly errors: readonly Fault[];
  /** The figures that decided, where a guard refused. */
  readonly figures?: { readonly [name: string]: string | number | null };
}

/** An error of the API's own. `headers` go with the answer. */
export class ApiError extends Error {
  readonly code: ApiCode;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ApiCode, detail: string, headers: Readonly<Record<string, string>> = {}) {
    super(detail);
    this.name = 'ApiError';
    this.code = code;
    this.headers = headers;
  }
}

/** The same again may work in a moment. */
const RETRY_SOON: ReadonlySet<string> = new Set([
  'store_unavailable',
  'too_many_bodies',
  'too_many_subscribers',
]);

export interface ProblemAnswer {
  readonly body: Problem;
  readonly headers: Readonly<Record<string, string>>;
  /** The error is a fault of the program, to be logged. */
  readonly unexpected: boolean;
}

/** `instance` is the path that was asked for, without its query. */
export function problemAnswer(error: unknown, instance: string): ProblemAnswer {
  if (error instanceof RefusedError) {
    const { code, detail, figures, reasons = [] } = error.refusal;
    const errors = reasons.map((reason) => ({ pointer: '', detail: reason }));
    return answer(
      code,
      detail,
      instance,
      errors,
      RETRY_SOON.has(code) ? { 'retry-after': '1' } : {},
      figures,
    );
  }
  if (error instanceof DocumentError && Object.hasOwn(STATUS, error.code)) {
    const [summary = error.message] = error.message.split('\n');
    return answer(error.code as DocumentCode, summary, instance, error.faults);
  }
  if (error instanceof ApiError) return answer(error.code, error.message, instance, [], error.headers);
  const known = frameworkProblem(error);
  if (known !== null) return answer(known.code, known.detail, instance);
  return { ...answer('internal_error', 'The request failed. The log says why.', instance), unexpected: true };
}

function answer(
  code: keyof typeof STATUS,
  detail: string,
  instance: string,
  errors: readonly Fault[] = [],
  headers: Readonly<Record<string, string>> = {},
  figures: { readonly [name: string]: string | number | null } = {},
): ProblemAnswer {
  const status = STATUS[code];
  const body: Problem = {
    type: 'about:blank',
    title: TITLES[status] ?? 'Error',
    status,
    detail: cut(detail),
    instance: cut(instance),
    code,
    errors: errors.slice(0, MOST_ERRORS).map(shortened),
    ...(Object.keys(figures).length === 0 ? {} : { figures }),
  };
  return { body, headers, unexpected: false };
}

/** Faults quote what was sent, and each may quote all of it. */
const MOST_ERRORS = 200;
const LONGEST_TEXT = 2000;

function shortened(fault: Fault): Fault {
  const { pointer, detail } = fault;
  if (pointer.length <= LONGEST_TEXT && detail.length <= LONGEST_TEXT) return fault;
  return { ...fault, pointer: cut(pointer), detail: cut(detail) };
}

function cut(text: string): string {
  return text.length <= LONGEST_TEXT ? text : `${text.slice(0, LONGEST_TEXT)}…`;
}

/** What Fastify itself refuses. */
function frameworkProblem(error: unknown): { code: ApiCode; detail: string } | null {
  const { code = '', statusCode = 500 } = error as { code?: string; statusCode?: number };
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return {
      code: 'body_too_large',
      detail: 'The body is larger than 16 MiB for a rollout document, or 1 MiB for any other.',
    };
  }
  if (statusCode === 414) return { code: 'uri_too_long', detail: 'A part of the path is too long.' };
  if (statusCode === 415)
    return { code: 'unsupported_media_type', detail: 'This media type is not read here.' };
  if (statusCode === 408) return { code: 'request_timeout', detail: 'The request did not arrive in time.' };
  if (statusCode >= 400 && statusCode < 500) {
    return {
      code: 'bad_request',
      detail: error instanceof Error ? error.message : 'The request cannot be read.',
    };
  }
  return null;
}

/** What Node's HTTP parser says of bytes that it cannot read as a request. */
export function unreadable({ code = '' }: { readonly code?: string }): ApiError {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new ApiError('head_too_large', 'The head of the request is larger than 16 KiB.');
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new ApiError('request_timeout', 'The request did not arrive in time.');
  }
  return new ApiError('bad_request', 'This is not a request of HTTP/1.1.');
}
