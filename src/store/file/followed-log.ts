/**
 * The commits that a replica has followed since its state was last written whole, on its own disk.
 *
 * It promises that commits are on the disk when `append` resolves. It stands beside the state file, which is too large to be
 * written for each commit; once that has them, they are taken out here.
 */
import { isRecord, parsedJson } from '../../schema/json-value.ts';
import { commitText } from '../commit-text.ts';
import { applyCommit, isCommit } from '../log-records.ts';
import type { Commit } from '../store.ts';
import { NODE_FILES, type StoreFiles } from '../../files/file-system.ts';
import { createLineLog } from './line-log.ts';
import type { SavedState } from './state-file.ts';

export interface FollowedCommit {
  /** Of the store that the commit is of. */
  readonly storeId: string;
  readonly commit: Commit;
}

export interface FollowedLog {
  /** Oldest first. It must come first. Rejects with StoreError where the file can't be used. */
  read(): Promise<readonly FollowedCommit[]>;
  /** On the disk when it resolves. Rejects with StoreError `unavailable`. */
  append(storeId: string, commits: readonly Commit[]): Promise<void>;
  /** The state file has them all. Rejects with StoreError `unavailable`. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

export function createFollowedLog({
  file,
  files = NODE_FILES,
}: {
  readonly file: string;
  readonly files?: StoreFiles;
}): FollowedLog {
  const log = createLineLog({ file, files, name: 'serin-followed' });
  return {
    async read() {
      const { lines } = await log.open();
      return lines.flatMap((line) => {
        const value = parsedJson(line);
        if (!isRecord(value) || typeof value['storeId'] !== 'string' || !isCommit(value['commit'])) return [];
        return [{ storeId: value['storeId'], commit: value['commit'] }];
      });
    },
    append: (storeId, commits) =>
      log.append(
        commits.map((commit) => `{"storeId":${JSON.stringify(storeId)},"commit":${commitText(commit)}}`),
      ),
    clear: () => log.clear(),
    close: () => log.close(),
  };
}

/** The state with the commits that follow it without a gap, in the same store. */
export function withFollowed(saved: SavedState, followed: readonly FollowedCommit[]): SavedState {
  const documents = new Map(saved.documents);
  const recent = [...saved.recent];
  let { revision, changeId } = saved;
  for (const { storeId, commit } of followed) {
    if (storeId !== saved.storeId || commit.revision !== revision + 1) continue;
    applyCommit(documents, commit);
    recent.push(commit);
    ({ revision, changeId } = commit);
  }
  return revision === saved.revision ? saved : { ...saved, documents, recent, revision, changeId };
}
