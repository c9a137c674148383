/**
 * Opens and reads the files that people name: regular files alone, no larger than what they are for, and without ever waiting.
 *
 * It promises that a named pipe without a writer holds up nothing, that a device is not even opened (that alone can do something), and that
 * no file takes more memory than its kind may. Whoever reads such a file reads it by this one.
 */
import { constants, type Stats } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';

/**
 * Reads a whole file of at most `most` bytes. Rejects with an error of node:fs, or with one whose message says what is wrong and what
 * would be right, without the file's name; `fileTrouble` has words for both.
 */
export type ReadFile = (file: string, most: number) => Promise<Uint8Array>;

/** What is opened, and how it was when it was. Its owner closes it. */
export interface OpenedFile {
  readonly handle: FileHandle;
  readonly stats: Stats;
}

export const readRegular: ReadFile = async (file, most) => {
  const opened = await openRegular(file);
  try {
    return await readOpened(opened, most);
  } finally {
    await opened.handle.close();
  }
};

/** Opens a regular file, for reading unless `access` says otherwise. Links are followed. */
export async function openRegular(file: string, access: number = constants.O_RDONLY): Promise<OpenedFile> {
  refuseOthers(await stat(file));
  // It may be another one by now: then opening it waits for nobody, and what was opened is what counts.
  const handle = await open(file, access | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const stats = await handle.stat();
    refuseOthers(stats);
    return { handle, stats };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

export async function readOpened(
  { handle, stats: { size } }: OpenedFile,
  most: number,
): Promise<Buffer<ArrayBuffer>> {
  if (size > most) throw new Error(`it has ${size} bytes; expected at most ${most}`);
  // A byte more than it has shows whether it has more than it says.
  const bytes = Buffer.alloc(size + 1);
  let done = 0;
  while (done < bytes.length) {
    const { bytesRead } = await handle.read(bytes, done, bytes.length - done, done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  if (done <= size) return bytes.subarray(0, done);
  throw new Error(
    size === 0
      ? 'the system makes it up while it is read, as those in /proc and /sys; expected a file on a disk'
      : 'it grew while it was read; write it anew and rename it over the former one',
  );
}

function refuseOthers(stats: Stats): void {
  if (!stats.isFile()) throw new Error(`it is ${kindOf(stats)}; expected a regular file`);
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'a directory';
  if (stats.isFIFO()) return 'a pipe';
  return stats.isSocket() ? 'a socket' : 'a device';
}
