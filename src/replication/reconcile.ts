/**
 * Says a store's documents again under revisions that no replica has seen, so that all replicas come to the same after the
 * store and one of them went different ways. What is rolled back is said so, also where the store lost that.
 */
import { newChangeId } from '../rollout/change-id.ts';
import { isActive } from '../rollout/lifecycle.ts';
import type { SharedStore } from '../store/shared-store.ts';
import { isConflict, type Loaded } from '../store/store.ts';

export interface Restatement {
  readonly store: SharedStore;
  /** What the store holds. */
  readonly loaded: Loaded;
  /** The services to say again. */
  readonly services: readonly string[];
  /** Whether a rollout has a tombstone. */
  readonly isRolledBack: (rolloutId: string) => boolean;
  /** Goes on until the store is past this revision. */
  readonly beyond: number;
  /** Milliseconds since 1970. */
  readonly wallNow: () => number;
  readonly random: (size: number) => Uint8Array;
}

/** Ends early where another replica writes meanwhile. Rejects with StoreError. */
export async function restate(of: Restatement): Promise<void> {
  const { store, loaded, services, isRolledBack, beyond, wallNow, random } = of;
  let { revision } = loaded;
  const pending = [...services];
  while (pending.length > 0 || revision <= beyond) {
    const service = pending.shift() ?? services[0];
    if (service === undefined) return;
    revision += 1;
    const stored = loaded.documents.get(service)?.document ?? null;
    const rollout = stored?.rollout ?? null;
    const document =
      stored !== null && rollout !== null && isActive(rollout.phase) && isRolledBack(rollout.id)
        ? { ...stored, rollout: { ...rollout, phase: 'rolledBack' as const } }
        : stored;
    try {
      await store.commit({
        revision,
        service,
        kind: 'store.reconcile',
        at: new Date(wallNow()).toISOString(),
        actor: 'serin',
        reason: 'the store lost writes in a failover',
        requestId: null,
        changeId: newChangeId(random),
        document,
      });
    } catch (error) {
      if (isConflict(error)) return;
      throw error;
    }
  }
}
