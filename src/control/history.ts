/** Commits as people read them: who changed what, from what to what. */
import type { HistoryEntry } from '../admin/backend.ts';
import { diff } from '../rollout/diff.ts';
import type { Commit } from '../store/store.ts';

/** The first `limit` of the commits, which are newest first; the one after them tells what the last of them changed. */
export function historyEntries(commits: readonly Commit[], limit: number): HistoryEntry[] {
  return commits.slice(0, limit).map((commit, index) => {
    const { revision, kind, at, actor, reason, requestId, changeId, document } = commit;
    const former = commits[index + 1];
    const known = former !== undefined || commits.length <= limit;
    const changed = known ? diff(describe(former?.document), describe(document)) : null;
    return { revision, kind, at, actor, reason, requestId, changeId, diff: changed };
  });
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
