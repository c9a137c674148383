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
import type { SavedState, StateFile } from '../store/file/state-file.ts';
import { type Loaded, StoreError } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';
import { createFollower, type Head, headOf, type ServiceFault } from './follower.ts';
import type { ActiveState } from '../state/active-state.ts';
import { createReplication, type Replication } from './replication.ts';
import type { ControlState } from '../state/state.ts';
import type { WorkerFleet } from '../contract/workers.ts';
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
  /** What of the store could not be read: such a service begins by what is on disk, or without a rollout. */
  readonly faults: readonly ServiceFault[];
  /** How old the state is, in ms: 0 where it is the store's. */
  readonly age: number;
}

/** Finds the state to begin with. Rejects with a StoreError that is not about reach. */
export async function beginShared(
  { store, stateFile, onWaiting }: SharedOptions,
  { clock, log }: { readonly clock: () => number; readonly log: Logger },
): Promise<Beginning> {
  const saved = await readSaved(stateFile, log);
  for (;;) {
    try {
      const { id } = await store.sync(null);
      const loaded = await store.load();
      // The store forgot what this replica remembers: what it remembers counts, and goes back into the store.
      const forgotten = id === '' || (id === saved?.storeId && saved.revision > loaded.revision);
      if (saved !== null && saved.revision > 0 && forgotten) return remembered(saved, 0);
      const { faults = [] } = loaded;
      return {
        loaded: { ...loaded, documents: withSaved(loaded.documents, faults, saved) },
        head: headOf(id, loaded),
        saved,
        faults,
        age: 0,
      };
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'unavailable') throw error;
      if (saved !== null) {
        const age = Math.max(0, clock() - Date.parse(saved.savedAt));
        log.error(
          { err: error, 'serin.revision': saved.revision, 'serin.age_ms': age },
          'the store is out of reach: serving by the state on disk',
        );
        return remembered(saved, age);
      }
      onWaiting(error.message);
      await sleep(TRY_AGAIN);
    }
  }
}

async function readSaved(stateFile: StateFile, log: Logger): Promise<SavedState | null> {
  try {
    return await stateFile.read();
  } catch (error) {
    log.error({ err: error }, 'the state on disk cannot be used; it is made anew');
    return null;
  }
}

function remembered(saved: SavedState, age: number): Beginning {
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
  readonly fleet: WorkerFleet;
  readonly keyIds: readonly string[];
  readonly onFollowed: (services: ReadonlySet<string>) => void;
  /** The store answers. */
  readonly onReached: () => void;
  readonly clock: () => number;
  readonly now: () => number;
  readonly random: (size: number) => Uint8Array;
  readonly log: Logger;
}

export function createSharedControl(
  options: SharedOptions,
  beginning: Beginning,
  parts: SharedParts,
): SharedControl {
  const { store, stateFile, membership } = options;
  const { activeState, clock, log } = parts;
  let saving: Promise<void> | null = null;
  let again = false;
  let timer: NodeJS.Timeout | undefined;

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
  const replication: Replication = createReplication({
    ...options,
    ...parts,
    follower,
    age: beginning.age,
    digests: () => options.digests(activeState.state, activeState.regionDatabase),
  });

  function changed(): void {
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
      try {
        await stateFile.write({
          // When the store was last known to agree: that is what its age is counted from.
          savedAt: new Date(clock() - replication.staleness()).toISOString(),
          storeId,
          revision,
          changeId,
          documents: activeState.state.documents,
          recent: recent.slice(-SAVED_COMMITS),
          rollbacks: [],
          peers: Object.fromEntries(membership.replicas().map(({ record }) => [record.name, record.address])),
        });
      } catch (error) {
        log.error(
          { err: error },
          'the state cannot be kept on disk: a restart without the store would not know it',
        );
      }
    } while (again);
    // In the same step as the question: who comes after it must not wait for this write.
    saving = null;
  }

  const { name } = options.self;
  const known = Object.entries(beginning.saved?.peers ?? {}).filter(([peer]) => peer !== name);
  options.peers.connect(new Map(known));
  const refresh = every(
    SAVE_AGAIN,
    guarded('keeping the state', () => detached('keeping the state', save())),
  ).unref();

  return {
    replication,
    changed,
    async close() {
      clearInterval(refresh);
      clearTimeout(timer);
      await replication.close();
      await save();
    },
  };
}
