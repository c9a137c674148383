/**
 * The last commits in memory, to be written again where the store loses them. Bounded by count and by what they hold: a
 * policy may name a hundred thousand networks, and each commit has a copy.
 */
import { list } from '../policy/conditions/texts.ts';
import type { Commit } from '../store/store.ts';

const MOST_COMMITS = 2000;

/** Rules and networks of all of them together: some 20 MB. */
const MOST_PARTS = 200_000;

const weights = new WeakMap<Commit, number>();

/** Those of `commits`, oldest first, that may be kept: the last one always. */
export function withinBounds(commits: readonly Commit[]): readonly Commit[] {
  let parts = 0;
  let from = commits.length;
  while (from > 0 && commits.length - from < MOST_COMMITS) {
    parts += weightOf(commits[from - 1]!);
    if (parts > MOST_PARTS && from < commits.length) break;
    from -= 1;
  }
  return from === 0 ? commits : commits.slice(from);
}

function weightOf(commit: Commit): number {
  let weight = weights.get(commit);
  if (weight === undefined) {
    const document = commit.document?.rollout?.document;
    weight = 1;
    for (const { match } of [...(document?.rules ?? []), ...(document?.exclude ?? [])]) {
      weight += 1 + (match?.cidr === undefined ? 0 : list(match.cidr).length);
    }
    weights.set(commit, weight);
  }
  return weight;
}
