/** One request as a record of the access log. Only called for requests that are logged. */
import type { AccessRecord } from '../../telemetry/access-log.ts';
import { bringsRequestId } from './forward-headers.ts';
import type { RequestContext } from './request-context.ts';

export interface Ended {
  /** Wall clock now, in ms since 1970. */
  readonly now: number;
  readonly durationSeconds: number;
  readonly status: number;
  /** Bytes of content of the answer. */
  readonly size: number;
  readonly endpoint: string;
  readonly errorType: string;
}

export function accessRecord(request: RequestContext, ended: Ended): AccessRecord {
  const { head, decision, downstream, route } = request;
  const { now, durationSeconds, status, size, endpoint, errorType } = ended;
  // What goes through a tunnel is not read, and is nobody's body.
  const tunnelled = status === 101;
  return {
    time: now - durationSeconds * 1000,
    durationSeconds,
    method: head.method,
    path: head.path,
    query: head.query,
    host: head.host,
    version: downstream.http2 ? '2' : head.versionMinor === 0 ? '1.0' : '1.1',
    status,
    clientAddress: request.client.text,
    userAgent: head.header('user-agent') ?? '',
    requestId: (bringsRequestId(head) ? head.header('x-request-id') : undefined) ?? request.requestId,
    service: route?.name ?? '',
    variant: route === null ? '' : decision.variant,
    reason: route === null ? '' : decision.reason,
    rule: route === null ? '' : decision.rule,
    revision: route === null ? -1 : decision.revision,
    endpoint,
    requestBytes: tunnelled ? -1 : request.reader.body.size,
    responseBytes: tunnelled ? -1 : size,
    errorType,
  };
}
