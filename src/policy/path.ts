/**
 * Paths in their normal form, for matching only: what is forwarded is always the path as it came.
 *
 * RFC 3986, section 6.2.2: escapes of unreserved characters are decoded, hex digits of others are upper case, dot
 * segments are removed. Two spellings of one resource get one normal form; `%2F` stays apart from `/`. What servers read in
 * other ways as well is in `path-readings.ts`.
 */

/** Where paths are rewritten, byte by byte: an array of segments or a match for each escape costs fifty times as much. */
let scratch = Buffer.alloc(8_192);

/** The normal form of a raw path without its query. Never throws; a stray `%` stays as it is. O(length). */
export function normalisePath(raw: string): string {
  if (isPlain(raw)) return raw;
  let length = writeScratch(raw);
  if (raw.includes('%')) length = rewriteEscapes(length, UNRESERVED);
  length = removeDotSegments(length);
  return scratch.latin1Slice(0, length);
}

/** The path without dot segments, with its escapes as they are. */
export function removeDots(path: string): string {
  return scratch.latin1Slice(0, removeDotSegments(writeScratch(path)));
}

/** The path with all escapes decoded, once. */
export function decodeEscapes(path: string): string {
  return path.includes('%') ? scratch.latin1Slice(0, rewriteEscapes(writeScratch(path), ALL)) : path;
}

/** The path with the hexadecimal digits of its escapes in upper case. */
export function upperEscapes(path: string): string {
  return path.includes('%') ? scratch.latin1Slice(0, rewriteEscapes(writeScratch(path), NONE)) : path;
}

/** Puts the path into the scratch; characters beyond a byte, which no request can send, as the escapes of their UTF-8. */
function writeScratch(raw: string): number {
  const path = WIDE.test(raw)
    ? raw.replace(EACH_WIDE, (character) => encodeURIComponent(character.toWellFormed()))
    : raw;
  if (path.length > scratch.length) scratch = Buffer.alloc(path.length);
  return scratch.write(path, 'latin1');
}

const WIDE = /[^\0-\xff]/;
const EACH_WIDE = /[^\0-\xff]/gu;

/** Whether the path may be taken as it is: no escape, no dot segment. */
function isPlain(path: string): boolean {
  return path.indexOf('%') < 0 && !hasAfterSlash(path, DOT);
}

/** Whether every server reads the path alike: it has nothing that any of `path-readings.ts` changes. */
export function isUnambiguous(path: string): boolean {
  return !READ_DIFFERENTLY.test(path);
}

/** An escape, a backslash, parameters, an empty or a dot segment, a dot at the end of a name. */
const READ_DIFFERENTLY = /[%\\;]|\/[./]|\.(?:\/|$)/;

/** Whether `code` follows a slash. Looking for two characters is fast in all paths but those of slashes, and slow in them. */
function hasAfterSlash(path: string, code: number): boolean {
  if (path.length <= SHORT) return path.indexOf(code === DOT ? '/.' : '//') >= 0;
  let slash = false;
  for (let at = 0; at < path.length; at++) {
    const each = path.charCodeAt(at);
    if (slash && each === code) return true;
    slash = each === SLASH;
  }
  return false;
}

const SHORT = 256;

/** Runs of slashes as one, as many servers read them before they remove dot segments. */
export function mergeSlashes(path: string): string {
  if (!hasAfterSlash(path, SLASH)) return path;
  const length = writeScratch(path);
  let to = 0;
  for (let at = 0; at < length; at++) {
    const byte = scratch[at]!;
    if (byte !== SLASH || to === 0 || scratch[to - 1] !== SLASH) scratch[to++] = byte;
  }
  return scratch.latin1Slice(0, to);
}

const SLASH = 0x2f;
const PERCENT = 0x25;
const DOT = 0x2e;

/** 1: unreserved, which needs no escape (RFC 3986, section 2.3). */
const UNRESERVED = new Uint8Array(256).map((_, byte) =>
  /[A-Za-z0-9._~-]/.test(String.fromCharCode(byte)) ? 1 : 0,
);
const ALL = new Uint8Array(256).fill(1);
const NONE = new Uint8Array(256);
/** The value of a hexadecimal digit, 16 for other bytes. */
const DIGIT = new Uint8Array(256).map((_, byte) => {
  const value = '0123456789abcdef'.indexOf(String.fromCharCode(byte).toLowerCase());
  return value < 0 ? 16 : value;
});
const UPPER_HEX = Buffer.from('0123456789ABCDEF', 'latin1');

/** In `scratch[0..length)`, decodes the escapes of the bytes that are `decodable` and makes the others upper case; returns the new length. */
function rewriteEscapes(length: number, decodable: Uint8Array): number {
  let to = 0;
  for (let at = 0; at < length; at++) {
    const byte = scratch[at]!;
    if (byte === PERCENT && at + 2 < length) {
      const high = DIGIT[scratch[at + 1]!]!;
      const low = DIGIT[scratch[at + 2]!]!;
      if (high < 16 && low < 16) {
        at += 2;
        const decoded = (high << 4) | low;
        if (decodable[decoded] === 1) {
          scratch[to++] = decoded;
          continue;
        }
        scratch[to++] = PERCENT;
        scratch[to++] = UPPER_HEX[high]!;
        scratch[to++] = UPPER_HEX[low]!;
        continue;
      }
    }
    scratch[to++] = byte;
  }
  return to;
}

/** RFC 3986, section 5.2.4, in place, for a path that begins with a slash; returns the new length. */
function removeDotSegments(length: number): number {
  let to = 0;
  let at = 0;
  while (at < length) {
    // At a slash: the segment goes up to the next one.
    let end = at + 1;
    while (end < length && scratch[end] !== SLASH) end++;
    const size = end - at - 1;
    const dots =
      (size === 1 && scratch[at + 1] === DOT) ||
      (size === 2 && scratch[at + 1] === DOT && scratch[at + 2] === DOT);
    if (!dots) {
      for (; at < end; at++) scratch[to++] = scratch[at]!;
      continue;
    }
    if (size === 2) {
      // Back to before the last segment.
      while (to > 0 && scratch[--to] !== SLASH);
    }
    at = end;
    if (end === length) scratch[to++] = SLASH;
  }
  if (to === 0) scratch[to++] = SLASH;
  return to;
}

/** Whether `path` lies under `prefix`, both normal: the prefix itself, or more segments below it. */
export function isUnder(path: string, prefix: string): boolean {
  if (!path.startsWith(prefix)) return false;
  return path.length === prefix.length || prefix.endsWith('/') || path.charCodeAt(prefix.length) === 47;
}
