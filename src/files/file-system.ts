/**
 * The few things that the file store asks of a file system, so that tests can make one that fails or crashes.
 *
 * All errors are those of node:fs, with their `code`.
 */
import { constants } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { openRegular } from './regular-file.ts';
import { codeOf } from '../schema/thrown.ts';

/** A file that is open for reading and writing. */
export interface StoreFile {
  size(): Promise<number>;
  /** Fills `into` from `position` on; resolves to the bytes read, fewer only at the end of the file. */
  read(into: Buffer, position: number): Promise<number>;
  /** Writes all of `bytes` at `position`. When it rejects, a part may have been written. */
  write(bytes: Buffer, position: number): Promise<void>;
  truncate(size: number): Promise<void>;
  /** Contents and size are on the disk when it resolves. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface StoreFiles {
  /** Makes a directory and those above it, where missing. */
  makeDirectory(directory: string): Promise<void>;
  /** Opens a file that exists; null where there is none. */
  open(file: string): Promise<StoreFile | null>;
  /** Makes an empty file, in place of one that was there; where a link had the name, what it leads to stays as it is. */
  create(file: string): Promise<StoreFile>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file, where there is one. */
  remove(file: string): Promise<void>;
  /** Names that were made or changed in the directory are on the disk when it resolves. */
  syncDirectory(directory: string): Promise<void>;
}

type Handle = Awaited<ReturnType<typeof open>>;

/** The real file system. Files are for their owner only. */
export const NODE_FILES: StoreFiles = {
  async makeDirectory(directory) {
    await mkdir(directory, { recursive: true, mode: 0o700 });
  },
  async open(file) {
    try {
      return storeFile((await openRegular(file, constants.O_RDWR)).handle);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return null;
      throw error;
    }
  },
  async create(file) {
    await rm(file, { force: true });
    return storeFile(await open(file, 'wx+', 0o600));
  },
  rename: (from, to) => rename(from, to),
  remove: (file) => rm(file, { force: true }),
  async syncDirectory(directory) {
    const handle = await open(directory, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
};

function storeFile(handle: Handle): StoreFile {
  return {
    size: async () => (await handle.stat()).size,
    async read(into, position) {
      let done = 0;
      while (done < into.length) {
        const { bytesRead } = await handle.read(into, done, into.length - done, position + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return done;
    },
    async write(bytes, position) {
      let done = 0;
      while (done < bytes.length) {
        done += (await handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
      }
    },
    truncate: (size) => handle.truncate(size),
    // fdatasync also brings the size to the disk; what it leaves out are times.
    sync: () => handle.datasync(),
    close: () => handle.close(),
  };
}
