/**
 * Commits as people read them: who changed what, from what to what, a page at a time.
 *
 * It promises that a page is bounded, however large the documents are: it ends early where its differences have much in them.
 */
import type { HistoryEntry, HistoryPage } from './api.ts';
import { diff } from '../rollout/diff.ts';
import { valueSize } from '../schema/value-size.ts';
import { refused } from '../rollout/refusal.ts';
import { type Commit, type Store, StoreError } from '../store/store.ts';

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

/** A service's commits below revision `before`, newest first. Rejects with RefusedError `store_unavailable`. */
export async function commitsOf(
  store: Pick<Store, 'history'>,
  service: string,
  before: number,
  limit: number,
): Promise<readonly Commit[]> {
  try {
    return await store.history(service, before, limit);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const detail = 'The store, which keeps the history, cannot be read now. Try again later.';
    throw refused('store_unavailable', detail, { store: error.code });
  }
}

/** The service's commit of that revision, or null. */
export async function commitAt(
  store: Pick<Store, 'history'>,
  service: string,
  revision: number,
): Promise<Commit | null> {
  const [commit] = await commitsOf(store, service, revision + 1, 1);
  return commit?.revision === revision ? commit : null;
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
