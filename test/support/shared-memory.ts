/** A store in memory that several replicas share, each through a connection of its own that can be cut. */
import { applyCommit } from '../../src/store/log-records.ts';
import type { Beat, SharedStore, Sync } from '../../src/store/shared-store.ts';
import type { StoreCondition } from '../../src/telemetry/store-counters.ts';
import {
  type Commit,
  type Loaded,
  StoreError,
  type StoredDocument,
  type StoreFault,
} from '../../src/store/store.ts';

export interface SharedMemory {
  /** What is in it; a test may take from it or replace it. */
  id: string;
  commits: Commit[];
  documents: Map<string, StoredDocument>;
  /** How changes ended, by id. */
  finals: Map<string, string>;
  /** Commits that nobody can read, by what stands in their place. */
  faults: StoreFault[];
  /** Ms since 1970 by its own clock. */
  time: () => number;
  /** Forgets everything. */
  flush(): void;
  /** Forgets the last commits, as a failover to a replica that lags does. */
  lose(count: number): void;
  connect(): SharedMemoryConnection;
}

export interface SharedMemoryConnection extends SharedStore {
  /** While true nothing gets through. */
  cut: boolean;
  /** While true hints do not. */
  deaf: boolean;
}

export function sharedMemory(time: () => number): SharedMemory {
  const registered = new Map<string, { record: string; at: number; lease: number }>();
  const connections = new Set<{ hint(): void }>();
  let made = 0;
  let restored = '';
  let leader: { name: string; until: number } | null = null;
  let fence = 0;
  const memory: SharedMemory = {
    id: '',
    commits: [],
    documents: new Map(),
    finals: new Map(),
    faults: [],
    time,
    flush() {
      memory.id = '';
      memory.commits = [];
      memory.documents = new Map();
      memory.finals.clear();
      restored = '';
      registered.clear();
      leader = null;
    },
    lose(count) {
      memory.commits = memory.commits.slice(0, -count);
      memory.documents = documentsOf(memory.commits);
    },
    connect,
  };

  function connect(): SharedMemoryConnection {
    const hinted: (() => void)[] = [];
    const conditioned: ((condition: StoreCondition, trouble: string | null) => void)[] = [];
    let condition: StoreCondition = 'available';
    const own = {
      hint() {
        if (!connection.cut && !connection.deaf) for (const listener of hinted) listener();
      },
    };
    connections.add(own);

    function turn(next: StoreCondition): void {
      if (condition === next) return;
      condition = next;
      for (const listener of conditioned) listener(next, next === 'available' ? null : 'it is cut');
      if (next === 'available') own.hint();
    }

    async function reach(): Promise<void> {
      await Promise.resolve();
      turn(connection.cut ? 'unreachable' : 'available');
      if (connection.cut) throw new StoreError('unavailable', 'The store is cut.');
    }

    const connection: SharedMemoryConnection = {
      cut: false,
      deaf: false,
      async load(): Promise<Loaded> {
        await reach();
        return {
          revision: last(),
          documents: new Map(memory.documents),
          recent: [...memory.commits],
          faults: memory.faults,
        };
      },
      async commit(commit, options = {}) {
        await reach();
        if (commit.revision !== last() + 1)
          throw new StoreError('conflict', `The store is at revision ${last()}.`);
        if (options.fence !== undefined && options.fence !== fence)
          throw new StoreError('conflict', 'Another replica leads.');
        if (memory.id === '') memory.id = `store-${++made}`;
        memory.commits.push(structuredClone(commit));
        memory.documents = documentsOf(memory.commits);
        for (const one of connections) if (one !== own) setImmediate(() => one.hint());
      },
      async history(service, before, limit) {
        await reach();
        const found = memory.commits.filter((one) => one.service === service && one.revision < before);
        return found.toReversed().slice(0, limit);
      },
      async sync(beat: Beat | null): Promise<Sync> {
        await reach();
        const now = memory.time();
        if (leader !== null && leader.until <= now) leader = null;
        if (beat !== null) {
          registered.set(beat.replica, { record: beat.record, at: now, lease: beat.lease });
          if (beat.lead && leader === null) {
            fence += 1;
            leader = { name: beat.replica, until: now + beat.lease };
          } else if (leader?.name === beat.replica) leader.until = now + beat.lease;
        }
        return {
          id: memory.id,
          revision: last(),
          changeId: head().changeId,
          restored,
          time: now,
          leader: leader?.name ?? null,
          fence,
          replicas: [...registered].map(([name, { record, at }]) => ({ name, record, age: now - at })),
        };
      },
      async since(revision) {
        await reach();
        const after = <T extends { readonly revision: number }>(all: readonly T[]): T[] =>
          all.filter((one) => one.revision > revision);
        return { commits: after(memory.commits), faults: after(memory.faults) };
      },
      async at(revision) {
        await reach();
        return memory.commits.find((one) => one.revision === revision) ?? null;
      },
      async restore(id, state) {
        await reach();
        if (last() > 0) return false;
        memory.id = id;
        memory.commits = [...state.recent];
        restored = `${id}:${++made}`;
        memory.documents = new Map(state.documents);
        for (const one of connections) setImmediate(() => one.hint());
        return true;
      },
      async oldest() {
        await reach();
        const [first] = memory.commits;
        return first === undefined
          ? null
          : { revision: first.revision, changeId: first.changeId, bytes: 1000 * memory.commits.length };
      },
      async before(revision) {
        await reach();
        return memory.commits.filter((one) => one.revision < revision);
      },
      async addOlder(id, commits, { revision, changeId }) {
        await reach();
        const [first] = memory.commits;
        if (id !== memory.id || first?.revision !== revision || first.changeId !== changeId) return false;
        memory.commits.unshift(...commits.filter((one) => one.revision < revision));
        restored = `${id}:${++made}`;
        for (const one of connections) setImmediate(() => one.hint());
        return true;
      },
      async finals(storeId, records) {
        await reach();
        if (memory.id !== '' && memory.id !== storeId) throw new StoreError('foreign', 'Another store.');
        return records.map(({ id, text, replaces = false, restored: word }) => {
          const open = word === undefined || (memory.id !== '' && word === restored);
          if (text !== null && open && (replaces || !memory.finals.has(id))) memory.finals.set(id, text);
          return memory.finals.get(id) ?? null;
        });
      },
      async leave(replica) {
        await reach();
        registered.delete(replica);
        if (leader?.name === replica) leader = null;
      },
      onHint: (listener) => void hinted.push(listener),
      get condition() {
        return condition;
      },
      get trouble() {
        return condition === 'available' ? null : 'it is cut';
      },
      onCondition: (listener) => void conditioned.push(listener),
      async close() {
        connections.delete(own);
      },
    };
    return connection;
  }

  const head = (): { readonly revision: number; readonly changeId: string } =>
    [...memory.commits, ...memory.faults].reduce((last, one) => (one.revision > last.revision ? one : last), {
      revision: 0,
      changeId: '',
    });
  const last = (): number => head().revision;
  return memory;
}

function documentsOf(commits: readonly Commit[]): Map<string, StoredDocument> {
  const documents = new Map<string, StoredDocument>();
  for (const commit of commits) applyCommit(documents, commit);
  return documents;
}
