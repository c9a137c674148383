/**
 * Addresses that requests are never sent to: link-local ones, where cloud metadata services answer, and nobody's.
 *
 * It is asked for addresses that people write and, at each connection, for those that names resolve to.
 */
import type { ClientAddress } from './address.ts';

/** Why requests are never sent to this address, or null where they may be. For resolved names as well. */
export function refuseDestination(address: ClientAddress): string | null {
  const v4 = address.family === 4 ? address.v4 : embeddedV4(address);
  if (v4 !== null) {
    if (v4 >>> 16 === 0xa9fe)
      return 'is a link-local address, which is refused; name an address that is routed';
    if (v4 >>> 28 === 0xe) return 'is a multicast address; name the address of one endpoint';
    if (v4 >>> 24 === 0) return 'is no address that can be connected to; name the address of one endpoint';
  }
  if (address.family !== 6) return null;
  const top = address.w0 >>> 22;
  if (top === 0xfe80 >>> 6)
    return 'is a link-local address, which is refused; name an address that is routed';
  if (address.w0 >>> 24 === 0xff) return 'is a multicast address; name the address of one endpoint';
  const zero = address.w0 === 0 && address.w1 === 0 && address.w2 === 0 && address.w3 === 0;
  return zero ? 'is no address that can be connected to; name the address of one endpoint' : null;
}

/** The IPv4 address that a NAT64 address (64:ff9b::/96, RFC 6052) leads to, or null. Mapped ones are IPv4 already. */
function embeddedV4(address: ClientAddress): number | null {
  return address.family === 6 && address.w0 === 0x64ff9b && address.w1 === 0 && address.w2 === 0
    ? address.w3
    : null;
}
