/**
 * Finds a change by its id, wherever it is known.
 *
 * It promises that a change which exists is never said not to: a pipeline that is told 404 gives up for good. One that this replica
 * does not know is looked for in the store, and while that can't be asked the answer is to try again.
 */
import type { SharedControl } from '../replication/shared-control.ts';
import { type Change, isFinal } from '../rollout/change.ts';
import { changeNotFound, changeUnknown } from '../rollout/refusal.ts';
import { StoreError } from '../store/store.ts';

/**
 * `find` knows what this replica knows; `shared` is null where it is alone. What is made rejects with RefusedError `change_not_found`
 * or `store_unavailable`.
 */
export function createChangeFinder(
  find: (id: string) => Change | undefined,
  shared: Pick<SharedControl, 'catchUp' | 'finals'> | null,
): (id: string) => Promise<Change> {
  return async (id) => {
    const known = find(id);
    // One that found nothing to do may have ended as far as another replica knows.
    if (known !== undefined && (shared === null || isKept(known) || isFinal(known.status))) return known;
    if (shared === null) throw changeNotFound(id);
    try {
      // Another replica may have made it, a moment ago or long before.
      await shared.catchUp();
      if (!isKept(find(id))) await shared.finals.lookUp(id);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (known === undefined) throw changeUnknown(id, error);
    }
    const change = find(id);
    if (change === undefined) throw changeNotFound(id);
    return change;
  };
}

/** Whether it is more than what its id says. */
function isKept(change: Change | undefined): boolean {
  return change !== undefined && change.createdAt !== null;
}
