/**
 * The latches of rollouts under way, in files: one for each rollout, a line for each latch, beside the file store's log.
 *
 * For a replica that is alone, so that a restart does not take the canary from users whose clients keep no cookies. It promises
 * less than the log: what was written in the last moment before the machine (not the process) fails may be gone, a torn line
 * is left out, and a file that has grown too large takes no more.
 */
import { appendFile, mkdir, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { FROM_THE_BEGINNING, type LatchStore, readEntries, writeEntries } from './latch-store.ts';
import { openRegular } from '../files/regular-file.ts';
import { codeOf, messageOf } from '../schema/thrown.ts';
import { StoreError } from '../store/store.ts';

/** Bytes that are read in one go. */
const PAGE = 65_536;

/** Bytes of a latch that names one rule, at most; of each that may be held, twice as many may be written. */
const BYTES_OF_ONE = 200;

const SUFFIX = '.latches';

export interface FileLatchesOptions {
  /** Made where it is not there. */
  readonly directory: string;
  /** Latches that are held at most. */
  readonly limit: number;
}

export function createFileLatches({ directory, limit }: FileLatchesOptions): LatchStore {
  /** How long the files were when this process came: what it adds itself it knows. */
  const sizes = new Map<string, number>();
  const written = new Map<string, number>();

  /** Ids are random, but the file's name must not lead elsewhere whatever they hold. */
  function fileOf(rolloutId: string): string {
    return path.join(directory, `${Buffer.from(rolloutId, 'utf8').toString('base64url')}${SUFFIX}`);
  }

  async function sizeOf(rolloutId: string): Promise<number> {
    let size = sizes.get(rolloutId);
    if (size === undefined) {
      size = await fileSize(fileOf(rolloutId));
      sizes.set(rolloutId, size);
      written.set(rolloutId, size);
    }
    return size;
  }

  return {
    append: (rolloutId, entries) =>
      guarded(async () => {
        await sizeOf(rolloutId);
        // The last line of a former process may be torn.
        const text = (written.get(rolloutId) === sizes.get(rolloutId) ? '\n' : '') + writeEntries(entries);
        const size = (written.get(rolloutId) ?? 0) + text.length;
        if (size > 2 * limit * BYTES_OF_ONE) return;
        await mkdir(directory, { recursive: true, mode: 0o700 });
        await appendFile(fileOf(rolloutId), text, { mode: 0o600 });
        written.set(rolloutId, size);
      }),

    read: (rolloutId, cursor) =>
      guarded(async () => {
        const size = await sizeOf(rolloutId);
        const from = cursor === FROM_THE_BEGINNING ? 0 : Number(cursor);
        if (from >= size) return { entries: [], cursor, more: false, lost: false };
        const text = await readPart(fileOf(rolloutId), from, Math.min(PAGE, size - from));
        // A line goes on in the next part; one that no line feed ends was torn.
        const end = text.lastIndexOf('\n') + 1;
        const to = end === 0 ? size : from + end;
        return {
          entries: readEntries(text.slice(0, end)),
          cursor: String(to),
          more: to < size,
          lost: false,
        };
      }),

    refills: async () => true,

    keep: (rolloutIds) =>
      guarded(async () => {
        const known = new Set(rolloutIds.map((rolloutId) => path.basename(fileOf(rolloutId))));
        for (const name of await readdir(directory).catch(() => []))
          if (name.endsWith(SUFFIX) && !known.has(name))
            await rm(path.join(directory, name), { force: true });
      }),

    end: (rolloutId) =>
      guarded(async () => {
        sizes.delete(rolloutId);
        written.delete(rolloutId);
        await rm(fileOf(rolloutId), { force: true });
      }),
  };
}

async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new StoreError('unavailable', `Latches cannot be written or read: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}

async function fileSize(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 0;
    throw error;
  }
}

async function readPart(file: string, from: number, length: number): Promise<string> {
  const { handle } = await openRegular(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, from);
    return buffer.toString('latin1', 0, bytesRead);
  } finally {
    await handle.close();
  }
}
