/**
 * When a change is applied: every replica that counts has said that all its workers decide by it.
 *
 * Live replicas count, but for those that have been cut off from the store for a lease: they cannot know of a change, and the
 * others go on without them. For a rollback all count that may still give the canary to their users: also unreachable ones,
 * until they are back or have been away from the store for so long that they have fenced themselves.
 */
import type { Reach, Target } from '../rollout/reach.ts';
import type { ReplicaRecord } from './replica-record.ts';

export interface Acknowledgement extends Reach {
  /** Replicas that have applied it, of those that count. */
  readonly done: number;
  readonly of: number;
  /** Names of replicas that count and have not applied it. */
  readonly missing: readonly string[];
  /** Names of those that can't be reached, and of those that can't reach the store, whether they count or not. */
  readonly unreachable: readonly string[];
  readonly cutOff: readonly string[];
}

export interface Asked {
  readonly record: ReplicaRecord;
  readonly live: boolean;
  /** It is heard of, but its lease in the store is over. */
  readonly cutOff: boolean;
  /** It gives stable to everybody by now. */
  readonly hasFenced: boolean;
}

export function acknowledge(target: Target, replicas: readonly Asked[]): Acknowledgement {
  const isRollback = target.rolledBack !== null;
  const counting = replicas.filter(({ live, cutOff, hasFenced }) =>
    isRollback ? live || !hasFenced : live && !cutOff,
  );
  const missing = counting
    .filter(({ record, hasFenced }) => !hasApplied(target, record) && !(isRollback && hasFenced))
    .map(({ record }) => record.name);
  const unreachable = replicas.filter(({ live }) => !live).map(({ record }) => record.name);
  const of = counting.length;
  const done = of - missing.length;
  const cutOff = replicas.filter((one) => one.cutOff).map(({ record }) => record.name);
  const away = noted('unreachable', unreachable) + noted('cut off from the store', cutOff);
  return {
    applied: of > 0 && done === of,
    done,
    of,
    progress: `${done} of ${of} replicas${away}`,
    missing,
    unreachable,
    cutOff,
  };
}

function noted(what: string, names: readonly string[]): string {
  return names.length === 0 ? '' : `; ${what}: ${names.join(', ')}`;
}

function hasApplied({ service, revision, changeId, rolledBack }: Target, record: ReplicaRecord): boolean {
  if (
    rolledBack !== null &&
    rolledBack.length > 0 &&
    rolledBack.every((id) => record.rolledBack.includes(id))
  )
    return true;
  if (revision === null) return false;
  // A document of this revision or before that it can't read: it serves the service by an older one.
  if (record.faults.some((fault) => fault.service === service && fault.revision <= revision)) return false;
  if (record.revision < revision) return false;
  // The same number under another change is another history.
  if (record.revision === revision && changeId !== null && record.changeId !== changeId) return false;
  return record.workers.length > 0 && record.workers.every((worker) => worker.revision >= revision);
}
