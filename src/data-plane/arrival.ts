/**
 * How a client connection came in: from whom, to which port, and whether under TLS. Found out once, before the first request
 * is read; what a trusted proxy says of the client beyond it comes with each request.
 */
import type { Socket } from 'node:net';
import { parseAddress, UNKNOWN_ADDRESS, type ClientAddress } from '../policy/address.ts';

export interface Arrival {
  /** The other end of the connection. */
  readonly peer: ClientAddress;
  /** The port that it connected to. */
  readonly port: number;
  /** The connection is encrypted up to this process. */
  readonly secure: boolean;
}

/** The arrival of a connection to a listener at `port`, by what its socket says of the other end. */
export function arrivalOf(socket: Socket, port: number, secure: boolean): Arrival {
  return { peer: parseAddress(socket.remoteAddress ?? '') ?? UNKNOWN_ADDRESS, port, secure };
}
