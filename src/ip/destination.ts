/**
 * Addresses that requests are never sent to: those of cloud metadata services and other link-local ones, nobody's, everybody's; and
 * loopback ones, where it was not a person who wrote them.
 *
 * One table for all: for addresses that people write, for those that a source finds, and, at each connection, for those that a name
 * resolves to. Addresses that carry an IPv4 address lead there, so they count as that one.
 */
import { type ClientAddress, parseAddress } from './address.ts';

const LINK_LOCAL = 'is a link-local address, which is refused; name an address that is routed';
const METADATA =
  'is the address of a cloud metadata service, which is refused; name the address of an endpoint';
const MULTICAST = 'is a multicast address; name the address of one endpoint';
const NOBODY = 'is no address that can be connected to; name the address of one endpoint';
const LOOPBACK =
  'is a loopback address, which would lead to this machine; list it as an address or as localhost, or, where it is discovered, set discovery.allowLoopback';

/** Metadata services outside of link-local networks: of Alibaba Cloud, of Azure (its wire server), and of Oracle Cloud at first. */
const METADATA_V4 = ['100.100.100.200', '168.63.129.16', '192.0.0.192'].map((text) => parseAddress(text)!.v4);

/**
 * Why requests are never sent to this address, or null where they may be. `loopback`: whether it may be on this machine, where Serin's own
 * API may answer without a token.
 */
export function refuseDestination(address: ClientAddress, loopback: boolean): string | null {
  if (address.family === 4) return refuseV4(address.v4, loopback);
  if (address.family !== 6) return NOBODY;
  const { w0, w1, w2, w3 } = address;
  if (w0 >>> 22 === 0xfe80 >>> 6) return LINK_LOCAL;
  if (w0 >>> 24 === 0xff) return MULTICAST;
  // AWS keeps its own services there, at ::254 that of metadata, at ::23 that of pods' credentials.
  if (w0 === 0xfd000ec2) return METADATA;
  // Google Cloud and Scaleway.
  if (w0 === 0xfd2000ce && w1 === 0 && w2 === 0 && w3 === 0x254) return METADATA;
  if (w0 === 0xfd000042 && w1 === 0 && w2 === 0 && w3 === 0x42) return METADATA;
  if (w0 === 0 && w1 === 0 && w2 === 0 && w3 <= 1) {
    if (w3 === 0) return NOBODY;
    return loopback ? null : LOOPBACK;
  }
  for (const v4 of carriedV4(w0, w1, w2, w3)) {
    // It leads to a translator's loopback, if anywhere: nobody means that.
    const refusal = refuseV4(v4, false);
    if (refusal !== null) return refusal;
  }
  return null;
}

function refuseV4(v4: number, loopback: boolean): string | null {
  if (v4 >>> 16 === 0xa9fe) return LINK_LOCAL;
  if (v4 >>> 28 === 0xe) return MULTICAST;
  if (v4 >>> 24 === 0 || v4 === 0xffffffff) return NOBODY;
  if (v4 >>> 24 === 127) return loopback ? null : LOOPBACK;
  return METADATA_V4.includes(v4) ? METADATA : null;
}

/** Every IPv4 address that an IPv6 address may carry. Mapped ones (::ffff:0:0/96) are IPv4 already. */
function carriedV4(w0: number, w1: number, w2: number, w3: number): readonly number[] {
  const found: number[] = [];
  if (w0 === 0 && w1 === 0) {
    // IPv4-compatible (RFC 4291, 2.5.5.1), and IPv4-translated (RFC 2765).
    if (w2 === 0 || w2 === 0xffff0000) found.push(w3);
  }
  // NAT64 (RFC 6052).
  if (w0 === 0x64ff9b && w1 === 0 && w2 === 0) found.push(w3);
  // NAT64 of a network's own (RFC 8215): its prefix may have any of four lengths, and zeros are what fills the rest.
  if (w0 === 0x64ff9b && w1 >>> 16 === 1) {
    const lengths = [
      // 96, 64, 56, 48; bits 64 to 71 are left out.
      w3,
      ((w2 << 8) | (w3 >>> 24)) >>> 0,
      ((w1 << 24) | (w2 & 0xffffff)) >>> 0,
      ((w1 << 16) | ((w2 >>> 8) & 0xffff)) >>> 0,
    ];
    found.push(...lengths.filter((v4) => v4 >>> 24 !== 0));
  }
  // 6to4 (RFC 3056).
  if (w0 >>> 16 === 0x2002) found.push(((w0 << 16) | (w1 >>> 16)) >>> 0);
  // Teredo (RFC 4380): the server's, and the client's with all bits turned.
  if (w0 === 0x20010000) found.push(w1, ~w3 >>> 0);
  // ISATAP (RFC 5214).
  if (w2 === 0x5efe || w2 === 0x02005efe) found.push(w3);
  return found;
}

/** Whether a name means this machine and no other (RFC 6761, 6.3, and what /etc/hosts has for IPv6). */
export function isLocalName(host: string): boolean {
  return /^(?:(?:.+\.)?localhost|localhost\.localdomain|(?:ip6-)?localhost6?|ip6-loopback)\.?$/i.test(host);
}
