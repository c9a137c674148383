/**
 * The store's interface: where accepted writes live. Two real stores implement it, the file and Redis.
 *
 * A commit is durable before `commit` resolves. The store knows nothing of rollouts: it keeps, per service, one
 * document, and the list of all commits as history.
 */
import type { RolloutState } from '../policy/rollout.ts';
import type { ServiceDefinition } from '../config/service.ts';

/** Everything that writes can change about one service. */
export interface ServiceDocument {
  /** The definition, where the service was made through the API; null where the configuration file defines it. */
  readonly definition: ServiceDefinition | null;
  /** The rollout, or null before the first one. */
  readonly rollout: RolloutState | null;
}

export type CommitKind =
  | 'service.put'
  | 'service.delete'
  | 'rollout.put'
  | 'rollout.patch'
  | 'rollout.percentage'
  | 'rollout.step'
  | 'rollout.promote'
  | 'rollout.finish'
  | 'rollout.rollback'
  | 'rollout.pause'
  | 'rollout.resume'
  | 'rollout.restore'
  /** A state said again after the store had lost writes. */
  | 'store.reconcile';

/** One accepted write. */
export interface Commit {
  /** The number this commit makes: exactly one more than the store's last. */
  readonly revision: number;
  readonly service: string;
  readonly kind: CommitKind;
  /** RFC 3339. */
  readonly at: string;
  /** The name of the token, or `anonymous` on a loopback admin listener without tokens. */
  readonly actor: string;
  readonly reason: string | null;
  readonly requestId: string | null;
  readonly changeId: string;
  /** The service's document after this commit; null when the service was deleted. */
  readonly document: ServiceDocument | null;
  /** When all replicas begin to decide by it, in ms since 1970 by the store's clock; absent: at once. */
  readonly activateAt?: number;
}

export interface StoredDocument {
  readonly revision: number;
  readonly document: ServiceDocument;
}

export interface Loaded {
  /** The last revision, 0 for a new store. */
  readonly revision: number;
  readonly documents: ReadonlyMap<string, StoredDocument>;
  /** Commits of the last 24 hours at least, oldest first: changes stay readable and request ids stay known. */
  readonly recent: readonly Commit[];
  /** What is in the store and can't be read, left out of the above; only a store that is shared goes on with some. */
  readonly faults?: readonly StoreFault[];
}

/** A commit or a document that can't be read. */
export interface StoreFault {
  readonly service: string;
  readonly revision: number;
  /** The change that made it; `''` where it is not known. */
  readonly changeId: string;
  readonly detail: string;
}

export interface Store {
  /** Reads everything. Rejects with a StoreError that says what is wrong with the store and the remedy. */
  load(): Promise<Loaded>;
  /** Durable when it resolves. Rejects with StoreError `conflict` when `revision` is not the next, `unavailable` when it cannot write. */
  commit(commit: Commit): Promise<void>;
  /** The service's commits, newest first, below revision `before`, at most `limit`. */
  history(service: string, before: number, limit: number): Promise<readonly Commit[]>;
  close(): Promise<void>;
}

export type StoreErrorCode =
  | 'unavailable'
  | 'conflict'
  | 'corrupt'
  | 'foreign'
  | 'newer'
  | 'locked'
  | 'unreadable';

export class StoreError extends Error {
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreError';
    this.code = code;
  }
}

/** Whether a commit was refused because another one came first. */
export function isConflict(error: unknown): error is StoreError {
  return error instanceof StoreError && error.code === 'conflict';
}
