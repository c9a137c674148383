/**
 * The life of a replica among others: it beats, follows the store, hears its peers, and knows how far a write has got.
 *
 * It promises that whoever starts later is told of the rollbacks that the store does not have, with each beat.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FleetView } from './fleet-view.ts';
import type { Membership } from './membership.ts';
import type { Tombstone } from '../contract/tombstone.ts';
import type { PeerMessage } from './peer-message.ts';
import { type Digests, parseReplicaRecord, type ReplicaRecord } from './replica-record.ts';
import { Staleness, type StalenessOptions } from './staleness.ts';
import type { StoreClock } from './store-clock.ts';
import { isActive } from '../rollout/lifecycle.ts';
import type { Changes } from '../rollout/changes.ts';
import type { Rollbacks } from '../rollback/rollbacks.ts';
import type { Tombstones } from '../rollout/tombstones.ts';
import type { ReachOf } from '../rollout/reach.ts';
import type { SharedStore, Sync } from '../store/shared-store.ts';
import type { CommitKind } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Follower } from './follower.ts';
import { viewOfFleet } from './fleet-view.ts';
import type { ActiveState } from '../state/active-state.ts';
import type { FinalStatuses } from './final-statuses.ts';
import type { Position } from './kept-head.ts';
import type { OlderHistory } from './older-history.ts';
import type { Workers } from '../contract/workers.ts';
import type { WriteQueue } from '../state/write-queue.ts';
import type { SharedWrites } from './shared-writes.ts';
import { after, detached, guarded, soon, survive } from '../runtime/guard.ts';

/** How many times in its lease a replica beats. */
const BEATS = 5;

/** How soon a store that is out of reach is tried again, in ms. */
const LOOK_AGAIN = 250;

export interface ReplicationOptions extends StalenessOptions {
  readonly self: Pick<ReplicaRecord, 'name' | 'boot' | 'version' | 'address' | 'startedAt'>;
  readonly store: SharedStore;
  readonly follower: Follower;
  readonly activeState: ActiveState;
  readonly changes: Changes;
  readonly rollbacks: Pick<Rollbacks, 'known' | 'learn'>;
  readonly tombstones: Pick<Tombstones, 'uncommitted' | 'has' | 'isAheadOfStore'>;
  readonly finals: FinalStatuses;
  readonly history: OlderHistory;
  /** Up to where the state is on this replica's disk. */
  readonly kept: () => Position;
  readonly queue: WriteQueue;
  readonly workers: Workers;
  readonly membership: Membership;
  readonly storeClock: StoreClock;
  readonly peers: {
    connect(addresses: ReadonlyMap<string, string>): void;
    send(message: PeerMessage): void;
  };
  readonly digests: () => Digests;
  /** The ids of the keys, in the order of the ring. */
  readonly keyIds: readonly string[];
  /** In ms. */
  readonly lease: number;
  readonly activation: number;
  /** Monotonic, in ms. */
  readonly monotonicNow: () => number;
  /** The store answers: what it does not have may be stored. */
  readonly onReached: () => void;
  readonly log: Logger;
}

export interface Replication extends SharedWrites {
  readonly reach: ReachOf;
  /** Tells the peers how this replica stands, once for all that happens in one turn of the event loop. */
  tell(): void;
  /** Tells and asks the store once; never rejects. */
  beat(): Promise<void>;
  /** A peer's message. When it resolves, what must not be lost is on disk. */
  hearPeer(message: PeerMessage, from: string): void | Promise<void>;
  /** Tells all peers of rollbacks that are in force here. */
  tellRollbacks(tombstones: readonly Tombstone[]): void;
  /** Tells all peers, soon, how this replica stands. */
  tellRecord(): void;
  /** The number of the leadership that was last seen. */
  readonly fence: number;
  /** What replicas do not have alike, in sentences. */
  disagreements(): readonly string[];
  view(): FleetView;
  /** How long ago the store was last in agreement with this replica, in ms. */
  staleness(): number;
  /** Starts to beat by itself. */
  start(): void;
  /** Says good-bye. */
  close(): Promise<void>;
}

export function createReplication(options: ReplicationOptions): Replication {
  const { self, store, follower, activeState, changes, rollbacks, tombstones, queue, workers } = options;
  const { finals } = options;
  const { membership, storeClock, peers, monotonicNow, elapsed } = options;
  let sequence = 0;
  let leader: string | null = null;
  let fence = 0;
  const staleness = new Staleness(options);
  let toFollow = false;
  let telling = false;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  function record(): ReplicaRecord {
    sequence += 1;
    // What is told to be applied is kept: if all replicas end, and the store forgets, it is not lost.
    const { revision, changeId } = options.kept();
    return {
      ...self,
      sequence,
      revision,
      changeId,
      workers: workers
        .appliedRevision()
        .map((worker) => ({ index: worker.index, revision: worker.revision })),
      rolledBack: rollbacks.known(),
      faults: follower.faults,
      fenced: activeState.fenced,
      digests: options.digests(),
    };
  }

  function tell(): void {
    if (telling || closed) return;
    telling = true;
    soon(tellOnce);
  }

  const tellOnce = guarded('telling peers', () => {
    telling = false;
    tellNow();
  });

  function tellRollbacks(told: readonly Tombstone[]): void {
    if (told.length > 0) peers.send({ type: 'rollback', rollbacks: told });
  }

  function tellNow(): void {
    const own = record();
    membership.hear(own, 0);
    peers.send({ type: 'record', record: own });
    changes.refresh();
  }

  async function beat(): Promise<void> {
    // Before the store is asked: whoever slept for too long must not give the canary until it has answered.
    staleness.mind();
    const asked = monotonicNow();
    const since = elapsed();
    try {
      const own = record();
      membership.hear(own, 0);
      const seen = await store.sync({
        replica: self.name,
        record: JSON.stringify(own),
        lease: options.lease,
        lead: true,
      });
      storeClock.sample({ sentAt: asked, receivedAt: monotonicNow(), time: seen.time });
      learnOf(seen);
      if (follower.isBehind(seen)) follow();
      else staleness.agree(since);
      await options.history.compare(seen, follower.head);
    } catch (error) {
      staleness.complain(error);
    }
    staleness.mind();
    agreeOnKey();
    if (store.condition === 'available') options.onReached();
    await finals.beat();
    tellNow();
    tellRollbacks(tombstones.uncommitted());
  }

  function learnOf(seen: Sync): void {
    follower.saw(seen);
    ({ leader, fence } = seen);
    const register = seen.replicas.flatMap(({ record: text, age }) => {
      const read = parseReplicaRecord(text);
      return typeof read === 'string' || read.boot === self.boot ? [] : [{ record: read, age }];
    });
    membership.synced(register);
    // Who took its name off the register has gone for good; who is merely silent stays on it.
    const registered = new Set(seen.replicas.map(({ name }) => name));
    for (const { record: other, state } of membership.replicas()) {
      if (state === 'unreachable' && !registered.has(other.name)) membership.left(other.name, other.boot);
    }
    peers.connect(addresses());
  }

  function addresses(): Map<string, string> {
    return new Map(
      membership
        .replicas()
        .flatMap(({ record: { name, address } }) => (name === self.name ? [] : [[name, address] as const])),
    );
  }

  /** The first key of the ring that all living replicas know signs: what it signed must count everywhere. */
  function agreeOnKey(): void {
    const common = membership.commonKeys(options.digests());
    const key = options.keyIds.find((id) => common.has(id));
    if (key !== undefined) activeState.signWith(key);
  }

  function follow(): void {
    if (toFollow || closed) return;
    toFollow = true;
    const run = (): Promise<void> => {
      // What is heard from now on needs another look.
      toFollow = false;
      return catchUp();
    };
    queue.run(run).catch((error: unknown) => staleness.complain(error));
  }

  async function catchUp(): Promise<void> {
    const since = elapsed();
    await follower.catchUp();
    staleness.agree(since);
  }

  return {
    beat,
    tell,
    reach: (target) => membership.acknowledgement(target),
    get fence() {
      return fence;
    },
    disagreements,
    view: () =>
      viewOfFleet({
        revision: follower.head.revision,
        store,
        disagreements: disagreements(),
        members: membership.replicas(),
        // A rollout that this replica does not know as rolled back is another one's word.
        isAheadOfStore: (id) => tombstones.isAheadOfStore(id) || !tombstones.has(id),
        leader,
      }),
    staleness: () => staleness.age,
    get available() {
      return store.condition === 'available';
    },
    async catchUp() {
      await catchUp();
      // An emptied store looks like a new one, until a replica that knows more has put everything back.
      while (follower.emptySince !== null) {
        const rest = follower.emptySince + (2 * options.lease) / BEATS - monotonicNow();
        if (rest <= 0) return;
        await sleep(rest);
        await catchUp();
      }
    },
    async committed(commit) {
      await follower.committed(commit);
      peers.send({ type: 'written', revision: commit.revision });
    },
    activateAt: (kind: CommitKind) =>
      kind.startsWith('rollout.') && kind !== 'rollout.rollback' && options.activation > 0
        ? activationTime()
        : undefined,
    // A wrong clock must not hold up a write for longer than this.
    moment: (at) => monotonicNow() + Math.min(at - (storeClock.now() ?? at), 2 * options.activation),
    tellRollbacks,
    tellRecord: tell,
    hearPeer(message, from) {
      switch (message.type) {
        case 'record':
          membership.hear(message.record, 0);
          if (message.record.revision > follower.head.revision) follow();
          changes.refresh();
          return;
        case 'final':
          finals.heard(message.finals);
          return;
        case 'written':
          if (message.revision > follower.head.revision) follow();
          return;
        case 'rollback':
          return rollbacks.learn(message.rollbacks);
        case 'latches':
          return;
        case 'left':
          membership.left(from, message.boot);
          changes.refresh();
          return;
      }
    },
    start() {
      store.onHint(follow);
      workers.onApplied(tell);
      const again = async (): Promise<void> => {
        try {
          await beat();
        } catch (error) {
          // The next one is due all the same.
          survive('the beat', error);
        }
        const pause = options.lease / BEATS;
        // A store that is away is looked for more often: the sooner it is found, the sooner all agree again.
        const next = store.condition === 'available' ? pause : Math.min(pause, LOOK_AGAIN);
        if (!closed) timer = after(next, beats).unref();
      };
      const beats = guarded('the beat', () => detached('the beat', again()));
      beats();
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      peers.send({ type: 'left', boot: self.boot });
      try {
        await store.leave(self.name);
      } catch {
        // Its lease ends by itself.
      }
    },
  };

  function disagreements(): readonly string[] {
    const running = [...activeState.views.values()].flatMap(({ rollout }) =>
      rollout !== null && isActive(rollout.phase) ? [rollout] : [],
    );
    return membership.disagreements(options.digests(), {
      keys: running.map(({ fingerprintKey }) => fingerprintKey),
      bucketAlgorithms: running.map(({ bucketAlgorithm }) => bucketAlgorithm),
    });
  }

  function activationTime(): number | undefined {
    const time = storeClock.now();
    return time === null ? undefined : Math.round(time + options.activation);
  }
}
