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
  /** For a rollback, the ids of the rollouts that it ended: a worker that treats all as rolled back has it in force. Else null. */
  readonly rolledBack: readonly string[] | null;
}

export interface Reach {
  /** All that count decide by it. */
  readonly applied: boolean;
  /** For people: `2 of 3 replicas`. */
  readonly progress: string;
}

export type ReachOf = (target: Target) => Reach;

/**
 * The reach on a replica that is alone. `applied` gives the revisions that its workers decide by, -1 for none; `rolledBack` the
 * rollouts that all of them treat as rolled back and that are on its disk. That counts where the store `fails`.
 */
export function localReach(
  applied: () => readonly number[],
  ahead: { readonly rolledBack: () => readonly string[]; readonly fails: () => boolean } | null = null,
): ReachOf {
  return ({ revision, rolledBack }) => {
    if (revision === null) {
      const counts = ahead !== null && rolledBack !== null && rolledBack.length > 0 && ahead.fails();
      if (counts && isSubset(rolledBack, ahead.rolledBack())) return APPLIED;
      return { applied: false, progress: 'in force; waiting for the store' };
    }
    const revisions = applied();
    const done = revisions.filter((one) => one >= revision).length;
    if (revisions.length > 0 && done === revisions.length) return APPLIED;
    return { applied: false, progress: `0 of 1 replicas (${done} of ${revisions.length} workers)` };
  };
}

const APPLIED: Reach = { applied: true, progress: '1 of 1 replicas' };

function isSubset(some: readonly string[], all: readonly string[]): boolean {
  return some.every((one) => all.includes(one));
}
