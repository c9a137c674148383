/**
 * The way to the store, also when it fails: what could not be stored but is in force all the same (a rollback) is kept
 * here and stored as soon as the store takes writes again.
 *
 * It promises that commits reach the store in the order of their revisions, and that nothing new is stored before what
 * is owed. What it keeps is lost when the process ends first; the log says so at once.
 */
import { type Commit, type Store, StoreError } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';
import { after, guarded } from '../runtime/guard.ts';

export interface JournalOptions {
  readonly store: Store;
  readonly log: Logger;
  /** How long after a failure the store is tried again, in ms. */
  readonly retryDelay: number;
  /** A commit that was owed is in the store now. */
  readonly onStored: (commit: Commit) => void;
  /** A write failed. */
  readonly onFailure: () => void;
}

export interface Journal {
  /** Durable when it resolves. Rejects with StoreError; then nothing of it is kept. */
  commit(commit: Commit): Promise<void>;
  /** Keeps a commit that is in force already, and stores it later. */
  owe(commit: Commit): void;
  /** What is in force but not in the store, oldest first. */
  readonly owed: readonly Commit[];
  /** Whether the last write succeeded. */
  readonly available: boolean;
  /** Tries once more to store what is owed, and never again. */
  close(): Promise<void>;
}

export function createJournal({ store, log, retryDelay, onStored, onFailure }: JournalOptions): Journal {
  const owed: Commit[] = [];
  let available = true;
  let timer: NodeJS.Timeout | undefined;
  let settling: Promise<void> | null = null;

  async function tryCommit(commit: Commit): Promise<void> {
    try {
      await store.commit(commit);
    } catch (error) {
      // Somebody else's write came first: the store is well.
      if (error instanceof StoreError && error.code === 'conflict') throw error;
      available = false;
      onFailure();
      throw error instanceof StoreError
        ? error
        : new StoreError('unavailable', 'The store failed.', { cause: error });
    }
    if (!available) log.info({}, 'the store takes writes again');
    available = true;
  }

  async function settleAll(): Promise<void> {
    for (let commit = owed[0]; commit !== undefined; commit = owed[0]) {
      try {
        await tryCommit(commit);
      } catch (error) {
        if (!(await isStored(commit, error))) throw error;
      }
      owed.shift();
      log.info(
        { 'serin.service': commit.service, 'serin.revision': commit.revision },
        'stored what was owed',
      );
      onStored(commit);
    }
  }

  /** A write whose answer was lost is a conflict with itself the second time. */
  async function isStored(commit: Commit, error: unknown): Promise<boolean> {
    if (!(error instanceof StoreError) || error.code !== 'conflict') return false;
    const [stored] = await store.history(commit.service, commit.revision + 1, 1);
    return stored?.changeId === commit.changeId;
  }

  /** One at a time; a call while one runs waits for that one. */
  function settle(): Promise<void> {
    settling ??= settleAll().finally(() => {
      settling = null;
    });
    return settling;
  }

  function retryLater(): void {
    clearTimeout(timer);
    timer = after(
      retryDelay,
      guarded('storing what is owed', () => {
        settle().catch((error: unknown) => {
          log.warn({ err: error, 'serin.owed': owed.length }, 'the store still fails');
          retryLater();
        });
      }),
    ).unref();
  }

  return {
    async commit(commit) {
      if (owed.length > 0) await settle();
      await tryCommit(commit);
    },
    owe(commit) {
      owed.push(commit);
      log.error(
        { 'serin.service': commit.service, 'serin.revision': commit.revision, 'serin.kind': commit.kind },
        'in force, but the store cannot take it: it is lost if this process ends before the store recovers',
      );
      retryLater();
    },
    owed,
    get available() {
      return available;
    },
    async close() {
      clearTimeout(timer);
      if (owed.length > 0) await settle();
    },
  };
}
