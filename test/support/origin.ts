/**
 * A recording origin on raw sockets: it keeps what the proxy sends, reads it strictly (a fault is recorded and the
 * connection dropped), and answers by routes that a test sets. Its plain answers say which connection, which request
 * on it and which origin spoke, so that cross-wired answers and reused connections show.
 */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { value } from './strict-head.ts';
import { createReader, type Message, type StrictReader } from './strict-reader.ts';

export interface OriginConnection {
  /** Number of the connection at its origin, from 0. */
  readonly id: number;
  readonly socket: Socket;
  readonly reader: StrictReader;
  readonly requests: Received[];
  /** The bytes received, up to a bound. */
  raw(): Buffer;
  readonly received: number;
  /** The proxy has sent its FIN. */
  ended: boolean;
  closed: boolean;
  /** Bytes that came where none may: malformed, or after the connection should rest. */
  fault: string | null;
}

/** A request as the origin got it. */
export interface Received {
  readonly message: Message;
  readonly connection: OriginConnection;
  /** Number of the request at its origin, from 0. */
  readonly serial: number;
  /** Path without the query. */
  readonly path: string;
}

export interface Route {
  /** Called when the request's head has come. */
  head?: (request: Received) => void;
  /** Called with each piece of its body. */
  data?: (request: Received, bytes: Buffer) => void;
  /** Called when the request is complete. */
  end?: (request: Received) => void;
}

export interface OriginFault {
  readonly connection: number;
  readonly why: string;
  /** What the connection had received. */
  readonly raw: string;
}

export interface Origin {
  readonly name: string;
  readonly port: number;
  /** As the configuration of the proxy names it. */
  readonly endpoint: string;
  readonly requests: Received[];
  readonly connections: OriginConnection[];
  readonly faults: OriginFault[];
  /** Requests for this path are answered so; a function is the `end` of a route. Without a route: `answer` of 200. */
  route(path: string, route: Route | ((request: Received) => void)): void;
  /** The route of every path that has none of its own. */
  otherwise(route: Route): void;
  /** The requests received for a path. */
  at(path: string): Received[];
  /** Forgets the requests so far, so that a long run does not keep them all. Serial numbers go on. */
  forget(): void;
  close(): Promise<void>;
}

export interface Answer {
  status?: number;
  reason?: string;
  /** Field lines to add. */
  headers?: readonly (readonly [string, string])[];
  body?: string | Buffer;
  /** Send the body in these chunks instead. */
  chunks?: readonly (string | Buffer)[];
}

export interface OriginOptions {
  port?: number;
  /** How many received bytes of a connection are kept for `raw()`. */
  keep?: number;
}

/** The plain answer's body: who answered what. */
function describe(origin: string, request: Received): string {
  const { message } = request;
  return `${origin} ${message.method} ${message.target} ${message.bodyLength} ${message.bodyHash}`;
}

/** Writes an answer with framing that fits the request. Identifies itself by `x-origin…` fields. */
export function answer(request: Received, options: Answer = {}): void {
  const { connection, message } = request;
  const status = options.status ?? 200;
  const bodiless = status < 200 || status === 204 || status === 304;
  const lines = [`HTTP/1.1 ${status} ${options.reason ?? 'Fine'}`];
  if (!bodiless) {
    if (options.chunks !== undefined) lines.push('Transfer-Encoding: chunked');
    else lines.push(`Content-Length: ${Buffer.byteLength(options.body ?? '', 'latin1')}`);
  }
  lines.push(`X-Origin-Connection: ${connection.id}`, `X-Origin-Index: ${message.index}`);
  lines.push(`X-Origin-Serial: ${request.serial}`);
  for (const [name, text] of options.headers ?? []) lines.push(`${name}: ${text}`);
  const parts: Buffer[] = [Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')];
  if (!bodiless && message.method !== 'HEAD') {
    for (const chunk of options.chunks ?? []) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk;
      parts.push(Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n'));
    }
    if (options.chunks !== undefined) parts.push(Buffer.from('0\r\n\r\n'));
    else if (typeof options.body === 'string') parts.push(Buffer.from(options.body, 'latin1'));
    else if (options.body !== undefined) parts.push(options.body);
  }
  connection.socket.write(Buffer.concat(parts));
}

/** Writes raw bytes to the connection of a request. */
export function reply(request: Received, bytes: string | Buffer): void {
  request.connection.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
}

/** Starts an origin on a free loopback port. */
export async function startOrigin(name: string, options: OriginOptions = {}): Promise<Origin> {
  const { port = 0, keep = 262_144 } = options;
  let fallback: Route = { end: plain };
  const routes = new Map<string, Route>();
  const requests: Received[] = [];
  const connections: OriginConnection[] = [];
  const faults: OriginFault[] = [];
  const open = new Set<Socket>();
  let serial = 0;

  function plain(request: Received): void {
    answer(request, { headers: [['X-Origin', name]], body: describe(name, request) });
  }

  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    const kept: Buffer[] = [];
    let keptLength = 0;
    let received = 0;
    let request: Received | null = null;
    open.add(socket);
    const reader = createReader('request', {
      head(message) {
        const path = message.target.replace(/^[a-z]+:\/\/[^/?]*/i, '').replace(/\?.*/s, '');
        request = { message, connection, serial: serial++, path };
        requests.push(request);
        connection.requests.push(request);
        (routes.get(path) ?? fallback).head?.(request);
      },
      data(_, bytes) {
        if (request !== null) (routes.get(request.path) ?? fallback).data?.(request, bytes);
      },
      end() {
        if (request !== null) (routes.get(request.path) ?? fallback).end?.(request);
      },
      fault(why) {
        connection.fault = why;
        faults.push({ connection: connection.id, why, raw: Buffer.concat(kept).toString('latin1') });
        socket.destroy();
      },
    });
    const connection: OriginConnection = {
      id: connections.length,
      socket,
      reader,
      requests: [],
      raw: () => Buffer.concat(kept),
      get received() {
        return received;
      },
      ended: false,
      closed: false,
      fault: null,
    };
    connections.push(connection);
    socket.on('data', (bytes) => {
      received += bytes.length;
      if (keptLength < keep) {
        kept.push(bytes.subarray(0, keep - keptLength));
        keptLength += bytes.length;
      }
      reader.push(bytes);
    });
    socket.on('end', () => {
      connection.ended = true;
      reader.finish();
      // A tunnel's end is the test's matter; anything else ends in kind.
      if (connection.requests.every((one) => value(one.message, 'upgrade') === undefined)) socket.end();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      connection.closed = true;
      open.delete(socket);
    });
  });
  server.listen({ host: '127.0.0.1', port, backlog: 4096 });
  await once(server, 'listening');
  const bound = (server.address() as AddressInfo).port;

  return {
    name,
    port: bound,
    endpoint: `127.0.0.1:${bound}`,
    requests,
    connections,
    faults,
    route(path, route) {
      routes.set(path, typeof route === 'function' ? { end: route } : route);
    },
    otherwise(route) {
      fallback = route;
    },
    forget() {
      requests.length = 0;
      for (const connection of connections) connection.requests.length = 0;
    },
    at: (path) => requests.filter((request) => request.path === path),
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}
