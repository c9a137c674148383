/**
 * The sessions of HTTP/2 of one worker. Each stream is served by a client connection as if it had one of its own, so that
 * whatever holds for requests of HTTP/1.1 holds for those of HTTP/2.
 */
import { ClientSession, type SessionHost, type SessionLimits } from '../../http2/client-session.ts';
import type { ClientStream } from '../../http2/client-stream.ts';
import type { OpenSocket } from '../../http2/watched-socket.ts';
import type { DownstreamInfo } from './downstream-info.ts';
import { ClientConnection } from './client-connection.ts';
import type { ConnectionContext } from '../exchange/exchange-pool.ts';

export class Http2Sessions {
  /** How many of the worker's client connections stand for streams. */
  streams = 0;
  readonly #connections: Set<ClientConnection>;
  readonly #sessions = new Set<ClientSession>();
  readonly #context: ConnectionContext;
  readonly #onClosed: () => void;

  /** Connections that stand for streams join `connections`; `onClosed` is called when one of them or a session has closed. */
  constructor(context: ConnectionContext, connections: Set<ClientConnection>, onClosed: () => void) {
    this.#context = context;
    this.#connections = connections;
    this.#onClosed = onClosed;
  }

  /** Open sessions. */
  get size(): number {
    return this.#sessions.size;
  }

  /** `open` gives the connection, and all of its bytes from the preface on. */
  accept(open: OpenSocket, downstream: DownstreamInfo): void {
    const { counters, routing, draining, monotonicNow } = this.#context;
    counters.connectionOpened();
    counters.http2SessionOpened();
    const session = new ClientSession(open, limits(routing, downstream), this.#host(downstream));
    this.#sessions.add(session);
    if (draining) session.drain(monotonicNow());
  }

  #host(downstream: DownstreamInfo): SessionHost {
    const context = this.#context;
    const { counters } = context;
    const ofStreams: DownstreamInfo = { ...downstream, http2: true };
    return {
      monotonicNow: context.monotonicNow,
      read: (socket: ClientStream) => {
        const connection = new ClientConnection(socket.asSocket(), ofStreams, context, (closed) => {
          this.#connections.delete(closed);
          this.streams -= 1;
          this.#onClosed();
        });
        this.streams += 1;
        this.#connections.add(connection);
        return connection;
      },
      streamOpened: () => counters.http2StreamOpened(),
      streamClosed: () => counters.http2StreamClosed(),
      streamReset: () => counters.http2StreamReset(),
      sessionRefused: () => counters.http2SessionRefused(),
      sessionClosed: (session) => {
        this.#sessions.delete(session);
        counters.connectionClosed();
        counters.http2SessionClosed();
        this.#onClosed();
      },
    };
  }

  /** Ends what is overdue. */
  sweep(now: number): void {
    for (const session of this.#sessions) if (now >= session.deadline) session.onDeadline(now);
  }

  /** Tells every client that the session ends; streams that are open go on. */
  drain(): void {
    const now = this.#context.monotonicNow();
    for (const session of this.#sessions) session.drain(now);
  }
}

function limits(
  { proxy, trustedProxies }: ConnectionContext['routing'],
  { peer }: DownstreamInfo,
): SessionLimits {
  return {
    maxConcurrentStreams: proxy.http2.maxConcurrentStreams,
    head: proxy.headLimit,
    fields: proxy.fieldLimit,
    idleTime: proxy.keepAliveTimeout,
    shared: trustedProxies.contains(peer),
  };
}
