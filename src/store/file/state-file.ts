/**
 * What a replica last knew, on its own disk, for a start while the store is out of reach.
 *
 * It promises that a write replaces the file whole or not at all, whatever happens meanwhile, and that what is damaged is
 * refused rather than used. The file is for its owner only: documents may hold names that are nobody else's concern. It is
 * one line `serin-state VERSION SHA-256` and one of JSON. The sum is over `serin-state VERSION` and the JSON, so that no damage
 * can make one version look like another; in version 1, which is still read, it was over the JSON alone.
 */
import { createHash, hash } from 'node:crypto';
import path from 'node:path';
import type { Tombstone } from '../../contract/tombstone.ts';
import { isRecord } from '../../schema/json-value.ts';
import { fileTrouble, messageOf } from '../../schema/thrown.ts';
import { isCommit, isRevision, isStoredDocument } from '../log-records.ts';
import { commitText } from '../commit-text.ts';
import { isTombstone } from './tombstone-file.ts';
import { type Commit, StoreError, type StoredDocument } from '../store.ts';
import { NODE_FILES, type StoreFile, type StoreFiles } from '../../files/file-system.ts';
import { replaceWhole } from '../../files/atomic-file.ts';

const VERSION = 2;
/** A version is written in one way only: 1, never 01 or 0. */
const HEADER = /^serin-state ([1-9][0-9]{0,8}) ([0-9a-f]{64})$/;

/** No state of ours is half as large, in bytes. */
const LARGEST = 1024 * 1024 * 1024;

export interface SavedState {
  /** RFC 3339; when it was known to be the store's. */
  readonly savedAt: string;
  readonly storeId: string;
  readonly revision: number;
  readonly changeId: string;
  readonly documents: ReadonlyMap<string, StoredDocument>;
  /** The last commits, oldest first. */
  readonly recent: readonly Commit[];
  /** Of a former version, which kept here what the file of tombstones has now; else empty. */
  readonly rollbacks: readonly Tombstone[];
  /** The other replicas' addresses, by name. */
  readonly peers: Readonly<Record<string, string>>;
}

export interface StateFile {
  /** Null where there is none yet. Rejects with StoreError `corrupt`, `foreign`, `newer` or `unreadable`. */
  read(): Promise<SavedState | null>;
  /** On the disk when it resolves. Calls must not overlap. Rejects with StoreError `unavailable`; then the former state stays. */
  write(state: SavedState): Promise<void>;
}

export interface StateFileOptions {
  readonly file: string;
  readonly files?: StoreFiles;
}

export function createStateFile({ file, files = NODE_FILES }: StateFileOptions): StateFile {
  const remedy = 'Remove it: the replica then begins by what the store holds.';
  return {
    async read() {
      let bytes: Buffer | null;
      try {
        bytes = await readWhole(files, file);
      } catch (error) {
        throw new StoreError(
          'unreadable',
          `The state file ${file} cannot be read: ${fileTrouble(error)}. ${remedy}`,
          {
            cause: error,
          },
        );
      }
      if (bytes === null) return null;
      const end = bytes.indexOf(0x0a);
      const header = bytes.subarray(0, Math.max(0, Math.min(end, 200))).toString('latin1');
      const [, version, sum] = HEADER.exec(header) ?? [];
      if (version === undefined || sum === undefined) {
        const ours = bytes.subarray(0, 11).toString('latin1') === 'serin-state';
        throw ours
          ? new StoreError(
              'corrupt',
              `The state file ${file} is damaged: its first line is broken. ${remedy}`,
            )
          : new StoreError(
              'foreign',
              `The file ${file} is no state file of Serin. Choose another store.snapshot.`,
            );
      }
      if (Number(version) > VERSION) {
        throw new StoreError(
          'newer',
          `The state file ${file} was written by a newer version of Serin (format ${version}, this version reads up to ${VERSION}). Use that version. ${remedy}`,
        );
      }
      const body = bytes.subarray(end + 1);
      const state = sumOf(Number(version), body) === sum ? decode(body) : null;
      if (state === null)
        throw new StoreError(
          'corrupt',
          `The state file ${file} is damaged: its sum does not match. ${remedy}`,
        );
      return state;
    },

    async write(state) {
      const { documents, recent, ...rest } = state;
      const body = Buffer.from(
        `${JSON.stringify({ ...rest, documents: [...documents] }).slice(0, -1)},"recent":[${recent.map(commitText).join(',')}]}\n`,
      );
      const header = Buffer.from(`serin-state ${VERSION} ${sumOf(VERSION, body)}\n`);
      try {
        await files.makeDirectory(path.dirname(file));
        const written = await replaceWhole(files, file, (fresh) =>
          fresh.write(Buffer.concat([header, body]), 0),
        );
        await written.close();
      } catch (error) {
        throw new StoreError(
          'unavailable',
          `The state file ${file} cannot be written: ${messageOf(error)}. Let the user that runs the proxy write its directory, or set store.snapshot.`,
          { cause: error },
        );
      }
    },
  };
}

function sumOf(version: number, body: Buffer): string {
  if (version === 1) return hash('sha256', body);
  return createHash('sha256').update(`serin-state ${version}\n`).update(body).digest('hex');
}

async function readWhole(files: StoreFiles, file: string): Promise<Buffer | null> {
  const handle: StoreFile | null = await files.open(file);
  if (handle === null) return null;
  try {
    const size = await handle.size();
    if (size > LARGEST) throw new Error(`it has ${size} bytes`);
    const bytes = Buffer.alloc(size);
    return bytes.subarray(0, await handle.read(bytes, 0));
  } finally {
    await handle.close();
  }
}

function decode(body: Buffer): SavedState | null {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    return null;
  }
  if (!isRecord(value)) return null;
  const { savedAt, storeId, revision, changeId, documents, recent, rollbacks, peers } = value;
  if (
    typeof savedAt !== 'string' ||
    typeof storeId !== 'string' ||
    typeof changeId !== 'string' ||
    !isRevision(revision, 0) ||
    !isListOf(documents, isPair) ||
    !isListOf(recent, isCommit) ||
    !isListOf(rollbacks, isTombstone) ||
    !isTexts(peers)
  )
    return null;
  return { savedAt, storeId, revision, changeId, documents: new Map(documents), recent, rollbacks, peers };
}

function isListOf<T>(value: unknown, is: (one: unknown) => one is T): value is readonly T[] {
  return Array.isArray(value) && value.every((one: unknown) => is(one));
}

function isPair(value: unknown): value is readonly [string, StoredDocument] {
  return (
    Array.isArray(value) && value.length === 2 && typeof value[0] === 'string' && isStoredDocument(value[1])
  );
}

function isTexts(value: unknown): value is Readonly<Record<string, string>> {
  return isRecord(value) && Object.values(value).every((one) => typeof one === 'string');
}
