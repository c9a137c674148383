/**
 * The last applied state on disk: what a replica serves by when it starts while the shared store is out of reach.
 */
import type { KnownRollback } from '../fleet/known-rollback.ts';
import type { Commit, StoredDocument } from './store.ts';
export interface SavedState {
  readonly savedAt: string;
  readonly storeId: string;
  readonly revision: number;
  readonly changeId: string;
  readonly documents: ReadonlyMap<string, StoredDocument>;
  readonly recent: readonly Commit[];
  readonly rollbacks: readonly KnownRollback[];
  readonly peers: Readonly<Record<string, string>>;
}
export interface StateFile {
  read(): Promise<SavedState | null>;
  write(state: SavedState): Promise<void>;
}
