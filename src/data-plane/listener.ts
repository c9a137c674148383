/**
 * The listener of one worker: accepts connections, watches their deadlines, and lets them go.
 *
 * All workers listen on the same address with SO_REUSEPORT; the kernel spreads the connections. Deadlines are looked at
 * every quarter of a second in one pass over all connections, which costs less than a timer each.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { readBuffer } from '../upstream/read-buffer.ts';
import { readShared } from './accepted-socket.ts';
import { arrivalOf, type Arrival } from './arrival.ts';
import { ClientConnection } from './client-connection.ts';
import { rescueAnswer } from './rescue.ts';
import type { WorkerContext } from './worker-context.ts';

export interface Listener {
  readonly connections: ReadonlySet<ClientConnection>;
  /** Ends what is overdue; call it a few times a second. */
  sweep(now: number): void;
  /** Stops accepting and closes idle connections; `onEmpty` is called once when none is left. */
  drain(onEmpty: () => void): void;
}

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
}

/** Resolves when it listens. Rejects with the system's error when it can't. */
export async function listen(options: ListenOptions, context: WorkerContext): Promise<Listener> {
  const connections = new Set<ClientConnection>();
  let onEmpty: (() => void) | null = null;
  const closed = (connection: ClientConnection): void => {
    connections.delete(connection);
    context.counters.connectionClosed();
    if (connections.size === 0) onEmpty?.();
  };
  /** Serves HTTP/1.1 on a connection that is counted as open already; its bytes go to `receive`. */
  const begin = (socket: Socket, arrival: Arrival): ClientConnection => {
    const connection = new ClientConnection(socket, arrival, context, closed);
    connections.add(connection);
    return connection;
  };
  const accept = (socket: Socket): void => {
    context.counters.accepted();
    if (connections.size >= context.routing.proxy.maxConnections) {
      context.counters.overloaded();
      socket.on('error', () => {
        // The client may be gone already; there is nobody to tell.
      });
      socket.end(rescueAnswer('overloaded', true, false), 'latin1', () => socket.destroy());
      return;
    }
    context.counters.connectionOpened();
    const own = readShared(socket, (length) => connection.receive(readBuffer, length));
    const connection = begin(own, arrivalOf(own, options.port, false));
  };
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, accept);
  await listening(server, options);
  return {
    connections,
    sweep: (now) => {
      for (const connection of connections) {
        if (now >= connection.deadline) connection.onDeadline(now);
        if (now >= connection.exchange.cutAt) connection.exchange.onDeadline(now);
      }
    },
    drain: (whenEmpty) => {
      onEmpty = whenEmpty;
      server.close();
      for (const connection of connections) {
        if (connection.idle) connection.closeGracefully();
      }
      if (connections.size === 0) whenEmpty();
    },
  };
}

async function listening(server: Server, { host, port }: ListenOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, reusePort: true, backlog: 4096 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
