/**
 * The client's address behind trusted proxies, by `X-Forwarded-For`, and what other lists say of the same hop.
 */
import type { AddressCache, ClientAddress } from './address.ts';
import type { NetworkSet } from './network.ts';
import { trimBlanks } from '../schema/latin1.ts';

/** Chains longer than this are nobody's; the walk ends there. */
const MOST_HOPS = 64;

/**
 * The client's address: `peer`, or what trusted proxies say of it. Walks `X-Forwarded-For` from the right, past
 * addresses that are trusted, to the first that is not; empty elements are none (RFC 9110, section 5.6.1.2), and junk ends the walk at
 * the last good address. A client can put what it likes on the left, and none of it is believed.
 */
export function clientAddress(
  peer: ClientAddress,
  forwardedFor: string | undefined,
  trusted: NetworkSet,
  cache: AddressCache,
): ClientAddress {
  if (forwardedFor === undefined || !trusted.contains(peer)) return peer;
  let client = peer;
  let end = forwardedFor.length;
  for (let hop = 0; hop < MOST_HOPS && end >= 0; hop++) {
    const comma = end === 0 ? -1 : forwardedFor.lastIndexOf(',', end - 1);
    const element = trimBlanks(forwardedFor.slice(comma + 1, end));
    end = comma;
    if (element === '') continue;
    const address = cache.get(element);
    if (address === null) break;
    client = address;
    if (!trusted.contains(address)) break;
  }
  return client;
}

/** How many elements of `X-Forwarded-For` that walk believes, at least 1: so many hops lie between the client and here. */
export function believedHops(
  forwardedFor: string | undefined,
  trusted: NetworkSet,
  cache: AddressCache,
): number {
  let hops = 0;
  for (const element of elements(forwardedFor ?? '')) {
    const address = cache.get(element);
    if (address === null) break;
    hops += 1;
    if (!trusted.contains(address)) break;
  }
  return Math.max(1, hops);
}

/**
 * What a list of a forwarding field says of the client's own hop, where each proxy adds an element: the one so many hops from the right, or
 * the first where not every proxy added one. Undefined where it has none.
 */
export function elementOfHop(list: string, hops: number): string | undefined {
  if (!list.includes(',')) return list === '' ? undefined : list;
  const all = elements(list);
  return all[Math.min(hops, all.length) - 1];
}

/** The elements of a list from right to left, at most as many as a chain may have, without the empty ones. */
function elements(list: string): string[] {
  const found: string[] = [];
  let end = list.length;
  for (let hop = 0; hop < MOST_HOPS && end >= 0; hop += 1) {
    const comma = end === 0 ? -1 : list.lastIndexOf(',', end - 1);
    const element = trimBlanks(list.slice(comma + 1, end));
    if (element !== '') found.push(element);
    end = comma;
  }
  return found;
}
