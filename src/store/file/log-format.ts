/**
 * The bytes of the store's log: a header line, then one frame after another.
 *
 * Everything is text, so that a person can read it: `serin-store VERSION BASE CRC`, then frames of a fixed-size head (length
 * of the body, CRC-32 of the head, SHA-256 of the body) and a JSON body of one line. Header and frames are padded with
 * spaces to whole disk sectors: so a crash either leaves a frame short or leaves whole sectors of it unwritten, and no
 * sector of a frame that was accepted is ever written again. A frame that is complete but wrong was damaged.
 *
 * In version 2 frames may hold packed commits; a log without any is written in version 1, which former versions of Serin read.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** Of the bytes of a log. */
export type LogVersion = 1 | 2;

/** The newest version that this code writes and reads. */
export const NEWEST_LOG_VERSION: LogVersion = 2;

const MAGIC = 'serin-store';
/** Disks write whole sectors; one that a crash kept from being written reads as zeros. */
const SECTOR = 512;
const HEADER = /^serin-store ([1-9][0-9]{0,8}) ([0-9]{16}) ([0-9a-f]{8}) +\n$/;
export const HEADER_SIZE = SECTOR;

/** `LLLLLLLL CCCCCCCC SSSSSSSSSSSSSSSSSSSSSS ` in front of the body; one newline after it. */
export const FRAME_HEAD_SIZE = 8 + 1 + 8 + 1 + 22 + 1;
const FRAME_END_SIZE = 1;
const FRAME_HEAD = /^([0-9a-f]{8}) ([0-9a-f]{8}) ([A-Za-z0-9_-]{22}) $/;

function headerText(base: number, version: LogVersion): string {
  const text = `${MAGIC} ${version} ${String(base).padStart(16, '0')}`;
  return `${`${text} ${hex(crc32(text))}`.padEnd(HEADER_SIZE - 1)}\n`;
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}

/** The header of a log whose first commit makes revision `base + 1`; where `base` is not 0, a snapshot of it comes first. */
export function encodeHeader(base: number, version: LogVersion = 1): Buffer {
  return Buffer.from(headerText(base, version), 'latin1');
}

export type Header =
  | { readonly kind: 'ours'; readonly base: number; readonly version: LogVersion }
  /** The beginning of a header and nothing else: made by a crash, holds nothing. */
  | { readonly kind: 'torn' }
  | { readonly kind: 'damaged' }
  | { readonly kind: 'foreign' }
  | { readonly kind: 'newer'; readonly version: number };

/** Reads the first HEADER_SIZE bytes of a log, or all of it where it is shorter. */
export function decodeHeader(bytes: Buffer): Header {
  const text = bytes.toString('latin1');
  const version = /^serin-store ([0-9]{1,9})[ \n]/.exec(text)?.[1];
  if (version !== undefined && Number(version) > NEWEST_LOG_VERSION)
    return { kind: 'newer', version: Number(version) };
  if (bytes.length < HEADER_SIZE) return isHeaderStart(text) ? { kind: 'torn' } : { kind: 'foreign' };
  if (!text.startsWith(`${MAGIC} `)) return { kind: 'foreign' };
  const [, named, base] = HEADER.exec(text) ?? [];
  const written = named === '1' ? 1 : named === '2' ? 2 : null;
  // The sum is over the version too.
  return base !== undefined && written !== null && headerText(Number(base), written) === text
    ? { kind: 'ours', base: Number(base), version: written }
    : { kind: 'damaged' };
}

function isHeaderStart(text: string): boolean {
  return ['1', '2'].some((version) => {
    const start = `${MAGIC} ${version} `;
    return start.startsWith(text.slice(0, start.length)) && /^[0-9a-f ]*$/.test(text.slice(start.length));
  });
}

/** A frame around one line of JSON; spaces after it fill the last sector. */
export function encodeFrame(json: string): Buffer {
  const rest = (FRAME_HEAD_SIZE + Buffer.byteLength(json) + FRAME_END_SIZE) % SECTOR;
  const body = Buffer.from(json + ' '.repeat(rest === 0 ? 0 : SECTOR - rest), 'utf8');
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
 * Whether a part of a log that begins at a sector has a whole sector of zeros: so looks what a crash kept from being
 * written. No frame has one. After etcd's write-ahead log (`isTornEntry`).
 */
export function hasUnwrittenSector(bytes: Buffer): boolean {
  for (let start = 0; start + SECTOR <= bytes.length; start += SECTOR) {
    if (bytes.subarray(start, start + SECTOR).equals(UNWRITTEN)) return true;
  }
  return false;
}

const UNWRITTEN = Buffer.alloc(SECTOR);

/** Whether a whole frame begins in these bytes, at a sector other than the first. They begin at a sector themselves. */
export function hasFrameInside(bytes: Buffer): boolean {
  for (let start = SECTOR; start < bytes.length; start += SECTOR) {
    const size = frameSize(bytes.subarray(start, start + FRAME_HEAD_SIZE));
    const frame = size === null ? null : bytes.subarray(start, start + size);
    if (frame?.length === size && frame !== null && decodeFrame(frame) !== null) return true;
  }
  return false;
}
