/**
 * The ops server: `/livez`, `/readyz` and `/metrics`, for kubelets and scrapers.
 *
 * It changes nothing and reads no body. It is open to its network, so it is kept small: GET and HEAD on three paths, short
 * limits, nothing cached. It answers until it is closed, also while the process drains.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type SmallServer, startSmallServer } from '../server/small-server.ts';
import type { Exposition } from './exposition.ts';

export interface OpsOptions {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** Whether new requests are welcome; why not, in sentences. */
  readonly ready: () => { readonly ready: boolean; readonly reasons: readonly string[] };
  readonly metrics: Exposition;
  /** Told of an answer that failed (it became a 500) and of a connection that could not be accepted. */
  readonly onError?: (error: unknown) => void;
}

/** What is still under way so long after `close`, in ms, is cut. */
const CLOSE_TIME = 1000;

const TEXT = 'text/plain; charset=utf-8';

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** Listens. Rejects with the system's error (EADDRINUSE, EACCES, …) when it cannot. */
export function startOps(options: OpsOptions): Promise<SmallServer> {
  const metrics = together(() => options.metrics.render());
  return startSmallServer({
    host: options.host,
    port: options.port,
    maxConnections: 256,
    maxOfOne: 64,
    silence: 30_000,
    keepAliveTimeout: 30_000,
    checkingInterval: 1000,
    closeTime: CLOSE_TIME,
    onError: (error) => options.onError?.(error),
    handle(request, response, closing) {
      answer(request, options, metrics).then(
        (result) => {
          send(request, response, result, closing());
        },
        (error: unknown) => {
          options.onError?.(error);
          send(request, response, { status: 500, type: TEXT, body: 'internal error\n' }, closing());
        },
      );
    },
  });
}

/** Whoever asks while an answer is made gets that one: a crowd of scrapers costs as much as one. */
function together(render: () => Promise<string>): () => Promise<string> {
  let rendering: Promise<string> | null = null;
  return () => {
    rendering ??= render().finally(() => (rendering = null));
    return rendering;
  };
}

async function answer(
  request: IncomingMessage,
  { ready, metrics }: OpsOptions,
  render: () => Promise<string>,
): Promise<Answer> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, type: TEXT, body: 'only GET and HEAD are allowed here\n' };
  }
  switch (request.url?.split('?', 1)[0]) {
    case '/livez':
      return { status: 200, type: TEXT, body: 'alive\n' };
    case '/readyz': {
      const state = ready();
      if (state.ready) return { status: 200, type: TEXT, body: 'ready\n' };
      return {
        status: 503,
        type: TEXT,
        body: `not ready\n${state.reasons.map((why) => `- ${why}\n`).join('')}`,
      };
    }
    case '/metrics':
      return { status: 200, type: metrics.contentType, body: await render() };
    default:
      return { status: 404, type: TEXT, body: 'there are /livez, /readyz and /metrics\n' };
  }
}

/** `last`: the connection ends with it. Else it would be kept, and a close that came meanwhile would wait for its client. */
function send(
  request: IncomingMessage,
  response: ServerResponse,
  { status, type, body }: Answer,
  last: boolean,
): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(status === 405 ? { allow: 'GET, HEAD' } : {}),
    // A body is never read; what follows it on this connection is not either.
    ...(last || hasBody(request) ? { connection: 'close' } : {}),
  });
  // For HEAD, node:http leaves the body out itself.
  response.end(body);
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
