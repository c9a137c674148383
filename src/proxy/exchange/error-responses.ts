/**
 * The error responses: every way in which a request can fail here, and the one answer that the client gets for it.
 *
 * Nothing else in the data plane makes up an error answer. Each failure has a stable code that logs, metrics and the
 * answer's body share. An answer never tells an endpoint's address or an internal message.
 */
import type { ProtocolError } from '../../http1/protocol-errors.ts';

export const ERROR_RESPONSES = {
  no_service: { status: 404, title: 'Not Found', detail: 'No service is configured for this host and path.' },
  bad_max_forwards: {
    status: 400,
    title: 'Bad Request',
    detail: 'Max-Forwards must be one decimal number of at most nine digits.',
  },
  trace_ends_here: {
    status: 501,
    title: 'Not Implemented',
    detail: 'By Max-Forwards, TRACE ends at this proxy, which echoes no requests.',
  },
  loop_detected: {
    status: 508,
    title: 'Loop Detected',
    detail:
      'By its Via field, this request has come by several times: an endpoint of its service leads back here.',
  },
  ambiguous_path: {
    status: 400,
    title: 'Bad Request',
    detail:
      'Servers may read this path in ways that lead elsewhere; send it without dot segments, empty segments, backslashes, parameters and needless escapes.',
  },
  request_head_timeout: {
    status: 408,
    title: 'Request Timeout',
    detail: 'The request head did not arrive in time.',
  },
  request_body_timeout: {
    status: 408,
    title: 'Request Timeout',
    detail: 'The request body stopped arriving.',
  },
  request_body_too_slow: {
    status: 408,
    title: 'Request Timeout',
    detail: 'The request body arrived more slowly than is allowed.',
  },
  internal_error: { status: 500, title: 'Internal Server Error', detail: 'The proxy failed.' },
  upstream_reset: {
    status: 502,
    title: 'Bad Gateway',
    detail: 'The endpoint closed the connection before it answered.',
  },
  tls_failed: {
    status: 502,
    title: 'Bad Gateway',
    detail: 'No encrypted connection to the endpoint could be made, or it did not prove who it is.',
  },
  bad_response: {
    status: 502,
    title: 'Bad Gateway',
    detail: 'The endpoint sent something that is not a valid HTTP/1.1 response.',
  },
  response_head_too_large: {
    status: 502,
    title: 'Bad Gateway',
    detail: "The head of the endpoint's response is larger, or has more fields, than is allowed here.",
  },
  no_endpoint: {
    status: 503,
    title: 'Service Unavailable',
    detail: 'No endpoint can take this request now.',
  },
  override_unavailable: {
    status: 503,
    title: 'Service Unavailable',
    detail: 'An override asks for the canary, and the canary has no endpoint that can take this request.',
  },
  connect_failed: {
    status: 503,
    title: 'Service Unavailable',
    detail: 'No endpoint accepted a connection.',
  },
  circuit_limit: {
    status: 503,
    title: 'Service Unavailable',
    detail: 'As much is under way at the endpoints as may be.',
  },
  overloaded: {
    status: 503,
    title: 'Service Unavailable',
    detail: 'The proxy has as much to do as it may have; try again in a moment.',
  },
  connect_timeout: {
    status: 504,
    title: 'Gateway Timeout',
    detail: 'No endpoint accepted a connection in time.',
  },
  response_timeout: {
    status: 504,
    title: 'Gateway Timeout',
    detail: 'The endpoint did not answer in time.',
  },
} as const satisfies Record<string, { status: number; title: string; detail: string }>;

export type ErrorCode = keyof typeof ERROR_RESPONSES;

/** What an endpoint's response is answered with that the codec refuses for `reason`, one of its codes. */
export function invalidResponse(reason: string): ErrorCode {
  return reason === 'head_too_large' || reason === 'too_many_fields'
    ? 'response_head_too_large'
    : 'bad_response';
}

/** Whether bytes that are not read as a request ask for no body all the same (RFC 9110, section 9.3.2): they begin with HEAD. */
export function beginsAsHead(bytes: Buffer, start: number, end: number): boolean {
  return bytes
    .latin1Slice(start, Math.min(end, start + 16))
    .trimStart()
    .startsWith('HEAD ');
}

/** The complete answer as latin1 text. `close` says that the connection ends with it; a HEAD request gets no body. `date`: the Date line of now. */
export function errorResponse(code: ErrorCode, close: boolean, headOnly: boolean, date: string): string {
  const { status, title, detail } = ERROR_RESPONSES[code];
  return problemResponse(status, title, code, detail, close, headOnly, date);
}

/** The complete answer to a message that the codec refuses. */
export function refusalResponse(
  { status, title, code, detail }: ProtocolError,
  headOnly: boolean,
  date: string,
): string {
  return problemResponse(status, title, code, detail, true, headOnly, date);
}

/** The answer to OPTIONS that ends here (Max-Forwards: 0). */
export function optionsResponse(close: boolean, date: string): string {
  return `HTTP/1.1 204 No Content\r\n${date}${close ? 'Connection: close\r\n' : ''}\r\n`;
}

/** An answer in problem+json (RFC 9457) as latin1 text. All arguments are ASCII. */
function problemResponse(
  status: number,
  title: string,
  code: string,
  detail: string,
  close: boolean,
  headOnly: boolean,
  date: string,
): string {
  const body = `${JSON.stringify({ type: 'about:blank', title, status, code, detail })}\n`;
  const retry = status === 503 ? 'Retry-After: 1\r\n' : '';
  const connection = close ? 'Connection: close\r\n' : '';
  return (
    `HTTP/1.1 ${status} ${title}\r\nContent-Type: application/problem+json\r\nContent-Length: ${body.length}\r\n` +
    `Cache-Control: no-store\r\n${date}${retry}${connection}\r\n${headOnly ? '' : body}`
  );
}
