/**
 * The change of a write that found its end reached already. Its id says all there is to know, so it can be read for as
 * long as anybody likes, after a restart and from every replica. Only that it has ended is kept: a replica that joins later
 * must not make it one that is under way again.
 */
import type { CommitKind } from '../store/store.ts';
import { BLANK_CHANGE, type Change, isFinal } from './change.ts';
import type { ReachOf } from './reach.ts';

/** Ended ones that are kept; the oldest go first. */
const MOST_KEPT = 10_000;

const PRESENT = /^present\.([a-z0-9-]+)\.((?:rollout|service)\.[a-z]+)\.([0-9]+)$/;

export interface Present {
  readonly service: string;
  readonly kind: CommitKind;
  /** The service's revision as the write found it. */
  readonly revision: number;
}

export function presentId({ service, kind, revision }: Present): string {
  return `present.${service}.${kind}.${revision}`;
}

export function presentChange(present: Present, reach: ReachOf): Change {
  const { service, kind, revision } = present;
  const { applied, progress } = reach({ service, revision, changeId: null, rolledBack: null });
  return {
    ...BLANK_CHANGE,
    id: presentId(present),
    service,
    kind,
    status: applied ? 'APPLIED' : 'APPLYING',
    progress,
    revision,
    createdAt: null,
    updatedAt: null,
    actor: null,
    reason: null,
    requestId: null,
  };
}

/** Reads the id of a `presentChange` back; null for any other id. */
export function parsePresentId(id: string): Present | null {
  const [, service, kind, revision] = PRESENT.exec(id) ?? [];
  if (service === undefined || kind === undefined || revision === undefined) return null;
  return { service, kind: kind as CommitKind, revision: Number(revision) };
}

export interface PresentChanges {
  find(present: Present): Change;
  /** It has ended so. */
  keep(change: Change): void;
  ended(): readonly Change[];
}

/** `onEnded` is told of each that this replica finds to have ended. It can end in one way only, so nobody is asked before it is shown. */
export function createPresentChanges(reach: ReachOf, onEnded: (change: Change) => void): PresentChanges {
  const kept = new Map<string, Change>();

  function keep(change: Change): void {
    kept.set(change.id, change);
    for (const oldest of kept.keys()) {
      if (kept.size <= MOST_KEPT) break;
      kept.delete(oldest);
    }
  }

  return {
    find(present) {
      const known = kept.get(presentId(present));
      if (known !== undefined) return known;
      const change = presentChange(present, reach);
      if (!isFinal(change.status)) return change;
      keep(change);
      onEnded(change);
      return change;
    },
    keep,
    ended: () => [...kept.values()],
  };
}
