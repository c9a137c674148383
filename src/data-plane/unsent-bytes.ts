/**
 * How much of what was written to a socket has not left it: the measure of whether a slow client still reads.
 */
import type { Socket } from 'node:net';

/**
 * Bytes that the kernel has not taken yet. Node.js reports a write only when all of it is done, so for the progress
 * within a large write its handle is asked, as its own socket timeout does; without a handle, what the stream holds.
 */
export function unsentBytes(socket: Socket): number {
  const handle = (socket as { _handle?: { writeQueueSize?: number } | null })._handle;
  return handle?.writeQueueSize ?? socket.writableLength;
}
