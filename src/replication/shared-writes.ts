/** What a write needs where other replicas write to the store too. */
import type { Tombstone } from '../contract/tombstone.ts';
import type { Commit, CommitKind } from '../store/store.ts';

/** What writing to a store that others write to as well takes. */
export interface SharedWrites {
  /** Whether the store is worth trying: a write that is sure to fail must not wait for its turn to do so. */
  readonly available: boolean;
  /** Brings the state up to the store. Rejects with StoreError. */
  catchUp(): Promise<void>;
  /** Stores what was rolled back without the store, so that a write is planned on top of it. Rejects with StoreError. */
  settleRollbacks(): Promise<void>;
  /** The store has the commit. Never rejects. */
  committed(commit: Commit): Promise<void>;
  /** When a write of that kind begins to count, in ms since 1970 by the store's clock; undefined: at once. */
  activateAt(kind: CommitKind): number | undefined;
  /** The local moment at which the store's clock shows `at`, in ms. */
  moment(at: number): number;
  /** Tells all replicas of a rollback that is in force here, and keeps it until the store has it. */
  announce(rollback: Tombstone): void;
  /** Resolves when the state, and what was announced, is on disk. */
  kept(): Promise<void>;
}
