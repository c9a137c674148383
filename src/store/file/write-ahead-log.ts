/**
 * The log on the disk: opened and recovered, appended to, compacted.
 *
 * It promises that an append is on the disk when it resolves, that a failed one leaves nothing behind that a later one
 * could follow, and that a crash at any point leaves a log that opens with all appends that resolved. It must never
 * give up what was once appended whole. Calls must not overlap; its owner sees to that.
 */
import path from 'node:path';
import { codeOf, messageOf } from '../../schema/thrown.ts';
import {
  decodeHeader,
  encodeFrame,
  encodeHeader,
  HEADER_SIZE,
  type LogVersion,
  NEWEST_LOG_VERSION,
} from './log-format.ts';
import { readFrame, readFrames } from './log-reader.ts';
import {
  decodeRecord,
  encodeCommits,
  encodeSnapshot,
  type LogSnapshot,
  type WrittenCommit,
} from '../log-records.ts';
import { damaged, type FramePlace, type Replayed, replay } from './log-replay.ts';
import { type Commit, StoreError, type StoredDocument } from '../store.ts';
import type { StoreFile, StoreFiles } from '../../files/file-system.ts';
import { replaceWhole, writeWhole } from '../../files/atomic-file.ts';

export const LOG_NAME = 'commits.log';
const COPY_SIZE = 1024 * 1024;

export interface OpenedLog {
  readonly log: LogFile;
  /** The last revision. */
  readonly revision: number;
  readonly documents: Map<string, StoredDocument>;
  /** The base of each service, against which its next commit may be packed. */
  readonly bases: ReadonlyMap<string, StoredDocument>;
}

export interface LogFile {
  readonly name: string;
  /** Bytes of the log. */
  size(): number;
  /** The frames of commits, oldest first. */
  frames(): readonly FramePlace[];
  /**
   * Appends commits, given as JSON, as one frame. `packed`: some of them are. Rejects with StoreError `unavailable`; then none of
   * them is kept.
   */
  append(commits: readonly string[], first: number, packed?: boolean): Promise<void>;
  /** Rejects with StoreError `corrupt` where the frame is no longer what it was, `unreadable` where it cannot be read. */
  read(place: FramePlace): Promise<readonly WrittenCommit[]>;
  /** What stands before the commits; null: nothing. Rejects as `read` does. */
  snapshot(): Promise<LogSnapshot | null>;
  /** Replaces all frames before `frames()[index]` by a snapshot. Rejects with what went wrong; then the log is as it was. */
  compact(index: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens the directory's log, or makes one. `visit` is given every commit, oldest first. Rejects with StoreError
 * `unreadable`, `foreign`, `newer`, `corrupt` or, where a new log cannot be made, `unavailable`.
 */
export async function openLog(
  files: StoreFiles,
  directory: string,
  visit: (commit: Commit) => void,
  warn: (message: string) => void,
): Promise<OpenedLog> {
  const name = path.join(directory, LOG_NAME);
  const existing = await openExisting(files, name, warn);
  const file = existing?.file ?? (await makeNew(files, name));
  try {
    const found = await replay(file, name, existing?.base ?? 0, visit);
    if (found.tornBytes > 0) {
      warn(
        `The store ${name} ends in ${found.tornBytes} bytes of a commit that a crash cut off before it was accepted; they are removed.`,
      );
      await file.truncate(found.end);
    }
    // The process before may have ended between a write and its sync, or between a rename and its own.
    await file.sync();
    await files.syncDirectory(directory);
    const { base, version } = existing ?? { base: 0, version: 1 };
    const log = logFile({ files, directory, name }, file, found, { base, version });
    return { log, revision: found.revision, documents: found.documents, bases: found.bases };
  } catch (error) {
    await file.close();
    throw error instanceof StoreError ? error : unreadable(name, error);
  }
}

interface Place {
  readonly files: StoreFiles;
  readonly directory: string;
  readonly name: string;
}

async function openExisting(
  files: StoreFiles,
  name: string,
  warn: (message: string) => void,
): Promise<{ file: StoreFile; base: number; version: LogVersion } | null> {
  let file: StoreFile | null;
  try {
    file = await files.open(name);
  } catch (error) {
    throw unreadable(name, error);
  }
  if (file === null) return null;
  try {
    const bytes = Buffer.alloc(HEADER_SIZE);
    const header = decodeHeader(bytes.subarray(0, await file.read(bytes, 0)));
    if (header.kind === 'ours') return { file, base: header.base, version: header.version };
    if (header.kind !== 'torn') throw refuseHeader(name, header);
    warn(`The store ${name} holds only the beginning of a log, without any commit; it begins anew.`);
    await file.close();
    return null;
  } catch (error) {
    await file.close();
    throw error instanceof StoreError ? error : unreadable(name, error);
  }
}

async function makeNew(files: StoreFiles, name: string): Promise<StoreFile> {
  try {
    return await replaceWhole(files, name, (fresh) => fresh.write(encodeHeader(0), 0));
  } catch (error) {
    throw unavailable(`The store ${name} cannot be made`, error);
  }
}

function logFile(
  { files, directory, name }: Place,
  opened: StoreFile,
  found: Replayed,
  header: { readonly base: number; readonly version: LogVersion },
): LogFile {
  let file = opened;
  let size = found.end;
  let frames = [...found.frames];
  let { base, version } = header;
  /** Whether there may be bytes beyond `size`: what is left of an append that failed. */
  let leftovers = false;
  /** Whether the directory may still name another file after a crash. */
  let nameUnsure = false;

  const repair = async (): Promise<void> => {
    if (nameUnsure) {
      await files.syncDirectory(directory);
      nameUnsure = false;
    }
    if (leftovers) {
      await file.truncate(size);
      await file.sync();
      leftovers = false;
    }
  };

  /** Puts a new log in the place of this one: `head`, and what stands here from an offset on. */
  const rewrite = async (head: Buffer, from: number): Promise<void> => {
    const next = await writeWhole(files, `${name}.new`, async (fresh) => {
      await fresh.write(head, 0);
      await copy(file, from, size, fresh, head.length);
    });
    try {
      await files.rename(`${name}.new`, name);
    } catch (error) {
      await next.close();
      throw error;
    }
    nameUnsure = true;
    const old = file;
    file = next;
    const moved = head.length - from;
    frames = frames
      .filter((place) => place.offset >= from)
      .map((place) => ({ ...place, offset: place.offset + moved }));
    size += moved;
    leftovers = false;
    await old.close().catch(() => {});
    // Where this fails, the next append tries again and is not accepted without it.
    await repair().catch(() => {});
  };

  return {
    name,
    size: () => size,
    frames: () => frames,

    async append(commits, first, packed = false) {
      const frame = encodeFrame(encodeCommits(commits));
      try {
        await repair();
        if (packed && version === 1) {
          await rewrite(encodeHeader(base, 2), HEADER_SIZE);
          version = 2;
          await repair();
        }
        leftovers = true;
        await file.write(frame, size);
        await file.sync();
        leftovers = false;
      } catch (error) {
        // Gives the space back at once where that is possible, otherwise before the next append.
        await repair().catch(() => {});
        throw unavailable(`The store ${name} cannot be written`, error);
      }
      frames.push({ offset: size, size: frame.length, first });
      size += frame.length;
    },

    async read(place) {
      let json: string | null;
      try {
        json = await readFrame(file, place.offset, place.size);
      } catch (error) {
        throw unreadable(name, error);
      }
      const record = json === null ? null : decodeRecord(json);
      if (record?.kind !== 'commits')
        throw damaged(name, place.offset, place.first - 1, 'a frame has changed');
      return record.commits;
    },

    async snapshot() {
      const end = frames[0]?.offset ?? size;
      if (end <= HEADER_SIZE) return null;
      let found: LogSnapshot | null = null;
      try {
        await readFrames(file, HEADER_SIZE, end, (json) => {
          const record = decodeRecord(json);
          if (record?.kind === 'snapshot') found = record.snapshot;
        });
      } catch (error) {
        throw unreadable(name, error);
      }
      if (found === null) throw damaged(name, HEADER_SIZE, 0, 'the snapshot has changed');
      return found;
    },

    async compact(index) {
      const cut = frames[index];
      if (cut === undefined || index === 0) return;
      // What the older commits led to is read from the disk: it is not what the store's documents are now.
      const older = await replay(file, name, null, () => {}, cut.offset);
      const { revision, documents } = older;
      const bases = [...older.bases].filter(
        ([service, stored]) => documents.get(service)?.revision !== stored.revision,
      );
      const snapshot = {
        revision,
        documents: [...documents],
        ...(bases.length === 0 ? {} : { bases }),
      };
      const head = [encodeHeader(revision, version), encodeFrame(encodeSnapshot(snapshot))];
      await rewrite(Buffer.concat(head), cut.offset);
      base = revision;
    },

    close: () => file.close(),
  };
}

async function copy(
  from: StoreFile,
  start: number,
  end: number,
  to: StoreFile,
  position: number,
): Promise<void> {
  const buffer = Buffer.alloc(COPY_SIZE);
  for (let offset = start; offset < end;) {
    const read = await from.read(buffer.subarray(0, Math.min(COPY_SIZE, end - offset)), offset);
    if (read === 0) throw new Error('the log ended while it was copied');
    await to.write(buffer.subarray(0, read), position + offset - start);
    offset += read;
  }
}

function refuseHeader(
  name: string,
  header: { readonly kind: 'damaged' | 'foreign' } | { readonly kind: 'newer'; readonly version: number },
): StoreError {
  if (header.kind === 'newer') {
    const message = `The store ${name} was written by a newer version (format ${header.version}; this one reads up to format ${NEWEST_LOG_VERSION}). Run that version, or set store.file to another directory.`;
    return new StoreError('newer', message);
  }
  if (header.kind === 'foreign') {
    const message = `The file ${name} was not written by Serin and is left alone. Set store.file to another directory, or move the file away.`;
    return new StoreError('foreign', message);
  }
  return damaged(name, 0, 0, 'its first line is not whole');
}

function unavailable(what: string, cause: unknown): StoreError {
  const full = codeOf(cause) === 'ENOSPC' || codeOf(cause) === 'EDQUOT';
  const remedy = full ? 'free some space; the next write tries again' : 'the next write tries again';
  return new StoreError('unavailable', `${what}: ${messageOf(cause)}. Nothing was accepted; ${remedy}.`, {
    cause,
  });
}

function unreadable(name: string, cause: unknown): StoreError {
  const message = `The store ${name} cannot be read: ${messageOf(cause)}. Let the user that runs the proxy read and write it, or set store.file to another directory.`;
  return new StoreError('unreadable', message, { cause });
}
