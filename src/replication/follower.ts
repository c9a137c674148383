/**
 * Follows a shared store: what other replicas wrote becomes this replica's state.
 *
 * It promises that the state only moves forward, that nothing is forgotten because the store forgot it (an emptied store
 * is filled again, and writes that a failover lost are written again), and that a document which cannot be read leaves its
 * service as it was while all others go on. Nothing here may run beside another write: call it in the write queue.
 */
import type { Changes } from '../rollout/changes.ts';
import type { Rollbacks } from '../rollback/rollbacks.ts';
import type { Tombstones } from '../rollout/tombstones.ts';
import type { SharedStore, Sync } from '../store/shared-store.ts';
import { type Commit, isConflict, type Loaded, StoreError, type StoreFault } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';
import { applyCommit } from '../store/log-records.ts';
import { restate } from './reconcile.ts';
import { withinBounds } from './recent-commits.ts';
import { FollowedState, type FollowedStateOptions, type ServiceFault } from './followed-state.ts';

/** How far back a common past is looked for. */
const FARTHEST = 200;

/** Where this replica stands. */
export interface Head {
  /** The store's id; `''` before the first contact. */
  readonly storeId: string;
  readonly revision: number;
  readonly changeId: string;
  /** The last commits, oldest first, up to the head. */
  readonly recent: readonly Commit[];
}

export interface FollowerOptions extends FollowedStateOptions {
  readonly store: SharedStore;
  readonly changes: Changes;
  readonly head: Head;
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>;
  /** Milliseconds since 1970, for the commits that it writes. */
  readonly wallNow: () => number;
  readonly random: (size: number) => Uint8Array;
  /** Monotonic, in ms. */
  readonly monotonicNow: () => number;
  readonly tombstones: Pick<Tombstones, 'has'>;
  readonly rollbacks: Pick<Rollbacks, 'follow' | 'setRevision'>;
  /** Services whose documents are new. */
  readonly onFollowed: (services: ReadonlySet<string>) => void;
}

export interface Follower {
  /** Asks the store and follows it. Rejects with StoreError. */
  catchUp(): Promise<void>;
  /** True when `seen` says that there is something to catch up with. */
  isBehind(seen: Sync): boolean;
  /** This replica's own commit is in the store. Never rejects. */
  committed(commit: Commit): Promise<void>;
  readonly head: Head;
  readonly faults: readonly ServiceFault[];
  /** Notes what was seen without following it. */
  saw(seen: Sync): void;
  /** Since when the store is known to be empty, and this replica to have nothing to put into it; null otherwise. */
  readonly emptySince: number | null;
}

export function createFollower(options: FollowerOptions): Follower {
  const { store, activeState, changes, log, wallNow, monotonicNow, onFollowed } = options;
  let head = options.head;
  const followed = new FollowedState(options);
  let emptySince: number | null = null;

  async function catchUp(): Promise<void> {
    // What one round finds may be overtaken by another replica that mends the same thing.
    for (let round = 0; round < 5; round++) if (await follow(await store.sync(null))) return;
    throw new StoreError('unavailable', 'The store keeps changing under this replica; it tries again.');
  }

  /** True when the state is the store's. */
  async function follow(seen: Sync): Promise<boolean> {
    saw(seen);
    if (seen.id === '') return putBack('The store is empty');
    if (head.storeId === '') {
      if (head.revision > 0 && isAt(seen)) {
        head = { ...head, storeId: seen.id };
        return true;
      }
      await takeWhole(await store.load(), seen.id);
      return true;
    }
    if (seen.id !== head.storeId) return meetStranger(seen);
    if (!isBehind(seen)) return true;
    if (seen.revision > head.revision) return goForward();
    if (seen.revision < head.revision && isMine(seen)) return putAgain(seen.revision);
    return reconcile();
  }

  async function learnId(): Promise<void> {
    try {
      const seen = await store.sync(null);
      if (isAt(seen)) head = { ...head, storeId: seen.id };
    } catch {
      // The next beat asks again.
    }
  }

  function saw({ id }: Sync): void {
    if (id !== '' || head.revision > 0) emptySince = null;
    else emptySince ??= monotonicNow();
  }

  const isAt = ({ revision, changeId }: Sync): boolean =>
    revision === head.revision && changeId === head.changeId;

  const isBehind = (seen: Sync): boolean => seen.id !== head.storeId || !isAt(seen);

  /** Whether this replica made or saw the commit that the store's revision is. */
  const isMine = ({ revision, changeId }: Sync): boolean =>
    revision === 0 || head.recent.some((one) => one.revision === revision && one.changeId === changeId);

  /** An emptied store gets back what this replica knows; a new one waits for its first write. */
  async function putBack(why: string): Promise<boolean> {
    if (head.revision === 0) return true;
    const { documents } = activeState.state;
    const state: Loaded = { revision: head.revision, documents, recent: head.recent };
    // The first write made the store, and it was emptied before anybody asked for its id.
    if (head.storeId === '') head = { ...head, storeId: Buffer.from(options.random(16)).toString('hex') };
    if (await store.restore(head.storeId, state))
      log.error({ 'serin.revision': head.revision }, `${why}: this replica put back what it knew`);
    return false;
  }

  async function meetStranger(seen: Sync): Promise<boolean> {
    // Nobody has written to it yet: it was emptied, and a replica that knows nothing came first.
    if (seen.revision === 0) return putBack('The store was made anew');
    if (head.revision === 0) {
      await takeWhole(await store.load(), seen.id);
      return true;
    }
    const message = `The store holds another fleet's documents (store ${seen.id} at revision ${seen.revision}; this replica follows store ${head.storeId} at revision ${head.revision}). The last policy keeps serving and nothing is written. Put the former store back, or, to take this one, remove store.snapshot and restart.`;
    throw new StoreError('foreign', message);
  }

  async function goForward(): Promise<boolean> {
    // One more than is new: it must be the commit that this replica is at.
    const found = await store.since(Math.max(0, head.revision - 1));
    if (found === null) {
      await takeWhole(await store.load(), head.storeId);
      return true;
    }
    if (head.revision > 0) {
      const own = [...found.commits, ...found.faults].find(({ revision }) => revision === head.revision);
      if (own?.changeId !== head.changeId) return reconcile();
    }
    await take(newer(found.commits), newer(found.faults));
    return true;
  }

  function newer<T extends { readonly revision: number }>(all: readonly T[]): readonly T[] {
    return all.filter(({ revision }) => revision > head.revision);
  }

  /** A failover lost the last writes, and nobody has written since: they are written again as they were. */
  async function putAgain(from: number): Promise<boolean> {
    const lost = head.recent.filter(({ revision }) => revision > from);
    if (lost.length === 0 || lost[0]?.revision !== from + 1) return reconcile();
    log.warn(
      { 'serin.revision': from, 'serin.lost': lost.length },
      'the store lost writes; they are written again',
    );
    try {
      for (const commit of lost) await store.commit(commit);
    } catch (error) {
      if (!isConflict(error)) throw error;
    }
    return false;
  }

  /** The store went another way than this replica after a revision that both have. */
  async function reconcile(): Promise<boolean> {
    const loaded = await store.load();
    const fork = await commonPast(loaded.revision);
    const lost = head.recent.filter(({ revision }) => revision > fork);
    const touched = new Set(lost.map(({ service }) => service));
    // A rollback is not void: it is stored once more.
    for (const { kind, changeId } of lost)
      if (kind === 'rollout.rollback') options.rollbacks.setRevision(changeId, null);
    // A service that the store does not have was deleted by its last commit.
    const revisionOf = (name: string): number =>
      loaded.documents.get(name)?.revision ??
      loaded.recent.findLast(({ service }) => service === name)?.revision ??
      loaded.revision;
    const restated = [...touched].filter((name) => revisionOf(name) <= head.revision);
    if (loaded.revision <= head.revision || restated.length > 0) {
      for (const { service, kind, revision, actor, changeId } of lost) {
        log.error(
          {
            'serin.service': service,
            'serin.kind': kind,
            'serin.revision': revision,
            'serin.actor': actor,
            'serin.change': changeId,
          },
          'the store lost this write and others have written since: it is void, unless it is a rollback',
        );
      }
      await restate({
        store,
        loaded,
        services: restated.length > 0 ? restated : [...touched],
        isRolledBack: (id) => options.tombstones.has(id),
        beyond: head.revision,
        wallNow,
        random: options.random,
      });
      return false;
    }
    for (const { kind, changeId } of lost)
      if (kind !== 'rollout.rollback') changes.fail(changeId, 'the store lost it in a failover');
    await takeWhole(loaded, head.storeId);
    return true;
  }

  async function commonPast(newest: number): Promise<number> {
    const last = Math.min(newest, head.revision);
    for (let revision = last; revision > Math.max(0, last - FARTHEST); revision--) {
      const mine = head.recent.find((one) => one.revision === revision);
      if (mine === undefined) return revision;
      if ((await store.at(revision))?.changeId === mine.changeId) return revision;
    }
    return Math.max(0, last - FARTHEST);
  }

  async function takeWhole(loaded: Loaded, storeId: string): Promise<void> {
    const before = activeState.state.documents;
    await followed.take({
      revision: loaded.revision,
      documents: new Map(loaded.documents),
      commits: newer(loaded.recent),
      unreadable: loaded.faults ?? [],
      known: loaded.recent,
    });
    head = headOf(storeId, loaded);
    const names = new Set([...before.keys(), ...loaded.documents.keys()]);
    onFollowed(names);
  }

  async function take(commits: readonly Commit[], unreadable: readonly StoreFault[]): Promise<void> {
    const last = newest([...commits, ...unreadable]);
    if (last === null) return;
    const documents = new Map(activeState.state.documents);
    for (const commit of commits) applyCommit(documents, commit);
    await followed.take({ revision: last.revision, documents, commits, unreadable, known: commits });
    head = {
      ...head,
      revision: last.revision,
      changeId: last.changeId,
      recent: withinBounds([...head.recent, ...commits]),
    };
    onFollowed(new Set(commits.map(({ service }) => service)));
  }

  return {
    catchUp,
    isBehind,
    saw,
    async committed(commit) {
      emptySince = null;
      followed.wrote(commit.service);
      head = {
        ...head,
        revision: commit.revision,
        changeId: commit.changeId,
        recent: withinBounds([...head.recent, commit]),
      };
      // The first write of all made the store: by its id this replica will know it again.
      if (head.storeId === '') await learnId();
    },
    get head() {
      return head;
    },
    get faults() {
      return followed.faults;
    },
    get emptySince() {
      return emptySince;
    },
  };
}

/** Where a replica stands that has taken a whole store. */
export function headOf(storeId: string, { revision, recent, faults = [] }: Loaded): Head {
  const last = newest([...recent, ...faults]);
  const changeId = last?.revision === revision ? last.changeId : '';
  return { storeId, revision, changeId, recent: withinBounds(recent) };
}

/** The last of them by revision, or null. */
function newest(
  all: readonly { readonly revision: number; readonly changeId: string }[],
): { readonly revision: number; readonly changeId: string } | null {
  return all.reduce<(typeof all)[number] | null>(
    (last, one) => (last === null || one.revision > last.revision ? one : last),
    null,
  );
}
