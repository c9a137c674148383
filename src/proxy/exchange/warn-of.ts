/**
 * The warnings about single requests, in the field names of the log. They never hold what a client sent.
 */
import type { RequestContext } from './request-context.ts';
import type { WorkerContext } from '../worker-context.ts';

/** A request was answered by the proxy with `status`, 500 or above, for the reason `code`. */
export function warnOfFailure(
  context: WorkerContext,
  request: RequestContext,
  code: string,
  status: number,
): void {
  context.warn(
    { 'error.type': code, 'http.response.status_code': status, ...ofRequest(request) },
    'request failed',
  );
}

/** The endpoint's response is invalid for the reason `code`. */
export function warnOfResponse(
  context: WorkerContext,
  request: RequestContext,
  endpoint: string,
  code: string,
): void {
  context.warn(
    { 'error.type': code, 'server.address': endpoint, ...ofRequest(request) },
    'invalid response from an endpoint',
  );
}

function ofRequest({ route, variant }: RequestContext): object {
  return { 'serin.service': route?.name, 'serin.variant': variant };
}
