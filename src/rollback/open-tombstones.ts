/**
 * The tombstones that a replica starts with: those on its disk, and what the states that it begins by show to be rolled back.
 *
 * It promises that a file which cannot be read or written keeps nobody from starting, and that the log says what that means.
 */
import type { Tombstone } from '../contract/tombstone.ts';
import { type Documents, rollbacksIn, Tombstones } from '../rollout/tombstones.ts';
import type { TombstoneFile } from '../store/file/tombstone-file.ts';
import type { Commit } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';
import { linesOf } from './rollbacks.ts';

/** A state with the commits that led to it, oldest first. */
export interface KnownState {
  readonly documents: Documents;
  readonly recent: readonly Commit[];
  /** What a former version kept with its state. */
  readonly rollbacks?: readonly Tombstone[];
}

export interface OpenedTombstones {
  readonly tombstones: Tombstones;
  /** All of them are on the disk. */
  readonly isKept: boolean;
}

/** `states`, the newest last, are the one on disk and that of the store. `now` is in ms since 1970. Never rejects. */
export async function openTombstones(
  file: TombstoneFile,
  states: readonly KnownState[],
  now: number,
  log: Logger,
): Promise<OpenedTombstones> {
  const tombstones = new Tombstones();
  try {
    for (const line of await file.read()) {
      if ('tombstone' in line) tombstones.add(line.tombstone);
      else tombstones.setRevision(line.change, line.revision);
    }
  } catch (error) {
    log.error(
      { err: error },
      'the tombstones on disk cannot be read: a rollback that only they know is not in force',
    );
  }
  const read = linesOf(tombstones).length;
  for (const { documents, recent, rollbacks = [] } of states) {
    for (const { kind, changeId, revision } of recent)
      if (kind === 'rollout.rollback') tombstones.setRevision(changeId, revision);
    for (const { tombstone, revision } of rollbacksIn(documents, recent)) {
      if (tombstones.has(tombstone.rolloutId)) continue;
      tombstones.setRevision(tombstone.changeId, revision);
      tombstones.add(tombstone);
    }
    for (const one of rollbacks) tombstones.add(one);
  }
  const newest = states.at(-1);
  const hasOld = newest !== undefined && tombstones.prune(newest.documents, now);
  const lines = linesOf(tombstones);
  if (lines.length === 0 || (!hasOld && !file.isBroken && lines.length === read))
    return { tombstones, isKept: true };
  try {
    await file.replace(lines);
    return { tombstones, isKept: true };
  } catch (error) {
    log.error({ err: error }, 'the tombstones cannot be kept on disk; it is tried again');
    return { tombstones, isKept: false };
  }
}
