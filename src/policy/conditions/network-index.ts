/**
 * Which of many network sets hold an address, by one binary search for all of them.
 *
 * The address space is cut where any set begins or ends; each piece knows the sets that cover it. Large sets stay
 * apart and are asked one by one: cutting them would cost more than it saves, and they are few.
 */
import type { ClientAddress } from '../../ip/address.ts';
import type { NetworkSet } from '../../ip/network.ts';

/** Sets with more intervals than this are asked one by one. */
const LARGE = 512;
/** When the pieces name more sets than this in all, every set is asked one by one. */
const MOST_NAMES = 1_000_000;

/** Indices into the list of sets, ascending. */
type Names = readonly number[];
const NONE: Names = [];
const V6_END = 1n << 128n;

/** The pieces of one address family: piece i begins at `starts[i]` and ends before the next. */
interface Pieces {
  readonly starts: readonly bigint[];
  readonly names: readonly Names[];
}

export class NetworkIndex {
  /** Sets that are to be asked one by one. */
  readonly apart: Names;
  readonly #v4Starts: Float64Array;
  readonly #v4Names: readonly Names[];
  readonly #v6Starts: Uint32Array;
  readonly #v6Names: readonly Names[];

  /** `large` and `mostNames` are for tests. */
  constructor(sets: readonly NetworkSet[], large = LARGE, mostNames = MOST_NAMES) {
    const all = sets.map((_, index) => index);
    const small = all.filter((index) => intervals(sets[index]!) <= large);
    let v4: Pieces | null = cut(small, mostNames, (index) => v4Intervals(sets[index]!.v4));
    let v6: Pieces | null = cut(small, mostNames, (index) => v6Intervals(sets[index]!.v6));
    if (v4 === null || v6 === null) {
      this.apart = all;
      v4 = v6 = { starts: [], names: [] };
    } else {
      this.apart = all.filter((index) => intervals(sets[index]!) > large);
    }
    this.#v4Starts = Float64Array.from(v4.starts, Number);
    this.#v4Names = v4.names;
    // A piece after the last address of all would wrap to the first; nothing is there.
    this.#v6Starts = Uint32Array.from(v6.starts.filter((start) => start < V6_END).flatMap(words));
    this.#v6Names = v6.names;
  }

  /** The sets that hold the address, but for those `apart`. */
  find(address: ClientAddress): Names {
    if (address.family === 4) return this.#findV4(address.v4);
    return address.family === 6 ? this.#findV6(address) : NONE;
  }

  #findV4(v4: number): Names {
    const starts = this.#v4Starts;
    let low = 0;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (starts[middle]! <= v4) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? NONE : this.#v4Names[low - 1]!;
  }

  #findV6({ w0, w1, w2, w3 }: ClientAddress): Names {
    const starts = this.#v6Starts;
    let low = 0;
    let high = starts.length >>> 2;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = 4 * middle;
      let order = starts[at]! - w0;
      if (order === 0) order = starts[at + 1]! - w1;
      if (order === 0) order = starts[at + 2]! - w2;
      if (order === 0) order = starts[at + 3]! - w3;
      if (order <= 0) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? NONE : this.#v6Names[low - 1]!;
  }
}

function intervals(set: NetworkSet): number {
  return set.v4.length / 2 + set.v6.length / 8;
}

/** Cuts the address space; null where the pieces would name too many sets. */
function cut(
  sets: Names,
  mostNames: number,
  intervalsOf: (index: number) => readonly (readonly [bigint, bigint])[],
): Pieces | null {
  const changes: { at: bigint; index: number; begins: boolean }[] = [];
  for (const index of sets) {
    for (const [first, last] of intervalsOf(index)) {
      changes.push({ at: first, index, begins: true }, { at: last + 1n, index, begins: false });
    }
  }
  changes.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  const starts: bigint[] = [];
  const names: Names[] = [];
  const covering = new Set<number>();
  let named = 0;
  for (let next = 0; next < changes.length;) {
    const { at } = changes[next]!;
    for (; next < changes.length && changes[next]!.at === at; next++) {
      const { index, begins } = changes[next]!;
      // Intervals of one set are neither adjacent nor overlapping, so the order at one place does not matter.
      if (begins) covering.add(index);
      else covering.delete(index);
    }
    named += covering.size;
    if (named > mostNames) return null;
    starts.push(at);
    names.push([...covering].sort((a, b) => a - b));
  }
  return { starts, names };
}

function v4Intervals(pairs: Uint32Array): [bigint, bigint][] {
  const found: [bigint, bigint][] = [];
  for (let at = 0; at < pairs.length; at += 2) found.push([BigInt(pairs[at]!), BigInt(pairs[at + 1]!)]);
  return found;
}

function v6Intervals(flat: Uint32Array): [bigint, bigint][] {
  const found: [bigint, bigint][] = [];
  for (let at = 0; at < flat.length; at += 8) found.push([big(flat, at), big(flat, at + 4)]);
  return found;
}

function big(flat: Uint32Array, at: number): bigint {
  let value = 0n;
  for (let index = 0; index < 4; index++) value = (value << 32n) | BigInt(flat[at + index]!);
  return value;
}

/** The four words of an address. */
function words(value: bigint): number[] {
  return [96n, 64n, 32n, 0n].map((shift) => Number((value >> shift) & 0xffffffffn));
}
