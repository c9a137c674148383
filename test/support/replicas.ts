/**
 * Several control planes in one process, over one shared store in memory and a network between them that can be cut. Their
 * workers are fakes that a test can look into; each replica has clocks of its own.
 */
import { randomBytes } from 'node:crypto';
import { after } from 'node:test';
import type { DocumentBody, WriteRequest } from '../../src/rollout/write-request.ts';
import type { Configuration } from '../../src/config/schema.ts';
import { type ControlPlane, startControlPlane } from '../../src/control/control-plane.ts';
import { LISTED_ONLY } from '../../src/discovery/discovery.ts';
import { createMembership } from '../../src/replication/membership.ts';
import type { PeerMessage } from '../../src/replication/peer-message.ts';
import type { Digests } from '../../src/replication/replica-record.ts';
import { createStoreClock } from '../../src/replication/store-clock.ts';
import type { KeyData } from '../../src/policy/keys.ts';
import { NO_PRECONDITION } from '../../src/rollout/precondition.ts';
import type { FollowedCommit } from '../../src/store/file/followed-log.ts';
import type { SavedState } from '../../src/store/file/state-file.ts';
import { StoreError } from '../../src/store/store.ts';
import { ControlCounters } from '../../src/telemetry/control-counters.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { CONFIGURATION } from './admin-api.ts';
import { type FakeWorkers, fakeWorkers } from './memory-store.ts';
import { type MemoryTombstones, memoryTombstones } from './memory-tombstones.ts';
import { type SharedMemory, type SharedMemoryConnection, sharedMemory } from './shared-memory.ts';

export const REQUEST: WriteRequest = {
  actor: 'test',
  reason: null,
  requestId: null,
  precondition: NO_PRECONDITION,
};

/** `document` as somebody sends it. */
export const body = (document: object): DocumentBody => ({
  bytes: Buffer.from(JSON.stringify(document)),
  format: 'json',
});

export interface ReplicaOptions {
  readonly name: string;
  readonly configuration?: Configuration;
  readonly keys?: readonly KeyData[];
  readonly digests?: Partial<Digests>;
  /** How wrong its wall clock is, in ms. */
  readonly skew?: number;
  readonly saved?: SavedState | null;
  /** The disk of a former one; `saved` does not count then. */
  readonly disk?: Disk;
  readonly maxStaleness?: number;
  readonly activation?: number;
  readonly cut?: boolean;
}

/** What a replica has on its disk. */
export interface Disk {
  saved: SavedState | null;
  readonly followed: FollowedCommit[];
  readonly finals: string[];
  tombstones: MemoryTombstones;
  /** Writes wait for it. */
  busy?: Promise<void>;
  /** While true no write succeeds. */
  broken?: boolean;
}

export interface Replica {
  readonly name: string;
  readonly plane: ControlPlane;
  readonly workers: FakeWorkers;
  readonly store: SharedMemoryConnection;
  /** What its workers were last given of the service "notes". */
  phase(): string | undefined;
  percentage(): number | undefined;
  /** How long it was stopped, in ms: set it to have it wake up so much later. */
  slept: number;
  /** While true it neither hears its peers nor is heard. */
  alone: boolean;
  /** What is on its disk. */
  readonly disk: Disk;
  close(): Promise<void>;
  /** It was killed: what it still does here a dead process would not. */
  readonly killed: boolean;
  /** Ends it as if it were killed: it says no more, and hears no more. */
  kill(): void;
}

export interface Replicas {
  readonly memory: SharedMemory;
  readonly start: (options: ReplicaOptions) => Promise<Replica>;
}

const LEASE = 500;
const KEY: KeyData = { id: 'k1', secret: new Uint8Array(32).fill(1) };

export function startReplicas(time: () => number = Date.now): Replicas {
  const memory = sharedMemory(time);
  const all = new Map<string, Replica>();
  after(async () => {
    for (const replica of all.values()) await replica.close();
  });

  async function start(options: ReplicaOptions): Promise<Replica> {
    const { name, configuration = CONFIGURATION, keys = [KEY], skew = 0 } = options;
    const store = memory.connect();
    store.cut = options.cut ?? false;
    const workers = fakeWorkers();
    const disk: Disk = options.disk ?? {
      saved: options.saved ?? null,
      followed: [],
      finals: [],
      tombstones: memoryTombstones(),
    };
    // What a former process still writes does not reach this one.
    disk.tombstones = memoryTombstones(disk.tombstones.lines);
    const write = async (): Promise<void> => {
      await disk.busy;
      if (disk.broken === true) throw new StoreError('unavailable', 'The disk is full.');
    };
    const boot = randomBytes(8).toString('hex');
    const monotonicNow = (): number => performance.now() + skew * 7;
    const wallNow = (): number => Date.now() + skew;
    let gone = false;
    const send = (message: PeerMessage): void => {
      if (gone || all.get(name)?.alone === true) return;
      for (const other of all.values()) {
        if (other.name === name || other.alone) continue;
        const copy = structuredClone(message);
        setImmediate(() => {
          const heard = other.plane.hearPeer(copy, name);
          if (heard instanceof Promise) heard.catch(() => {});
        });
      }
    };
    const digests: Digests = {
      keys: Object.fromEntries(keys.map(({ id, secret }) => [id, `${id}-${secret[0]}`])),
      segments: {},
      region: '',
      services: {},
      bucketAlgorithms: ['xxh64-1'],
      ...options.digests,
    };
    const plane = await startControlPlane({
      endpoints: () => [],
      comparison: () => {
        throw new Error('not compared here');
      },
      discovery: LISTED_ONLY,
      configuration,
      keys,
      store,
      tombstoneFile: disk.tombstones,
      shared: {
        store,
        stateFile: {
          read: async () => disk.saved,
          async write(state) {
            await write();
            if (!gone) disk.saved = structuredClone(state);
          },
        },
        followedLog: {
          read: async () => disk.followed,
          async append(storeId, commits) {
            await write();
            if (gone) return;
            disk.followed.push(...commits.map((commit) => structuredClone({ storeId, commit })));
          },
          async clear() {
            await write();
            if (!gone) disk.followed.length = 0;
          },
          close: async () => {},
        },
        finalLog: {
          read: async () => disk.finals,
          async append(records) {
            await write();
            if (!gone) disk.finals.push(...records);
          },
          close: async () => {},
        },
        self: {
          name,
          boot,
          version: '0.0.0',
          address: `${name}:1`,
          startedAt: new Date(wallNow()).toISOString(),
        },
        membership: createMembership({
          self: { name, boot },
          lease: LEASE,
          maxStaleness: options.maxStaleness ?? 600_000,
          monotonicNow,
        }),
        storeClock: createStoreClock(monotonicNow),
        peers: { connect: () => {}, send },
        digests: () => digests,
        lease: LEASE,
        activation: options.activation ?? 0,
        maxStaleness: options.maxStaleness ?? 600_000,
        elapsed: () => monotonicNow() + (all.get(name)?.slept ?? 0),
        onWaiting: () => {},
      },
      finalLog: null,
      workers,
      latches: null,
      counters: new ControlCounters(),
      replica: name,
      wallNow,
      monotonicNow,
      random: randomBytes,
      log: createLog({ level: 'silent' }),
    });
    const service = () => workers.snapshots.at(-1)?.services.find((one) => one.name === 'notes');
    let closed = false;
    const replica: Replica = {
      name,
      plane,
      workers,
      store,
      disk,
      slept: 0,
      get killed() {
        return gone;
      },
      alone: false,
      phase: () => service()?.rollout?.phase,
      percentage: () => service()?.rollout?.document.rules[0]?.percentage,
      async close() {
        if (closed) return;
        closed = true;
        all.delete(name);
        await plane.close();
      },
      kill() {
        gone = true;
        disk.tombstones.failing = true;
        replica.alone = true;
        store.cut = true;
        all.delete(name);
        closed = true;
        void plane.close();
      },
    };
    all.set(name, replica);
    return replica;
  }

  return { memory, start };
}

type Memory = ReturnType<typeof startReplicas>['memory'];

/** A master that was behind takes over, and the last `lost` commits are gone: connections break first. */
export function failOver(memory: Memory, replicas: readonly Replica[], lost: number): void {
  const cut = replicas.map((one) => [one, one.store.cut] as const);
  for (const [one] of cut) one.store.cut = true;
  memory.lose(Math.min(memory.commits.length, lost));
  for (const [one, was] of cut) one.store.cut = was;
}

/**
 * Empties the store. Not, and then it is false, where the only one that remembers may be cut off: the others would begin anew, and it would
 * meet a stranger, for a person to decide.
 */
export function emptyStore(memory: Memory, replicas: readonly Replica[]): boolean {
  if (replicas.some((one) => one.store.cut || one.plane.fleet().revision === 0)) return false;
  memory.flush();
  return true;
}
