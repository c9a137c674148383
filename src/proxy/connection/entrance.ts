/**
 * The way from an accepted TCP connection to a socket that speaks HTTP: the PROXY header where the peer owes one, then the TLS
 * handshake at the TLS port.
 *
 * Promise: a connection that comes through is handed over once, with what was learned of it; every other one is closed and
 * counted, and is in no log but at level debug. Peers that owe no PROXY header are not believed what they would say in one.
 */
import type { Socket } from 'node:net';
import { PROXY_HEADER_FAULTS, type ProxyHeaderFault } from '../../proxy-protocol/outcome.ts';
import { ProxyHeaderReader } from '../../proxy-protocol/header-reader.ts';
import { readBuffer } from '../../net/read-buffer.ts';
import { readShared } from '../../net/accepted-socket.ts';
import { downstreamInfoOf, makeDownstreamInfo, type DownstreamInfo } from './downstream-info.ts';
import { HANDSHAKE_FAILURES, type HandshakeFailure } from './handshake-failure.ts';
import { PendingHandshakes } from './pending-handshakes.ts';
import { createHandshakes } from './tls-handshakes.ts';
import type { ConnectionContext } from '../exchange/exchange-pool.ts';

/** Takes bytes of a plain connection: the first `length` bytes of `bytes`, valid only during the call. */
type Receive = (bytes: Buffer, length: number) => void;

export interface EntranceResult {
  /** A plain connection. `socket` reads by itself; its bytes are given to what is returned. */
  plain(socket: Socket, downstream: DownstreamInfo): Receive;
  /** A TLS connection, after its handshake; it does not flow yet. `protocol` is what was agreed on (ALPN). */
  secured(socket: Socket, downstream: DownstreamInfo, protocol: string): void;
  /** A connection did not come through; it is closed. */
  lost(): void;
}

export interface Entrance {
  /** Whether the peer of an accepted connection owes a PROXY header. */
  owesHeader(accepted: Socket): boolean;
  /** An untouched connection (`pauseOnConnect`) to the plain port at `port`, whose peer owes a header. */
  plain(accepted: Socket, port: number): void;
  /** An untouched connection (`pauseOnConnect`, without `allowHalfOpen`) to the TLS port at `port`. */
  secure(accepted: Socket, port: number): void;
  /** Sessions of before are no longer resumed. */
  useTicketKeys(ticketKeys: Uint8Array): void;
  /** How many connections are on the way. */
  readonly size: number;
  /** Closes those that take too long; call it a few times a second. */
  sweep(now: number): void;
}

/** `ticketKeys`: 48 bytes that all workers share. */
export function createEntrance(
  context: ConnectionContext,
  ticketKeys: Uint8Array,
  result: EntranceResult,
): Entrance {
  const pending = new PendingHandshakes();
  const { counters, log } = context;
  /** Of connections whose handshake is under way. */
  const known = new WeakMap<Socket, DownstreamInfo>();

  const handshakeFailed = (tcp: Socket, why: HandshakeFailure): void => {
    counters.handshakeFailed(HANDSHAKE_FAILURES.indexOf(why));
    const address = known.get(tcp)?.peer.text;
    log.debug({ 'error.type': why, 'client.address': address }, 'a TLS handshake failed');
    if (why === 'plain_http') {
      context.notice({ 'client.address': address }, 'a client speaks plain HTTP to the TLS port');
    }
    result.lost();
  };
  const headerRefused = (why: ProxyHeaderFault, { peer }: DownstreamInfo): void => {
    counters.proxyHeaderRefused(PROXY_HEADER_FAULTS.indexOf(why));
    log.debug({ 'error.type': why, 'client.address': peer.text }, 'a PROXY header was refused');
    if (why === 'absent') {
      context.notice(
        { 'client.address': peer.text },
        'a peer that proxy.proxyProtocol.from names does not begin with a PROXY header',
      );
    }
    result.lost();
  };

  const handshakes = createHandshakes(ticketKeys, {
    secured(tcp, socket, protocol) {
      const downstream = known.get(tcp);
      if (downstream === undefined || !pending.remove(tcp)) {
        socket.destroy();
        return;
      }
      counters.handshake(socket.isSessionReused());
      // An alert or a broken record is an error, but Node.js leaves the connection open.
      socket.on('error', () => socket.destroy());
      result.secured(socket, downstream, protocol);
    },
    failed(tcp, why) {
      tcp.destroy();
      if (pending.remove(tcp)) handshakeFailed(tcp, why);
    },
  });

  /** `rest` as `Handshakes.begin` has it. */
  function handshake(tcp: Socket, rest: Buffer | null, downstream: DownstreamInfo): Receive {
    const { tls, proxy } = context.routing;
    // The client may have gone, and the configuration may have no TLS any more.
    if (tcp.destroyed || tls === null) {
      tcp.destroy();
      result.lost();
      return () => {
        // It is closed.
      };
    }
    known.set(tcp, downstream);
    pending.add(tcp, context.monotonicNow() + proxy.handshakeTimeout, proxy.maxHandshakes, (why) =>
      handshakeFailed(tcp, why),
    );
    return handshakes.begin(tcp, rest, tls, proxy.http2.enabled);
  }

  /** Reads the header. `through` gets the socket, what the header told, and the bytes after it. */
  function identify(
    accepted: Socket,
    downstream: DownstreamInfo,
    through: (socket: Socket, downstream: DownstreamInfo, rest: Buffer) => Receive,
  ): void {
    const { proxyHeaderTimeout, maxHandshakes } = context.routing.proxy;
    const reader = new ProxyHeaderReader();
    let over = false;
    const end = (why: ProxyHeaderFault): void => {
      if (over) return;
      over = true;
      pending.remove(socket);
      socket.destroy();
      headerRefused(why, downstream);
    };
    let receive: Receive = (bytes, length) => {
      if (over) return;
      const outcome = reader.push(bytes.subarray(0, length));
      if (outcome.kind === 'fault') end(outcome.fault);
      if (outcome.kind !== 'header') return;
      over = true;
      pending.remove(socket);
      const { proxied, rest } = outcome;
      const told =
        proxied === null
          ? downstream
          : makeDownstreamInfo(proxied.source, proxied.destinationPort, downstream.secure);
      receive = through(socket, told, rest);
    };
    const socket = readShared(accepted, (length) => receive(readBuffer, length));
    socket.on('error', () => {
      // 'close' follows.
    });
    socket.on('end', () => end('closed'));
    socket.on('close', () => end('closed'));
    pending.add(socket, context.monotonicNow() + proxyHeaderTimeout, maxHandshakes, end);
  }

  return {
    owesHeader(accepted) {
      const { proxyPeers } = context.routing;
      return proxyPeers !== null && proxyPeers.contains(downstreamInfoOf(accepted, 0, false).peer);
    },
    plain(accepted, port) {
      identify(accepted, downstreamInfoOf(accepted, port, false), (socket, downstream, rest) => {
        const receive = result.plain(socket, downstream);
        if (rest.length > 0) receive(rest, rest.length);
        return receive;
      });
    },
    secure(accepted, port) {
      const downstream = downstreamInfoOf(accepted, port, true);
      const { proxyPeers } = context.routing;
      if (proxyPeers === null || !proxyPeers.contains(downstream.peer)) {
        accepted.on('error', () => {
          // The handshake fails with it.
        });
        handshake(accepted, null, downstream);
        return;
      }
      identify(accepted, downstream, (socket, told, rest) => {
        socket.allowHalfOpen = false;
        return handshake(socket, rest, told);
      });
    },
    useTicketKeys: (keys) => handshakes.useTicketKeys(keys),
    get size() {
      return pending.size;
    },
    sweep(now) {
      pending.sweep(now);
      counters.pendingHandshakes(pending.size);
    },
  };
}
