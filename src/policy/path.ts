/**
 * Paths in their normal form, for matching only: what is forwarded is always the path as it came.
 *
 * RFC 3986, section 6.2.2: escapes of unreserved characters are decoded, hex digits of others are upper case, dot
 * segments are removed. Two spellings of one resource get one normal form; `%2F` stays apart from `/`.
 */

/** The normal form of a raw path without its query. Never throws; a stray `%` stays as it is. O(length). */
export function normalisePath(raw: string): string {
  if (isPlain(raw)) return raw;
  return removeDotSegments(raw.includes('%') ? decodeUnreserved(raw) : raw);
}

/** Whether the path may be taken as it is: no escape, no dot segment. */
function isPlain(path: string): boolean {
  return path.indexOf('%') < 0 && path.indexOf('/.') < 0;
}

/** Whether the path can be read in one way only: plain, and no empty segment that a server may drop. */
export function isUnambiguous(path: string): boolean {
  return isPlain(path) && path.indexOf('//') < 0;
}

/** Runs of slashes as one, as many servers read them before they remove dot segments. */
export function mergeSlashes(path: string): string {
  return path.replace(/\/{2,}/g, '/');
}

const ESCAPE = /%[0-9A-Fa-f]{2}/g;
const UNRESERVED = /^[A-Za-z0-9._~-]$/;

function decodeUnreserved(path: string): string {
  return path.replace(ESCAPE, (escape) => {
    const character = String.fromCharCode(Number.parseInt(escape.slice(1), 16));
    return UNRESERVED.test(character) ? character : escape.toUpperCase();
  });
}

/** RFC 3986, section 5.2.4, for a path that begins with a slash. */
function removeDotSegments(path: string): string {
  if (path.indexOf('/.') < 0) return path;
  const kept: string[] = [];
  const segments = path.split('/');
  // What stands before the first slash is '' in a path; it is no segment.
  for (let index = 1; index < segments.length; index++) {
    const segment = segments[index]!;
    const last = index === segments.length - 1;
    if (segment === '.') {
      if (last) kept.push('');
    } else if (segment === '..') {
      kept.pop();
      if (last) kept.push('');
    } else {
      kept.push(segment);
    }
  }
  return `/${kept.join('/')}`;
}

/** Whether `path` lies under `prefix`, both normal: the prefix itself, or more segments below it. */
export function isUnder(path: string, prefix: string): boolean {
  if (!path.startsWith(prefix)) return false;
  return path.length === prefix.length || prefix.endsWith('/') || path.charCodeAt(prefix.length) === 47;
}
