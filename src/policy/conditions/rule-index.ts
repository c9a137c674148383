/**
 * Finds the first rule, in order of rank, whose conditions hold, without testing every rule.
 *
 * A rule is filed under its most telling condition: the value of a header, the network, the path, the device. A request
 * then meets only the rules filed under what it has, and those that cannot be filed. The answer is always that of
 * testing every rule in turn; the index decides nothing by itself.
 */
import type { RequestView } from './request-view.ts';

/** How a rule can be found without testing it: by what a request must have for a condition to hold. */
export interface IndexKey {
  /** Rules whose keys name the same shelf are filed together, and looked up at once. */
  readonly shelf: string;
  /** The larger, the fewer requests are expected to have the key; a rule is filed under its most telling one. */
  readonly tells: number;
  /** What the rule is filed under: any of them leads to it. */
  readonly under: readonly unknown[];
  /** Makes the shelf of all that is filed. `first` tests rules. */
  open(filed: ReadonlyMap<unknown, readonly number[]>, first: FirstOf): LookUp;
}

/** The lowest of the ranks below `limit` whose rule's conditions hold, or `limit`. Ranks are ascending. */
export type FirstOf = (ranks: readonly number[], view: RequestView, limit: number) => number;

/** The lowest rank below `limit` among rules on a shelf whose conditions hold, or `limit`. */
export type LookUp = (view: RequestView, limit: number) => number;

/** The best rank filed under a text, or the limit. */
export type Under = (text: string, view: RequestView, limit: number) => number;

/** A key of texts. `ask` says which texts a request has; `longest` is the length of the longest that is filed. */
export function textKey(
  shelf: string,
  tells: number,
  texts: readonly string[],
  ask: (under: Under, longest: number) => LookUp,
): IndexKey {
  return {
    shelf,
    tells,
    under: texts,
    open(filed, first) {
      const ranks = filed as ReadonlyMap<string, readonly number[]>;
      const under: Under = (text, view, limit) => {
        const found = ranks.get(text);
        return found === undefined ? limit : first(found, view, limit);
      };
      let longest = 0;
      for (const text of ranks.keys()) longest = Math.max(longest, text.length);
      return ask(under, longest);
    },
  };
}

interface Tested {
  readonly key: IndexKey | null;
  holds(view: RequestView): boolean;
}

export interface Testable {
  readonly conditions: readonly Tested[];
}

/** Whether all conditions hold. */
export function allHold(conditions: readonly Tested[], view: RequestView): boolean {
  for (let index = 0; index < conditions.length; index++) {
    if (!conditions[index]!.holds(view)) return false;
  }
  return true;
}

/** Up to this many rules are tested in turn; an index would cost more. */
const SMALL = 12;

interface Shelf {
  /** The lowest rank on it: where the limit is no higher, the shelf need not be asked and nothing need be derived. */
  readonly lowest: number;
  readonly first: LookUp;
}

export class RuleIndex {
  readonly #rules: readonly Testable[];
  /** Ranks of the rules that cannot be filed, ascending. */
  readonly #unfiled: number[] = [];
  readonly #shelves: readonly Shelf[];
  #passesOver: ((rank: number) => boolean) | null = null;

  /** `rules` in order of rank. `small` is for tests. */
  constructor(rules: readonly Testable[], small = SMALL) {
    this.#rules = rules;
    const filings = new Map<string, Filing>();
    for (const [rank, rule] of rules.entries()) {
      const key = rules.length <= small ? null : mostTelling(rule.conditions);
      if (key === null) {
        this.#unfiled.push(rank);
        continue;
      }
      let filing = filings.get(key.shelf);
      if (filing === undefined) filings.set(key.shelf, (filing = { key, filed: new Map() }));
      for (const each of new Set(key.under)) append(filing.filed, each, rank);
    }
    const first: FirstOf = (ranks, view, limit) => this.#firstOf(ranks, view, limit);
    this.#shelves = [...filings.values()]
      .toSorted((a, b) => b.key.tells - a.key.tells)
      .map(({ key, filed }) => ({ lowest: lowestOf(filed.values()), first: key.open(filed, first) }));
  }

  /** The lowest rank below `limit` whose rule's conditions all hold, or -1. */
  first(view: RequestView, limit: number): number {
    let best = limit;
    for (let index = 0; index < this.#shelves.length; index++) {
      const shelf = this.#shelves[index]!;
      if (shelf.lowest < best) best = shelf.first(view, best);
    }
    best = this.#firstOf(this.#unfiled, view, best);
    return best < limit ? best : -1;
  }

  /** The same among the rules that are not passed over, of which nothing is tested. */
  firstOther(view: RequestView, limit: number, passesOver: (rank: number) => boolean): number {
    this.#passesOver = passesOver;
    try {
      return this.first(view, limit);
    } finally {
      this.#passesOver = null;
    }
  }

  #firstOf(ranks: readonly number[], view: RequestView, limit: number): number {
    for (let index = 0; index < ranks.length; index++) {
      const rank = ranks[index]!;
      if (rank >= limit) return limit;
      if (this.#passesOver !== null && this.#passesOver(rank)) continue;
      if (allHold(this.#rules[rank]!.conditions, view)) return rank;
    }
    return limit;
  }
}

/** All rules of one shelf, by what they are filed under; `key` is that of the first. */
interface Filing {
  readonly key: IndexKey;
  readonly filed: Map<unknown, number[]>;
}

function mostTelling(conditions: readonly Tested[]): IndexKey | null {
  let best: IndexKey | null = null;
  for (const { key } of conditions) {
    if (key !== null && (best === null || key.tells > best.tells)) best = key;
  }
  return best;
}

/** The lowest rank in lists that are ascending. */
function lowestOf(lists: Iterable<readonly number[]>): number {
  let lowest = Infinity;
  for (const [first = Infinity] of lists) lowest = Math.min(lowest, first);
  return lowest;
}

function append<K>(to: Map<K, number[]>, key: K, rank: number): void {
  const ranks = to.get(key);
  if (ranks === undefined) to.set(key, [rank]);
  else ranks.push(rank);
}
