/**
 * The one buffer that all sockets of this thread read into.
 *
 * Node.js otherwise allocates 64 KiB for each read and gives most of it back. Reads are handled one after another, so one
 * buffer is enough; but its bytes are valid only while a read is handled: whoever keeps or writes them takes a copy.
 */

/** 64 KiB: as much as one read of a large body brings at a time. */
export const readBuffer: Buffer = Buffer.allocUnsafeSlow(64 * 1024);

/** `bytes[start..end)` as bytes that stay as they are: a copy if they lie in the shared buffer, else a view. */
export function keepable(bytes: Buffer, start: number, end: number): Buffer {
  return bytes === readBuffer ? copyOf(bytes, start, end) : bytes.subarray(start, end);
}

export function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(end - start);
  bytes.copy(copy, 0, start, end);
  return copy;
}
