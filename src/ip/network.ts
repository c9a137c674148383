/**
 * Sets of networks: CIDR notations compiled to sorted intervals, so that 100,000 networks cost a binary search.
 *
 * The compiled form is plain shared memory that travels to workers without a copy. IPv4 and IPv6 are kept apart; an
 * IPv4-mapped IPv6 network is its IPv4 network. Bits of a notation beyond its prefix are ignored.
 */
import { parseAddress, type ClientAddress } from './address.ts';
import { DocumentError, type Fault } from '../schema/faults.ts';

/** A compiled set. Intervals are inclusive, sorted, disjoint and not adjacent. */
export interface NetworkSetData {
  /** Uint32 pairs: first address, last address. */
  readonly v4: SharedArrayBuffer;
  /** Uint32 in eights: four words of the first address, four of the last, the most significant first. */
  readonly v6: SharedArrayBuffer;
  /** How many notations it was compiled from. */
  readonly size: number;
}

export const EMPTY_NETWORKS: NetworkSetData = {
  v4: new SharedArrayBuffer(0),
  v6: new SharedArrayBuffer(0),
  size: 0,
};

/** More faults than anybody corrects in one go. */
const MOST_FAULTS = 50;

export interface Network {
  /** The address, its bits beyond the prefix still as written. */
  readonly address: ClientAddress;
  readonly prefix: number;
}

/** Reads `10.8.0.0/16`, `2001:db8::/32` or a single address. A string is the fault, as a sentence. */
export function parseNetwork(text: string): Network | string {
  const slash = text.indexOf('/');
  const addressText = slash < 0 ? text : text.slice(0, slash);
  const address = parseAddress(addressText);
  if (address === null || addressText.includes('%')) {
    return `"${clip(text)}" is not a network; write it like 203.0.113.0/24 or 2001:db8::/32`;
  }
  const mapped = address.family === 4 && addressText.includes(':');
  const bits = mapped || address.family === 6 ? 128 : 32;
  let prefix = bits;
  if (slash >= 0) {
    const digits = text.slice(slash + 1);
    if (!/^(?:0|[1-9][0-9]{0,2})$/.test(digits) || Number(digits) > bits) {
      return `"${clip(text)}" has no valid prefix length; after the slash comes a number from 0 to ${bits}`;
    }
    prefix = Number(digits);
  }
  if (!mapped) return { address, prefix };
  if (prefix < 96)
    return `"${clip(text)}" spans more than the IPv4-mapped addresses; write the networks apart`;
  return { address, prefix: prefix - 96 };
}

function clip(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 57)}…`;
}

/** Compiles networks. Throws a DocumentError `networks_invalid` whose pointers are indices into the list (`/0`, …). */
export function compileNetworks(cidrs: readonly string[]): NetworkSetData {
  const faults: Fault[] = [];
  const v4 = new Float64Array(cidrs.length);
  const v6: Network[] = [];
  let count4 = 0;
  for (const [index, text] of cidrs.entries()) {
    const network = parseNetwork(text);
    if (typeof network === 'string') {
      if (faults.length < MOST_FAULTS) faults.push({ pointer: `/${index}`, detail: network });
    } else if (network.address.family === 4) {
      const first = network.prefix === 0 ? 0 : (network.address.v4 & (-1 << (32 - network.prefix))) >>> 0;
      // One number sorts by first address, then the larger network before those inside it.
      v4[count4++] = first * 64 + network.prefix;
    } else {
      v6.push(network);
    }
  }
  if (faults.length > 0)
    throw new DocumentError('networks_invalid', 'The list of networks is not valid.', faults);
  return { v4: mergeV4(v4.subarray(0, count4).sort()), v6: mergeV6(v6), size: cidrs.length };
}

function mergeV4(sorted: Float64Array): SharedArrayBuffer {
  const pairs = new Uint32Array(2 * sorted.length);
  let used = 0;
  for (const key of sorted) {
    const first = Math.floor(key / 64);
    const last = first + 2 ** (32 - (key % 64)) - 1;
    if (used > 0 && first <= pairs[used - 1]! + 1) {
      if (last > pairs[used - 1]!) pairs[used - 1] = last;
    } else {
      pairs[used++] = first;
      pairs[used++] = last;
    }
  }
  return shared(pairs, used);
}

function mergeV6(networks: readonly Network[]): SharedArrayBuffer {
  const intervals = networks.map(({ address, prefix }) => {
    const words = [address.w0, address.w1, address.w2, address.w3];
    const first: number[] = [];
    const last: number[] = [];
    for (const [index, word] of words.entries()) {
      const fixed = Math.min(32, Math.max(0, prefix - 32 * index));
      const mask = fixed === 0 ? 0 : (-1 << (32 - fixed)) >>> 0;
      first.push((word & mask) >>> 0);
      last.push((word | ~mask) >>> 0);
    }
    return { first, last };
  });
  intervals.sort((a, b) => compareWords(a.first, b.first) || compareWords(b.last, a.last));
  const merged: { first: number[]; last: number[] }[] = [];
  for (const interval of intervals) {
    const before = merged.at(-1);
    if (before === undefined || compareWords(interval.first, following(before.last)) > 0)
      merged.push(interval);
    else if (compareWords(interval.last, before.last) > 0) before.last = interval.last;
  }
  const flat = new Uint32Array(8 * merged.length);
  for (const [index, { first, last }] of merged.entries()) {
    flat.set(first, 8 * index);
    flat.set(last, 8 * index + 4);
  }
  return shared(flat, flat.length);
}

function compareWords(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < 4; index++) {
    if (a[index] !== b[index]) return a[index]! < b[index]! ? -1 : 1;
  }
  return 0;
}

/** The address after `words`; the last address of all has none and stays. */
function following(words: readonly number[]): number[] {
  const next = [...words];
  for (let index = 3; index >= 0; index--) {
    if (next[index] !== 0xffffffff) {
      next[index]!++;
      return next;
    }
    next[index] = 0;
  }
  return [...words];
}

function shared(words: Uint32Array, length: number): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(4 * length);
  new Uint32Array(buffer).set(words.subarray(0, length));
  return buffer;
}

/** A compiled set, ready to be asked. */
export class NetworkSet {
  readonly size: number;
  /** As in NetworkSetData; read-only. */
  readonly v4: Uint32Array;
  readonly v6: Uint32Array;

  constructor(data: NetworkSetData) {
    this.size = data.size;
    this.v4 = new Uint32Array(data.v4);
    this.v6 = new Uint32Array(data.v6);
  }

  /** Whether the address is in one of the networks; an unknown address is in none. */
  contains(address: ClientAddress): boolean {
    if (address.family === 4) return this.#containsV4(address.v4);
    return address.family === 6 && this.#containsV6(address);
  }

  #containsV4(v4: number): boolean {
    const pairs = this.v4;
    let low = 0;
    let high = pairs.length >>> 1;
    // The first interval that begins after the address; the one before it is the only that may hold it.
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (pairs[2 * middle]! <= v4) low = middle + 1;
      else high = middle;
    }
    return low > 0 && v4 <= pairs[2 * low - 1]!;
  }

  #containsV6(address: ClientAddress): boolean {
    const words = this.v6;
    let low = 0;
    let high = words.length >>> 3;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (atMost(words, 8 * middle, address)) low = middle + 1;
      else high = middle;
    }
    return low > 0 && atLeast(words, 8 * low - 4, address);
  }
}

/** Whether the four words at `at` are no greater than the address. */
function atMost(words: Uint32Array, at: number, { w0, w1, w2, w3 }: ClientAddress): boolean {
  if (words[at] !== w0) return words[at]! < w0;
  if (words[at + 1] !== w1) return words[at + 1]! < w1;
  if (words[at + 2] !== w2) return words[at + 2]! < w2;
  return words[at + 3]! <= w3;
}

/** Whether the four words at `at` are no less than the address. */
function atLeast(words: Uint32Array, at: number, { w0, w1, w2, w3 }: ClientAddress): boolean {
  if (words[at] !== w0) return words[at]! > w0;
  if (words[at + 1] !== w1) return words[at + 1]! > w1;
  if (words[at + 2] !== w2) return words[at + 2]! > w2;
  return words[at + 3]! >= w3;
}
