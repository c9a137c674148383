/**
 * The parts that every write and every rollback goes through, put together for one store: alone, or shared with other replicas.
 */
import type { Tombstone } from '../contract/tombstone.ts';
import type { Workers } from '../contract/workers.ts';
import type { Replication } from '../replication/replication.ts';
import { Committer } from '../rollback/committer.ts';
import type { OpenedTombstones } from '../rollback/open-tombstones.ts';
import { Rollbacks } from '../rollback/rollbacks.ts';
import type { Changes } from '../rollout/changes.ts';
import type { ActiveState } from '../state/active-state.ts';
import { CommitWriter } from '../state/commit-writer.ts';
import type { WriteQueue } from '../state/write-queue.ts';
import type { TombstoneFile } from '../store/file/tombstone-file.ts';
import type { Store } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';
import { Writer } from './writer.ts';

/** How long the answer to a rollback waits, for this disk and for the store, in ms. */
const PATIENCE = 1000;
/** How long after a failure the store and the file of tombstones are tried again, in ms. */
const RETRY_DELAY = 1000;

export interface WritePathOptions extends OpenedTombstones {
  readonly store: Store;
  readonly file: TombstoneFile;
  readonly activeState: ActiveState;
  readonly changes: Changes;
  readonly queue: WriteQueue;
  readonly workers: Workers;
  /** Whether other replicas write to the store too. */
  readonly isShared: boolean;
  /** Null until it is there, and where this replica is alone. */
  readonly replication: () => Replication | null;
  readonly onFailure: () => void;
  readonly onWritten: (service: string) => void;
  readonly wallNow: () => number;
  readonly fleetNow: () => number;
  readonly monotonicNow: () => number;
  readonly random: (size: number) => Uint8Array;
  readonly log: Logger;
}

export interface WritePath {
  readonly commits: CommitWriter;
  readonly rollbacks: Rollbacks;
  readonly committer: Committer;
  /** Call it when the replication, if there is one, is there. */
  writer(): Writer;
}

export function createWritePath(options: WritePathOptions): WritePath {
  const { activeState, changes, isShared, replication, tombstones } = options;
  const { wallNow, fleetNow, queue, random, log } = options;
  const commits = new CommitWriter({
    ...options,
    onCommitted: async (commit) => replication()?.committed(commit),
    moment: (at) => replication()?.moment(at) ?? 0,
  });
  const rollbacks = new Rollbacks({
    ...options,
    tell: (told: readonly Tombstone[]) => replication()?.tellRollbacks(told),
    onKnown() {
      replication()?.tellRecord();
      changes.refresh();
    },
    onOwed: () => committer.wake(),
    patience: PATIENCE,
    retryDelay: RETRY_DELAY,
  });
  const committer: Committer = new Committer({
    ...options,
    rollbacks,
    writer: commits,
    isAvailable: () => (isShared ? (replication()?.available ?? false) : true),
    catchUp: async () => replication()?.catchUp(),
    retryDelay: RETRY_DELAY,
  });
  return {
    commits,
    rollbacks,
    committer,
    writer() {
      for (const one of tombstones.uncommitted()) changes.followRollback(one);
      committer.wake();
      const shared = replication();
      const parts = { activeState, commits, rollbacks, committer, changes, queue, shared };
      return new Writer({ ...parts, wallNow, fleetNow, random, log, patience: PATIENCE });
    },
  };
}
