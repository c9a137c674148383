/**
 * What a control plane has more of when replicas share a store: where it begins, and the parts that keep it in step.
 *
 * It promises that a replica begins by the newest state that it can have: the store's, or, while the store is out of reach,
 * the one on its disk. Without either it waits, since an empty policy would be a wrong one.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Membership } from './membership.ts';
import type { PeerMessage } from './peer-message.ts';
import type { Digests, ReplicaRecord } from './replica-record.ts';
import type { StoreClock } from './store-clock.ts';
import type { Rollbacks } from '../rollback/rollbacks.ts';
import type { Changes } from '../rollout/changes.ts';
import type { Tombstones } from '../rollout/tombstones.ts';
import type { SharedStore } from '../store/shared-store.ts';
import { type FinalChange, parseFinal } from '../rollout/final-change.ts';
import type { FinalLog } from '../store/file/final-log.ts';
import { type FollowedLog, withFollowed } from '../store/file/followed-log.ts';
import type { SavedState, StateFile } from '../store/file/state-file.ts';
import { applyCommit } from '../store/log-records.ts';
import { type Loaded, StoreError } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';
import type { ServiceFault } from './followed-state.ts';
import { createFollower, type Head, headOf } from './follower.ts';
import type { ActiveState } from '../state/active-state.ts';
import { createFinalStatuses, type FinalStatuses } from './final-statuses.ts';
import { createKeptHead } from './kept-head.ts';
import { createOlderHistory, type OlderHistory } from './older-history.ts';
import { createReplication, type Replication } from './replication.ts';
import type { ControlState } from '../state/state.ts';
import type { Workers } from '../contract/workers.ts';
import type { WriteQueue } from '../state/write-queue.ts';
import { after, detached, every, guarded } from '../runtime/guard.ts';

/** How long a change of the state may stay off the disk, in ms. */
const SAVE_DELAY = 500;

/** Commits that are kept on disk: as many as a failover may lose, and few enough to be written twice a second. */
const SAVED_COMMITS = 200;

/** How often the state file is written anew without a change, so that its age tells when the store was last seen; in ms. */
const SAVE_AGAIN = 10_000;

/** How often a store that can't be reached is tried while there is nothing to begin with, in ms. */
const TRY_AGAIN = 1000;

export interface SharedOptions {
  readonly store: SharedStore;
  readonly stateFile: StateFile;
  /** The commits that were followed since the state file was written. */
  readonly followedLog: FollowedLog;
  /** How changes ended. */
  readonly finalLog: FinalLog;
  readonly self: Pick<ReplicaRecord, 'name' | 'boot' | 'version' | 'address' | 'startedAt'>;
  readonly membership: Membership;
  readonly storeClock: StoreClock;
  readonly peers: {
    connect(addresses: ReadonlyMap<string, string>): void;
    send(message: PeerMessage): void;
  };
  /** What must be the same on all replicas, of this state. */
  readonly digests: (state: ControlState, regionDatabase: SharedArrayBuffer | null) => Digests;
  /** In ms. */
  readonly lease: number;
  readonly activation: number;
  readonly maxStaleness: number;
  /** Real time in ms, also that for which this process or the machine was stopped: so old is what it knows. */
  readonly elapsed: () => number;
  /** There is nothing to begin with; called with the reason each time the store was tried in vain. */
  readonly onWaiting: (reason: string) => void;
}

/** Where a replica begins. */
export interface Beginning {
  readonly loaded: Loaded;
  readonly head: Head;
  readonly saved: SavedState | null;
  /** How changes ended, as this replica's disk has it. */
  readonly finals: readonly FinalChange[];
  /** What of the store could not be read: such a service begins by what is on disk, or without a rollout. */
  readonly faults: readonly ServiceFault[];
  /** How old the state is, in ms: 0 where it is the store's. */
  readonly age: number;
}

/** Finds the state to begin with. Rejects with a StoreError that is not about reach. */
export async function beginShared(
  shared: SharedOptions,
  { wallNow, log }: { readonly wallNow: () => number; readonly log: Logger },
): Promise<Beginning> {
  const { store, onWaiting } = shared;
  const saved = await readSaved(shared, log);
  const finals = await readFinals(shared.finalLog, log);
  for (;;) {
    try {
      const { id } = await store.sync(null);
      const loaded = await store.load();
      // The store forgot what this replica remembers: what it remembers counts, and goes back into the store.
      const forgotten = id === '' || (id === saved?.storeId && saved.revision > loaded.revision);
      if (saved !== null && saved.revision > 0 && forgotten) return { ...remembered(saved, 0), finals };
      const { faults = [] } = loaded;
      return {
        loaded: { ...loaded, documents: withSaved(loaded.documents, faults, saved) },
        head: headOf(id, loaded),
        saved,
        finals,
        faults,
        age: 0,
      };
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'unavailable') throw error;
      if (saved !== null) {
        const age = Math.max(0, wallNow() - Date.parse(saved.savedAt));
        log.error(
          { err: error, 'serin.revision': saved.revision, 'serin.age_ms': age },
          'the store is out of reach: serving by the state on disk',
        );
        return { ...remembered(saved, age), finals };
      }
      onWaiting(error.message);
      await sleep(TRY_AGAIN);
    }
  }
}

async function readSaved(
  { stateFile, followedLog }: Pick<SharedOptions, 'stateFile' | 'followedLog'>,
  log: Logger,
): Promise<SavedState | null> {
  let saved: SavedState | null = null;
  try {
    saved = await stateFile.read();
  } catch (error) {
    log.error({ err: error }, 'the state on disk cannot be used; it is made anew');
  }
  try {
    const followed = await followedLog.read();
    return saved === null ? null : withFollowed(saved, followed);
  } catch (error) {
    log.error({ err: error }, 'the commits on disk cannot be used; the state goes on without them');
    return saved;
  }
}

async function readFinals(finalLog: FinalLog, log: Logger): Promise<readonly FinalChange[]> {
  try {
    return (await finalLog.read()).flatMap((text) => parseFinal(text) ?? []);
  } catch (error) {
    log.error({ err: error }, 'how changes ended cannot be read from disk; the store has it');
    return [];
  }
}

function remembered(saved: SavedState, age: number): Omit<Beginning, 'finals'> {
  const { storeId, revision, changeId, documents, recent } = saved;
  return {
    loaded: { revision, documents, recent },
    head: { storeId, revision, changeId, recent },
    saved,
    faults: [],
    age,
  };
}

function withSaved(
  documents: Loaded['documents'],
  faults: readonly ServiceFault[],
  saved: SavedState | null,
): Loaded['documents'] {
  const patched = new Map(documents);
  for (const { service } of faults) {
    const former = saved?.documents.get(service);
    if (former !== undefined) patched.set(service, former);
  }
  return patched;
}

export interface SharedControl {
  readonly replication: Replication;
  readonly finals: FinalStatuses;
  /** Brings this replica up to the store, its history too. Rejects with StoreError. */
  catchUp(): Promise<void>;
  /** Resolves when the state is on disk, or can't be. Never rejects. */
  save(): Promise<void>;
  /** The state has changed. */
  changed(): void;
  close(): Promise<void>;
}

export interface SharedParts {
  readonly activeState: ActiveState;
  readonly tombstones: Tombstones;
  readonly rollbacks: Rollbacks;
  readonly changes: Changes;
  readonly queue: WriteQueue;
  readonly workers: Workers;
  readonly keyIds: readonly string[];
  readonly onFollowed: (services: ReadonlySet<string>) => void;
  /** The store answers. */
  readonly onReached: () => void;
  readonly wallNow: () => number;
  readonly monotonicNow: () => number;
  readonly random: (size: number) => Uint8Array;
  readonly log: Logger;
}

export function createSharedControl(
  options: SharedOptions,
  beginning: Beginning,
  parts: SharedParts,
): SharedControl {
  const { store, stateFile, followedLog, finalLog, membership } = options;
  const { activeState, changes, wallNow, log } = parts;
  let saving: Promise<void> | null = null;
  let again = false;
  let timer: NodeJS.Timeout | undefined;
  const { self } = options;

  const follower = createFollower({
    ...parts,
    store,
    head: beginning.head,
    faults: beginning.faults,
    moment: (at) => replication.moment(at),
    onFollowed(services) {
      changed();
      parts.onFollowed(services);
    },
  });
  for (const final of beginning.finals) changes.recorded(final);
  const finals = createFinalStatuses(
    {
      store,
      changes,
      disk: finalLog,
      send: (message) => options.peers.send(message),
      storeId: () => follower.head.storeId,
      areAllHere,
      log,
    },
    beginning.finals,
  );
  const history: OlderHistory = createOlderHistory({
    store,
    changes,
    finals,
    knownFrom: beginning.loaded.recent[0]?.revision ?? null,
    log,
  });
  const { storeId = '', revision = 0, changeId = '' } = beginning.saved ?? {};
  const kept = createKeptHead(
    { disk: followedLog, head: () => follower.head, save, onKept: () => replication.tell(), log },
    { storeId, revision, changeId },
  );
  const replication: Replication = createReplication({
    ...options,
    ...parts,
    follower,
    finals,
    history,
    kept: () => kept.position,
    age: beginning.age,
    digests: () => options.digests(activeState.state, activeState.regionDatabase),
  });

  /** Whether all replicas that were there before this one began, or have come since, are here now. */
  function areAllHere(): boolean {
    const members = membership.replicas();
    const heard = new Set(members.map(({ record }) => record.name));
    const former = Object.keys(beginning.saved?.peers ?? {});
    return members.every(({ state }) => state === 'live') && former.every((peer) => heard.has(peer));
  }

  function changed(): void {
    kept.moved();
    timer ??= after(
      SAVE_DELAY,
      guarded('keeping the state', () => {
        timer = undefined;
        detached('keeping the state', save());
      }),
    );
  }

  /** One write at a time; a call while one runs waits for another one, which has what is new. */
  function save(): Promise<void> {
    if (saving === null) saving = write();
    else again = true;
    return saving;
  }

  async function write(): Promise<void> {
    do {
      again = false;
      const { storeId, revision, changeId, recent } = follower.head;
      let whole = false;
      try {
        await stateFile.write({
          // When the store was last known to agree: that is what its age is counted from.
          savedAt: new Date(wallNow() - replication.staleness()).toISOString(),
          storeId,
          revision,
          changeId,
          documents: documentsAt(follower.head, activeState.state),
          recent: recent.slice(-SAVED_COMMITS),
          rollbacks: [],
          peers: Object.fromEntries(membership.replicas().map(({ record }) => [record.name, record.address])),
        });
        whole = true;
      } catch (error) {
        log.error(
          { err: error },
          'the state cannot be kept on disk: a restart without the store would not know it',
        );
      }
      kept.saved({ revision, changeId }, whole);
    } while (again);
    // In the same step as the question: who comes after it must not wait for this write.
    saving = null;
  }

  const { name } = self;
  const known = Object.entries(beginning.saved?.peers ?? {}).filter(([peer]) => peer !== name);
  options.peers.connect(new Map(known));
  const refresh = every(
    SAVE_AGAIN,
    guarded('keeping the state', () => detached('keeping the state', save())),
  ).unref();

  return {
    replication,
    finals,
    changed,
    save,
    async catchUp() {
      await parts.queue.run(() => replication.catchUp());
      await history.compare(await store.sync(null), follower.head);
    },
    async close() {
      clearInterval(refresh);
      clearTimeout(timer);
      await replication.close();
      await save();
      await followedLog.close();
      await finalLog.close();
    },
  };
}

/** The documents of where the replica stands: it notes its own commit a moment before it enacts it. */
function documentsAt({ recent }: Head, { revision, documents }: ControlState): ControlState['documents'] {
  const ahead = recent.filter((one) => one.revision > revision);
  if (ahead.length === 0) return documents;
  const next = new Map(documents);
  for (const commit of ahead) applyCommit(next, commit);
  return next;
}
