/**
 * Makes what a replica needs to take part in a fleet: the shared store, its own state on disk, the way to its peers.
 *
 * It promises that peers get no acknowledgement of anything before the control plane is there to take it.
 */
import { randomBytes } from 'node:crypto';
import { hostname, networkInterfaces } from 'node:os';
import { performance } from 'node:perf_hooks';
import type { FleetView } from '../replication/fleet-view.ts';
import { milliseconds } from '../schema/duration.ts';
import { fleetSettings, type FleetSettings } from '../config/fleet.ts';
import type { Configuration } from '../config/schema.ts';
import type { StoreSettings } from '../config/store.ts';
import { createDigester } from '../replication/digests.ts';
import { createMembership } from '../replication/membership.ts';
import { createPeers, type Peers } from '../replication/peers.ts';
import type { PeerMessage } from '../replication/peer-message.ts';
import { createStoreClock } from '../replication/store-clock.ts';
import { BUCKET_ALGORITHMS } from '../policy/bucket.ts';
import type { ReplicaReport } from '../comparison/totals.ts';
import type { HeardReport } from '../comparison/traffic-window.ts';
import type { LatchStore } from '../latches/latch-store.ts';
import type { KeyData } from '../policy/keys.ts';
import { connectRedis } from '../store/redis/redis-connection.ts';
import { redisCounters } from '../comparison/redis-counters.ts';
import { createRedisLatches } from '../latches/redis-latches.ts';
import { createRedisStore } from '../store/redis/redis-store.ts';
import type { SharedStore } from '../store/shared-store.ts';
import { createFinalLog } from '../store/file/final-log.ts';
import { createFollowedLog } from '../store/file/followed-log.ts';
import { createStateFile } from '../store/file/state-file.ts';
import { FleetCounters } from '../telemetry/fleet-counters.ts';
import type { Logger } from '../telemetry/log.ts';
import type { StoreCounters } from '../telemetry/store-counters.ts';
import type { FleetSource } from '../telemetry/metrics-source.ts';
import type { SharedOptions } from '../replication/shared-control.ts';
import { threadClock } from '../runtime/awake-timer.ts';
import { createElapsed } from '../runtime/elapsed.ts';

export interface FleetMembershipOptions {
  readonly configuration: Configuration;
  readonly store: Extract<StoreSettings, { readonly redis: string }>;
  readonly storeCounters: StoreCounters;
  readonly keys: readonly KeyData[];
  readonly version: string;
  readonly log: Logger;
  readonly onWaiting: (reason: string) => void;
  /** Runs `start`, and says of an address that is taken which setting names it. */
  readonly listening: (settings: FleetSettings, start: () => Promise<Peers>) => Promise<Peers>;
}

export interface FleetParts {
  readonly name: string;
  readonly store: SharedStore;
  /** The store keeps how changes ended. */
  readonly finalLog: null;
  readonly shared: SharedOptions;
  /** From now on this is told what peers say. */
  hearBy(listener: (message: PeerMessage, from: string) => void | Promise<void>): void;
  /** Says it to every peer. */
  send(message: PeerMessage): void;
  /** Where the fleet keeps latches, at most so many of a rollout. */
  latchStore(limit: number): LatchStore;
  readonly boot: string;
  /** Tells what this replica has counted, and gives what all have. */
  exchangeCounters(report: ReplicaReport): Promise<readonly HeardReport[]>;
  /** What metrics show of the fleet. `view` is null before there is one; `fence` is the number of the leadership. */
  reading(view: FleetView | null, fence: number): FleetSource;
  close(): Promise<void>;
}

/** Begins to connect to the store, and listens to peers. Rejects where it cannot listen. */
export async function joinFleet(options: FleetMembershipOptions): Promise<FleetParts> {
  const { configuration, keys, version, log } = options;
  const settings = fleetSettings(configuration.fleet, {
    hostname: hostname(),
    interfaces: networkInterfaces(),
  });
  const monotonicNow = (): number => performance.now();
  const boot = randomBytes(8).toString('hex');
  const { name, lease, activation } = settings;
  const maxStaleness = milliseconds(options.store.maxStaleness, 0);
  const counters = new FleetCounters();
  let listener: ((message: PeerMessage, from: string) => void | Promise<void>) | null = null;
  const peers = await options.listening(settings, () =>
    createPeers({
      listen: settings.listen,
      keys: () => keys,
      self: name,
      onMessage(message, from) {
        // What is acknowledged is not said again.
        if (listener === null) throw new Error('This replica has not started yet.');
        return listener(message, from);
      },
      monotonicNow,
      log,
      counters,
    }),
  );
  const connection = connectRedis({
    url: options.store.redis,
    prefix: options.store.prefix,
    counters: options.storeCounters,
  });
  const store = createRedisStore({
    connection,
    counters: options.storeCounters,
    random: randomBytes,
    historyBytes: options.store.historyBytes,
  });
  const membership = createMembership({
    self: { name, boot },
    lease,
    maxStaleness,
    monotonicNow: threadClock().now,
  });
  const storeClock = createStoreClock(monotonicNow);
  const digest = createDigester(keys, BUCKET_ALGORITHMS);
  store.onCondition((condition, trouble) => {
    const fields = { 'serin.store': connection.description, 'serin.condition': condition };
    if (condition === 'available') log.info(fields, 'the store is available');
    else log.error({ ...fields, 'error.message': trouble }, 'the store is not available');
  });

  return {
    name,
    store,
    finalLog: null,
    shared: {
      store,
      stateFile: createStateFile({ file: options.store.snapshot }),
      followedLog: createFollowedLog({ file: `${options.store.snapshot}.followed` }),
      finalLog: createFinalLog({ file: `${options.store.snapshot}.finals`, wallNow: Date.now }),
      self: {
        name,
        boot,
        version,
        address: settings.advertise(peers.port),
        startedAt: new Date().toISOString(),
      },
      membership,
      storeClock,
      peers,
      digests: (state, regionDatabase) => digest(state.configuration, regionDatabase),
      lease,
      activation,
      maxStaleness,
      elapsed: createElapsed(monotonicNow),
      onWaiting: options.onWaiting,
    },
    hearBy(next) {
      listener = next;
    },
    send: (message) => peers.send(message),
    boot,
    exchangeCounters: redisCounters(connection),
    latchStore: (limit) => createRedisLatches({ connection, boot, limit }),
    reading(view, fence) {
      const { replicas = [], disagreements = [] } = view ?? {};
      const own = replicas.find((one) => one.boot === boot);
      return {
        counters,
        store: { condition: store.condition, counters: options.storeCounters },
        live: replicas.filter(({ state }) => state === 'live').length,
        unreachable: replicas.filter(({ state }) => state === 'unreachable').length,
        disagreements: disagreements.length,
        leader: own?.leader ?? false,
        fence,
        fenced: own?.fenced ?? false,
        clockError: storeClock.errorBound(),
      };
    },
    async close() {
      await peers.close();
      await store.close();
    },
  };
}
