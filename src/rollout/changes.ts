/**
 * The register of changes: follows each from its acceptance until every worker of every replica decides by it, and keeps it for a day.
 *
 * It promises that a status only moves forward, that a final one never moves again, that it shows as final only what is recorded
 * (where it is given a recorder; see `record`), a rollback as applied only while all that it knows of have applied it, and that the
 * same request id finds the same change, also after a restart and on other replicas (from the store's commits). It never touches the
 * policy itself.
 */
import type { RolloutState } from '../policy/rollout.ts';
import type { Commit, CommitKind } from '../store/store.ts';
import type { ChangeStatus } from '../contract/change-status.ts';
import { ChangeMemory } from './change-memory.ts';
import { BLANK_CHANGE, type Change, isFinal, MOST_DECREASES, type PercentageMove } from './change.ts';
import type { Decrease } from './exposure.ts';
import { isActive } from './lifecycle.ts';
import { changeOfFinal, type FinalChange } from './final-change.ts';
import { createPresentChanges, parsePresentId, type Present } from './present-change.ts';
import type { Reach, ReachOf } from './reach.ts';
import type { Tombstone } from '../contract/tombstone.ts';
import type { Tombstones } from './tombstones.ts';
import { rememberedChange, withLists } from './remembered-change.ts';
import type { RequestMade } from './request-ids.ts';

/**
 * Who judges that a change has ended: the replica that took the write, another one, or one that was not there and only remembers
 * that a later write followed.
 */
export type JudgedBy = 'own' | 'other' | 'remembered';

export interface NewChange {
  /** Ends with the digest of what is asked for, so that it is known after a restart as well: see `changeId`. */
  readonly id: string;
  readonly service: string;
  readonly kind: CommitKind;
  readonly actor: string;
  readonly reason: string | null;
  readonly requestId: string | null;
}

/**
 * What became of a recorded end: it is shown here; another end was shown here before and stays; or it is a rollback that one replica,
 * of which this one knows, has yet to apply, and is shown when it has.
 */
export type Recorded = 'shown' | 'contradicted' | 'early';

export interface ChangesOptions {
  /** Milliseconds since 1970. */
  readonly wallNow: () => number;
  /** How far what a change made has got. */
  readonly reach: ReachOf;
  /** Which rollouts are rolled back, also ahead of the store; none unless said. */
  readonly tombstones?: Pick<Tombstones, 'has' | 'rolloutsOf'>;
  /** Called after every move of a change; `before` is its former status, null for a new one. */
  readonly onUpdate: (change: Change, before: ChangeStatus | null) => void;
  /**
   * Records how a change has ended, as this replica judges, and then calls `recorded` with what is final: others may have been
   * first with another judgement. Until then the change is shown as under way. Absent: a judgement is final at once.
   */
  readonly record?: (ended: Change, by: JudgedBy) => void;
}

export interface Changes {
  find(id: string): Change | undefined;
  /** The change of a write that found its end reached. */
  findPresent(present: Present): Change;
  /** The change that a request id made or found done, and the digest of what it asked for. */
  byRequestId(service: string, requestId: string): RequestMade | undefined;
  /** The youngest change that made a revision of the service. */
  latest(service: string): Change | undefined;
  /** A write that this replica takes; it waits for its turn. */
  addPending(change: NewChange): Change;
  /** The write is on its way to the store from now on, and can't be canceled any more. False where it was canceled before. */
  startWriting(id: string): boolean;
  /** Whether a write of that kind is on its way to the store from here: it may have it already. */
  isWriting(service: string, kind: CommitKind): boolean;
  /** The write was refused: who follows hears that it is over, and nobody finds it any more. */
  removeRefused(id: string): void;
  /** The write found nothing to do: from now on its request id finds the change `instead`. */
  replaceBy(id: string, instead: Change): void;
  /** The change is in force from `revision` on. What the service had under way before is overtaken. */
  applying(
    id: string,
    made: {
      readonly revision: number;
      /** The service's rollout from then on. */
      readonly rollout?: RolloutState | null;
      readonly percentage: PercentageMove | null;
      readonly decreases: readonly Decrease[];
      readonly warnings: readonly string[];
    },
  ): Change;
  /** As `replaceBy`, for a change that was answered already: it stays, for whoever polls it, and is what `instead` is. */
  endAs(id: string, instead: Change): void;
  /** The rollback is in force before it has a revision. It cannot be canceled any more. */
  inForce(id: string): void;
  /** Another replica wrote this; `before` is the service's rollout until then. */
  followCommit(commit: Commit, before: RolloutState | null): void;
  /** Another replica rolled a rollout back without the store. */
  followRollback(tombstone: Tombstone): void;
  setDegraded(id: string, degraded: boolean): Change;
  fail(id: string, why: string): void;
  /** CANCELED if it was pending and not yet on its way to the store, else as it is. */
  cancel(id: string): Change | undefined;
  /** Workers, here or elsewhere, have applied something. */
  refresh(): void;
  /** Takes over what the store remembers, oldest first; what is known already stays. */
  rebuild(commits: readonly Commit[]): void;
  /** The change has ended so, for all replicas. */
  recorded(final: FinalChange): Recorded;
  /** Ids of the changes that have not ended. */
  underWay(): readonly string[];
  /** Those that have ended, as far as they are kept. */
  ended(): readonly Change[];
}

export function createChanges(options: ChangesOptions): Changes {
  const { wallNow, reach, onUpdate, record } = options;
  const tombstones = options.tombstones ?? { has: () => false, rolloutsOf: () => [] };
  const memory = new ChangeMemory({
    wallNow,
    onDropped(id) {
      for (const ids of [waiting, own, writing, judged]) ids.delete(id);
    },
  });
  /** Ids of the changes that wait for workers. */
  const waiting = new Set<string>();
  /** How changes have ended that are not recorded yet, by id. */
  const judged = new Map<string, Judgement>();
  /** Ids of the writes that this replica took. */
  const own = new Set<string>();
  /** Ids of the pending ones that are on their way to the store. */
  const writing = new Set<string>();
  const presents = createPresentChanges(reach, (change) => record?.(change, 'own'));

  const now = (): string => new Date(wallNow()).toISOString();

  /** Every move of a change goes through here, but for the ends that are recorded. */
  function update(change: Change, fields: Partial<Change>): Change {
    const { id } = change;
    const wanted = { status: change.status, progress: change.progress, ...fields };
    let { status, progress } = wanted;
    let ends = false;
    if (isFinal(change.status)) ({ status, progress } = change);
    else if (isFinal(status) && record !== undefined) {
      ends = !judged.has(id);
      if (ends) judged.set(id, { status, progress, quiet: false });
      status = 'APPLYING';
      progress = `${progress}; to be recorded`;
    }
    const next = memory.put({ ...change, ...fields, status, progress, updatedAt: now() });
    if (status === 'APPLYING') waiting.add(id);
    else waiting.delete(id);
    writing.delete(id);
    onUpdate(next, change.status);
    if (ends) {
      const ended = { ...next, status: wanted.status, progress: wanted.progress };
      record?.(ended, own.has(id) ? 'own' : 'other');
    }
    return memory.find(id) ?? next;
  }

  /** What the service had under way before `revision` is not waited for any more. */
  function overtake(by: Change, revision: number, rollout: RolloutState | null): void {
    const isRollback = by.kind === 'rollout.rollback';
    // A rollback of a rollout that was over: the one that is under way goes on.
    if (isRollback && rollout !== null && isActive(rollout.phase)) return;
    const { status, progress } = isRollback ? ROLLED_BACK : SUPERSEDED;
    for (const id of waiting) {
      const change = memory.find(id);
      // One without a revision is a rollback that is in force ahead of the store: its commit is now, or yet to come.
      if (id === by.id || change?.service !== by.service || change.revision === null) continue;
      // What follows a rollback takes nothing of it back: it is applied when all have got that far.
      if (change.kind === 'rollout.rollback' || change.revision > revision || judged.has(id)) continue;
      update(change, { status, progress });
    }
  }

  /** As far as it has got; a final status stays. */
  function reached(change: Change): Pick<Change, 'status' | 'progress'> {
    const { id, status, progress } = change;
    if (isFinal(status) || judged.has(id)) return { status, progress };
    const far = reachedBy(change);
    return { status: far.applied ? 'APPLIED' : 'APPLYING', progress: far.progress };
  }

  function reachedBy({ id, service, kind, revision }: Change): Reach {
    const rolledBack = kind === 'rollout.rollback' ? tombstones.rolloutsOf(id) : null;
    return reach({ service, revision, changeId: id, rolledBack });
  }

  /** The change made `revision`: it overtakes what the service had under way, and is how far it has got. */
  function makes(
    change: Change,
    revision: number,
    rollout: RolloutState | null,
  ): Pick<Change, 'status' | 'progress' | 'revision'> {
    overtake(change, revision, rollout);
    memory.setLatest(change);
    const voidBy = isFinal(change.status) || judged.has(change.id) ? null : voided(change, rollout);
    return { ...(voidBy ?? reached({ ...change, revision })), revision };
  }

  /** Why a change that is in the store is nobody's policy all the same; null where it counts. */
  function voided(change: Change, rollout: RolloutState | null): Pick<Change, 'status' | 'progress'> | null {
    const { kind } = change;
    if (rollout === null || !kind.startsWith('rollout.')) return null;
    if (kind === 'rollout.rollback') return isTooLate(change, rollout) ? FINISHED : null;
    // A finish that was first ends the rollout; then it is the rollback that comes too late.
    return kind !== 'rollout.finish' && tombstones.has(rollout.id) ? ROLLED_BACK : null;
  }

  function refresh(): void {
    for (const id of waiting) {
      const change = memory.find(id);
      if (change === undefined) continue;
      const { status, progress } = reached(change);
      if (status !== change.status || progress !== change.progress) update(change, { status, progress });
    }
  }

  function rebuild(commits: readonly Commit[]): void {
    const previous = new Map<string, Commit>();
    for (const commit of commits) {
      const { service, changeId: id } = commit;
      const change = rememberedChange(commit, previous.get(service)?.document?.rollout);
      const known = memory.find(id);
      memory.put(known === undefined ? change : withLists(known, change));
      memory.rememberFirst(change);
      previous.set(service, commit);
      if ((memory.latest(service)?.revision ?? 0) <= commit.revision) memory.setLatest(change);
      if (known === undefined) waiting.add(id);
    }
    memory.expire();
    for (const { service, changeId: id, document } of commits) {
      const change = memory.find(id);
      if (change === undefined || isFinal(change.status) || judged.has(id)) continue;
      if (isTooLate(change, document?.rollout ?? null)) update(change, FINISHED);
      else if (memory.latest(service)?.id !== id) judgeRemembered(change);
    }
    refresh();
  }

  /** One that a later write followed was in force in its time, unless somebody who was there says otherwise. */
  function judgeRemembered(change: Change): void {
    const overtaken = { ...change, progress: 'a later write came' };
    if (record === undefined) {
      waiting.delete(change.id);
      memory.put({ ...overtaken, status: 'APPLIED' });
      return;
    }
    judged.set(change.id, { status: 'APPLIED', progress: overtaken.progress, quiet: true });
    memory.put(overtaken);
    record({ ...overtaken, status: 'APPLIED' }, 'remembered');
  }

  function recorded(final: FinalChange): Recorded {
    const { id, status, progress, updatedAt } = final;
    if (parsePresentId(id) !== null) {
      presents.keep(changeOfFinal(final));
      return 'shown';
    }
    const change = memory.find(id);
    if (change === undefined) {
      if (!memory.isOld(final.createdAt)) memory.rememberFirst(memory.put(changeOfFinal(final)));
      return 'shown';
    }
    if (isFinal(change.status)) return change.status === status ? 'shown' : 'contradicted';
    // Others may see all that they know of; this replica may know, or have heard since it judged, of one that has yet to apply it.
    if (change.kind === 'rollout.rollback' && status === 'APPLIED' && !reachedBy(change).applied) {
      if (judged.get(id)?.status === status) judged.delete(id);
      return 'early';
    }
    const quiet = judged.get(id)?.quiet ?? false;
    for (const ids of [waiting, judged, writing]) ids.delete(id);
    const revision = change.revision ?? final.revision;
    const next = memory.put({ ...change, status, progress, revision, updatedAt });
    if (!quiet) onUpdate(next, change.status);
    return 'shown';
  }

  return {
    find: (id) => memory.find(id),
    findPresent: (present) => presents.find(present),
    byRequestId: (service, requestId) => memory.byRequestId(service, requestId),
    latest: (service) => memory.latest(service),
    addPending(change) {
      memory.expire();
      const at = now();
      const pending: Change = { ...BLANK_CHANGE, ...change, createdAt: at, updatedAt: at };
      memory.put(pending);
      own.add(change.id);
      memory.remember(pending);
      onUpdate(pending, null);
      return pending;
    },
    startWriting(id) {
      const change = memory.need(id);
      if (change.status === 'CANCELED') return false;
      if (change.status === 'PENDING') writing.add(id);
      return true;
    },
    isWriting: (service, kind) =>
      [...writing].some((id) => memory.find(id)?.service === service && memory.find(id)?.kind === kind),
    removeRefused(id) {
      const change = memory.need(id);
      memory.drop(change);
      onUpdate({ ...change, status: 'CANCELED', progress: 'refused' }, change.status);
      // A rollback may have waited to learn whether this finish came first.
      refresh();
    },
    replaceBy(id, instead) {
      const change = memory.need(id);
      memory.replace(change, instead.id);
      const { status, progress, revision } = instead;
      onUpdate({ ...change, status, progress, revision }, change.status);
    },
    applying(id, { revision, rollout = null, percentage, decreases, warnings }) {
      const change = memory.need(id);
      return update(change, {
        ...makes(change, revision, rollout),
        percentage,
        decreaseCount: decreases.length,
        decreases: decreases.slice(0, MOST_DECREASES),
        warnings,
      });
    },
    endAs(id, { revision, status, progress }) {
      update(memory.need(id), { revision, degraded: false, status, progress });
    },
    inForce: (id) => void update(memory.need(id), AHEAD),
    followCommit(commit, before) {
      memory.expire();
      const { changeId: id, revision } = commit;
      const change = rememberedChange(commit, before);
      memory.remember(change);
      const known = memory.find(id);
      const kept = known === undefined ? memory.put(change) : withLists(known, change);
      update(kept, { ...makes(kept, revision, commit.document?.rollout ?? null), degraded: false });
    },
    followRollback({ changeId: id, service, actor, reason, requestId }) {
      if (memory.find(id) !== undefined) return;
      const at = now();
      const change = { id, service, kind: 'rollout.rollback', actor, reason, requestId } as const;
      memory.remember(change);
      update({ ...BLANK_CHANGE, ...change, degraded: true, createdAt: at, updatedAt: at }, AHEAD);
    },
    setDegraded(id, degraded) {
      const change = memory.need(id);
      return change.degraded === degraded ? change : update(change, { degraded });
    },
    fail(id, why) {
      const change = memory.find(id);
      if (change !== undefined && !isFinal(change.status) && !judged.has(id))
        update(change, { status: 'FAILED', progress: why });
    },
    cancel(id) {
      const change = memory.find(id);
      if (change?.status !== 'PENDING' || writing.has(id)) return change;
      const progress = 'canceled before it was written';
      const canceled = memory.put({ ...change, status: 'CANCELED', progress, updatedAt: now() });
      onUpdate(canceled, 'PENDING');
      // Only this replica knows of it, so nobody can judge otherwise.
      record?.(canceled, 'own');
      return canceled;
    },
    refresh,
    rebuild,
    recorded,
    underWay: () => [...waiting],
    ended: () => [...memory.all(), ...presents.ended()].filter(({ status }) => isFinal(status)),
  };
}

interface Judgement {
  readonly status: ChangeStatus;
  readonly progress: string;
  /** It ended before this replica was there: nobody who follows needs to hear of it. */
  readonly quiet: boolean;
}

/** A rollback that the store has after a finish: who is on stable then may well be on what was the canary. */
function isTooLate({ kind }: Pick<Change, 'kind'>, rollout: RolloutState | null): boolean {
  return kind === 'rollout.rollback' && rollout?.phase === 'idle';
}

const AHEAD = { status: 'APPLYING', progress: 'in force; waiting for the store' } as const;
const FINISHED = { status: 'FAILED', progress: 'The rollout is idle: it was finished before.' } as const;
const ROLLED_BACK = { status: 'ROLLED_BACK', progress: 'a rollback came first' } as const;
const SUPERSEDED = { status: 'SUPERSEDED', progress: 'a later write came first' } as const;
