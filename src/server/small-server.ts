/**
 * An HTTP server beside the proxy's own: few requests, from few clients, each small.
 *
 * It promises short limits for heads, requests and connections, a place for a newcomer whatever others hold, and a close that lets answers under way finish for a moment
 * and then cuts them. What a request may ask for is for whoever answers it.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { boundConnections } from './connection-bounds.ts';
import { repeatedField } from './single-fields.ts';

export interface SmallServerOptions {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** Connections in all, and of one client address; beyond that those that have been idle for longest end. */
  readonly maxConnections: number;
  readonly maxOfOne: number;
  /** A connection on which nothing moves for so long ends, in ms: also one whose answer nobody reads. */
  readonly silence: number;
  /** How long an idle connection is kept, and how often connections are looked at, in ms. */
  readonly keepAliveTimeout: number;
  readonly checkingInterval: number;
  /** What is still under way so long after `close`, in ms, is cut. */
  readonly closeTime: number;
  /** A connection that could not be accepted. */
  readonly onError: (error: unknown) => void;
  /** `closing()`: the connection is to end with this answer. */
  readonly handle: (request: IncomingMessage, response: ServerResponse, closing: () => boolean) => void;
}

export interface SmallServer {
  readonly port: number;
  /** Stops listening, ends idle connections, lets answers under way finish, for a moment. */
  close(): Promise<void>;
}

/** Listens. Rejects with the system's error (EADDRINUSE, EACCES, …) when it cannot. */
export async function startSmallServer(options: SmallServerOptions): Promise<SmallServer> {
  let ending = false;
  const closing = (): boolean => ending;
  const server = createServer(
    {
      maxHeaderSize: 8192,
      headersTimeout: 5000,
      requestTimeout: 10_000,
      keepAliveTimeout: options.keepAliveTimeout,
      connectionsCheckingInterval: options.checkingInterval,
    },
    (request, response) => {
      // What came in one piece is read to its end, also on a connection that was ended at its beginning.
      if (request.socket.destroyed) return;
      const field = repeatedField(request.rawHeaders);
      if (field === null) return options.handle(request, response, closing);
      response
        .writeHead(400, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' })
        .end(`the field ${field} may be there once only\n`);
    },
  );
  server.setTimeout(options.silence, (socket: Socket) => socket.destroy());
  boundConnections(server, { most: options.maxConnections, mostOfOne: options.maxOfOne });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: options.host, port: options.port }, () => {
      server.off('error', reject);
      server.on('error', options.onError);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        ending = true;
        const late = setTimeout(() => server.closeAllConnections(), options.closeTime);
        server.close(() => {
          clearTimeout(late);
          resolve();
        });
      }),
  };
}
