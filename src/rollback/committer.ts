/**
 * Stores rollbacks: those that this replica was asked for at once, and whatever else is rolled back and the store does not have,
 * because it was away, because the replica that was asked is gone, or because it forgot. One way for both kinds of store.
 *
 * It promises that each rollback is planned on what the store has at that time, that it is tried until the store has it, and that
 * it is stored also where its rollout is over: whatever began after it in the store's log began knowing of it.
 */
import type { Tombstone } from '../contract/tombstone.ts';
import type { Changes } from '../rollout/changes.ts';
import { digestOf } from '../rollout/change-id.ts';
import { isActive } from '../rollout/lifecycle.ts';
import type { Tombstones } from '../rollout/tombstones.ts';
import { after, detached, guarded } from '../runtime/guard.ts';
import type { ActiveState } from '../state/active-state.ts';
import { type CommitWriter, logAccepted } from '../state/commit-writer.ts';
import type { WriteQueue } from '../state/write-queue.ts';
import { isConflict, StoreError } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Rollbacks } from './rollbacks.ts';

/** How long a rollback is left to the replica that was asked for it, in ms. */
const LEFT_TO_ITS_OWNER = 2000;
/** How long it is left to a replica that knows the service, where the store and this replica have nothing of it, in ms. */
const LEFT_TO_WHO_KNOWS = 60_000;
/** How often one is planned anew because other replicas were faster. */
const MOST_CONFLICTS = 20;

export interface CommitterOptions {
  readonly tombstones: Tombstones;
  readonly rollbacks: Rollbacks;
  readonly activeState: ActiveState;
  readonly changes: Changes;
  readonly writer: CommitWriter;
  readonly queue: WriteQueue;
  /** Whether the store is worth trying. */
  readonly isAvailable: () => boolean;
  /** Brings the state up to the store, where others write to it too. Rejects with StoreError. */
  readonly catchUp: () => Promise<void>;
  /** Monotonic, in ms. */
  readonly monotonicNow: () => number;
  /** How long after a failure the store is tried again, in ms. */
  readonly retryDelay: number;
  readonly log: Logger;
}

export class Committer {
  readonly #options: CommitterOptions;
  #timer: NodeJS.Timeout | undefined;
  #due = Infinity;
  #running = false;
  #closed = false;
  /** What was wrong last: it is said once. */
  #trouble = '';

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  /** Before all writes that wait. Resolves when the store has the change; rejects with StoreError, and then it is tried again. */
  async commit(changeId: string): Promise<void> {
    const { queue, catchUp } = this.#options;
    await queue.run(async () => {
      await catchUp();
      await this.#commitAll(null, (one) => one.changeId === changeId);
    }, true);
  }

  /**
   * Stores all rollbacks of a service, so that a write of it is planned on top of them. In the write queue only, caught up. Rejects with
   * StoreError.
   */
  commitOf(service: string): Promise<void> {
    return this.#commitAll(service, () => true);
  }

  /** Looks for what is to be stored, soon. */
  wake(): void {
    this.#wakeIn(0);
  }

  /** Tries once more, and never again. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    const { queue, log, isAvailable } = this.#options;
    if (!isAvailable() || this.#owed().length === 0) return;
    try {
      await queue.run(() => this.#commitAll(null, () => true));
    } catch (error) {
      log.error({ err: error }, 'rollbacks are not in the store yet');
    }
  }

  #owed(service: string | null = null): readonly Tombstone[] {
    const { tombstones, activeState } = this.#options;
    return tombstones.owed(activeState.state.documents, service);
  }

  /** In how many ms it is this replica's turn to store it. */
  #dueIn(tombstone: Tombstone): number {
    const { tombstones, rollbacks, activeState, retryDelay } = this.#options;
    if (tombstones.revisionOf(tombstone.changeId) !== null) return 0;
    const { age, isOwn } = rollbacks.ageOf(tombstone);
    // Whoever writes first into a store that lost everything makes void what others would put back.
    const isKnown = activeState.state.documents.has(tombstone.service);
    const left = isKnown ? (isOwn ? retryDelay : LEFT_TO_ITS_OWNER) : LEFT_TO_WHO_KNOWS;
    return Math.max(0, left - age);
  }

  #wakeIn(ms: number): void {
    const { monotonicNow } = this.#options;
    if (this.#closed) return;
    const rest = this.#owed().map((one) => this.#dueIn(one));
    if (rest.length === 0) return;
    const wait = Math.max(ms, Math.min(...rest));
    const at = monotonicNow() + wait;
    if (at >= this.#due) return;
    this.#due = at;
    clearTimeout(this.#timer);
    this.#timer = after(
      wait,
      guarded('storing rollbacks', () => {
        this.#due = Infinity;
        detached('storing rollbacks', this.#run());
      }),
    ).unref();
  }

  async #run(): Promise<void> {
    const { queue, isAvailable, catchUp, retryDelay, log } = this.#options;
    if (this.#running) return;
    this.#running = true;
    try {
      if (isAvailable())
        await queue.run(async () => {
          await catchUp();
          await this.#commitAll(null, (one) => this.#dueIn(one) === 0);
        });
      this.#trouble = '';
    } catch (error) {
      const trouble = error instanceof StoreError ? error.code : String(error);
      if (trouble !== this.#trouble)
        log.warn({ err: error }, 'rollbacks cannot be stored yet; they are in force');
      this.#trouble = trouble;
    } finally {
      this.#running = false;
    }
    this.#wakeIn(retryDelay);
  }

  async #commitAll(service: string | null, isWanted: (tombstone: Tombstone) => boolean): Promise<void> {
    const { catchUp } = this.#options;
    for (let conflicts = 0; ;) {
      const next = this.#owed(service).find(isWanted);
      if (next === undefined) return;
      try {
        await this.#commitOne(next);
      } catch (error) {
        conflicts += 1;
        if (!isConflict(error) || conflicts === MOST_CONFLICTS) throw error;
        // Another replica was faster: look at what it wrote, and think again.
        await catchUp();
      }
    }
  }

  async #commitOne(tombstone: Tombstone): Promise<void> {
    const { tombstones, rollbacks, activeState, changes, writer, log } = this.#options;
    const { service, at, actor, reason, requestId, changeId } = tombstone;
    const twin = tombstones.twinOf(tombstone, (id) => digestOf(id) === digestOf(changeId));
    if (twin !== null && tombstones.revisionOf(changeId) === null) {
      rollbacks.setRevision(changeId, tombstones.revisionOf(twin));
      const done = changes.find(twin);
      if (done !== undefined && changes.find(changeId) !== undefined) changes.endAs(changeId, done);
      return;
    }
    // Who has it in the store says so to the others, and must have it on disk.
    await rollbacks.onDisk();
    const stored = activeState.state.documents.get(service);
    const before = stored?.document.rollout ?? null;
    const ends = before !== null && isActive(before.phase) && tombstones.has(before.id);
    const rollout = ends ? { ...before, phase: 'rolledBack' as const } : before;
    const entry = { service, kind: 'rollout.rollback', at, actor, reason, requestId, changeId } as const;
    const document = stored === undefined ? null : { ...stored.document, rollout };
    await writer.write({ ...entry, document }, (commit) => {
      rollbacks.setRevision(changeId, commit.revision);
      changes.followCommit(commit, before);
      logAccepted(log, commit);
    });
  }
}
