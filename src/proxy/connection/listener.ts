/**
 * The listener of one worker: accepts connections, watches their deadlines, and lets them go.
 *
 * All workers listen on the same address with SO_REUSEPORT; the kernel spreads the connections. Deadlines are looked at
 * every quarter of a second in one pass over all connections, which costs less than a timer each.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { guarded, soon } from '../../runtime/guard.ts';
import { readBuffer } from '../../net/read-buffer.ts';
import { onAccepted, readShared, socketOf } from '../../net/accepted-socket.ts';
import { downstreamInfoOf, type DownstreamInfo } from './downstream-info.ts';
import { ClientConnection } from './client-connection.ts';
import { createEntrance } from './entrance.ts';
import { Http2Sessions } from './http2-sessions.ts';
import { errorResponse } from '../exchange/error-responses.ts';
import { createTurnedAway } from './rejected-connections.ts';
import type { ConnectionContext } from '../exchange/exchange-pool.ts';

/** Connections whose time is up that are handled at once. */
const DUE_AT_ONCE = 64;

function isDue(connection: ClientConnection, now: number): boolean {
  return now >= connection.deadline || now >= connection.exchange.cutAt;
}

/** How long the listener may look for a moment in which nothing waits to be accepted, in ms, before it closes anyway. */
const QUIET_TIME = 500;

/** A turn of the event loop up to this long, in ms, is a good one to close in. */
const SHORT_TURN = 1;

export interface Listener {
  readonly connections: ReadonlySet<ClientConnection>;
  /** Sessions of before are no longer resumed. */
  useTicketKeys(ticketKeys: Uint8Array): void;
  /** Ends what is overdue; call it a few times a second. */
  sweep(now: number): void;
  /**
   * Accepts what still waits, then closes the listener; running requests finish, and idle connections may wait `idle` ms for
   * one more. `onEmpty` is called once, when the listener is closed and no connection is left.
   */
  drain(idle: number, onEmpty: () => void): void;
  /** Connections may be idle for `idle` ms at most from now on; Infinity: as long as is configured. */
  limitIdle(idle: number): void;
}

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  /** Where TLS is spoken, or null. */
  readonly tls: { readonly host: string; readonly port: number } | null;
  /** 48 bytes that all workers share, so that each resumes the TLS sessions of all. */
  readonly ticketKeys: Uint8Array;
  /** Connections that were turned away and may linger at a time. */
  readonly lingering: number;
}

/** Resolves when it listens. Rejects with the system's error when it can't. */
export async function listen(options: ListenOptions, context: ConnectionContext): Promise<Listener> {
  const connections = new Set<ClientConnection>();
  const turnedAway = createTurnedAway(options.lingering);
  let onEmpty: (() => void) | null = null;
  const closed = (connection: ClientConnection): void => {
    connections.delete(connection);
    gone();
  };
  const gone = (): void => {
    context.counters.connectionClosed();
    checkEmpty();
  };
  const checkEmpty = (): void => {
    if (connections.size > 0 || http2.size > 0 || entrance.size > 0) return;
    onEmpty?.();
    onEmpty = null;
  };
  const http2 = new Http2Sessions(context, connections, checkEmpty);
  context.http2 = http2;
  /** Serves HTTP/1.1 on a connection that is counted as open already; its bytes go to `receive`. */
  const begin = (socket: Socket, downstream: DownstreamInfo): ClientConnection => {
    const connection = new ClientConnection(socket, downstream, context, closed);
    connections.add(connection);
    return connection;
  };
  const entrance = createEntrance(context, options.ticketKeys, {
    plain(socket, downstream) {
      const connection = begin(socket, downstream);
      connection.writer.attach();
      return (bytes, length) => connection.received(bytes, length);
    },
    secured(socket, downstream, protocol) {
      if (protocol === 'h2') {
        // A session counts itself.
        context.counters.connectionClosed();
        http2.accept((receive) => socket.on('data', receive), downstream);
        return;
      }
      const connection = begin(socket, downstream);
      socket.on('data', (bytes: Buffer) => connection.received(bytes, bytes.length));
    },
    lost: gone,
  });
  let accepted = 0;
  let drainIdle = Number.POSITIVE_INFINITY;
  let memoryIdle = Number.POSITIVE_INFINITY;
  const limitIdle = (): void => {
    context.idleLimit = Math.min(drainIdle, memoryIdle);
    for (const connection of connections) connection.limitIdle();
  };
  /** Counts a connection. False when it is one too many. */
  const admit = (): boolean => {
    accepted += 1;
    context.counters.accepted();
    if (!context.admission.connection()) return false;
    context.counters.connectionOpened();
    return true;
  };
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true });
  await listening(server, options);
  whileListening(server, context);
  onAccepted(server, (connected) => {
    if (!admit()) {
      const answer = errorResponse('overloaded', true, false, context.dateLine);
      turnedAway.take(socketOf(connected), answer, context.monotonicNow());
      return;
    }
    let untouched = connected;
    if (context.routing.proxyPeers !== null) {
      const socket = socketOf(connected);
      if (entrance.owesHeader(socket)) {
        entrance.plain(socket, options.port);
        return;
      }
      untouched = socket;
    }
    const own = readShared(untouched, (length) => connection.received(readBuffer, length));
    const connection = begin(own, downstreamInfoOf(own, options.port, false));
    connection.writer.attach();
  });
  const servers = [server];
  const { tls } = options;
  if (tls !== null) {
    const secure = createServer({ noDelay: true, pauseOnConnect: true }, (socket) => {
      // A handshake for no more than a refusal would be work.
      if (admit()) entrance.secure(socket, tls.port);
      else socket.destroy();
    });
    await listening(secure, tls);
    whileListening(secure, context);
    servers.push(secure);
  }
  /** Thousands may be due at once: they are handled a few at a time, so that others are served in between. */
  const due: ClientConnection[] = [];
  const handleDue = guarded('deadlines', () => {
    for (let count = 0; count < DUE_AT_ONCE; count++) {
      const connection = due.pop();
      if (connection === undefined) return;
      const now = context.monotonicNow();
      if (connection.closed) continue;
      if (now >= connection.deadline) connection.onDeadline(now);
      if (now >= connection.exchange.cutAt) connection.onExchangeDue(now);
    }
    soon(handleDue);
  });
  return {
    connections,
    useTicketKeys: (ticketKeys) => entrance.useTicketKeys(ticketKeys),
    sweep: (now) => {
      entrance.sweep(now);
      let buffered = 0;
      const allHandled = due.length === 0;
      for (const connection of connections) {
        if (allHandled && isDue(connection, now)) due.push(connection);
        if (!connection.idle) buffered += connection.bufferedBytes;
      }
      context.counters.bufferedBytes = buffered;
      handleDue();
      turnedAway.sweep(now);
      http2.sweep(now);
    },
    limitIdle: (idle) => {
      memoryIdle = idle;
      limitIdle();
    },
    drain: (idle, whenEmpty) => {
      drainIdle = idle;
      limitIdle();
      http2.drain();
      whenQuiet(
        () => accepted,
        () => context.monotonicNow(),
        () => {
          for (const one of servers) one.close();
          onEmpty = whenEmpty;
          checkEmpty();
        },
      );
    },
  };
}

/**
 * Calls `close` as soon as one whole turn of the event loop, its poll included, has brought no connection: closing a listener
 * resets those that the kernel has accepted and it has not, and Node.js takes one of them a turn. What comes between that
 * poll and the close is lost all the same, so a short turn is waited for; but never for longer than a moment.
 */
function whenQuiet(accepted: () => number, monotonicNow: () => number, close: () => void): void {
  const end = monotonicNow() + QUIET_TIME;
  let seen = accepted();
  let last = monotonicNow();
  // The first turn may have begun before the drain: only those after it say something.
  let whole = false;
  const turn = guarded('the close of a listener', () => {
    const count = accepted();
    const at = monotonicNow();
    const quiet = whole && count === seen && at - last <= SHORT_TURN;
    if (quiet || at >= end) {
      close();
      return;
    }
    whole = true;
    seen = count;
    last = at;
    soon(turn);
  });
  soon(turn);
}

/** A connection that could not be accepted, as where descriptors are lacking, is no reason to end: the next one may be. */
function whileListening(server: Server, context: ConnectionContext): void {
  server.on('error', (error: NodeJS.ErrnoException) => {
    context.counters.faultSurvived();
    context.notice({ err: error }, 'a connection could not be accepted');
  });
}

async function listening(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, reusePort: true, backlog: 4096 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
