/**
 * The buffers that sockets of this thread read into: one that all share, and for long bodies some that one connection has for a while.
 *
 * Node.js otherwise allocates 64 KiB for each read and gives most of it back. Reads are handled one after another, so one
 * buffer is enough; but its bytes are valid only while a read is handled: whoever keeps or writes them takes a copy. Copying a
 * long body costs as much as everything else that is done for it, so its connection gets a buffer of its own, which is written as it
 * stands; it is not read into again before all of it has left.
 */

/** As much as one read of a large body brings at a time. */
const SIZE = 64 * 1024;

/** Own buffers that are kept for the next long body. */
const SPARE_LIMIT = 32;

export const readBuffer: Buffer = Buffer.allocUnsafeSlow(SIZE);

const spare: Buffer[] = [];
const own = new WeakSet<Buffer>();

/** A buffer for one connection alone. */
export function takeOwnBuffer(): Buffer {
  const found = spare.pop();
  if (found !== undefined) return found;
  const made = Buffer.allocUnsafeSlow(SIZE);
  own.add(made);
  return made;
}

/** Gives back what `takeOwnBuffer` gave. Nobody may read into it or hold its bytes any more. */
export function giveOwnBuffer(buffer: Buffer): void {
  if (spare.length < SPARE_LIMIT) spare.push(buffer);
}

export function isOwnBuffer(bytes: Buffer): boolean {
  return own.has(bytes);
}

/** `bytes[start..end)` as bytes that stay as they are: a copy if sockets read into them, else a view. */
export function keepable(bytes: Buffer, start: number, end: number): Buffer {
  return bytes === readBuffer || own.has(bytes) ? copyOf(bytes, start, end) : bytes.subarray(start, end);
}

function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(end - start);
  bytes.copy(copy, 0, start, end);
  return copy;
}
