/**
 * How the bytes of a connection to an endpoint travel: a transport opens sockets, and that is all that it knows.
 *
 * Promise: a socket that `open` returned calls `ready` once when application bytes may be written, or closes with an error
 * before; every byte of the application that arrives is given to `receive`, and nothing else is.
 */
import { connect, type Socket } from 'node:net';
import type { EndpointAddress } from '../contract/endpoint-address.ts';
import { guardedLookup } from '../net/guarded-lookup.ts';
import { readBuffer } from '../net/read-buffer.ts';

export interface Transport {
  /** Differs where connections of one can't stand for those of the other; compared when a snapshot is taken over. */
  readonly id: string;
  /** `bytes[0..length)` are valid only during the call of `receive`. */
  open(address: EndpointAddress, ready: () => void, receive: (bytes: Buffer, length: number) => void): Socket;
}

export const lookup = guardedLookup();

/** TCP, unencrypted. */
export const PLAIN: Transport = {
  id: 'plain',
  open({ host, port }, ready, receive) {
    const socket = connect({
      host,
      port,
      noDelay: true,
      allowHalfOpen: true,
      lookup,
      onread: {
        buffer: readBuffer,
        callback: (length: number): boolean => {
          receive(readBuffer, length);
          return true;
        },
      },
    });
    socket.once('connect', ready);
    return socket;
  },
};
