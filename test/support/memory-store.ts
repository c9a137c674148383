/** A store in memory that can be made to fail, and workers without threads. */
import type { Snapshot } from '../../src/contract/snapshot.ts';
import type { Workers } from '../../src/contract/workers.ts';
import { applyCommit } from '../../src/store/log-records.ts';
import {
  type Commit,
  type Loaded,
  type Store,
  type StoredDocument,
  StoreError,
} from '../../src/store/store.ts';

export interface MemoryStore extends Store {
  readonly commits: Commit[];
  /** While true every write fails. */
  failing: boolean;
}

export function memoryStore(commits: Commit[] = []): MemoryStore {
  const store: MemoryStore = {
    commits,
    failing: false,
    async load(): Promise<Loaded> {
      const documents = new Map<string, StoredDocument>();
      for (const commit of commits) applyCommit(documents, commit);
      return { revision: commits.at(-1)?.revision ?? 0, documents, recent: commits };
    },
    async commit(commit) {
      if (store.failing) throw new StoreError('unavailable', 'The disk is full.');
      if (commit.revision !== (commits.at(-1)?.revision ?? 0) + 1)
        throw new StoreError('conflict', 'Not the next.');
      commits.push(structuredClone(commit));
    },
    history: async (service, before, limit) =>
      commits
        .filter((one) => one.service === service && one.revision < before)
        .toReversed()
        .slice(0, limit),
    close: async () => {},
  };
  return store;
}

export interface FakeWorkers extends Workers {
  readonly snapshots: Snapshot[];
  /** Whether workers acknowledge by themselves. */
  automatic: boolean;
  /** Worker `index` has applied the newest snapshot. */
  acknowledge(index: number): void;
  /** Until when the workers may give the canary by what they know, on performance.now(). */
  freshUntil: number;
}

export function fakeWorkers(size = 2): FakeWorkers {
  const revisions = Array.from({ length: size }, () => -1);
  const sequences = revisions.map(() => -1);
  const listeners: ((index: number, revision: number) => void)[] = [];
  const workers: FakeWorkers = {
    size,
    snapshots: [],
    automatic: true,
    apply(snapshot) {
      workers.snapshots.push(snapshot);
      if (workers.automatic) for (const index of revisions.keys()) workers.acknowledge(index);
      return workers.snapshots.length;
    },
    acknowledge(index) {
      const revision = workers.snapshots.at(-1)!.revision;
      revisions[index] = revision;
      sequences[index] = workers.snapshots.length;
      for (const listener of listeners) listener(index, revision);
    },
    appliedRevision: () =>
      revisions.map((revision, index) => ({ index, revision, sequence: sequences[index]! })),
    onApplied: (listener) => void listeners.push(listener),
    freshFor(ms) {
      workers.freshUntil = performance.now() + ms;
    },
    freshUntil: Number.POSITIVE_INFINITY,
  };
  return workers;
}
