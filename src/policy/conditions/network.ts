/** Conditions on the network that a client is in: `segment` by the configuration's names, `cidr` by the networks themselves. */
import { DocumentError } from '../../schema/faults.ts';
import { nearest } from '../../schema/nearest.ts';
import { parseNetwork, type NetworkSet } from '../../ip/network.ts';
import type { ConditionKind, ConditionParts } from './condition.ts';
import { NetworkIndex } from './network-index.ts';
import type { FirstOf, IndexKey } from './rule-index.ts';
import { holdsAll, list, oneOf, oneOrMany, places } from './texts.ts';

const Segment = oneOrMany('names of network segments of the configuration; any of them may hold');
const Cidr = oneOrMany('networks, such as 10.8.0.0/16 or 2001:db8::/32; any of them may hold');

export const segment: ConditionKind<typeof Segment> = {
  schema: Segment,
  cost: 6,
  about: 'user',
  check(given, known, add) {
    if (known === null) return;
    for (const [name, at] of places(given, '')) {
      if (known.segments.has(name)) continue;
      add(at, () => {
        const meant = nearest(name, known.segments);
        const hint = meant === undefined ? 'define it under "segments"' : `did you mean "${meant}"?`;
        return `there is no segment "${name}"; ${hint}`;
      });
    }
  },
  widens: (before, after) => holdsAll(after, before),
  compile(given, { segments }, rule) {
    const names = list(given);
    const sets = names.map((name) => {
      const set = segments.get(name);
      if (set !== undefined) return set;
      const detail = `the rule "${rule}" names the segment "${name}", which the configuration does not define`;
      throw new DocumentError('segment_unknown', 'A segment is missing.', [{ pointer: '', detail }]);
    });
    return [inAny(sets, `in ${oneOf(names)}`)];
  },
};

export const cidr: ConditionKind<typeof Cidr> = {
  schema: Cidr,
  cost: 7,
  about: 'user',
  check(given, _known, add) {
    for (const [text, at] of places(given, '')) {
      const network = parseNetwork(text);
      if (typeof network === 'string') add(at, network);
    }
  },
  doubts: (given) => wholeNetworks(list(given)),
  widens: (before, after) => holdsAll(after, before),
  compile(given, context) {
    const cidrs = list(given);
    const shown = cidrs.length <= 10 ? oneOf(cidrs) : `one of ${cidrs.length} networks`;
    return [inAny([context.networks(cidrs)], `in ${shown}`)];
  },
};

function inAny(sets: readonly NetworkSet[], expected: string): ConditionParts {
  const [only] = sets;
  return {
    key: networkKey(sets),
    holds:
      sets.length === 1
        ? (view) => only!.contains(view.facts.client)
        : (view) => sets.some((set) => set.contains(view.facts.client)),
    expected,
    seen: (view) => view.facts.client.text || null,
  };
}

function networkKey(sets: readonly NetworkSet[]): IndexKey {
  return {
    shelf: 'network',
    tells: 8,
    under: sets,
    open: (filed, first) => openNetworks(filed as ReadonlyMap<NetworkSet, readonly number[]>, first),
  };
}

function openNetworks(
  filed: ReadonlyMap<NetworkSet, readonly number[]>,
  first: FirstOf,
): ReturnType<IndexKey['open']> {
  const sets = [...filed.keys()];
  const ranks = [...filed.values()];
  const index = new NetworkIndex(sets);
  return (view, limit) => {
    const { client } = view.facts;
    let best = limit;
    for (const set of index.find(client)) best = first(ranks[set]!, view, best);
    for (const set of index.apart) {
      if (ranks[set]![0]! < best && sets[set]!.contains(client)) best = first(ranks[set]!, view, best);
    }
    return best;
  };
}

/** More than anybody reads. */
const MOST_TOLD = 5;
/** Long lists are made by programs, and reading them again would hold up whoever writes. */
const MOST_READ = 1000;

/** Networks that are written by an address in them. */
function wholeNetworks(cidrs: readonly string[]): string[] {
  const doubts: string[] = [];
  for (const text of cidrs.slice(0, MOST_READ)) {
    if (doubts.length === MOST_TOLD) break;
    const network = parseNetwork(text);
    if (typeof network === 'string') continue;
    const { address, prefix } = network;
    const whole = networkAddress(
      address.family === 4 ? [address.v4] : [address.w0, address.w1, address.w2, address.w3],
      prefix,
    );
    if (whole !== null)
      doubts.push(
        `"${text}" is an address in a network; the whole network, ${whole}/${prefix}, is what it means`,
      );
  }
  return doubts;
}

/** The first address of the network, or null where that is the one given. `words` are 32 bits each. */
function networkAddress(words: readonly number[], prefix: number): string | null {
  const first = words.map((word, index) => {
    const bits = Math.min(32, Math.max(0, prefix - 32 * index));
    return bits === 0 ? 0 : (word & (0xffffffff << (32 - bits))) >>> 0;
  });
  if (first.every((word, index) => word === words[index]! >>> 0)) return null;
  if (first.length === 1) return [24, 16, 8, 0].map((shift) => (first[0]! >>> shift) & 255).join('.');
  const groups = first.flatMap((word) => [word >>> 16, word & 0xffff]).map((group) => group.toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}
