/**
 * Follows changes from their acceptance until every worker of every replica decides by them, and remembers them for a day.
 *
 * It promises that a status only moves forward, that a final one never moves again, and that the same request id finds
 * the same change, also after a restart and on other replicas (from the store's commits). It never touches the policy itself.
 */
import type { RolloutState } from '../policy/rollout.ts';
import type { Commit, CommitKind } from '../store/store.ts';
import type { ChangeStatus } from '../contract/change-status.ts';
import { type Change, isFinal, type PercentageMove } from './change.ts';
import { isActive } from './lifecycle.ts';
import { type Decrease, decreasesBetween } from './exposure.ts';
import type { ReachOf } from './reach.ts';
import type { Tombstone } from '../contract/tombstone.ts';
import type { Tombstones } from './tombstones.ts';

/** How long a change can be read: a pipeline whose poll gets a 404 ends for good. */
const KEPT = 24 * 3_600_000;

/** More than anybody makes in a day; a bound for memory. */
const MOST_CHANGES = 100_000;

const MOST_DECREASES = 100;

/** Characters of a digest in a change's id. */
const DIGEST_LENGTH = 8;

export interface NewChange {
  /** Ends with the digest of what is asked for, so that it is known after a restart as well: see `changeId`. */
  readonly id: string;
  readonly service: string;
  readonly kind: CommitKind;
  readonly actor: string;
  readonly reason: string | null;
  readonly requestId: string | null;
}

export interface ChangesOptions {
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** How far what a change made has got. */
  readonly reach: ReachOf;
  /** Which rollouts are rolled back, also ahead of the store; none unless said. */
  readonly tombstones?: Pick<Tombstones, 'has' | 'rolloutsOf'>;
  /** Called after every move of a change; `before` is its former status, null for a new one. */
  readonly onUpdate: (change: Change, before: ChangeStatus | null) => void;
}

export interface Changes {
  find(id: string): Change | undefined;
  /** The change that a request id made or found done, and the digest of what it asked for. */
  byRequestId(
    service: string,
    requestId: string,
  ): { readonly id: string; readonly digest: string } | undefined;
  /** The youngest change that made a revision of the service. */
  latest(service: string): Change | undefined;
  begin(change: NewChange): Change;
  /** The write was refused: who follows hears that it is over, and nobody finds it any more. */
  forget(id: string): void;
  /** As `settle`, for a change that was answered already: it stays, for whoever polls it, and is what `instead` is. */
  conclude(id: string, instead: Change): void;
  /** The write found nothing to do: from now on its request id finds the change `instead`. */
  settle(id: string, instead: Change): void;
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
  /** The rollback is in force before it has a revision. It cannot be canceled any more. */
  inForce(id: string): void;
  /** This is in the store; `before` is the service's rollout until then. */
  adopt(commit: Commit, before: RolloutState | null): void;
  /** A rollback that another replica, or this one before it started, made ahead of the store. */
  adoptRollback(tombstone: Tombstone): void;
  setDegraded(id: string, degraded: boolean): Change;
  fail(id: string, why: string): void;
  /** CANCELED if it was pending, else as it is. */
  cancel(id: string): Change | undefined;
  /** Workers, here or elsewhere, have applied something. */
  refresh(): void;
  /** Takes over what the store remembers, oldest first. */
  rebuild(commits: readonly Commit[]): void;
}

export function createChanges(options: ChangesOptions): Changes {
  const { clock, reach, onUpdate } = options;
  const tombstones = options.tombstones ?? { has: () => false, rolloutsOf: () => [] };
  const byId = new Map<string, Change>();
  const byRequest = new Map<string, { readonly id: string; readonly digest: string }>();
  const latestOf = new Map<string, string>();
  /** Ids of the changes that wait for workers. */
  const waiting = new Set<string>();
  const requestKey = (service: string, requestId: string): string => `${service}\n${requestId}`;

  function put(change: Change): Change {
    byId.set(change.id, change);
    return change;
  }

  function remember(service: string, requestId: string | null, id: string, digest: string): void {
    if (requestId === null) return;
    const key = requestKey(service, requestId);
    byRequest.delete(key);
    byRequest.set(key, { id, digest });
    for (const oldest of byRequest.keys()) {
      if (byRequest.size <= MOST_CHANGES) break;
      byRequest.delete(oldest);
    }
  }

  function update(change: Change, fields: Partial<Change>): Change {
    const next = put({ ...change, ...fields, updatedAt: new Date(clock()).toISOString() });
    if (next.status === 'APPLYING') waiting.add(next.id);
    else waiting.delete(next.id);
    onUpdate(next, change.status);
    return next;
  }

  function drop(change: Change): void {
    byId.delete(change.id);
    waiting.delete(change.id);
    if (change.requestId !== null) {
      const key = requestKey(change.service, change.requestId);
      if (byRequest.get(key)?.id === change.id) byRequest.delete(key);
    }
    if (latestOf.get(change.service) === change.id) latestOf.delete(change.service);
  }

  function expire(): void {
    const oldest = clock() - KEPT;
    // The map is in order of creation.
    for (const change of byId.values()) {
      const tooMany = byId.size > MOST_CHANGES;
      if (!tooMany && Date.parse(change.createdAt ?? '') >= oldest) return;
      if (isFinal(change.status)) drop(change);
      else if (!tooMany) return;
    }
  }

  function need(id: string): Change {
    const change = byId.get(id);
    if (change === undefined) throw new Error(`There is no change ${id}.`);
    return change;
  }

  /** What the service had under way before `revision` is not waited for any more. */
  function overtake(by: Change, revision: number, rollout: RolloutState | null): void {
    const isRollback = by.kind === 'rollout.rollback';
    // A rollback of a rollout that was over: the one that is under way goes on.
    if (isRollback && rollout !== null && isActive(rollout.phase)) return;
    const { status, progress } = isRollback ? ROLLED_BACK : SUPERSEDED;
    for (const id of waiting) {
      const change = byId.get(id);
      // One without a revision is a rollback that is in force ahead of the store: its commit is now, or yet to come.
      if (id === by.id || change?.service !== by.service || change.revision === null) continue;
      if (change.revision > revision || (isRollback && change.kind === by.kind)) continue;
      update(change, { status, progress });
    }
  }

  /** As far as it has got; a final status stays. */
  function reached({
    id,
    service,
    kind,
    revision,
    status,
    progress,
  }: Change): Pick<Change, 'status' | 'progress'> {
    if (isFinal(status)) return { status, progress };
    const rolledBack = kind === 'rollout.rollback' ? tombstones.rolloutsOf(id) : null;
    const far = reach({ service, revision, changeId: id, rolledBack });
    return { status: far.applied ? 'APPLIED' : 'APPLYING', progress: far.progress };
  }

  /** The change made `revision`: it overtakes what the service had under way, and is how far it has got. */
  function makes(
    change: Change,
    revision: number,
    rollout: RolloutState | null,
  ): Pick<Change, 'status' | 'progress' | 'revision'> {
    overtake(change, revision, rollout);
    latestOf.set(change.service, change.id);
    const voidBy = isFinal(change.status) ? null : voided(change, rollout);
    return { ...(voidBy ?? reached({ ...change, revision })), revision };
  }

  /** Why a change that is in the store is nobody's policy all the same; null where it counts. */
  function voided(
    { kind }: Change,
    rollout: RolloutState | null,
  ): Pick<Change, 'status' | 'progress'> | null {
    if (rollout === null || !kind.startsWith('rollout.')) return null;
    if (kind === 'rollout.rollback') return rollout.phase === 'idle' ? FINISHED : null;
    // A finish that was first ends the rollout; then it is the rollback that comes too late.
    return kind !== 'rollout.finish' && tombstones.has(rollout.id) ? ROLLED_BACK : null;
  }

  function refresh(): void {
    for (const id of waiting) {
      const change = byId.get(id);
      if (change === undefined) continue;
      const { status, progress } = reached(change);
      if (status !== change.status || progress !== change.progress) update(change, { status, progress });
    }
  }

  return {
    find: (id) => byId.get(id),
    byRequestId: (service, requestId) => byRequest.get(requestKey(service, requestId)),
    latest: (service) => byId.get(latestOf.get(service) ?? ''),
    begin(change) {
      expire();
      const now = new Date(clock()).toISOString();
      const begun: Change = { ...BLANK, ...change, createdAt: now, updatedAt: now };
      put(begun);
      remember(change.service, change.requestId, change.id, digestOf(change.id));
      onUpdate(begun, null);
      return begun;
    },
    forget(id) {
      const change = need(id);
      drop(change);
      onUpdate({ ...change, status: 'CANCELED', progress: 'refused' }, change.status);
    },
    settle(id, instead) {
      const change = need(id);
      drop(change);
      remember(change.service, change.requestId, instead.id, digestOf(id));
      const { status, progress, revision } = instead;
      onUpdate({ ...change, status, progress, revision }, change.status);
    },
    conclude(id, { revision, status, progress }) {
      const change = need(id);
      const final = isFinal(change.status);
      update(change, { revision, degraded: false, ...(final ? {} : { status, progress }) });
    },
    applying(id, { revision, rollout = null, percentage, decreases, warnings }) {
      const change = need(id);
      return update(change, {
        ...makes(change, revision, rollout),
        percentage,
        decreaseCount: decreases.length,
        decreases: decreases.slice(0, MOST_DECREASES),
        warnings,
      });
    },
    inForce: (id) => void update(need(id), AHEAD),
    adopt(commit, before) {
      expire();
      const { service, changeId: id, revision } = commit;
      remember(service, commit.requestId, id, digestOf(id));
      const change = byId.get(id) ?? put(remembered(commit, before, false));
      update(change, { ...makes(change, revision, commit.document?.rollout ?? null), degraded: false });
    },
    adoptRollback({ changeId: id, service, actor, reason, requestId }) {
      if (byId.has(id)) return;
      const now = new Date(clock()).toISOString();
      const change = { id, service, kind: 'rollout.rollback', actor, reason, requestId } as const;
      remember(service, requestId, id, digestOf(id));
      update({ ...BLANK, ...change, degraded: true, createdAt: now, updatedAt: now }, AHEAD);
    },
    setDegraded(id, degraded) {
      const change = need(id);
      return change.degraded === degraded ? change : update(change, { degraded });
    },
    fail(id, why) {
      const change = byId.get(id);
      if (change !== undefined && !isFinal(change.status))
        update(change, { status: 'FAILED', progress: why });
    },
    cancel(id) {
      const change = byId.get(id);
      if (change?.status !== 'PENDING') return change;
      return update(change, { status: 'CANCELED', progress: 'canceled before it was written' });
    },
    refresh,
    rebuild(commits) {
      const last = new Map(commits.map((commit) => [commit.service, commit]));
      const previous = new Map<string, Commit>();
      for (const commit of commits) {
        const before = previous.get(commit.service)?.document?.rollout;
        put(remembered(commit, before, last.get(commit.service) !== commit));
        remember(commit.service, commit.requestId, commit.changeId, digestOf(commit.changeId));
        previous.set(commit.service, commit);
      }
      for (const { service, changeId } of last.values()) {
        latestOf.set(service, changeId);
        waiting.add(changeId);
      }
      expire();
      refresh();
    },
  };
}

/** The id of a new change. A write that nobody asked for has no digest. */
export function newChangeId(
  random: (size: number) => Uint8Array,
  digest = '0'.repeat(DIGEST_LENGTH),
): string {
  return changeId(Buffer.from(random(10)).toString('hex'), digest);
}

/** The id of a change: something random, and the first 8 digits of a digest of what is asked for. */
export function changeId(random: string, digest: string): string {
  return `${random}-${digest.slice(0, DIGEST_LENGTH)}`;
}

export function digestOf(id: string): string {
  return id.slice(-DIGEST_LENGTH);
}

const BLANK = {
  status: 'PENDING',
  progress: 'waiting to be written',
  revision: null,
  degraded: false,
  percentage: null,
  decreaseCount: 0,
  decreases: [],
  warnings: [],
} as const satisfies Partial<Change>;

const ROLLED_BACK = { status: 'ROLLED_BACK', progress: 'a rollback came first' } as const;
const AHEAD = { status: 'APPLYING', progress: 'in force; waiting for the store' } as const;
const FINISHED = { status: 'FAILED', progress: 'The rollout is idle: it was finished before.' } as const;
const SUPERSEDED = { status: 'SUPERSEDED', progress: 'a later write came first' } as const;

/** A commit's change after a restart. One that a later write followed was in force in its time. */
function remembered(commit: Commit, before: RolloutState | null | undefined, overtaken: boolean): Change {
  const after = commit.document?.rollout;
  const decreases =
    before && after && before.id === after.id ? decreasesBetween(before.document, after.document) : [];
  return {
    ...BLANK,
    id: commit.changeId,
    service: commit.service,
    kind: commit.kind,
    status: overtaken ? 'APPLIED' : 'APPLYING',
    progress: overtaken ? 'a later write came' : 'waiting for workers',
    revision: commit.revision,
    createdAt: commit.at,
    updatedAt: commit.at,
    actor: commit.actor,
    reason: commit.reason,
    requestId: commit.requestId,
    percentage: percentageMove(commit.kind, before, after),
    decreaseCount: decreases.length,
    decreases: decreases.slice(0, MOST_DECREASES),
  };
}

/** Which percentage a `percentage` or a `step` moved; null for other kinds and where it cannot be told. */
export function percentageMove(
  kind: CommitKind,
  before: RolloutState | null | undefined,
  after: RolloutState | null | undefined,
): PercentageMove | null {
  if (kind !== 'rollout.percentage' && kind !== 'rollout.step') return null;
  const former = before?.document.rules ?? [];
  for (const [index, { name, percentage }] of (after?.document.rules ?? []).entries()) {
    const from = former[index]?.percentage;
    if (from !== undefined && from !== percentage) return { rule: name, from, to: percentage };
  }
  return null;
}

const PRESENT = /^present\.([a-z0-9-]+)\.((?:rollout|service)\.[a-z]+)\.([0-9]+)$/;

/**
 * The change of a write that found its end reached already. Its id says all there is to know, so it can be read for as
 * long as anybody likes, after a restart and from every replica, without being kept.
 */
export function presentChange(
  {
    service,
    kind,
    revision,
  }: { readonly service: string; readonly kind: CommitKind; readonly revision: number },
  reach: ReachOf,
): Change {
  const { applied, progress } = reach({ service, revision, changeId: null, rolledBack: null });
  return {
    ...BLANK,
    id: `present.${service}.${kind}.${revision}`,
    service,
    kind,
    status: applied ? 'APPLIED' : 'APPLYING',
    progress,
    revision,
    createdAt: null,
    updatedAt: null,
    actor: null,
    reason: null,
    requestId: null,
  };
}

/** Reads the id of a `presentChange` back; null for any other id. */
export function parsePresentId(
  id: string,
): { readonly service: string; readonly kind: CommitKind; readonly revision: number } | null {
  const [, service, kind, revision] = PRESENT.exec(id) ?? [];
  if (service === undefined || kind === undefined || revision === undefined) return null;
  return { service, kind: kind as CommitKind, revision: Number(revision) };
}
