/** What a route is: where it is, who may use it, what it reads and answers. OpenAPI is made from the same description. */
import type { TSchema } from 'typebox';
import type { Role } from '../config/admin.ts';
import type { ANSWERS } from './answers.ts';
import type { Backend } from '../control/api.ts';
import type { DocumentBody, WriteRequest } from '../rollout/write-request.ts';

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Left out for an answer without a body. */
  readonly body?: unknown;
}

/** One request, as a handler sees it. */
export interface Call {
  readonly backend: Backend;
  readonly params: Readonly<Record<string, string>>;
  /** Checked by the route's schema. */
  readonly query: Readonly<Record<string, string>>;
  readonly actor: string;
  /** `https://host`, without a slash at its end: what absolute URLs in answers begin with. */
  readonly base: string;
  readonly header: (name: string) => string | undefined;
  /** The body, unread. */
  readonly body: DocumentBody;
  /** Whether the token may write to the service. Throws ApiError `forbidden`. */
  readonly authorizeService: (service: string) => void;
}

export interface Route {
  readonly method: 'GET' | 'PUT' | 'PATCH' | 'POST' | 'DELETE';
  /** With parameters in braces, as OpenAPI writes them. */
  readonly path: string;
  readonly role: Role;
  readonly id: string;
  readonly summary: string;
  readonly query: TSchema;
  /** Absent where no body is read. */
  readonly body?: TSchema;
  /** Status and what it means; problems are added for all routes alike. */
  readonly success: {
    readonly status: 200 | 202;
    readonly description: string;
    readonly answer: keyof typeof ANSWERS;
    readonly etag?: boolean;
  };
  readonly handle: (call: Call) => Answer | Promise<Answer>;
}

/** Who writes and why; `fields` come from a body or from the query. */
export function writeRequest(
  call: Call,
  fields: { readonly requestId?: string | undefined; readonly reason?: string | undefined },
  precondition: WriteRequest['precondition'],
): WriteRequest {
  const { requestId = null, reason = null } = fields;
  return { actor: call.actor, requestId, reason, precondition };
}
