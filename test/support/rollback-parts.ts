/** The parts that a rollback goes through, over a store and a disk in memory: a service "notes" whose rollout runs at revision 1. */
import type { Tombstone } from '../../src/contract/tombstone.ts';
import { Writer } from '../../src/control/writer.ts';
import { createCredentials } from '../../src/credentials/credentials.ts';
import { LISTED_ONLY } from '../../src/discovery/discovery.ts';
import { createHelper } from '../../src/helper/helper.ts';
import type { RolloutState } from '../../src/policy/rollout.ts';
import { Committer } from '../../src/rollback/committer.ts';
import { openTombstones } from '../../src/rollback/open-tombstones.ts';
import { Rollbacks } from '../../src/rollback/rollbacks.ts';
import type { Change } from '../../src/rollout/change.ts';
import { createChanges } from '../../src/rollout/changes.ts';
import { NO_PRECONDITION } from '../../src/rollout/precondition.ts';
import { localReach } from '../../src/rollout/reach.ts';
import type { WriteRequest } from '../../src/rollout/write-request.ts';
import { ActiveState } from '../../src/state/active-state.ts';
import { CommitWriter } from '../../src/state/commit-writer.ts';
import { createNetworkCache } from '../../src/state/network-cache.ts';
import { createWriteQueue } from '../../src/state/write-queue.ts';
import type { Commit } from '../../src/store/store.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { CONFIGURATION, RULES } from './admin-api.ts';
import { fakeWorkers, memoryStore, type MemoryStore } from './memory-store.ts';
import { type MemoryTombstones, memoryTombstones } from './memory-tombstones.ts';

export const RUNNING: RolloutState = {
  id: 'r1',
  epoch: 1,
  seed: '00'.repeat(16),
  bucketAlgorithm: 'xxh64-1',
  fingerprintKey: 'k1',
  phase: 'running',
  document: RULES,
  step: -1,
  startedAt: '2026-01-01T00:00:00Z',
};

const REQUEST: WriteRequest = { actor: 'test', reason: null, requestId: null, precondition: NO_PRECONDITION };

export const START: Commit = {
  revision: 1,
  service: 'notes',
  kind: 'rollout.put',
  at: RUNNING.startedAt,
  actor: 'test',
  reason: null,
  requestId: null,
  changeId: 'x-00000000',
  document: { definition: null, rollout: RUNNING },
};

export function tombstone(more: Partial<Tombstone> = {}): Tombstone {
  return {
    service: 'notes',
    rolloutId: 'r1',
    at: '2026-01-02T00:00:00Z',
    actor: 'test',
    reason: null,
    requestId: null,
    changeId: 'c1-00000000',
    ...more,
  };
}

export interface RollbackPartsOptions {
  readonly store?: MemoryStore;
  readonly file?: MemoryTombstones;
  /** How long the answer to a rollback waits, in ms. */
  readonly patience?: number;
  readonly log?: ReturnType<typeof createLog>;
}

export async function startRollbackParts(options: RollbackPartsOptions = {}) {
  const { store = memoryStore(), file = memoryTombstones(), patience = 1000 } = options;
  if (store.commits.length === 0) await store.commit(START);
  const { revision, documents, recent } = await store.load();
  const log = options.log ?? createLog({ level: 'silent' });
  const workers = fakeWorkers();
  const networks = createNetworkCache(createHelper());
  const credentials = createCredentials({
    readFile: () => Promise.reject(new Error('no file is named')),
    realPath: () => Promise.reject(new Error('no file is named')),
    look: () => Promise.resolve(''),
    log,
    wallNow: Date.now,
    onReload: () => {},
  });
  const monotonicNow = (): number => performance.now();
  const { tombstones, isKept } = await openTombstones(file, [{ documents, recent }], Date.now(), log);
  const activeState = new ActiveState({
    initial: { configuration: CONFIGURATION, revision, documents },
    tombstones,
    keys: [{ id: 'k1', secret: new Uint8Array(32).fill(1) }],
    networks,
    credentials,
    discovery: LISTED_ONLY,
    workers,
    latches: null,
    monotonicNow,
  });
  await activeState.ready(activeState.state);
  const updates: Change[] = [];
  const reach = localReach(() => workers.appliedRevision().map((worker) => worker.revision));
  const changes = createChanges({
    wallNow: Date.now,
    reach,
    tombstones,
    onUpdate: (change) => updates.push(change),
  });
  workers.onApplied(() => changes.refresh());
  const queue = createWriteQueue();
  const commits = new CommitWriter({
    store,
    activeState,
    changes,
    log,
    isShared: false,
    onCommitted: async () => {},
    moment: (at) => at,
    onFailure: () => {},
    onWritten: () => {},
  });
  const told: Tombstone[] = [];
  let committer: Committer | null = null;
  const rollbacks = new Rollbacks({
    tombstones,
    file,
    isKept,
    activeState,
    changes,
    workers: workers,
    tell: (some) => void told.push(...some),
    onKnown: () => {},
    onOwed: () => committer?.wake(),
    monotonicNow,
    wallNow: Date.now,
    retryDelay: 1,
    patience,
    log,
  });
  await rollbacks.follow(recent, documents);
  activeState.enact(activeState.state);
  changes.rebuild(recent);
  updates.length = 0;
  const made = new Committer({
    tombstones,
    rollbacks,
    activeState,
    changes,
    writer: commits,
    queue,
    isAvailable: () => true,
    catchUp: async () => {},
    monotonicNow,
    retryDelay: 1,
    log,
  });
  committer = made;
  const writer = new Writer({
    activeState,
    commits,
    rollbacks,
    committer,
    changes,
    queue,
    shared: null,
    wallNow: Date.now,
    fleetNow: Date.now,
    random: (size) => new Uint8Array(size).fill(7),
    log,
    patience,
  });
  const rollback = () =>
    writer.write({
      service: 'notes',
      kind: 'rollout.rollback',
      request: REQUEST,
      asked: [],
      rollback: () => ({ rolloutId: RUNNING.id, isActive: true }),
      plan: () => {
        throw new Error('A rollback of what is under way is planned when it is stored.');
      },
    });
  const phase = () => workers.snapshots.at(-1)!.services[0]!.rollout!.phase;
  return {
    store,
    file,
    tombstones,
    rollbacks,
    committer: made,
    activeState,
    changes,
    workers,
    updates,
    told,
    rollback,
    phase,
  };
}
