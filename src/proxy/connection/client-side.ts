/** What an exchange needs of its client connection. */
import type { Socket } from 'node:net';
import type { SocketWriter } from '../../net/socket-writer.ts';
import type { DownstreamInfo } from './downstream-info.ts';
import type { Tunnel } from './tunnel.ts';

export const NO_DEADLINE = Number.POSITIVE_INFINITY;

export interface ClientSide {
  readonly socket: Socket;
  readonly writer: SocketWriter;
  /** How the connection came in. */
  readonly downstream: DownstreamInfo;
  /** Whether the peer is a proxy whose forwarding fields are believed. */
  readonly trusted: boolean;
  /** When the exchange wants to hear `onDeadline`, on the worker's clock; replaces what was set before. */
  setDeadline(at: number): void;
  /** Bytes of a further, pipelined request are here already (or of this one's body). */
  readonly moreWaits: boolean;
  /** No more is read for now; `advance` reads on when there is room. */
  pauseReading(): void;
  /**
   * Something has happened to the exchange: decides what is next. The last thing that the exchange does for an event from an endpoint;
   * after events from the connection itself that decides by itself.
   */
  advance(): void;
  /** After an upgrade: what came early belongs to the tunnel. */
  startTunnel(tunnel: Tunnel): void;
}
