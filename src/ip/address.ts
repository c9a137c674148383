/**
 * IP addresses and their texts, read strictly.
 *
 * IPv4-mapped IPv6 is IPv4, zone ids are dropped, and every address has one canonical text (RFC 5952). Junk is null,
 * never a guess: no octal, no missing parts, no spaces.
 */
import { LRUCache } from 'lru-cache';
import { standaloneText, trimBlanks } from '../schema/latin1.ts';

export interface ClientAddress {
  /** 0: not known. */
  readonly family: 4 | 6 | 0;
  /** The IPv4 address as an unsigned 32-bit number; 0 otherwise. */
  readonly v4: number;
  /** The IPv6 address as four unsigned 32-bit numbers, the most significant first; 0 otherwise. */
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;
  /** Canonical; '' where the address is not known. */
  readonly text: string;
}

export const UNKNOWN_ADDRESS: ClientAddress = { family: 0, v4: 0, w0: 0, w1: 0, w2: 0, w3: 0, text: '' };

/** The longest address with a generous zone id; longer texts are junk. */
const LONGEST_TEXT = 110;
const ZONE = /^[0-9A-Za-z._~-]+$/;

/** Scratch for the eight groups of an IPv6 address; parsing is synchronous and leaves nothing in it. */
const groups = new Uint16Array(8);

/** Reads an IPv4 or IPv6 address, with or without a zone id. Null for anything else. */
export function parseAddress(text: string): ClientAddress | null {
  if (text.length > LONGEST_TEXT) return null;
  if (text.indexOf(':') < 0) {
    const v4 = parseV4(text, 0, text.length);
    return v4 < 0 ? null : addressV4(v4);
  }
  let end = text.indexOf('%');
  if (end < 0) end = text.length;
  else if (!ZONE.test(text.slice(end + 1))) return null;
  if (!parseGroups(text, end)) return null;
  const w0 = word(0);
  const w1 = word(2);
  const w2 = word(4);
  const w3 = word(6);
  if (w0 === 0 && w1 === 0 && w2 === 0xffff) return addressV4(w3);
  return { family: 6, v4: 0, w0, w1, w2, w3, text: formatV6() };
}

export function addressV4(v4: number): ClientAddress {
  const text = `${v4 >>> 24}.${(v4 >>> 16) & 255}.${(v4 >>> 8) & 255}.${v4 & 255}`;
  return { family: 4, v4, w0: 0, w1: 0, w2: 0, w3: 0, text };
}

function word(group: number): number {
  return ((groups[group]! << 16) | groups[group + 1]!) >>> 0;
}

/** The address at `[start, end)` of `text` as an unsigned number, or -1. */
function parseV4(text: string, start: number, end: number): number {
  let address = 0;
  let parts = 0;
  let at = start;
  for (;;) {
    const first = at;
    let part = 0;
    while (at < end && at - first < 4) {
      const digit = text.charCodeAt(at) - 48;
      if (digit < 0 || digit > 9) break;
      part = part * 10 + digit;
      at++;
    }
    const length = at - first;
    if (length === 0 || length > 3 || part > 255 || (length > 1 && text.charCodeAt(first) === 48)) return -1;
    address = address * 256 + part;
    if (++parts === 4) return at === end ? address : -1;
    if (at >= end || text.charCodeAt(at) !== 46) return -1;
    at++;
  }
}

/** Reads `[0, end)` of `text` as an IPv6 address into `groups`; RFC 4291, section 2.2. */
function parseGroups(text: string, end: number): boolean {
  groups.fill(0);
  let count = 0;
  let compressed = -1;
  let at = 0;
  if (text.charCodeAt(0) === 58) {
    if (text.charCodeAt(1) !== 58) return false;
    compressed = 0;
    at = 2;
  }
  while (at < end) {
    if (count === 8) return false;
    const first = at;
    let value = 0;
    let digit = -1;
    while (at < end && at - first < 5 && (digit = hexDigit(text.charCodeAt(at))) >= 0) {
      value = value * 16 + digit;
      at++;
    }
    const length = at - first;
    if (at < end && text.charCodeAt(at) === 46) {
      // An IPv4 address in the last two groups.
      const v4 = count > 6 ? -1 : parseV4(text, first, end);
      if (v4 < 0) return false;
      groups[count++] = v4 >>> 16;
      groups[count++] = v4 & 0xffff;
      at = end;
      break;
    }
    if (length === 0 || length > 4) return false;
    groups[count++] = value;
    if (at === end) break;
    if (text.charCodeAt(at) !== 58) return false;
    at++;
    if (at < end && text.charCodeAt(at) === 58) {
      if (compressed >= 0) return false;
      compressed = count;
      at++;
    } else if (at === end) {
      return false;
    }
  }
  if (compressed < 0) return count === 8;
  if (count === 8) return false;
  groups.copyWithin(8 - (count - compressed), compressed, count);
  groups.fill(0, compressed, 8 - (count - compressed));
  return true;
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const letter = code | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}

/** `groups` in the form of RFC 5952: lower case, the longest run of two or more zero groups as `::`. */
function formatV6(): string {
  let best = -1;
  let bestLength = 1;
  for (let at = 0; at < 8;) {
    let run = at;
    while (run < 8 && groups[run] === 0) run++;
    if (run - at > bestLength) {
      best = at;
      bestLength = run - at;
    }
    at = Math.max(run, at + 1);
  }
  let text = '';
  for (let at = 0; at < 8; at++) {
    if (at === best) {
      text += '::';
      at += bestLength - 1;
    } else {
      if (at > 0 && !text.endsWith(':')) text += ':';
      text += groups[at]!.toString(16);
    }
  }
  return text;
}

/**
 * Reads one element of `X-Forwarded-For` as proxies write it: an address, perhaps in quotes, in brackets, with a port
 * or a zone id, with spaces around. Null for `unknown`, obfuscated identifiers (RFC 7239) and junk.
 */
export function parseForwardedElement(element: string): ClientAddress | null {
  let text = trimBlanks(element);
  if (text.length > 2 && text.startsWith('"') && text.endsWith('"')) text = text.slice(1, -1);
  if (text.startsWith('[')) {
    const close = text.indexOf(']');
    if (close < 0 || !isPort(text, close + 1)) return null;
    const inner = text.slice(1, close);
    return inner.includes(':') ? parseAddress(inner) : null;
  }
  const colon = text.indexOf(':');
  if (colon >= 0 && text.indexOf(':', colon + 1) < 0) {
    return isPort(text, colon) ? parseAddress(text.slice(0, colon)) : null;
  }
  return parseAddress(text);
}

const PORT = /^(?::[0-9]{1,5})?$/;

function isPort(text: string, from: number): boolean {
  return PORT.test(text.slice(from));
}

/** A bounded memory of parsed `X-Forwarded-For` elements, the least recently used forgotten first. */
export class AddressCache {
  readonly #known: LRUCache<string, ClientAddress>;

  /** Keeps at most `max` addresses, about 200 bytes each. Junk is not kept, so junk cannot push addresses out. */
  constructor(max = 16_384) {
    this.#known = new LRUCache({ max });
  }

  get(element: string): ClientAddress | null {
    if (element.length > LONGEST_TEXT) return null;
    const known = this.#known.get(element);
    if (known !== undefined) return known;
    const address = parseForwardedElement(element);
    if (address !== null) this.#known.set(standaloneText(element), address);
    return address;
  }
}
