/**
 * Finds the first rule, in order of rank, whose conditions hold, without testing every rule.
 *
 * A rule is filed under its most telling condition: the value of a header, the network, the path, the device. A request
 * then meets only the rules filed under what it has, and those that cannot be filed. The answer is always that of
 * testing every rule in turn; the index decides nothing by itself.
 */
import type { Condition, IndexKey } from './conditions.ts';
import { NetworkIndex } from './network-index.ts';
import type { NetworkSet } from '../ip/network.ts';
import type { RequestView } from './request-view.ts';

export interface Testable {
  readonly conditions: readonly Condition[];
}

/** Whether all conditions hold. */
export function allHold(conditions: readonly Condition[], view: RequestView): boolean {
  for (let index = 0; index < conditions.length; index++) {
    if (!conditions[index]!.holds(view)) return false;
  }
  return true;
}

/** Up to this many rules are tested in turn; an index would cost more. */
const SMALL = 12;

/** Rules filed under one kind of key; `first` gives the lowest matching rank below `limit`, or `limit`. */
interface Shelf {
  /** The lowest rank on it: where the limit is no higher, the shelf need not be asked and nothing need be derived. */
  readonly lowest: number;
  first(view: RequestView, limit: number): number;
}

export class RuleIndex {
  readonly #rules: readonly Testable[];
  /** Ranks of the rules that cannot be filed, ascending. */
  readonly #unfiled: number[] = [];
  readonly #shelves: Shelf[] = [];

  /** `rules` in order of rank. `small` is for tests. */
  constructor(rules: readonly Testable[], small = SMALL) {
    this.#rules = rules;
    const filing = new Filing((ranks, view, limit) => this.#firstOf(ranks, view, limit));
    for (const [rank, rule] of rules.entries()) {
      const key = rules.length <= small ? null : mostTelling(rule.conditions);
      if (key === null) this.#unfiled.push(rank);
      else filing.file(key, rank);
    }
    this.#shelves = filing.shelves();
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

  #firstOf(ranks: readonly number[], view: RequestView, limit: number): number {
    for (let index = 0; index < ranks.length; index++) {
      const rank = ranks[index]!;
      if (rank >= limit) return limit;
      if (allHold(this.#rules[rank]!.conditions, view)) return rank;
    }
    return limit;
  }
}

function mostTelling(conditions: readonly Condition[]): IndexKey | null {
  let best: IndexKey | null = null;
  for (const { key } of conditions) {
    if (key !== null && (best === null || tells(key) > tells(best))) best = key;
  }
  return best;
}

/** The larger, the fewer requests are expected to have the key. */
function tells(key: IndexKey): number {
  switch (key.by) {
    case 'value':
      return key.exact === null ? 3 : 9;
    case 'network':
      return 8;
    case 'path':
      return 7;
    case 'pathPrefix':
      return key.prefix === '/' ? 0 : 6;
    case 'region':
      return key.level === 'country' ? 4 : 5;
    case 'device':
      return key.facet === 'model' ? 5 : key.facet === 'type' ? 1 : 2;
    case 'method':
      return 1;
  }
}

/** The best rank filed under a text, or the limit. */
type Under = (text: string, view: RequestView, limit: number) => number;

/** What a request is asked for where rules are filed under a text, and how. */
const LOOK_UPS = {
  path: (under: Under) => (view: RequestView, limit: number) => under(view.path(), view, limit),
  method: (under: Under) => (view: RequestView, limit: number) => under(view.facts.method, view, limit),
  pathPrefix: (under: Under, longest: number) => (view: RequestView, limit: number) =>
    underPrefixes(view, limit, under, longest),
  'device type': (under: Under) => (view: RequestView, limit: number) =>
    under(view.device().type, view, limit),
  'device model': (under: Under) => (view: RequestView, limit: number) =>
    under(view.device().model, view, limit),
  'device os': (under: Under) => (view: RequestView, limit: number) => {
    const { os, osFamily } = view.device();
    return under(osFamily, view, under(os, view, limit));
  },
  'device browser': (under: Under) => (view: RequestView, limit: number) => {
    const { browser, browserFamily } = view.device();
    return under(browserFamily, view, under(browser, view, limit));
  },
  'region country': (under: Under) => (view: RequestView, limit: number) =>
    under(view.region().country, view, limit),
  'region city': (under: Under) => (view: RequestView, limit: number) =>
    under(view.region().city, view, limit),
  'region subdivision': (under: Under) => (view: RequestView, limit: number) => {
    let best = limit;
    for (const code of view.region().subdivisions) best = under(code, view, best);
    return best;
  },
};
type Asked = keyof typeof LOOK_UPS;

type FirstOf = (ranks: readonly number[], view: RequestView, limit: number) => number;

/** Collects rules by key and builds the shelves. Ranks are filed in ascending order. */
class Filing {
  readonly #firstOf: FirstOf;
  readonly #values = new Map<number, { exact: Map<string, number[]>; present: number[] }>();
  readonly #networks = new Map<NetworkSet, number[]>();
  readonly #texts = new Map<Asked, Map<string, number[]>>();

  constructor(firstOf: FirstOf) {
    this.#firstOf = firstOf;
  }

  file(key: IndexKey, rank: number): void {
    switch (key.by) {
      case 'value': {
        let shelf = this.#values.get(key.slot);
        if (shelf === undefined) this.#values.set(key.slot, (shelf = { exact: new Map(), present: [] }));
        if (key.exact === null) shelf.present.push(rank);
        else for (const value of key.exact) append(shelf.exact, value, rank);
        break;
      }
      case 'network':
        for (const set of new Set(key.sets)) append(this.#networks, set, rank);
        break;
      case 'path':
      case 'method':
        this.#fileTexts(key.by, key.exact, rank);
        break;
      case 'pathPrefix':
        this.#fileTexts(key.by, [key.prefix], rank);
        break;
      case 'device':
        this.#fileTexts(`device ${key.facet}`, key.exact, rank);
        break;
      case 'region':
        this.#fileTexts(`region ${key.level}`, key.exact, rank);
        break;
    }
  }

  #fileTexts(asked: Asked, texts: readonly string[], rank: number): void {
    let shelf = this.#texts.get(asked);
    if (shelf === undefined) this.#texts.set(asked, (shelf = new Map<string, number[]>()));
    for (const text of texts) append(shelf, text, rank);
  }

  shelves(): Shelf[] {
    const shelves: Shelf[] = [];
    for (const [slot, { exact, present }] of this.#values)
      shelves.push(this.#valueShelf(slot, exact, present));
    for (const [asked, ranks] of this.#texts) shelves.push(this.#textShelf(asked, ranks));
    if (this.#networks.size > 0) shelves.push(this.#networkShelf());
    return shelves;
  }

  #valueShelf(slot: number, exact: ReadonlyMap<string, number[]>, present: readonly number[]): Shelf {
    const firstOf = this.#firstOf;
    return {
      lowest: lowestOf([...exact.values(), present]),
      first(view, limit) {
        const value = view.value(slot);
        if (value === undefined) return limit;
        const ranks = exact.get(value);
        const best = ranks === undefined ? limit : firstOf(ranks, view, limit);
        return present.length === 0 ? best : firstOf(present, view, best);
      },
    };
  }

  #textShelf(asked: Asked, ranks: ReadonlyMap<string, number[]>): Shelf {
    const firstOf = this.#firstOf;
    const under: Under = (text, view, limit) => {
      const found = ranks.get(text);
      return found === undefined ? limit : firstOf(found, view, limit);
    };
    const longest = Math.max(0, ...[...ranks.keys()].map((text) => text.length));
    return { lowest: lowestOf(ranks.values()), first: LOOK_UPS[asked](under, longest) };
  }

  #networkShelf(): Shelf {
    const firstOf = this.#firstOf;
    const sets = [...this.#networks.keys()];
    const ranks = [...this.#networks.values()];
    const index = new NetworkIndex(sets);
    return {
      lowest: lowestOf(ranks),
      first(view, limit) {
        const { client } = view.facts;
        let best = limit;
        for (const set of index.find(client)) best = firstOf(ranks[set]!, view, best);
        for (const set of index.apart) {
          if (ranks[set]![0]! < best && sets[set]!.contains(client)) best = firstOf(ranks[set]!, view, best);
        }
        return best;
      },
    };
  }
}

/** Every prefix of the path that ends at a segment, the path itself, and each of them with a slash. */
function underPrefixes(view: RequestView, limit: number, under: Under, longest: number): number {
  const path = view.path();
  let best = path.length <= longest ? under(path, view, limit) : limit;
  // Beyond the longest prefix there is nothing to find; a deep path must not cost a look-up of all before each slash.
  for (let slash = path.indexOf('/'); slash >= 0 && slash <= longest; slash = path.indexOf('/', slash + 1)) {
    if (slash > 0) best = under(path.slice(0, slash), view, best);
    if (slash < path.length - 1) best = under(path.slice(0, slash + 1), view, best);
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
