/**
 * How a client connection came in: from whom, to which port, and whether under TLS. Found out once, before the first request
 * is read; what a trusted proxy says of the client beyond it comes with each request.
 */
import type { Socket } from 'node:net';
import { parseAddress, UNKNOWN_ADDRESS, type ClientAddress } from '../../ip/address.ts';

export interface DownstreamInfo {
  /** The other end of the connection. */
  readonly peer: ClientAddress;
  /** The port that it connected to. */
  readonly port: number;
  /** The connection is encrypted up to this process. */
  readonly secure: boolean;
  /** It stands for streams of HTTP/2: both directions of one are open at the same time. */
  readonly http2: boolean;
  /** The forwarding fields that say this to an endpoint: what stands before and after the value of X-Forwarded-Host. */
  readonly beforeHost: string;
  readonly afterHost: string;
}

export function makeDownstreamInfo(peer: ClientAddress, port: number, secure: boolean): DownstreamInfo {
  const protocol = secure ? 'https' : 'http';
  const before = `X-Forwarded-For: ${peer.text}\r\nX-Forwarded-Proto: ${protocol}\r\nX-Forwarded-Host: `;
  return {
    peer,
    port,
    secure,
    http2: false,
    beforeHost: flat(before),
    afterHost: flat(`\r\nX-Forwarded-Port: ${port}\r\n`),
  };
}

/** The text in one piece: V8 puts off the joining of strings, and would do it anew for each request. */
function flat(text: string): string {
  return Buffer.from(text, 'latin1').latin1Slice();
}

/** The downstream of a connection to a listener at `port`, by what its socket says of the other end. */
export function downstreamInfoOf(socket: Socket, port: number, secure: boolean): DownstreamInfo {
  return makeDownstreamInfo(parseAddress(socket.remoteAddress ?? '') ?? UNKNOWN_ADDRESS, port, secure);
}
