/**
 * The log on the disk: opened and recovered, appended to, compacted.
 *
 * It promises that an append is on the disk when it resolves, that a failed one leaves nothing behind that a later one
 * could follow, and that a crash at any point leaves a log that opens with all appends that resolved. It must never
 * give up what was once appended whole. Calls must not overlap; its owner sees to that.
 */
import path from 'node:path';
import { codeOf, messageOf } from '../schema/thrown.ts';
import { decodeHeader, encodeFrame, encodeHeader, HEADER_SIZE } from './log-format.ts';
import { readFrame } from './log-reader.ts';
import { decodeRecord, encodeCommits, encodeSnapshot } from './log-records.ts';
import { damaged, type FramePlace, replay } from './log-replay.ts';
import { type Commit, StoreError, type StoredDocument } from './store.ts';
import type { StoreFile, StoreFiles } from './store-files.ts';
import { replaceWhole, writeWhole } from './whole-file.ts';

export const LOG_NAME = 'commits.log';
const COPY_SIZE = 1024 * 1024;

export interface OpenedLog {
  readonly log: LogFile;
  /** The last revision. */
  readonly revision: number;
  readonly documents: Map<string, StoredDocument>;
}

export interface LogFile {
  /** Bytes of the log. */
  size(): number;
  /** The frames of commits, oldest first. */
  frames(): readonly FramePlace[];
  /** Appends commits, given as JSON, as one frame. Rejects with StoreError `unavailable`; then none of them is kept. */
  append(commits: readonly string[], first: number): Promise<void>;
  /** Rejects with StoreError `corrupt` where the frame is no longer what it was, `unreadable` where it cannot be read. */
  read(place: FramePlace): Promise<readonly Commit[]>;
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
    const log = logFile({ files, directory, name }, file, found.end, found.frames);
    return { log, revision: found.revision, documents: found.documents };
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
): Promise<{ file: StoreFile; base: number } | null> {
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
    if (header.kind === 'ours') return { file, base: header.base };
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
  end: number,
  found: readonly FramePlace[],
): LogFile {
  let file = opened;
  let size = end;
  let frames = [...found];
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

  return {
    size: () => size,
    frames: () => frames,

    async append(commits, first) {
      const frame = encodeFrame(encodeCommits(commits));
      try {
        await repair();
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

    async compact(index) {
      const cut = frames[index];
      if (cut === undefined || index === 0) return;
      // What the older commits led to is read from the disk: it is not what the store's documents are now.
      const older = await replay(file, name, null, () => {}, cut.offset);
      const snapshot = { revision: older.revision, documents: [...older.documents] };
      let start = 0;
      const next = await writeWhole(files, `${name}.new`, async (fresh) => {
        const head = Buffer.concat([encodeHeader(snapshot.revision), encodeFrame(encodeSnapshot(snapshot))]);
        await fresh.write(head, 0);
        start = head.length;
        await copy(file, cut.offset, size, fresh, start);
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
      const moved = start - cut.offset;
      frames = frames.slice(index).map((place) => ({ ...place, offset: place.offset + moved }));
      size += moved;
      leftovers = false;
      await old.close().catch(() => {});
      // Where this fails, the next append tries again and is not accepted without it.
      await repair().catch(() => {});
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
    const message = `The store ${name} was written by a newer version (format ${header.version}; this one reads format 1). Run that version, or set store.file to another directory.`;
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
