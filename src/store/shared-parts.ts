/**
 * Lets the commits of a service share in memory what they have alike: each holds the whole policy, and most change one percentage.
 *
 * It promises that what comes out is, and is written as JSON, exactly what went in.
 */
import type { Commit } from './store.ts';

/** No document of ours is nested a quarter as deep; what is deeper is not shared. */
const DEEPEST = 64;

/**
 * For commits in their order, fresh from JSON: parts of each that are as in the service's commit before it are replaced by those.
 * Nobody may change one from then on.
 */
export function createSharing(): (commit: Commit) => Commit {
  const latest = new Map<string, Commit['document']>();
  return (commit) => {
    const document = shared(commit.document, latest.get(commit.service), 0);
    latest.set(commit.service, document);
    return { ...commit, document };
  };
}

/** `value` with the parts of `former` where they are the same; `former` itself where all of it is. */
function shared<T>(value: T, former: unknown, depth: number): T {
  const next: unknown = value;
  // What was unpacked shares it already.
  if (next === former) return value;
  if (depth === DEEPEST || !isContainer(next) || !isContainer(former)) return value;
  const keys = Object.keys(next);
  const formerKeys = Object.keys(former);
  let same = keys.length === formerKeys.length && Array.isArray(next) === Array.isArray(former);
  for (const [index, key] of keys.entries()) {
    const was = Object.hasOwn(former, key) ? former[key] : undefined;
    const part = shared(next[key], was, depth + 1);
    if (part !== next[key]) next[key] = part;
    // Another order of the keys would be other JSON.
    same &&= key === formerKeys[index] && Object.is(part, was);
  }
  return same ? (former as T) : value;
}

function isContainer(value: unknown): value is { [key: string]: unknown } {
  return typeof value === 'object' && value !== null;
}
