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

/**
 * The document with what stands in for each long `cidr` list of which `isThere` says that it is compiled ahead. Conditions are the same
 * with it and without, but for what they say of themselves, and workers need not be sent what they never read.
 */
export function withoutLongLists(
  document: RolloutDocument,
  isThere: (key: string) => boolean,
): RolloutDocument {
  const shorten = <T extends { readonly match?: Match }>(rule: T): T => {
    const { match } = rule;
    if (match === undefined || !Array.isArray(match.cidr) || match.cidr.length < LONG_LIST) return rule;
    const key = networksKey(match.cidr);
    return isThere(key) ? { ...rule, match: { ...match, cidr: `${STAND_IN}${key}` } } : rule;
  };
  const { rules, exclude } = document;
  return {
    ...document,
    rules: rules.map(shorten),
    ...(exclude === undefined ? {} : { exclude: exclude.map(shorten) }),
  };
}

const keysOfLists = new WeakMap<readonly string[], string>();
/** Hashing a shorter list takes no longer than remembering its key. */
const LONG_LIST = 100;

/** The key of a `cidr` list in `networks`: the same list, the same key. Lists never change, so that of a long one is worked out once. */
export function networksKey(cidrs: readonly string[]): string {
  const [first = ''] = cidrs;
  if (cidrs.length === 1 && first.startsWith(STAND_IN)) return first.slice(STAND_IN.length);
  const known = cidrs.length < LONG_LIST ? undefined : keysOfLists.get(cidrs);
  if (known !== undefined) return known;
  const key = createHash('sha256').update(cidrs.join('\n'), 'utf8').digest('base64url');
  if (cidrs.length >= LONG_LIST) keysOfLists.set(cidrs, key);
  return key;
}

/** The `cidr` lists of a document by key, so that large ones can be compiled ahead, away from the workers. */
export function ruleNetworks(document: RolloutDocument): Record<string, readonly string[]> {
  const lists: Record<string, readonly string[]> = {};
  for (const { match } of [...document.rules, ...(document.exclude ?? [])]) {
    if (match?.cidr === undefined) continue;
    const cidrs = list(match.cidr);
    lists[networksKey(cidrs)] = cidrs;
  }
  return lists;
}
