/**
 * Which rollouts are rolled back: a set that only grows, and which of its changes the store has.
 *
 * It promises that a rollout which is in it stays in it: only what the committed state shows over, and is old, may be let go. It
 * is pure: who keeps it on a disk, tells others and stores it is in `rollback/`.
 */
import type { RolloutState } from '../policy/rollout.ts';
import type { Tombstone } from '../contract/tombstone.ts';
import type { Commit, StoredDocument } from '../store/store.ts';
import { isActive } from './lifecycle.ts';

export type Documents = ReadonlyMap<string, StoredDocument>;

/** How long a tombstone whose rollout is over in the store is kept, in ms. */
const KEPT = 7 * 24 * 3_600_000;
/** More tombstones than these are kept only where the store does not have them, or shows their rollout as the last one. */
const MOST = 10_000;
/** Changes of the store that are remembered without a tombstone: a peer may tell of them late. */
const MOST_REVISIONS = 20_000;

export class Tombstones {
  readonly #byRollout = new Map<string, Tombstone[]>();
  readonly #byChange = new Map<string, Tombstone[]>();
  readonly #uncommitted = new Set<Tombstone>();
  /** The revision that a rollback has in the store, by its change. */
  readonly #revisions = new Map<string, number>();

  /** False where this change's tombstone of this rollout is there already. */
  add(tombstone: Tombstone): boolean {
    const { rolloutId, changeId } = tombstone;
    const ofRollout = this.#byRollout.get(rolloutId) ?? [];
    if (ofRollout.some((one) => one.changeId === changeId)) return false;
    this.#byRollout.set(rolloutId, [...ofRollout, tombstone]);
    this.#byChange.set(changeId, [...(this.#byChange.get(changeId) ?? []), tombstone]);
    if (!this.#revisions.has(changeId)) this.#uncommitted.add(tombstone);
    return true;
  }

  /** Whether the rollout is rolled back. */
  has(rolloutId: string): boolean {
    return this.#byRollout.has(rolloutId);
  }

  /** Oldest first. */
  all(): readonly Tombstone[] {
    return [...this.#byChange.values()].flat();
  }

  /** Ids of the rollouts that a change ended. */
  rolloutsOf(changeId: string): readonly string[] {
    return (this.#byChange.get(changeId) ?? []).map(({ rolloutId }) => rolloutId);
  }

  /** Those whose change is not in the store, oldest first. */
  uncommitted(): readonly Tombstone[] {
    return [...this.#uncommitted];
  }

  /** Whether the rollout has a tombstone that the store does not have. */
  isAheadOfStore(rolloutId: string): boolean {
    return (this.#byRollout.get(rolloutId) ?? []).some((one) => this.#uncommitted.has(one));
  }

  /** The revision that the change has in the store; null where it is not there. */
  revisionOf(changeId: string): number | null {
    return this.#revisions.get(changeId) ?? null;
  }

  /** The store has the change at `revision`, or has lost it: null. False where that was known. */
  setRevision(changeId: string, revision: number | null): boolean {
    if (this.revisionOf(changeId) === revision) return false;
    const tombstones = this.#byChange.get(changeId) ?? [];
    this.#revisions.delete(changeId);
    if (revision === null) for (const one of tombstones) this.#uncommitted.add(one);
    else {
      this.#revisions.set(changeId, revision);
      for (const one of tombstones) this.#uncommitted.delete(one);
      this.#forgetRevisions();
    }
    return true;
  }

  /**
   * What is to be committed: changes that the store does not have, and rollouts that are under way in its `documents` although
   * they are rolled back, because it forgot that. Of one service, where it is given.
   */
  owed(documents: Documents, service: string | null = null): readonly Tombstone[] {
    const forgotten = [...(service === null ? documents.keys() : [service])].flatMap((name) => {
      const rollout = documents.get(name)?.document.rollout ?? null;
      const last =
        rollout !== null && isActive(rollout.phase) ? this.#byRollout.get(rollout.id)?.at(-1) : null;
      return last && !this.#uncommitted.has(last) ? [last] : [];
    });
    const ahead = this.uncommitted().filter((one) => service === null || one.service === service);
    return [...ahead, ...forgotten];
  }

  /** The same request under another change that the store has: one request makes one entry of the history. */
  twinOf({ service, requestId, changeId }: Tombstone, isSame: (id: string) => boolean): string | null {
    if (requestId === null) return null;
    for (const [id, [first]] of this.#byChange) {
      if (id === changeId || first?.service !== service || first.requestId !== requestId) continue;
      if (this.#revisions.has(id) && isSame(id)) return id;
    }
    return null;
  }

  /**
   * Adds `tombstone`'s change to the active ones of `rollouts`, of the same service, that it covers. Gives what is new. Once the
   * store has the change nothing more is covered: whatever is active there began knowing of it.
   */
  cover(tombstone: Tombstone, rollouts: readonly RolloutState[]): readonly Tombstone[] {
    if (this.#revisions.has(tombstone.changeId)) return [];
    return rollouts
      .filter((one) => isActive(one.phase) && !this.has(one.id) && began(one, tombstone.at))
      .map(({ id }) => ({ ...tombstone, rolloutId: id }))
      .filter((one) => this.add(one));
  }

  /** Lets go of what the state shows over and is old, by `now` in ms since 1970. True when there was any. */
  prune(documents: Documents, now: number): boolean {
    const all = this.all();
    let excess = all.length - MOST;
    const gone = all.filter((one) => {
      const isLast = documents.get(one.service)?.document.rollout?.id === one.rolloutId;
      if (isLast || this.#uncommitted.has(one)) return false;
      if (excess <= 0 && now - Date.parse(one.at) <= KEPT) return false;
      excess -= 1;
      return true;
    });
    for (const one of gone) {
      drop(this.#byRollout, one.rolloutId, one);
      drop(this.#byChange, one.changeId, one);
    }
    return gone.length > 0;
  }

  #forgetRevisions(): void {
    for (const id of this.#revisions.keys()) {
      if (this.#revisions.size <= MOST_REVISIONS) return;
      if (!this.#byChange.has(id)) this.#revisions.delete(id);
    }
  }
}

/** A rollback with the revision that it has in the store. */
export interface StoredRollback {
  readonly tombstone: Tombstone;
  readonly revision: number;
}

/**
 * The rollbacks that `commits`, oldest first, made, and those that `documents` show; of one whose commit is not among them, the
 * change has an id that all replicas make alike.
 */
export function rollbacksIn(documents: Documents, commits: readonly Commit[]): readonly StoredRollback[] {
  const found = new Map<string, StoredRollback>();
  for (const { kind, service, document, revision, at, actor, reason, requestId, changeId } of commits) {
    const rollout = document?.rollout;
    if (kind !== 'rollout.rollback' || rollout?.phase !== 'rolledBack' || found.has(rollout.id)) continue;
    const tombstone = { service, rolloutId: rollout.id, at, actor, reason, requestId, changeId };
    found.set(rollout.id, { tombstone, revision });
  }
  for (const [service, { revision, document }] of documents) {
    const { rollout } = document;
    if (rollout?.phase !== 'rolledBack' || found.has(rollout.id)) continue;
    const { id: rolloutId, startedAt: at } = rollout;
    const changeId = `revived-${rolloutId.slice(0, 12)}-00000000`;
    const reason = 'it was rolled back before';
    const tombstone = { service, rolloutId, at, actor: 'serin', reason, requestId: null, changeId };
    found.set(rolloutId, { tombstone, revision });
  }
  return [...found.values()];
}

/** Whether the rollout had begun when that rollback was made. */
function began({ startedAt }: RolloutState, at: string): boolean {
  return Date.parse(startedAt) <= Date.parse(at);
}

function drop(from: Map<string, Tombstone[]>, key: string, tombstone: Tombstone): void {
  const rest = (from.get(key) ?? []).filter((one) => one !== tombstone);
  if (rest.length === 0) from.delete(key);
  else from.set(key, rest);
}
