/**
 * Commits as people read them: who changed what, from what to what, a page at a time.
 *
 * It promises that a page is bounded, however large the documents are: it ends early where its differences have much in them.
 */
import type { HistoryEntry, HistoryPage } from './api.ts';
import { diff } from '../rollout/diff.ts';
import { valueSize } from '../schema/value-size.ts';
import type { Commit } from '../store/store.ts';

/** Commits that are read at once: each holds a whole document. */
const PORTION = 10;
/** A page ends with the entry that brings its differences to so many values or characters. */
const MOST_VALUES = 50_000;
const MOST_CHARACTERS = 1_000_000;

/** At most `limit` entries, newest first, below revision `before`. `read` gives that many commits of those, newest first. */
export async function historyPage(
  read: (before: number, count: number) => Promise<readonly Commit[]>,
  before: number,
  limit: number,
): Promise<HistoryPage> {
  const entries: HistoryEntry[] = [];
  const size = { values: 0, characters: 0 };
  for (let from = before; ;) {
    const wanted = Math.min(PORTION, limit - entries.length);
    // One more: it tells what the last of them changed.
    const commits = await read(from, wanted + 1);
    for (const [index, commit] of commits.slice(0, wanted).entries()) {
      const former = commits[index + 1];
      const entry = entryOf(commit, former);
      entries.push(entry);
      valueSize(entry.diff, size);
      if (former === undefined) return { entries, next: null };
      if (entries.length === limit || size.values > MOST_VALUES || size.characters > MOST_CHARACTERS)
        return { entries, next: commit.revision };
      from = commit.revision;
    }
    if (commits.length === 0) return { entries, next: null };
  }
}

function entryOf(commit: Commit, former: Commit | undefined): HistoryEntry {
  const { revision, kind, at, actor, reason, requestId, changeId, document } = commit;
  const changed = diff(describe(former?.document), describe(document));
  return { revision, kind, at, actor, reason, requestId, changeId, diff: changed };
}

/** What a write changed, as people see it: the definition, the phase and the policy. */
function describe(document: Commit['document'] | undefined): object | undefined {
  if (document === undefined || document === null) return undefined;
  const { definition, rollout } = document;
  return {
    ...(definition === null ? {} : { definition }),
    ...(rollout === null ? {} : policyOf(rollout)),
  };
}

/** A rollout as people see it. */
export function policyOf({
  phase,
  epoch,
  document,
}: NonNullable<NonNullable<Commit['document']>['rollout']>): object {
  return { phase, epoch, ...document };
}
