/** HTTP/2 at both ends of the proxy: a client that tells how a stream went, and a server that tests give routes to. */
import * as http2 from 'node:http2';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { within } from './bounded.ts';

/** How a stream went. */
export interface StreamResult {
  readonly status: number;
  readonly headers: Fields;
  /** Statuses of interim answers. */
  readonly interim: number[];
  readonly body: Buffer;
  readonly trailers: Fields | null;
  /** 0 where the stream ended in order. */
  readonly rstCode: number;
  /** The answer came to its end. */
  readonly ended: boolean;
}

type Fields = Readonly<Record<string, string | string[] | number | undefined>>;

/** The code of a problem's body. */
export function codeOf({ body }: StreamResult): unknown {
  return (JSON.parse(body.toString()) as { code: unknown }).code;
}

export interface StreamRequest {
  readonly headers: http2.OutgoingHttpHeaders;
  /** Sent whole; left out: the stream ends with its head, unless `keepOpen`. */
  readonly body?: string | Buffer;
  readonly trailers?: http2.OutgoingHttpHeaders;
  readonly keepOpen?: boolean;
}

export interface Http2Client {
  readonly session: http2.ClientHttp2Session;
  open(request: StreamRequest): http2.ClientHttp2Stream;
  ask(request: StreamRequest): Promise<StreamResult>;
  close(): void;
}

export async function http2Client(
  port: number,
  options: http2.ClientSessionOptions = {},
): Promise<Http2Client> {
  const session = http2.connect(`http://127.0.0.1:${port}`, options);
  session.on('error', () => {
    // Tests look at what became of their streams.
  });
  await within(once(session, 'connect'), 'a session');
  const open = ({ headers, body, trailers, keepOpen = false }: StreamRequest): http2.ClientHttp2Stream => {
    const endStream = body === undefined && trailers === undefined && !keepOpen;
    const stream = session.request(headers, { endStream, waitForTrailers: trailers !== undefined });
    stream.on('error', () => {
      // 'close' tells.
    });
    if (trailers !== undefined) stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    if (!endStream && !keepOpen) stream.end(body);
    else if (body !== undefined) stream.write(body);
    return stream;
  };
  return {
    session,
    open,
    ask: (request) => within(resultOf(open(request)), `the answer to ${String(request.headers[':path'])}`),
    close: () => session.destroy(),
  };
}

/** Waits for the end of a stream. */
export function resultOf(stream: http2.ClientHttp2Stream): Promise<StreamResult> {
  return new Promise((resolve) => {
    let headers: Fields = {};
    let trailers: Fields | null = null;
    let ended = false;
    const interim: number[] = [];
    const pieces: Buffer[] = [];
    stream.on('headers', (one) => interim.push(Number(one[':status'])));
    stream.on('response', (one: Fields) => {
      headers = one;
    });
    stream.on('trailers', (one: Fields) => {
      trailers = one;
    });
    stream.on('data', (piece: Buffer) => pieces.push(piece));
    stream.on('end', () => (ended = true));
    stream.on('close', () =>
      resolve({
        status: Number(headers[':status'] ?? 0),
        headers,
        interim,
        body: Buffer.concat(pieces),
        trailers,
        rstCode: stream.rstCode ?? 0,
        ended: ended && !stream.aborted,
      }),
    );
  });
}

export type Http2Route = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void;

export interface Http2Origin {
  readonly endpoint: string;
  readonly port: number;
  /** Heads of requests, by path. */
  at(path: string): http2.IncomingHttpHeaders[];
  route(path: string, route: Http2Route): void;
  readonly sessions: ReadonlySet<http2.ServerHttp2Session>;
  close(): Promise<void>;
}

/** A server whose answer is what its routes make it; without one `200` and the path. */
export async function http2Origin(options: http2.ServerOptions = {}): Promise<Http2Origin> {
  const server = http2.createServer(options);
  const routes = new Map<string, Http2Route>();
  const seen: http2.IncomingHttpHeaders[] = [];
  const sessions = new Set<http2.ServerHttp2Session>();
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    session.on('error', () => {
      // Tests end sessions as they like.
    });
  });
  server.on('stream', (stream, headers) => {
    seen.push(headers);
    stream.on('error', () => {
      // Tests end streams as they like.
    });
    const path = String(headers[':path']);
    const route = routes.get(path.split('?')[0] ?? '');
    if (route !== undefined) {
      route(stream, headers);
      return;
    }
    stream.respond({ ':status': 200, 'content-type': 'text/plain' });
    stream.end(`h2 ${path}`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `127.0.0.1:${port}`,
    port,
    at: (path) => seen.filter((headers) => headers[':path'] === path),
    route: (path, route) => void routes.set(path, route),
    sessions,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
