/**
 * The control plane: configuration and store documents in, one snapshot for all workers out.
 *
 * Writes are taken one after another; each is in the store before it is answered and before any worker sees it. A
 * rollback alone never waits: not for the queue, not for the store. A refused write leaves everything as it was.
 */
import { realpath } from 'node:fs/promises';
import type { ComparisonView } from '../comparison/comparison.ts';
import type { Backend, EndpointView } from './api.ts';
import { readRegular } from '../files/regular-file.ts';
import type { Configuration } from '../config/schema.ts';
import { SYSTEM } from '../config/watch.ts';
import type { KeyData } from '../contract/snapshot.ts';
import type { Discovery } from '../discovery/discovery.ts';
import type { RememberedScopes } from '../policy/latch/latch-memory.ts';
import type { Change } from '../rollout/change.ts';
import { type Changes, createChanges, type JudgedBy } from '../rollout/changes.ts';
import type { FinalLog } from '../store/file/final-log.ts';
import type { TombstoneFile } from '../store/file/tombstone-file.ts';
import type { Store } from '../store/store.ts';
import type { ControlCounters } from '../telemetry/control-counters.ts';
import type { CertificateReading } from '../telemetry/metrics-source.ts';
import type { Logger } from '../telemetry/log.ts';
import { createCredentials } from '../credentials/credentials.ts';
import { createEvents } from './events.ts';
import { type CanarySources, createCanaryGuard } from './canary-guard.ts';
import { createExplainer } from './explaining.ts';
import { createChangeFinder } from './find-change.ts';
import { createFinishGuard, tcpProbe } from './finish-guard.ts';
import { localReach, type ReachOf } from '../rollout/reach.ts';
import type { PeerMessage } from '../replication/peer-message.ts';
import { viewAlone } from '../replication/fleet-view.ts';
import { createHelper } from '../helper/helper.ts';
import { commitAt, commitsOf, historyPage } from './history.ts';
import { createOwnStatuses } from './own-statuses.ts';
import { openTombstones } from '../rollback/open-tombstones.ts';
import { ActiveState } from '../state/active-state.ts';
import { createNetworkCache } from '../state/network-cache.ts';
import { loadRegionDatabase } from '../state/region-database.ts';
import { createRolloutPlanner } from './rollout-writes.ts';
import { checkState, type ControlState, oddities } from '../state/state.ts';
import type { Workers } from '../contract/workers.ts';
import {
  beginShared,
  createSharedControl,
  type SharedControl,
  type SharedOptions,
} from '../replication/shared-control.ts';
import { createWriteQueue } from '../state/write-queue.ts';
import { createWritePath, type WritePath } from './write-path.ts';
import { createWrites } from './writes.ts';

/** How long an endpoint of stable may take to accept a connection before `finish`, in ms. */
const PROBE_TIME = 1000;
export interface ControlPlaneOptions extends Pick<CanarySources, 'breaker'> {
  readonly configuration: Configuration;
  /** The key ring: the first key signs, all verify. */
  readonly keys: readonly KeyData[];
  readonly store: Store;
  /** On this replica's own disk. */
  readonly tombstoneFile: TombstoneFile;
  /** Null where this replica is alone with its store. */
  readonly shared: SharedOptions | null;
  /** Where a replica that is alone keeps how changes ended; null: nowhere, or where it is not alone. */
  readonly finalLog: FinalLog | null;
  readonly workers: Workers;
  /** The latches of header identities that the workers hold; null: none. */
  readonly latches: RememberedScopes | null;
  readonly counters: ControlCounters;
  /** Where endpoints are found. */
  readonly discovery: Discovery;
  /** What the workers and health checks know of all endpoints. */
  readonly endpoints: () => readonly EndpointView[];
  /** Stable and canary over the last so many ms. */
  readonly comparison: (service: string, window: number) => ComparisonView;
  /** The replica's name in `GET /v1/fleet`. */
  readonly replica: string;
  /** Milliseconds since 1970. */
  readonly wallNow: () => number;
  /** Monotonic, in ms. */
  readonly monotonicNow: () => number;
  /** That many random bytes. */
  readonly random: (size: number) => Uint8Array;
  readonly log: Logger;
}

export interface ControlPlane extends Backend {
  /** Takes a configuration that was read anew. Rejects with a DocumentError, changing nothing, when it cannot be served. */
  reload(configuration: Configuration): Promise<void>;
  /** Whether every worker decides by a policy; why not, in sentences. */
  readiness(): { readonly ready: boolean; readonly reasons: readonly string[] };
  /** Gives the workers the endpoints that are known now; the revision stays. Call it when they have changed. */
  refreshEndpoints(): void;
  /** Reads certificates whose files have changed. Call it every second or so, never while it still runs. */
  checkCertificates(): Promise<void>;
  certificates(): readonly CertificateReading[];
  /** Logs which certificates expire soon. */
  warnOfExpiry(): void;
  /** The number of the leadership, which rises with every new leader; 0 where this replica is alone. */
  fence(): number;
  /** Whether the store takes writes, as far as is known. */
  storeAvailable(): boolean;
  /** A message of another replica. When it resolves, what must not be lost is on disk. */
  hearPeer(message: PeerMessage, from: string): void | Promise<void>;
  /** Finishes the write under way; the store and the fleet are closed by whoever made them. */
  close(): Promise<void>;
}

/**
 * Loads the store and hands the fleet its first snapshot. Rejects with a StoreError where the store can't be used, with a
 * DocumentError where configuration, region database and store do not fit together.
 */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { keys, store, workers, counters, discovery, wallNow, monotonicNow, random, log } = options;
  const startedAt = new Date(wallNow()).toISOString();
  const beginning = options.shared === null ? null : await beginShared(options.shared, { wallNow, log });
  const loaded = beginning?.loaded ?? (await store.load());
  const initial: ControlState = {
    configuration: options.configuration,
    revision: loaded.revision,
    documents: loaded.documents,
  };
  checkState(initial);
  for (const oddity of oddities(initial)) log.warn({}, oddity);

  const helper = createHelper();
  const networks = createNetworkCache(helper);
  const credentials = createCredentials({
    readFile: readRegular,
    realPath: (file) => realpath(file),
    look: SYSTEM.look,
    log,
    wallNow,
    onReload: (taken) => counters.certificatesReloaded(taken),
  });
  const states = beginning?.saved ? [beginning.saved, loaded] : [loaded];
  const opened = await openTombstones(options.tombstoneFile, states, wallNow(), log);
  const { tombstones } = opened;
  const activeState = new ActiveState({
    initial,
    tombstones,
    keys,
    networks,
    credentials,
    discovery,
    workers,
    latches: options.latches,
    monotonicNow,
  });
  const database = await loadRegionDatabase(options.configuration.region?.database, null);
  await activeState.ready(initial);

  const events = createEvents();
  let shared: SharedControl | null = null;
  const alone = localReach(() => workers.appliedRevision().map(({ revision }) => revision), {
    rolledBack: () => path.rollbacks.known(),
    fails: () => !path.commits.available,
  });
  const reach: ReachOf = (target) => (shared === null ? alone(target) : shared.replication.reach(target));
  const own =
    options.finalLog === null ? null : await createOwnStatuses(options.finalLog, () => changes, log);
  const record = (ended: Change, by: JudgedBy): void => (shared?.finals ?? own)?.record(ended, by);
  const changes: Changes = createChanges({
    wallNow,
    reach,
    tombstones,
    ...(options.shared === null && own === null ? {} : { record }),
    onUpdate(change, before) {
      events.publish({ type: 'change', service: change.service, change });
      const { status, createdAt } = change;
      // Counted once for each status that it reaches.
      if (status !== before) counters.change(status, (wallNow() - Date.parse(createdAt ?? '')) / 1000);
    },
  });
  workers.onApplied(() => changes.refresh());

  const queue = createWriteQueue();
  const tellRollout = (service: string): void =>
    events.publish({ type: 'rollout', service, view: activeState.views.get(service) ?? null });
  const fleetNow = (): number => Math.round(options.shared?.storeClock.now() ?? wallNow());
  const path: WritePath = createWritePath({
    ...opened,
    store,
    file: options.tombstoneFile,
    activeState,
    changes,
    queue,
    workers,
    isShared: options.shared !== null,
    replication: () => shared?.replication ?? null,
    onFailure: () => counters.storeWriteFailed(),
    onWritten(service) {
      shared?.changed();
      tellRollout(service);
    },
    wallNow,
    fleetNow,
    monotonicNow,
    random,
    log,
  });
  const { commits, rollbacks, committer } = path;
  await rollbacks.follow(loaded.recent, loaded.documents);
  activeState.enact(initial, { regionDatabase: database });
  counters.configurationTaken(wallNow());
  credentials.warnOfExpiry();
  if (options.shared !== null && beginning !== null) {
    const keyIds = keys.map(({ id }) => id);
    const onFollowed = (services: ReadonlySet<string>): void => services.forEach(tellRollout);
    const onReached = (): void => committer.wake();
    const made = { activeState, ...opened, rollbacks, changes, queue, workers, keyIds };
    const parts = { ...made, onFollowed, onReached, wallNow, monotonicNow, random, log };
    shared = createSharedControl(options.shared, beginning, parts);
  }
  for (const final of own?.known ?? []) changes.recorded(final);
  changes.rebuild(loaded.recent);
  await own?.kept();
  const writer = path.writer();
  const findChange = createChangeFinder((id) => writer.find(id), shared);
  const at = (service: string, revision: number): ReturnType<typeof commitAt> =>
    commitAt(store, service, revision);
  const planner = createRolloutPlanner({
    activeState,
    helper,
    networks,
    finishGuard: createFinishGuard(tcpProbe(PROBE_TIME), discovery.endpoints),
    canaryGuard: createCanaryGuard(options),
    commitAt: at,
    latest: (service) => changes.latest(service),
    disagreements: () => shared?.replication.disagreements() ?? [],
    fresh: () => ({
      id: hex(random(12)),
      seed: hex(random(16)),
      fingerprintKey: activeState.signingKey,
      startedAt: new Date(fleetNow()).toISOString(),
    }),
  });

  if (shared !== null) {
    await shared.save();
    // Known to the others, and in step with them, before the first request.
    await shared.replication.beat();
    shared.replication.start();
  }
  return {
    services: () => [...activeState.views.values()],
    service: (name) => activeState.view(name),

    ...createWrites({ activeState, helper, writer, planner }),

    change: findChange,

    async cancelChange(id) {
      return changes.cancel(id) ?? findChange(id);
    },

    async history(service, before, limit) {
      activeState.view(service);
      return historyPage((from, count) => commitsOf(store, service, from, count), before, limit);
    },

    explain: createExplainer({ activeState, endpoints: discovery.endpoints, commitAt: at, wallNow, random }),

    fleet: () =>
      shared?.replication.view() ??
      viewAlone({
        name: options.replica,
        startedAt,
        revision: activeState.state.revision,
        workers: workers.appliedRevision(),
        storeAvailable: commits.available,
      }),

    endpoints: () => options.endpoints(),
    comparison: (service, window) => options.comparison(activeState.view(service).name, window),

    subscribe: (listener, after) => events.subscribe(listener, after),
    countLoginFailure: () => counters.loginFailed(),

    reload: (configuration) =>
      queue.run(async () => {
        const next = { ...activeState.state, configuration };
        checkState(next);
        const file = configuration.region?.database;
        const nextDatabase = await loadRegionDatabase(file, activeState.regionDatabase);
        await activeState.ready(next);
        activeState.enact(next, { regionDatabase: nextDatabase });
        for (const oddity of oddities(next)) log.warn({}, oddity);
        credentials.warnOfExpiry();
        events.publish({ type: 'configuration', service: null });
      }),

    refreshEndpoints: () => activeState.refreshEndpoints(),

    async checkCertificates() {
      if (await credentials.refresh()) {
        await queue.run(async () => {
          // Here nothing waits: what the workers have is what is written.
          activeState.enact(activeState.state);
          credentials.warnOfExpiry();
        });
      }
    },

    certificates: () => credentials.readings(),
    warnOfExpiry: () => credentials.warnOfExpiry(),

    readiness() {
      const reasons = workers
        .appliedRevision()
        .filter(({ revision }) => revision < 0)
        .map(({ index }) => `worker ${index} does not serve yet`);
      return { ready: reasons.length < workers.size, reasons };
    },

    storeAvailable: () =>
      options.shared === null ? commits.available : options.shared.store.condition === 'available',
    fence: () => shared?.replication.fence ?? 0,
    hearPeer: (message, from) => shared?.replication.hearPeer(message, from),

    async close() {
      writer.stop();
      await queue.idle();
      await committer.close();
      await shared?.close();
      await options.finalLog?.close();
      await rollbacks.close();
      await helper.close();
    },
  };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
