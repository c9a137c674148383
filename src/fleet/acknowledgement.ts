/**
 * When a change is applied: every replica that counts has said that all its workers decide by it.
 *
 * Live replicas count. For a rollback the unreachable ones count as well, since one may still give the canary to its
 * users: until it is back, or until it has been away from the store for so long that it has fenced itself.
 */
import type { Reach, Target } from '../rollout/reach.ts';
import type { ReplicaRecord } from './replica-record.ts';

export interface Acknowledgement extends Reach {
  /** Replicas that have applied it, of those that count. */
  readonly done: number;
  readonly of: number;
  /** Names of replicas that count and have not applied it, and of those that can't be reached, whether they count or not. */
  readonly missing: readonly string[];
  readonly unreachable: readonly string[];
}

export interface Asked {
  readonly record: ReplicaRecord;
  readonly live: boolean;
  /** It gives stable to everybody by now. */
  readonly hasFenced: boolean;
}

export function acknowledge(target: Target, replicas: readonly Asked[]): Acknowledgement {
  const isRollback = target.rolledBack !== null;
  const counting = replicas.filter(({ live, hasFenced }) => live || (isRollback && !hasFenced));
  const missing = counting
    .filter(({ record, hasFenced }) => !hasApplied(target, record) && !(isRollback && hasFenced))
    .map(({ record }) => record.name);
  const unreachable = replicas.filter(({ live }) => !live).map(({ record }) => record.name);
  const of = counting.length;
  const done = of - missing.length;
  const away = unreachable.length === 0 ? '' : `; unreachable: ${unreachable.join(', ')}`;
  return {
    applied: of > 0 && done === of,
    done,
    of,
    progress: `${done} of ${of} replicas${away}`,
    missing,
    unreachable,
  };
}

function hasApplied({ service, revision, changeId, rolledBack }: Target, record: ReplicaRecord): boolean {
  if (rolledBack !== null && record.rolledBack.includes(rolledBack)) return true;
  if (revision === null) return false;
  // A document of this revision or before that it can't read: it serves the service by an older one.
  if (record.faults.some((fault) => fault.service === service && fault.revision <= revision)) return false;
  if (record.revision < revision) return false;
  // The same number under another change is another history.
  if (record.revision === revision && changeId !== null && record.changeId !== changeId) return false;
  return record.workers.length > 0 && record.workers.every((worker) => worker.revision >= revision);
}
