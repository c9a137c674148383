/** The change that a commit tells of: what a replica knows of a write that it did not take itself, or took before its restart. Pure. */
import type { RolloutState } from '../policy/rollout.ts';
import type { Commit, CommitKind } from '../store/store.ts';
import { BLANK_CHANGE, type Change, MOST_DECREASES, type PercentageMove } from './change.ts';
import { decreasesBetween } from './exposure.ts';

/** Under way, as far as a commit can tell. `before` is the service's rollout until then. */
export function rememberedChange(commit: Commit, before: RolloutState | null | undefined): Change {
  const after = commit.document?.rollout;
  const decreases =
    before && after && before.id === after.id ? decreasesBetween(before.document, after.document) : [];
  return {
    ...BLANK_CHANGE,
    id: commit.changeId,
    service: commit.service,
    kind: commit.kind,
    status: 'APPLYING',
    progress: 'waiting for workers',
    revision: commit.revision,
    createdAt: commit.at,
    updatedAt: commit.at,
    actor: commit.actor,
    reason: commit.reason,
    requestId: commit.requestId,
    percentage: percentageMove(commit.kind, before, after),
    decreaseCount: decreases.length,
    decreases: decreases.slice(0, MOST_DECREASES),
  };
}

/** What is known of a change, with the lists of its commit where it has none: they are in no record of how changes ended. */
export function withLists(known: Change, { decreases }: Change): Change {
  return known.decreases.length > 0 ? known : { ...known, decreases };
}

/** Which percentage a `percentage` or a `step` moved; null for other kinds and where it cannot be told. */
export function percentageMove(
  kind: CommitKind,
  before: RolloutState | null | undefined,
  after: RolloutState | null | undefined,
): PercentageMove | null {
  if (kind !== 'rollout.percentage' && kind !== 'rollout.step') return null;
  const former = before?.document.rules ?? [];
  for (const [index, { name, percentage }] of (after?.document.rules ?? []).entries()) {
    const from = former[index]?.percentage;
    if (from !== undefined && from !== percentage) return { rule: name, from, to: percentage };
  }
  return null;
}
