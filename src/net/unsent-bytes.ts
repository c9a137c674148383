/**
 * How much of what was written to a socket has not left it: the measure of whether a slow client still reads.
 */
import type { Socket } from 'node:net';
import { tcpBeneath } from './underlying-socket.ts';

/**
 * Bytes that the kernel has not taken yet. Node.js reports a write only when all of it is done, so for the progress
 * within a large write its handle is asked, as its own socket timeout does; without a handle, what the stream holds. Under TLS
 * what waits encrypted counts too.
 */
export function unsentBytes(socket: Socket): number {
  const tcp = tcpBeneath(socket);
  const queued = queueOf(socket) ?? socket.writableLength;
  return tcp === socket ? queued : queued + (queueOf(tcp) ?? 0);
}

function queueOf(socket: Socket): number | undefined {
  return (socket as { _handle?: { writeQueueSize?: number } | null })._handle?.writeQueueSize;
}
