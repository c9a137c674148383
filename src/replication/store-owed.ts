/**
 * Stores the rollbacks that are in force everywhere and that no replica has stored: the one that took it may be gone.
 */
import type { Tombstone } from '../contract/tombstone.ts';
import { advance } from '../rollout/lifecycle.ts';
import type { SharedStore } from '../store/shared-store.ts';
import { StoreError } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Follower } from './follower.ts';
import type { ActiveState } from '../state/active-state.ts';
import type { KnownRollbacks } from './known-rollbacks.ts';
import type { WriteQueue } from '../state/write-queue.ts';

/** How long a rollback is left to the replica that took it, in ms. */
const LEFT_TO_ITS_OWNER = 2000;

export interface OwedParts {
  readonly store: SharedStore;
  readonly rollbacks: KnownRollbacks;
  readonly follower: Follower;
  readonly activeState: ActiveState;
  readonly log: Pick<Logger, 'info'>;
  readonly catchUp: () => Promise<void>;
}

/** Rejects with StoreError; what was not stored is tried again with the next call. */
export async function storeOwed(parts: OwedParts & { readonly queue: WriteQueue }): Promise<void> {
  const { store, queue, rollbacks, catchUp } = parts;
  if (store.condition !== 'available' || rollbacks.owed(LEFT_TO_ITS_OWNER).length === 0) return;
  await queue.run(async () => {
    await catchUp();
    await storeNow(parts, LEFT_TO_ITS_OWNER);
  });
}

/** Stores those that have been known for `age` ms. In the write queue only, caught up. Rejects with StoreError. */
export async function storeNow(parts: OwedParts, age: number): Promise<void> {
  for (const rollback of parts.rollbacks.owed(age)) {
    try {
      await storeOne(rollback, parts);
    } catch (error) {
      // Another replica was faster.
      if (!(error instanceof StoreError) || error.code !== 'conflict') throw error;
    }
    await parts.catchUp();
  }
}

async function storeOne(
  rollback: Tombstone,
  { store, follower, activeState, log }: OwedParts,
): Promise<void> {
  const { service, at, actor, reason, requestId, changeId } = rollback;
  const stored = activeState.state.documents.get(service);
  const rollout = stored?.document.rollout;
  if (stored === undefined || !rollout) return;
  const outcome = advance(rollout, { kind: 'rollback' }, () => {
    throw new Error('A rollback starts no rollout.');
  });
  if (outcome.kind !== 'changed') return;
  await store.commit({
    revision: follower.head.revision + 1,
    service,
    kind: 'rollout.rollback',
    at,
    actor,
    reason,
    requestId,
    changeId,
    document: { ...stored.document, rollout: outcome.rollout },
  });
  log.info(
    { 'serin.service': service, 'serin.change': changeId },
    'stored a rollback that was owed to the store',
  );
}
