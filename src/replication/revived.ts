/**
 * Rollbacks that a store has forgotten: what was rolled back as far as this replica knows, and is under way there.
 *
 * A rollout that was rolled back never comes back to life by itself, so these are rollbacks to be stored again.
 */
import type { Tombstone } from '../contract/tombstone.ts';
import { isActive } from '../rollout/lifecycle.ts';
import type { Commit, StoredDocument } from '../store/store.ts';

type Documents = ReadonlyMap<string, StoredDocument>;

/** `recent` are this replica's commits: they tell who rolled back, when and why. `now` is RFC 3339. */
export function revivedRollouts(
  known: Documents,
  recent: readonly Commit[],
  stored: Documents,
  now: string,
): Tombstone[] {
  return [...stored].flatMap(([service, { document }]) => {
    const rollout = document.rollout;
    const own = known.get(service)?.document.rollout;
    if (!rollout || own?.id !== rollout.id || own.phase !== 'rolledBack' || !isActive(rollout.phase))
      return [];
    const commit = recent.findLast(
      (one) =>
        one.service === service &&
        one.kind === 'rollout.rollback' &&
        one.document?.rollout?.id === rollout.id,
    );
    return [
      {
        service,
        rolloutId: rollout.id,
        at: commit?.at ?? now,
        actor: commit?.actor ?? 'serin',
        reason: commit?.reason ?? 'the store had forgotten this rollback',
        requestId: commit?.requestId ?? null,
        changeId: commit?.changeId ?? `revived-${rollout.id.slice(0, 12)}-00000000`,
      },
    ];
  });
}
