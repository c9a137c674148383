/**
 * The grammar of an authority as a Host field or an absolute target may have it: a registered name, an IPv4 address or a
 * bracketed IPv6 address, and an optional port of up to 5 digits up to 65535; a colon without any is the default port. No user information, no zone, no future IP versions.
 * At most 512 bytes: names in DNS have 253, and some parts of a proxy cost more than a name's length.
 *
 * Source: RFC 3986 sections 3.2.2 and 3.2.3, made stricter: a name has at least one character.
 */
import { COLON, HEX, HOST } from './grammar.ts';

const LONGEST = 512;

const PERCENT = 0x25;
const BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;

/** Whether `bytes[start..end)` is a host with an optional port. */
export function isAuthority(bytes: Buffer, start: number, end: number): boolean {
  if (start === end || end - start > LONGEST) return false;
  let at = start;
  if (bytes[start] === BRACKET) {
    const close = bytes.indexOf(CLOSING_BRACKET, start);
    if (close === -1 || close >= end || !isIpv6(bytes.latin1Slice(start + 1, close))) return false;
    at = close + 1;
  } else {
    let byte = 0;
    while (at < end && HOST[(byte = bytes[at] as number)] === 1) {
      if (byte === PERCENT) {
        if (at + 2 >= end || HEX[bytes[at + 1] as number] === 255 || HEX[bytes[at + 2] as number] === 255)
          return false;
        at += 2;
      }
      at += 1;
    }
    if (at === start) return false;
  }
  return at === end || (bytes[at] === COLON && isPort(bytes, at + 1, end));
}

function isPort(bytes: Buffer, start: number, end: number): boolean {
  if (end - start > 5) return false;
  let port = 0;
  for (let at = start; at < end; at += 1) {
    const digit = (bytes[at] as number) - 0x30;
    if (digit < 0 || digit > 9) return false;
    port = port * 10 + digit;
  }
  return port <= 65535;
}

/** Whether two authorities, which are valid, name the same host and port, where `port` is the one that goes without saying. */
export function sameAuthority(one: string, other: string, port: number): boolean {
  if (one === other) return true;
  const [colon, otherColon] = [portColon(one), portColon(other)];
  return (
    portAfter(one, colon, port) === portAfter(other, otherColon, port) &&
    one.slice(0, colon).toLowerCase() === other.slice(0, otherColon).toLowerCase()
  );
}

/** Where the colon before the port stands, or the end. */
function portColon(authority: string): number {
  const colon = authority.indexOf(':', authority.lastIndexOf(']') + 1);
  return colon === -1 ? authority.length : colon;
}

function portAfter(authority: string, colon: number, otherwise: number): number {
  return colon + 1 >= authority.length ? otherwise : Number(authority.slice(colon + 1));
}

const GROUP = /^[0-9a-f]{1,4}$/i;
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/;

/** RFC 4291 section 2.2: eight groups, "::" once for one or more of zeros, the last two groups may be an IPv4 address. */
function isIpv6(text: string): boolean {
  const gap = text.indexOf('::');
  if (gap !== -1 && text.includes('::', gap + 1)) return false;
  const left = gap === -1 ? text : text.slice(0, gap);
  const right = gap === -1 ? '' : text.slice(gap + 2);
  const before = left === '' ? 0 : groupCount(left, gap === -1);
  const after = right === '' ? 0 : groupCount(right, true);
  if (before < 0 || after < 0) return false;
  return gap === -1 ? before === 8 : before + after <= 7;
}

/** The number of 16-bit groups of colon-separated parts, or -1. */
function groupCount(text: string, mayEndInIpv4: boolean): number {
  const parts = text.split(':');
  let groups = 0;
  for (const [index, part] of parts.entries()) {
    if (GROUP.test(part)) groups += 1;
    else if (mayEndInIpv4 && index === parts.length - 1 && IPV4.test(part)) groups += 2;
    else return -1;
  }
  return groups;
}
