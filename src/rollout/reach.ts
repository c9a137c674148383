/**
 * How far a write has got on its way to all who decide by it.
 */

/** What a change made. */
export interface Target {
  readonly service: string;
  /** Null for a rollback that the store does not have yet. */
  readonly revision: number | null;
  /** The change; null where any that made the revision will do. */
  readonly changeId: string | null;
  /** For a rollback, the id of the rollout that it ended: a worker that treats it as rolled back has it in force. */
  readonly rolledBack: string | null;
}

export interface Reach {
  /** All that count decide by it. */
  readonly applied: boolean;
  /** For people: `2 of 3 replicas`. */
  readonly progress: string;
}

export type ReachOf = (target: Target) => Reach;

/** The reach on a replica that is alone. `applied` gives the revisions that its workers decide by, -1 for none. */
export function localReach(applied: () => readonly number[]): ReachOf {
  return ({ revision }) => {
    if (revision === null) return { applied: false, progress: 'in force; waiting for the store' };
    const revisions = applied();
    const done = revisions.filter((one) => one >= revision).length;
    if (revisions.length > 0 && done === revisions.length)
      return { applied: true, progress: '1 of 1 replicas' };
    return { applied: false, progress: `0 of 1 replicas (${done} of ${revisions.length} workers)` };
  };
}
