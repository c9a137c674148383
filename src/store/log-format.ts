/**
 * The bytes of the store's log: a header line, then one frame after another.
 *
 * Everything is text, so that a person can read it: `serin-store 1 BASE CRC`, then frames of a fixed-size head (length
 * of the body, CRC-32 of the head, SHA-256 of the body) and a JSON body of one line. The head vouches for the length,
 * so a frame that is shorter than it says was torn off by a crash, and one that is complete but wrong was damaged.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** The version that this code writes, and the newest that it reads. */
export const FORMAT_VERSION = 1;

const MAGIC = 'serin-store';
const HEADER = /^serin-store ([0-9]+) ([0-9]{16}) ([0-9a-f]{8})\n$/;
export const HEADER_SIZE = headerText(0).length;

/** `LLLLLLLL CCCCCCCC SSSSSSSSSSSSSSSSSSSSSS ` in front of the body; one newline after it. */
export const FRAME_HEAD_SIZE = 8 + 1 + 8 + 1 + 22 + 1;
const FRAME_END_SIZE = 1;
const FRAME_HEAD = /^([0-9a-f]{8}) ([0-9a-f]{8}) ([A-Za-z0-9_-]{22}) $/;

/** Disks write whole sectors; what was not written before a crash reads as zeros. */
const SECTOR = 512;
/** Fewer zeros than this could be damage. */
const FEWEST_ZEROS = 8;

function headerText(base: number): string {
  const text = `${MAGIC} ${FORMAT_VERSION} ${String(base).padStart(16, '0')}`;
  return `${text} ${hex(crc32(text))}\n`;
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}

/** The header of a log whose first commit makes revision `base + 1`; where `base` is not 0, a snapshot of it comes first. */
export function encodeHeader(base: number): Buffer {
  return Buffer.from(headerText(base), 'latin1');
}

export type Header =
  | { readonly kind: 'ours'; readonly base: number }
  /** The beginning of a header and nothing else: made by a crash, holds nothing. */
  | { readonly kind: 'torn' }
  | { readonly kind: 'damaged' }
  | { readonly kind: 'foreign' }
  | { readonly kind: 'newer'; readonly version: number };

/** Reads the first HEADER_SIZE bytes of a log, or all of it where it is shorter. */
export function decodeHeader(bytes: Buffer): Header {
  const text = bytes.toString('latin1');
  const version = /^serin-store ([0-9]{1,9})[ \n]/.exec(text)?.[1];
  if (version !== undefined && Number(version) > FORMAT_VERSION)
    return { kind: 'newer', version: Number(version) };
  if (bytes.length < HEADER_SIZE) return isHeaderStart(text) ? { kind: 'torn' } : { kind: 'foreign' };
  if (!text.startsWith(`${MAGIC} `)) return { kind: 'foreign' };
  const [, , base] = HEADER.exec(text) ?? [];
  return base !== undefined && headerText(Number(base)) === text
    ? { kind: 'ours', base: Number(base) }
    : { kind: 'damaged' };
}

function isHeaderStart(text: string): boolean {
  const start = `${MAGIC} ${FORMAT_VERSION} `;
  return start.startsWith(text.slice(0, start.length)) && /^[0-9a-f ]*$/.test(text.slice(start.length));
}

/** A frame around one line of JSON. */
export function encodeFrame(json: string): Buffer {
  const body = Buffer.from(json, 'utf8');
  return Buffer.concat([Buffer.from(frameHead(body), 'latin1'), body, Buffer.from('\n')]);
}

function frameHead(body: Buffer): string {
  const length = hex(body.length);
  const sum = createHash('sha256').update(body).digest('base64url').slice(0, 22);
  return `${length} ${hex(crc32(`${length} ${sum}`))} ${sum} `;
}

/** Bytes of the whole frame whose head this is; null where it is no head, or a damaged one. */
export function frameSize(head: Buffer): number | null {
  const [, length, check, sum] = FRAME_HEAD.exec(head.toString('latin1')) ?? [];
  if (length === undefined || sum === undefined || check !== hex(crc32(`${length} ${sum}`))) return null;
  return FRAME_HEAD_SIZE + Number.parseInt(length, 16) + FRAME_END_SIZE;
}

/** The JSON of a whole frame; null where the body or the end is damaged. */
export function decodeFrame(frame: Buffer): string | null {
  const body = frame.subarray(FRAME_HEAD_SIZE, frame.length - FRAME_END_SIZE);
  const intact = frame.toString('latin1', 0, FRAME_HEAD_SIZE) === frameHead(body) && frame.at(-1) === 10;
  return intact ? body.toString('utf8') : null;
}

/**
 * Whether a part of a file has a whole sector (or the part of one that belongs to it) of zeros: so looks what a crash
 * kept from being written. `offset` is where the bytes stand in the file. After etcd's write-ahead log (`isTornEntry`).
 */
export function hasUnwrittenSector(bytes: Buffer, offset: number): boolean {
  for (let start = 0; start < bytes.length;) {
    const end = Math.min(bytes.length, start + SECTOR - ((offset + start) % SECTOR));
    if (end - start >= FEWEST_ZEROS && bytes.subarray(start, end).every((byte) => byte === 0)) return true;
    start = end;
  }
  return false;
}

/** Whether a whole frame begins somewhere in these bytes, at a line's start other than the first. */
export function hasFrameInside(bytes: Buffer): boolean {
  for (let newline = bytes.indexOf(10); newline >= 0; newline = bytes.indexOf(10, newline + 1)) {
    const start = newline + 1;
    const size = frameSize(bytes.subarray(start, start + FRAME_HEAD_SIZE));
    if (
      size !== null &&
      start + size <= bytes.length &&
      decodeFrame(bytes.subarray(start, start + size)) !== null
    )
      return true;
  }
  return false;
}
