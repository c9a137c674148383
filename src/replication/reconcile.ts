/**
 * Says a store's documents again under revisions that no replica has seen, so that all replicas come to the same after the
 * store and one of them went different ways. A rollback that the store lost is part of what is said.
 */
import type { RolloutState } from '../policy/rollout.ts';
import { newChangeId } from '../rollout/change-id.ts';
import { isActive } from '../rollout/lifecycle.ts';
import type { SharedStore } from '../store/shared-store.ts';
import { type Commit, type Loaded, StoreError } from '../store/store.ts';

export interface Restatement {
  readonly store: SharedStore;
  /** What the store holds. */
  readonly loaded: Loaded;
  /** The services to say again. */
  readonly services: readonly string[];
  /** This replica's commits that the store does not have. */
  readonly lost: readonly Commit[];
  /** Goes on until the store is past this revision. */
  readonly beyond: number;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  readonly random: (size: number) => Uint8Array;
}

/** Ends early where another replica writes meanwhile. Rejects with StoreError. */
export async function restate(of: Restatement): Promise<void> {
  const { store, loaded, services, lost, beyond, clock, random } = of;
  let { revision } = loaded;
  const pending = [...services];
  while (pending.length > 0 || revision <= beyond) {
    const service = pending.shift() ?? services[0];
    if (service === undefined) return;
    revision += 1;
    const stored = loaded.documents.get(service)?.document ?? null;
    const rollout = stored?.rollout ?? null;
    const document =
      stored === null || rollout === null ? stored : { ...stored, rollout: withLostRollback(rollout, lost) };
    try {
      await store.commit({
        revision,
        service,
        kind: 'store.reconcile',
        at: new Date(clock()).toISOString(),
        actor: 'serin',
        reason: 'the store lost writes in a failover',
        requestId: null,
        changeId: newChangeId(random),
        document,
      });
    } catch (error) {
      if (error instanceof StoreError && error.code === 'conflict') return;
      throw error;
    }
  }
}

/** A rollout that a lost write rolled back is rolled back. */
function withLostRollback(rollout: RolloutState, lost: readonly Commit[]): RolloutState {
  const rolledBack = lost.some(
    ({ document }) => document?.rollout?.id === rollout.id && document.rollout.phase === 'rolledBack',
  );
  return rolledBack && isActive(rollout.phase) ? { ...rollout, phase: 'rolledBack' } : rollout;
}
