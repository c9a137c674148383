/** What a write needs where other replicas write to the store too. */
import type { Commit, CommitKind } from '../store/store.ts';

/** What writing to a store that others write to as well takes. */
export interface SharedWrites {
  /** Whether the store is worth trying: a write that is sure to fail must not wait for its turn to do so. */
  readonly available: boolean;
  /** Brings the state up to the store. Rejects with StoreError. */
  catchUp(): Promise<void>;
  /** The store has the commit. Never rejects. */
  committed(commit: Commit): Promise<void>;
  /** When a write of that kind begins to count, in ms since 1970 by the store's clock; undefined: at once. */
  activateAt(kind: CommitKind): number | undefined;
  /** The local moment at which the store's clock shows `at`, in ms. */
  moment(at: number): number;
}
