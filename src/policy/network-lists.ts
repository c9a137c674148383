/**
 * The `cidr` lists of documents, which may be long: each is known by a key, so that it is compiled once, ahead of the workers, and not
 * sent to them.
 */
import { createHash } from 'node:crypto';
import type { Match } from './conditions/match.ts';
import { list } from './conditions/texts.ts';
import type { RolloutDocument } from './schema.ts';

/** No network begins so. */
const STAND_IN = 'compiled:';

const keysOfLists = new WeakMap<readonly string[], string>();
/** Hashing a shorter list takes no longer than remembering its key. */
const LONG_LIST = 100;

/** The key of a list of networks: the same list, the same key. Lists never change, so that of a long one is worked out once. */
export function networksKey(cidrs: readonly string[]): string {
  const [first = ''] = cidrs;
  if (cidrs.length === 1 && first.startsWith(STAND_IN)) return first.slice(STAND_IN.length);
  const known = cidrs.length < LONG_LIST ? undefined : keysOfLists.get(cidrs);
  if (known !== undefined) return known;
  const key = createHash('sha256').update(cidrs.join('\n'), 'utf8').digest('base64url');
  if (cidrs.length >= LONG_LIST) keysOfLists.set(cidrs, key);
  return key;
}

/** What is known of a document's lists. Documents never change, and every write of any service asks for those of all. */
interface DocumentLists {
  readonly lists: Readonly<Record<string, readonly string[]>>;
  /** The keys of the long ones. */
  readonly long: readonly string[];
  /** The document without those of `missing`, as it was asked for last. */
  without: { readonly missing: string; readonly document: RolloutDocument } | null;
}

const known = new WeakMap<RolloutDocument, DocumentLists>();

function listsOf(document: RolloutDocument): DocumentLists {
  let found = known.get(document);
  if (found === undefined) known.set(document, (found = findLists(document)));
  return found;
}

function findLists(document: RolloutDocument): DocumentLists {
  const lists: Record<string, readonly string[]> = {};
  const long = new Set<string>();
  for (const { match } of [...document.rules, ...(document.exclude ?? [])]) {
    if (match?.cidr === undefined) continue;
    const cidrs = list(match.cidr);
    const key = networksKey(cidrs);
    lists[key] = cidrs;
    if (cidrs.length >= LONG_LIST) long.add(key);
  }
  return { lists, long: [...long], without: null };
}

/** The `cidr` lists of a document by key, so that large ones can be compiled ahead, away from the workers. */
export function ruleNetworks(document: RolloutDocument): Readonly<Record<string, readonly string[]>> {
  return listsOf(document).lists;
}

/**
 * The document with what stands in for each long `cidr` list of which `isThere` says that it is compiled ahead. Conditions are the same
 * with it and without, but for what they say of themselves, and workers need not be sent what they never read.
 */
export function withoutLongLists(
  document: RolloutDocument,
  isThere: (key: string) => boolean,
): RolloutDocument {
  const of = listsOf(document);
  const there = of.long.filter(isThere);
  if (there.length === 0) return document;
  const missing = there.join();
  if (of.without?.missing !== missing)
    of.without = { missing, document: shortened(document, new Set(there)) };
  return of.without.document;
}

function shortened(document: RolloutDocument, keys: ReadonlySet<string>): RolloutDocument {
  const shorten = <T extends { readonly match?: Match }>(rule: T): T => {
    const { match } = rule;
    if (match === undefined || !Array.isArray(match.cidr) || match.cidr.length < LONG_LIST) return rule;
    const key = networksKey(match.cidr);
    return keys.has(key) ? { ...rule, match: { ...match, cidr: `${STAND_IN}${key}` } } : rule;
  };
  const { rules, exclude } = document;
  return {
    ...document,
    rules: rules.map(shorten),
    ...(exclude === undefined ? {} : { exclude: exclude.map(shorten) }),
  };
}
