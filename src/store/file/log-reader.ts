/**
 * Reads the frames of a log from the disk, and tells a tail that a crash tore off from damage.
 *
 * It promises that no frame is given out whose sum does not match, and never calls damage a torn tail: a tail is torn
 * only where bytes are missing, at the end or as sectors of zeros, and nothing whole comes after.
 */
import { decodeFrame, FRAME_HEAD_SIZE, frameSize, hasFrameInside, hasUnwrittenSector } from './log-format.ts';
import type { StoreFile } from '../../files/file-system.ts';

const READ_SIZE = 1024 * 1024;

/** A tail larger than this was not written in one go. */
const LARGEST_TAIL = 256 * 1024 * 1024;

export interface FramesRead {
  /** Where the last good frame ends. */
  readonly end: number;
  /** What stands there: nothing more, a torn tail, or damage. */
  readonly tail: 'end' | 'torn' | 'damaged';
}

/**
 * Gives `visit` the JSON of each frame between two offsets, in order, with its place. What `visit` throws ends it.
 */
export async function readFrames(
  file: StoreFile,
  start: number,
  end: number,
  visit: (json: string, offset: number, size: number) => void,
): Promise<FramesRead> {
  const bytesAt = windowOn(file, end);
  let offset = start;
  while (offset < end) {
    const head = await bytesAt(offset, FRAME_HEAD_SIZE);
    if (head.length < FRAME_HEAD_SIZE) return { end: offset, tail: 'torn' };
    const size = frameSize(head);
    if (size === null) return { end: offset, tail: await judgeTail(file, offset, end) };
    if (offset + size > end) return { end: offset, tail: 'torn' };
    const frame = await bytesAt(offset, size);
    const json = frame.length === size ? decodeFrame(frame) : null;
    if (json === null) {
      const torn = offset + size === end && hasUnwrittenSector(frame);
      return { end: offset, tail: torn ? 'torn' : 'damaged' };
    }
    visit(json, offset, size);
    offset += size;
  }
  return { end: offset, tail: 'end' };
}

/** Reads one frame whose place is known; null where it is not whole any more. */
export async function readFrame(file: StoreFile, offset: number, size: number): Promise<string | null> {
  const bytes = Buffer.alloc(size);
  const read = await file.read(bytes, offset);
  return read === size && frameSize(bytes.subarray(0, FRAME_HEAD_SIZE)) === size ? decodeFrame(bytes) : null;
}

async function judgeTail(file: StoreFile, offset: number, end: number): Promise<'torn' | 'damaged'> {
  if (end - offset > LARGEST_TAIL) return 'damaged';
  const tail = Buffer.alloc(end - offset);
  const read = await file.read(tail, offset);
  const bytes = tail.subarray(0, read);
  return hasUnwrittenSector(bytes) && !hasFrameInside(bytes) ? 'torn' : 'damaged';
}

/** Reads forward through a file in large pieces. A result is good until the next call; it is short only at `end`. */
function windowOn(file: StoreFile, end: number): (offset: number, length: number) => Promise<Buffer> {
  let held: Buffer = Buffer.alloc(0);
  let heldFrom = 0;
  return async (offset, length) => {
    const wanted = Math.min(length, end - offset);
    if (offset < heldFrom || offset + wanted > heldFrom + held.length) {
      const next = Buffer.alloc(Math.min(Math.max(READ_SIZE, wanted), end - offset));
      held = next.subarray(0, await file.read(next, offset));
      heldFrom = offset;
    }
    return held.subarray(offset - heldFrom, offset - heldFrom + wanted);
  };
}
