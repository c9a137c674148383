/**
 * The embedded store: all commits of one proxy in a log in a directory.
 *
 * It promises that a commit is on the disk when `commit` resolves, that a start after any crash finds every commit that
 * resolved, that damage is refused rather than guessed at, and that no second process writes. Commits that arrive
 * while the disk is busy are written together.
 *
 * The log is compacted: it keeps the commits of the last 24 hours and at least the last 1000, as far as they fit into the
 * bytes that the history may take, and of older ones the documents that they led to. A commit of a large document is
 * written as what it changed.
 */
import { DEFAULT_HISTORY_BYTES } from '../../config/store.ts';
import { codeOf, messageOf } from '../../schema/thrown.ts';
import { lockDirectory, type LockDirectory } from './directory-lock.ts';
import { type LogFile, openLog } from './write-ahead-log.ts';
import { readNewestFirst } from './log-history.ts';
import { isCommit, LARGEST_BATCH } from '../log-records.ts';
import { HISTORY_COMMITS, HISTORY_TIME } from '../kept-history.ts';
import { createPacker, type Packed } from '../packed-commit.ts';
import { type Commit, type Loaded, type Store, StoreError } from '../store.ts';
import { createSharing } from '../shared-parts.ts';
import { NODE_FILES, type StoreFiles } from '../../files/file-system.ts';

/** A log smaller than this is not worth compacting. */
const SMALLEST_TO_COMPACT = 4 * 1024 * 1024;

export interface FileStoreOptions {
  /** The store's directory; made where missing. */
  readonly directory: string;
  /** Milliseconds since 1970; decides what is older than 24 hours. */
  readonly wallNow: () => number;
  /** Told of what was repaired and of what failed without harm. */
  readonly warn: (message: string) => void;
  readonly files?: StoreFiles;
  readonly lock?: LockDirectory;
  /** Bytes that the history may take: of what is older no commits are kept. */
  readonly historyBytes?: number;
  /** From how many bytes the log is compacted, and how many commits it keeps at least; for tests. */
  readonly compaction?: { readonly from: number; readonly keep: number };
}

interface Waiting {
  readonly commit: Commit;
  readonly resolve: () => void;
  readonly reject: (error: StoreError) => void;
}

/** What is kept in memory of each commit in the log. */
interface Entry {
  readonly revision: number;
  readonly at: number;
}

/** Makes the store; nothing is touched before `load`, which takes the directory and must come first. */
export function createFileStore(options: FileStoreOptions): Store {
  const { directory, wallNow, warn, files = NODE_FILES, lock = lockDirectory } = options;
  const { historyBytes = DEFAULT_HISTORY_BYTES } = options;
  const { from: compactFrom, keep } = options.compaction ?? {
    from: SMALLEST_TO_COMPACT,
    keep: HISTORY_COMMITS,
  };
  let log: LogFile | null = null;
  let unlock: (() => void) | null = null;
  /** Every commit in the log, oldest first; by service, newest last. */
  let entries: Entry[] = [];
  const byService = new Map<string, number[]>();
  /** The last revision on the disk, and the last one that is on its way there. */
  let durable = 0;
  let queued = 0;
  let waiting: Waiting[] = [];
  let writing: Promise<void> | null = null;
  let compactAt = compactFrom;
  /** How large the log must be before a history that is too large is tried to be cut again. */
  let retryAt = 0;
  const packer = createPacker();
  /** Reads and writes of the log, one after another. */
  let last: Promise<unknown> = Promise.resolve();

  const exclusively = <T>(run: () => Promise<T>): Promise<T> => {
    const result = last.then(run);
    last = result.catch(() => {});
    return result;
  };

  const remember = (commit: Commit): void => {
    entries.push({ revision: commit.revision, at: Date.parse(commit.at) });
    const revisions = byService.get(commit.service);
    if (revisions === undefined) byService.set(commit.service, [commit.revision]);
    else revisions.push(commit.revision);
    durable = commit.revision;
  };

  /** The first of those that wait, as many as make one frame. */
  const packBatch = (): Packed[] => {
    const packed: Packed[] = [];
    let size = 0;
    for (const { commit } of waiting) {
      const undo = packer.mark();
      const one = packer.pack(commit);
      size += one.json.length;
      if (packed.length > 0 && size > LARGEST_BATCH) {
        undo();
        break;
      }
      packed.push(one);
    }
    return packed;
  };

  const writeWaiting = async (): Promise<void> => {
    while (waiting.length > 0) {
      await exclusively(async () => {
        const unpack = packer.mark();
        let batch = waiting;
        try {
          const packed = packBatch();
          batch = waiting.slice(0, packed.length);
          waiting = waiting.slice(packed.length);
          if (log === null) throw new StoreError('unavailable', `The store ${directory} is closed.`);
          const isPacked = packed.some(({ base }) => base !== null);
          const texts = packed.map(({ json }) => json);
          await log.append(texts, durable + 1, isPacked);
        } catch (error) {
          unpack();
          // Those behind it were numbered after it, so they fail with it.
          const failed = batch === waiting ? waiting : [...batch, ...waiting];
          waiting = [];
          queued = durable;
          for (const one of failed)
            one.reject(
              error instanceof StoreError
                ? error
                : new StoreError('unavailable', String(error), { cause: error }),
            );
          return;
        }
        for (const one of batch) {
          remember(one.commit);
          one.resolve();
        }
      });
      await exclusively(compactIfDue);
    }
    writing = null;
  };

  /** The index of the first commit that must stay for its age and its number. */
  const firstKept = (): number => {
    const oldest = wallNow() - HISTORY_TIME;
    // A commit without a readable time stays. Clocks move backwards, so the first young one counts, not the last old one.
    const young = entries.findIndex((entry) => !(entry.at < oldest));
    return Math.max(0, Math.min(young === -1 ? entries.length : young, entries.length - keep));
  };

  const compactIfDue = async (): Promise<void> => {
    if (log === null) return;
    const frames = log.frames();
    const start = frames[0]?.offset ?? 0;
    const end = log.size();
    // A quarter more than the history may take, so that the log is not written anew for each commit.
    const overfull = end - start > historyBytes * 1.25 && end >= retryAt;
    if (end < compactAt && !overfull) return;
    const kept = entries[firstKept()];
    // A frame is kept whole, so the cut is before the one that holds the first commit to be kept.
    let index = kept === undefined ? 0 : frames.findLastIndex((frame) => frame.first <= kept.revision);
    if (overfull) {
      const fitting = frames.findIndex((frame) => end - frame.offset <= historyBytes);
      index = Math.max(index, fitting === -1 ? frames.length - 1 : fitting);
    }
    const cut = frames[index];
    if (cut === undefined || index <= 0 || (!overfull && cut.offset - start < end / 4)) {
      compactAt = end * 1.25;
      retryAt = compactAt;
      return;
    }
    try {
      await log.compact(index);
      entries = entries.filter((entry) => entry.revision >= cut.first);
      for (const [service, revisions] of byService) {
        const rest = revisions.filter((revision) => revision >= cut.first);
        if (rest.length === 0) byService.delete(service);
        else byService.set(service, rest);
      }
      compactAt = Math.max(compactFrom, log.size() * 2);
      retryAt = 0;
    } catch (error) {
      compactAt = log.size() * 1.25;
      retryAt = compactAt;
      warn(`The store ${directory} could not be compacted; it goes on as it is: ${messageOf(error)}`);
    }
  };

  return {
    async load(): Promise<Loaded> {
      if (unlock !== null) throw new Error('the store is loaded already');
      try {
        await files.makeDirectory(directory);
      } catch (error) {
        const why = codeOf(error) === 'EEXIST' ? 'there is a file of that name' : messageOf(error);
        throw new StoreError(
          'unreadable',
          `The store's directory ${directory} cannot be made: ${why}. Set store.file to a directory that the user that runs the proxy can write.`,
          { cause: error },
        );
      }
      const release = await lock(directory);
      try {
        const recent: Commit[] = [];
        const oldest = wallNow() - HISTORY_TIME;
        const share = createSharing();
        const opened = await openLog(
          files,
          directory,
          (commit) => {
            remember(commit);
            if (recent.length > 0 || !(Date.parse(commit.at) < oldest)) recent.push(share(commit));
          },
          warn,
        );
        log = opened.log;
        for (const [service, stored] of opened.bases) packer.learn(service, stored);
        unlock = release;
        durable = opened.revision;
        queued = durable;
        return { revision: opened.revision, documents: opened.documents, recent };
      } catch (error) {
        entries = [];
        byService.clear();
        durable = 0;
        release();
        throw error;
      }
    },

    async commit(commit) {
      if (log === null) throw new StoreError('unavailable', `The store ${directory} is not open.`);
      if (commit.revision !== queued + 1) {
        const message = `The store is at revision ${queued}, so the next is ${queued + 1}, not ${commit.revision}.`;
        throw new StoreError('conflict', message);
      }
      // What could not be read again must never be written.
      if (!isCommit(commit)) throw new TypeError('not a commit of this version');
      queued = commit.revision;
      await new Promise<void>((resolve, reject) => {
        waiting.push({ commit, resolve, reject });
        writing ??= writeWaiting();
      });
    },

    history(service, before, limit) {
      return exclusively(async () => {
        if (log === null) throw new StoreError('unavailable', `The store ${directory} is not open.`);
        const older = (byService.get(service) ?? []).filter((revision) => revision < before);
        return readNewestFirst(log, limit <= 0 ? [] : older.slice(-limit), (name, base) =>
          packer.baseOf(name, base),
        );
      });
    },

    async close() {
      await writing;
      const closing = log;
      log = null;
      await exclusively(async () => closing?.close());
      unlock?.();
      unlock = null;
    },
  };
}
