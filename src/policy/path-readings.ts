/**
 * Every way in which some server may read a path: escapes decoded never, once or several times, backslashes as slashes, parameters of
 * segments left out, empty segments dropped, dot segments removed, in whatever order.
 *
 * Proxies, servers and frameworks each do some of this, and nobody knows what stands behind an endpoint. So nothing here says which reading
 * is right: whoever chooses by a path asks whether all of them lead to the same. Letters are never folded. The work is bounded: a path
 * with more readings than are looked at is said to have too many. Only paths that are not plain come here.
 */
import {
  decodeEscapes,
  isUnambiguous,
  mergeSlashes,
  normalisePath,
  removeDots,
  upperEscapes,
} from './path.ts';

/** Readings that are looked at; real paths have under ten. */
const MOST_READINGS = 64;
/** Characters of all readings together, which cost time in proportion; the first few readings are looked at whatever their length. */
const MOST_CHARACTERS = 8_192;
const FIRST_FEW = 3;
/** Passes of decoding in a row, by a proxy, a server and a framework. */
const MOST_DECODINGS = 3;

/** Whether all readings come to the same, `of` says to what; false also where there are too many. */
export function readingsAgree(path: string, of: (reading: string) => number | string): boolean {
  let first: number | string | undefined;
  return visitReadings(path, (reading) => {
    const came = of(reading);
    first ??= came;
    return came === first;
  });
}

/** All readings that are looked at. */
export function readingsOf(path: string): readonly string[] {
  if (isUnambiguous(path)) return [path];
  const readings: string[] = [];
  visitReadings(path, (reading) => readings.push(reading) > 0);
  return readings;
}

/** Calls `visit` with each reading, the path itself first, until it returns false. False where that happened, or there are too many. */
function visitReadings(path: string, visit: (reading: string) => boolean): boolean {
  // Nobody reads %c3 and %C3 differently.
  const whole = upperEscapes(path);
  if (!visit(whole)) return false;
  const found = [whole];
  /** How often what was found was decoded: by the least number, as the fewest are first. */
  const decodings = new Map([[whole, 0]]);
  let characters = whole.length;
  for (let at = 0; at < found.length; at++) {
    const reading = found[at]!;
    const decoded = decodings.get(reading)!;
    for (const way of READINGS) {
      if (way.decodes && decoded === MOST_DECODINGS) continue;
      const next = way.read(reading);
      if (next === reading || decodings.has(next)) continue;
      characters += next.length;
      if (characters > MOST_CHARACTERS && found.length >= FIRST_FEW) return false;
      if (found.length === MOST_READINGS || !visit(next)) return false;
      found.push(next);
      decodings.set(next, decoded + (way.decodes ? 1 : 0));
    }
  }
  return true;
}

interface Reading {
  readonly decodes: boolean;
  /** The path as it is read so; the same text where that changes nothing. */
  read(path: string): string;
}

const READINGS: readonly Reading[] = [
  // Dot segments, as RFC 3986 has them, with escapes of unreserved characters decoded.
  { decodes: false, read: (path) => rooted(normalisePath(path)) },
  // Dot segments and nothing else, as servers do that decode later; without escapes that is the same.
  {
    decodes: false,
    read: (path) => (path.includes('/.') && path.includes('%') ? removeDots(path) : path),
  },
  // The same where one at the end leaves no slash: Go, Python.
  {
    decodes: false,
    read: (path) => (/\/\.{1,2}$/.test(path) ? rooted(removeDots(path).slice(0, -1)) : path),
  },
  // Backslashes: Windows, URL parsers of browsers.
  { decodes: false, read: (path) => (path.includes('\\') ? path.replaceAll('\\', '/') : path) },
  // Parameters of segments: Tomcat, Jetty, Spring.
  { decodes: false, read: (path) => (path.includes(';') ? path.replace(/;[^/]*/g, '') : path) },
  // Empty segments: nginx, Apache, Go.
  { decodes: false, read: mergeSlashes },
  // The end of a text in C, and of a path before its query.
  { decodes: false, read: (path) => cut(path, '\0') },
  { decodes: false, read: (path) => cut(cut(path, '?'), '#') },
  // Dots and spaces at the end of a name: Windows.
  { decodes: false, read: trimNames },
  // Escapes: nearly everybody, some of them twice.
  { decodes: true, read: decodeEscapes },
  // `%u002f`, overlong UTF-8, and characters that look like those that divide paths: IIS, old decoders, NFKC.
  { decodes: true, read: fold },
];

function rooted(path: string): string {
  return path.startsWith('/') ? path : `/${path}`;
}

function cut(path: string, at: string): string {
  const index = path.indexOf(at);
  return index < 0 ? path : rooted(path.slice(0, index));
}

/** Dots and spaces at the end of a name go; of names of dots alone, those two that are dot segments stay. */
function trimNames(path: string): string {
  if (!/[. ](?:\/|$)/.test(path)) return path;
  let out = '';
  let from = 0;
  for (let at = 0; at < path.length; at = from) {
    const slash = path.indexOf('/', at);
    const end = slash < 0 ? path.length : slash;
    let to = trimmed(path, at, end, ' ');
    if (!isDots(path, at, to)) {
      for (let before = -1; before !== to;) {
        before = to;
        to = trimmed(path, at, trimmed(path, at, to, '.'), ' ');
      }
    }
    from = end + 1;
    out += path.slice(at, to) + path.slice(end, from);
  }
  return out;
}

function trimmed(path: string, from: number, end: number, character: string): number {
  let to = end;
  while (to > from && path[to - 1] === character) to--;
  return to;
}

function isDots(path: string, from: number, to: number): boolean {
  if (to - from > 2) return false;
  for (let at = from; at < to; at++) if (path[at] !== '.') return false;
  return true;
}

/** What `fold` looks for: `%u` escapes, and bytes (or their escapes) with which such characters begin. */
const FOLDABLE = /%[uU][0-9a-fA-F]{4}|[\xc0\xc1\xe0\xe2\xef\xf0]|%(?:[cC][01]|[eE][02fF]|[fF]0)/;
const WIDE =
  /%[uU]([0-9a-fA-F]{4})|[\xc0\xc1]([^/])|\xe0[\x80\x81]([\x80-\xbf])|\xf0\x80[\x80\x81]([\x80-\xbf])|(\xef[\xb9\xbc][\x80-\xbf]|\xe2[\x80\x81\x88\xa7][\x80-\xbf])/g;

function fold(path: string): string {
  if (!FOLDABLE.test(path)) return path;
  // Overlong bytes come as escapes; `%u` escapes must not be decoded as such.
  return decodeEscapes(path).replace(
    WIDE,
    (whole: string, unicode?: string, two?: string, three?: string, four?: string) => {
      if (unicode !== undefined) return asciiOf(Number.parseInt(unicode, 16)) ?? whole;
      const code = whole.charCodeAt(0);
      if (two !== undefined) return String.fromCharCode(((code & 1) << 6) | (two.charCodeAt(0) & 0x3f));
      const low = three ?? four;
      if (low !== undefined) {
        const high = whole.charCodeAt(whole.length - 2) & 1;
        return String.fromCharCode((high << 6) | (low.charCodeAt(0) & 0x3f));
      }
      const [middle, last] = [whole.charCodeAt(1) & 0x3f, whole.charCodeAt(2) & 0x3f];
      return asciiOf(((code & 0x0f) << 12) | (middle << 6) | last) ?? whole;
    },
  );
}

/** What some servers take a character for: itself in ASCII, and those that a mapping to ASCII makes of others. */
function asciiOf(code: number): string | undefined {
  if (code < 0x80) return String.fromCharCode(code);
  if (code >= 0xff01 && code <= 0xff5e) return String.fromCharCode(code - 0xfee0);
  return LOOK_ALIKES.get(code);
}

/** NFKC, and the "best fit" tables of Windows. */
const LOOK_ALIKES = new Map([
  [0x2024, '.'],
  [0x2025, '..'],
  [0x2026, '...'],
  [0x2044, '/'],
  [0x2048, '?!'],
  [0x2049, '!?'],
  [0x2215, '/'],
  [0x2216, '\\'],
  [0x29f5, '\\'],
  [0x29f8, '/'],
  [0xfe52, '.'],
  [0xfe54, ';'],
  [0xfe56, '?'],
  [0xfe5f, '#'],
  [0xfe68, '\\'],
  [0xfe6a, '%'],
]);
