/**
 * Files that are made or replaced whole or not at all, whatever happens meanwhile.
 *
 * Contents are on the disk before the file has its name, and the name is before anybody is told.
 */
import path from 'node:path';
import type { StoreFile, StoreFiles } from './file-system.ts';

/** Makes a file whose contents are on the disk; where that fails, there is none. */
export async function writeWhole(
  files: StoreFiles,
  name: string,
  fill: (file: StoreFile) => Promise<void>,
): Promise<StoreFile> {
  const file = await files.create(name);
  try {
    await fill(file);
    await file.sync();
    return file;
  } catch (error) {
    await file.close();
    await files.remove(name).catch(() => {});
    throw error;
  }
}

/**
 * Puts such a file in the place of whatever has the name. Rejects with the errors of the file system: then the former one is there,
 * or, where only the directory could not be synced, it may be back after a crash. The file is open.
 */
export async function replaceWhole(
  files: StoreFiles,
  name: string,
  fill: (file: StoreFile) => Promise<void>,
): Promise<StoreFile> {
  const temporary = `${name}.new`;
  const file = await writeWhole(files, temporary, fill);
  try {
    await files.rename(temporary, name);
    await files.syncDirectory(path.dirname(name));
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}
