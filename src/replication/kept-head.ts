/**
 * How far this replica's state is on its disk: what it tells the others that it has applied, it has kept.
 *
 * Each commit that it follows or writes goes into a log beside the state file. What no list of commits leads to (a state that was
 * taken whole) is kept once the state file is written. A disk that fails holds up nobody: it is logged, and the replica
 * goes on as one that remembers nothing.
 */
import type { FollowedLog } from '../store/file/followed-log.ts';
import { type Commit, StoreError } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';
import { detached } from '../runtime/guard.ts';
import type { Head } from './follower.ts';

/** A revision and the change that made it. */
export type Position = Pick<Head, 'revision' | 'changeId'>;

export interface KeptHeadOptions {
  readonly disk: FollowedLog;
  /** Where the replica stands. */
  readonly head: () => Head;
  /** Writes the whole state, and calls `saved`. Never rejects. */
  readonly save: () => Promise<void>;
  /** More is kept than before. */
  readonly onKept: () => void;
  readonly log: Pick<Logger, 'error'>;
}

export interface KeptHead {
  /** Up to here the state is on the disk. */
  readonly position: Position;
  /** The replica stands elsewhere than before. */
  moved(): void;
  /** The whole state was written as it was at `position`, or, where the disk failed, is not going to be. */
  saved(position: Position, whole: boolean): void;
}

/** `first` is on the disk already. */
export function createKeptHead(
  { disk, head, save, onKept, log }: KeptHeadOptions,
  first: Pick<Head, 'storeId' | 'revision' | 'changeId'>,
): KeptHead {
  let kept: Position = first;
  /** All up to here is on its way to the disk. */
  let noted: Pick<Head, 'storeId' | 'revision' | 'changeId'> = first;
  /** The last commit in the log. */
  let appended: Position = first;
  /** What the log has from here on counts only when the state file has been written. */
  let wholeFrom: number | null = null;
  let trouble = '';

  function keep(next: Position): void {
    if (next.revision < kept.revision || next.changeId === kept.changeId) return;
    kept = next;
    onKept();
  }

  function fail(error: unknown): void {
    if (!(error instanceof StoreError)) throw error;
    if (error.message !== trouble) log.error({ err: error }, 'a commit cannot be kept on disk by itself');
    trouble = error.message;
  }

  async function append(commits: readonly Commit[], storeId: string, next: Position): Promise<void> {
    try {
      await disk.append(storeId, commits);
      trouble = '';
      appended = next;
      if (wholeFrom === null) keep(next);
    } catch (error) {
      fail(error);
      wholeFrom ??= next.revision;
      await save();
    }
  }

  return {
    get position() {
      return kept;
    },
    moved() {
      const { storeId, revision, changeId, recent } = head();
      if (storeId === noted.storeId && changeId === noted.changeId) return;
      const commits = commitsSince(noted, { storeId, revision, changeId, recent });
      noted = { storeId, revision, changeId };
      if (commits === null) {
        wholeFrom = revision;
        detached('keeping the state', save());
      } else detached('keeping a commit', append(commits, storeId, { revision, changeId }));
    },
    saved(position, whole) {
      if (wholeFrom !== null && position.revision >= wholeFrom) wholeFrom = null;
      const last = wholeFrom === null && appended.revision > position.revision ? appended : position;
      keep({ revision: last.revision, changeId: last.changeId });
      if (whole && noted.revision === position.revision)
        detached('clearing the log', disk.clear().catch(fail));
    },
  };
}

/** The commits that lead from one position to another; null where that cannot be told. */
function commitsSince(
  from: Pick<Head, 'storeId' | 'revision' | 'changeId'>,
  to: Head,
): readonly Commit[] | null {
  const count = to.revision - from.revision;
  if (to.storeId !== from.storeId || from.revision === 0 || count <= 0) return null;
  const [before, ...commits] = to.recent.slice(-count - 1);
  const isGapless =
    commits.length === count && commits.every((one, index) => one.revision === from.revision + 1 + index);
  return isGapless && before?.revision === from.revision && before.changeId === from.changeId
    ? commits
    : null;
}
