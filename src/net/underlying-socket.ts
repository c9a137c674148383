/**
 * The TCP connection beneath a socket: itself where it is plain, what it encrypts where it is TLS.
 *
 * Node.js's TLS sockets can't be reset and don't tell what the kernel has not taken. They keep the socket that they were made
 * of in the undocumented property `_parent`; the runtime's version is pinned.
 */
import type { Socket } from 'node:net';

export function tcpBeneath(socket: Socket): Socket {
  return (socket as { _parent?: Socket | null })._parent ?? socket;
}
