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
  /** Goes on with what waits, and with reading. */
  resume(): void;
  pauseReading(): void;
  /** The answer is complete: the next request may be read. */
  nextRequest(now: number): void;
  /** After an upgrade: what came early belongs to the tunnel. */
  resumeTunnel(tunnel: Tunnel): void;
  /** Tells the client that nobody processed its request, so that it may send it again; false where HTTP/1.1 has no word for it. */
  refuseStream(): boolean;
  /** Sends what is written, then ends the connection. */
  closeGracefully(): void;
  /** Sends what is written, then cuts the connection in the middle of an answer. */
  cutWhenSent(): void;
  /** Cuts the connection; with `reset` the client sees a reset. */
  abort(reset: boolean): void;
}
