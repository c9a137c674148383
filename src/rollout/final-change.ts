/**
 * A change that has ended, as it is recorded: in the shared store, on disk, and in what replicas tell each other. Pure.
 *
 * It is the whole change but for its lists, so that any replica can show a change that it has never heard of.
 */
import { CHANGE_STATUSES, type ChangeStatus } from '../contract/change-status.ts';
import { isRecord, parsedJson } from '../schema/json-value.ts';
import { BLANK_CHANGE, type Change, isFinal } from './change.ts';

export interface FinalChange extends Pick<
  Change,
  | 'id'
  | 'service'
  | 'kind'
  | 'status'
  | 'progress'
  | 'revision'
  | 'createdAt'
  | 'updatedAt'
  | 'actor'
  | 'reason'
  | 'requestId'
  | 'percentage'
  | 'decreaseCount'
> {
  /** A rollback that had been applied, and was shown so, before the store could record it. */
  readonly alone?: true;
}

/** Characters of `progress` that are recorded; what an error said may be long. */
const LONGEST_PROGRESS = 1000;

export function finalOf(change: Omit<FinalChange, 'alone'>, alone = false): FinalChange {
  const { id, service, kind, status, progress, revision, createdAt, updatedAt } = change;
  const { actor, reason, requestId, percentage, decreaseCount } = change;
  return {
    id,
    service,
    kind,
    status,
    progress: progress.slice(0, LONGEST_PROGRESS),
    revision,
    createdAt,
    updatedAt,
    actor,
    reason,
    requestId,
    percentage,
    decreaseCount,
    ...(alone ? { alone } : {}),
  };
}

/** The change as whoever knows nothing else of it shows it. */
export function changeOfFinal(final: FinalChange): Change {
  return { ...BLANK_CHANGE, ...finalOf(final) };
}

/** Reads what was recorded; null where it is none. */
export function parseFinal(text: string): FinalChange | null {
  const value = parsedJson(text);
  return isFinalChange(value) ? value : null;
}

export function isFinalChange(value: unknown): value is FinalChange {
  if (!isRecord(value)) return false;
  const { status, revision, percentage, decreaseCount, alone } = value;
  return (
    ['id', 'service', 'kind', 'progress'].every((name) => typeof value[name] === 'string') &&
    ['createdAt', 'updatedAt', 'actor', 'reason', 'requestId'].every(
      (name) => value[name] === null || typeof value[name] === 'string',
    ) &&
    CHANGE_STATUSES.some((one) => one === status) &&
    isFinal(status as ChangeStatus) &&
    (revision === null || Number.isSafeInteger(revision)) &&
    (percentage === null || isMove(percentage)) &&
    Number.isSafeInteger(decreaseCount) &&
    (alone === undefined || alone === true)
  );
}

function isMove(value: unknown): boolean {
  return (
    isRecord(value) &&
    typeof value['rule'] === 'string' &&
    typeof value['from'] === 'number' &&
    typeof value['to'] === 'number'
  );
}
