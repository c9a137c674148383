/**
 * The rollbacks that this replica knows: in force at once, told to the others at once, then kept on disk.
 *
 * It promises that a rollback is in force here when the call returns, that the others were told before anything waits for a disk,
 * and that this replica says it knows of one only when it is on its disk. A rollback means that its service is on stable: whatever
 * rollout of it is active here and had begun before is rolled back with it.
 */
import type { Tombstone } from '../contract/tombstone.ts';
import type { Workers } from '../contract/workers.ts';
import type { RolloutState } from '../policy/rollout.ts';
import type { Changes } from '../rollout/changes.ts';
import { type Documents, rollbacksIn, type Tombstones } from '../rollout/tombstones.ts';
import { after, detached, guarded } from '../runtime/guard.ts';
import type { ActiveState } from '../state/active-state.ts';
import type { TombstoneFile, TombstoneLine } from '../store/file/tombstone-file.ts';
import type { Commit } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';

/** For how long this replica goes on saying that it knows a rollback which the store has: others may not know that yet. In ms. */
const SAID_FOR = 600_000;
/** How many of those it says at most. */
const MOST_SAID = 1000;
/** A file of so many bytes is written anew, without what is over and old. */
const LARGE = 1024 * 1024;

export interface RollbacksOptions {
  readonly tombstones: Tombstones;
  readonly file: TombstoneFile;
  /** The tombstones are on the disk as they were read or taken over. */
  readonly isKept: boolean;
  readonly activeState: ActiveState;
  readonly changes: Changes;
  readonly workers: Pick<Workers, 'appliedRevision'>;
  /** Tells all other replicas; never waits. */
  readonly tell: (tombstones: readonly Tombstone[]) => void;
  /** What this replica can say that it knows has changed. */
  readonly onKnown: () => void;
  /** There may be something to commit. */
  readonly onOwed: () => void;
  /** Monotonic, in ms. */
  readonly monotonicNow: () => number;
  /** Milliseconds since 1970. */
  readonly wallNow: () => number;
  /** How long after a failure the disk is tried again, in ms. */
  readonly retryDelay: number;
  /** How long a write to the store or a read of it waits for the disk, in ms. */
  readonly patience: number;
  readonly log: Logger;
}

/** What this process knows of a tombstone. */
interface Note {
  readonly tombstone: Tombstone;
  /** The number of the first snapshot that has it. */
  readonly sequence: number;
  readonly since: number;
  /** This replica was asked for it. */
  readonly isOwn: boolean;
  isKept: boolean;
  /** Since when the store is known to have it. */
  storedSince: number | null;
}

export class Rollbacks {
  readonly #options: RollbacksOptions;
  readonly #notes = new Map<Tombstone, Note>();
  /** Lines that are not on the disk yet. */
  #unkept: TombstoneLine[] = [];
  #writing: Promise<boolean> | null = null;
  #timer: NodeJS.Timeout | undefined;
  #largest = LARGE;
  #closed = false;

  constructor(options: RollbacksOptions) {
    this.#options = options;
    const { tombstones, isKept } = options;
    for (const one of tombstones.uncommitted()) this.#note(one, { sequence: 0, isOwn: false, isKept });
    if (isKept) return;
    this.#unkept.push(...linesOf(tombstones));
    detached('keeping tombstones', this.#keep());
  }

  /** What this replica was asked for: in force when it returns. Resolves to whether it is on the disk. */
  rollBack(tombstone: Tombstone): Promise<boolean> {
    this.#options.tombstones.add(tombstone);
    return this.#enforce([tombstone], true);
  }

  /** What a peer told. Resolves when it is on the disk, rejects where the disk fails. */
  async learn(told: readonly Tombstone[]): Promise<void> {
    const { changes, tombstones, log } = this.#options;
    const fresh = told.filter((one) => tombstones.add(one));
    const kept = this.#enforce(fresh, false);
    for (const one of fresh) {
      const { service, actor, changeId } = one;
      if (tombstones.revisionOf(changeId) === null) changes.followRollback(one);
      log.warn(
        { 'serin.service': service, 'serin.actor': actor, 'serin.change': changeId },
        'another replica rolled back',
      );
    }
    if (!(await kept)) throw new Error('The disk does not take tombstones.');
  }

  /**
   * The store's log goes on with `commits`, oldest first, and comes to `documents`, which are enacted next: what is rolled back in
   * them has a tombstone from now on. Resolves when it is on the disk, or the log says that the disk fails.
   */
  async follow(commits: readonly Commit[], documents: Documents): Promise<void> {
    const { tombstones, changes, tell, onOwed } = this.#options;
    for (const { kind, changeId, revision } of commits)
      if (kind === 'rollout.rollback') this.setRevision(changeId, revision);
    const stored = rollbacksIn(documents, commits).filter(
      ({ tombstone }) => !tombstones.has(tombstone.rolloutId),
    );
    for (const { tombstone, revision } of stored) this.setRevision(tombstone.changeId, revision);
    const fresh = stored.flatMap(({ tombstone }) => (tombstones.add(tombstone) ? [tombstone] : []));
    // What the store does not have is older than whatever began in it without knowing that.
    const covered = tombstones
      .uncommitted()
      .flatMap((one) => this.#cover(one, documents.get(one.service)?.document.rollout ?? null));
    if (covered.length > 0) tell(covered);
    const kept = this.#enforce([...fresh, ...covered], false);
    // What is not waited for any longer fails in its own time.
    detached('keeping tombstones', kept);
    // A commit that came by another way than one after another, after the store went another way than this replica.
    for (const commit of commits) {
      const change = changes.find(commit.changeId);
      if (commit.kind === 'rollout.rollback' && change !== undefined && change.revision === null)
        changes.followCommit(commit, null);
    }
    onOwed();
    await this.onDisk();
  }

  /**
   * Resolves when all is on the disk, or the log says that it is not. A disk that hangs is not waited for longer than `patience`: what
   * waits here holds up all writes.
   */
  async onDisk(): Promise<void> {
    if (this.#unkept.length === 0) return;
    const { patience, log } = this.#options;
    const { promise: late, resolve } = Promise.withResolvers<boolean>();
    const timer = after(
      patience,
      guarded('waiting for the disk', () => {
        log.error({}, 'this disk does not answer: rollbacks are in force, and may not be on it');
        resolve(false);
      }),
    );
    await Promise.race([this.#keep(), late]).finally(() => clearTimeout(timer));
  }

  /** The store has the change at that revision, as its own or as that of the same request; null: the store has lost it. */
  setRevision(changeId: string, revision: number | null): void {
    const { tombstones, monotonicNow } = this.#options;
    if (!tombstones.setRevision(changeId, revision) || tombstones.rolloutsOf(changeId).length === 0) return;
    for (const note of this.#notes.values()) {
      if (note.tombstone.changeId === changeId) note.storedSince = revision === null ? null : monotonicNow();
    }
    this.#unkept.push({ change: changeId, revision });
    detached('keeping tombstones', this.#keep());
  }

  /** How long it has been known here, in ms, and whether this replica was asked for it. */
  ageOf(tombstone: Tombstone): { readonly age: number; readonly isOwn: boolean } {
    const note = this.#notes.get(tombstone);
    return note === undefined
      ? { age: Infinity, isOwn: false }
      : { age: this.#options.monotonicNow() - note.since, isOwn: note.isOwn };
  }

  /**
   * Ids of the rollouts that all workers treat as rolled back and that are on this disk, as far as others may have to know. Not those
   * that are finished, as far as this replica can know: what was the canary is stable then, and their rollback comes too late.
   */
  known(): readonly string[] {
    const { workers, monotonicNow } = this.#options;
    const applied = Math.min(...workers.appliedRevision().map(({ sequence }) => sequence));
    const ahead: string[] = [];
    const stored: string[] = [];
    for (const [key, { tombstone, sequence, isKept, storedSince }] of this.#notes) {
      if (storedSince !== null && monotonicNow() - storedSince > SAID_FOR) this.#notes.delete(key);
      else if (isKept && sequence <= applied && !this.#mayBeFinished(tombstone))
        (storedSince === null ? ahead : stored).push(tombstone.rolloutId);
    }
    return [...new Set([...ahead, ...stored.slice(-MOST_SAID)])];
  }

  /** Tries the disk once more. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#keep();
    await this.#options.file.close();
  }

  /** Those are in the set, and from now on in force. Resolves to whether they are on the disk. */
  #enforce(fresh: readonly Tombstone[], isOwn: boolean): Promise<boolean> {
    const { tombstones, activeState, tell, onOwed } = this.#options;
    const covered = fresh.flatMap((one) =>
      activeState.rolloutsOf(one.service).flatMap((rollout) => this.#cover(one, rollout)),
    );
    const all = [...fresh, ...covered];
    if (all.length === 0) return this.#keep();
    const sequence = activeState.enforceTombstones();
    const news = isOwn ? all : covered;
    if (news.length > 0) tell(news);
    for (const tombstone of all) {
      const change = tombstone.changeId;
      const revision = tombstones.revisionOf(change);
      this.#note(tombstone, { sequence, isOwn, isKept: false });
      this.#unkept.push({ tombstone }, ...(revision === null ? [] : [{ change, revision }]));
    }
    onOwed();
    return this.#keep();
  }

  #mayBeFinished({ service, rolloutId, changeId }: Tombstone): boolean {
    const { tombstones, activeState, changes } = this.#options;
    if (tombstones.revisionOf(changeId) !== null) return false;
    const rollout = activeState.state.documents.get(service)?.document.rollout;
    if (rollout?.id !== rolloutId || rollout.phase === 'rolledBack') return false;
    return rollout.phase === 'idle' || changes.isWriting(service, 'rollout.finish');
  }

  #cover(tombstone: Tombstone, rollout: RolloutState | null): readonly Tombstone[] {
    const covered = rollout === null ? [] : this.#options.tombstones.cover(tombstone, [rollout]);
    for (const { service, changeId, rolloutId } of covered)
      this.#options.log.warn(
        { 'serin.service': service, 'serin.change': changeId, 'serin.rollout': rolloutId },
        'a rollback of the service covers another rollout than the one that it named',
      );
    return covered;
  }

  #note(tombstone: Tombstone, more: Pick<Note, 'sequence' | 'isOwn' | 'isKept'>): void {
    const { monotonicNow, tombstones } = this.#options;
    const storedSince = tombstones.revisionOf(tombstone.changeId) === null ? null : monotonicNow();
    this.#notes.set(tombstone, { tombstone, since: monotonicNow(), storedSince, ...more });
  }

  /** True when everything is on the disk, false when the disk fails. One write at a time. */
  async #keep(): Promise<boolean> {
    while (this.#unkept.length > 0) {
      this.#writing ??= this.#write().finally(() => {
        this.#writing = null;
      });
      if (!(await this.#writing)) return false;
    }
    return true;
  }

  async #write(): Promise<boolean> {
    const { file, tombstones, activeState, wallNow, retryDelay, log, onKnown } = this.#options;
    const lines = [...this.#unkept];
    try {
      const isLarge = file.size > this.#largest;
      if (isLarge) tombstones.prune(activeState.state.documents, wallNow());
      if (isLarge || file.isBroken) {
        await file.replace(linesOf(tombstones));
        this.#largest = Math.max(LARGE, 2 * file.size);
      } else await file.append(lines);
    } catch (error) {
      const changes = lines.flatMap((line) => ('tombstone' in line ? [line.tombstone.changeId] : []));
      log.error(
        { err: error, 'serin.changes': changes },
        'rollbacks are in force, but this disk does not take them: what the store does not have either is lost if this process ends',
      );
      clearTimeout(this.#timer);
      const again = guarded('keeping tombstones', () => detached('keeping tombstones', this.#keep()));
      if (!this.#closed) this.#timer = after(retryDelay, again).unref();
      return false;
    }
    this.#unkept = this.#unkept.slice(lines.length);
    for (const line of lines) {
      const note = 'tombstone' in line ? this.#notes.get(line.tombstone) : undefined;
      if (note !== undefined) note.isKept = true;
    }
    onKnown();
    return true;
  }
}

/** All that a file of tombstones is to say. */
export function linesOf(tombstones: Tombstones): readonly TombstoneLine[] {
  const all = tombstones.all();
  const changes = [...new Set(all.map(({ changeId }) => changeId))];
  return [
    ...all.map((tombstone) => ({ tombstone })),
    ...changes.flatMap((change) => {
      const revision = tombstones.revisionOf(change);
      return revision === null ? [] : [{ change, revision }];
    }),
  ];
}
