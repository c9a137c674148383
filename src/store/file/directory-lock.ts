/**
 * One process at a time in a store's directory.
 *
 * The lock is SQLite's exclusive lock on an empty database, which is a POSIX record lock: Node offers none of its own.
 * The kernel gives it up when the process ends, however it ends, and it holds between containers that share a volume,
 * where process ids say nothing. It must never be broken by deleting the file.
 */
import { writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { readRegular } from '../../files/regular-file.ts';
import { messageOf } from '../../schema/thrown.ts';
import { StoreError } from '../store.ts';

/** SQLite's primary result code for "another connection holds the lock". */
const SQLITE_BUSY = 5;

const LOCK_NAME = 'lock';
/** Who holds the lock, for people; it stays behind after a crash and means nothing alone. */
const OWNER_NAME = 'lock.owner';

/** Takes a directory; the function that it resolves to gives it back. */
export type LockDirectory = (directory: string) => Promise<() => void>;

/** Rejects with StoreError `locked`, which names the holder, or `unreadable`. */
export const lockDirectory: LockDirectory = async (directory) => {
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(path.join(directory, LOCK_NAME), { timeout: 0 });
    // Nothing is ever written to it, so it needs no journal beside it.
    database.exec('PRAGMA journal_mode = OFF');
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database?.close();
    if (resultCode(error) === SQLITE_BUSY) {
      const owner = await readOwner(directory);
      const message = `The store ${directory} is in use by ${owner}. Stop that process, or give each proxy its own store.file.`;
      throw new StoreError('locked', message, { cause: error });
    }
    const message = `The store ${directory} cannot be locked: ${messageOf(error)}. Let the user that runs the proxy write this directory and its file "${LOCK_NAME}".`;
    throw new StoreError('unreadable', message, { cause: error });
  }
  const held = database;
  try {
    const owner = `process ${process.pid} on ${hostname()} since ${new Date().toISOString()}\n`;
    await writeFile(path.join(directory, OWNER_NAME), owner, { mode: 0o600 });
  } catch {
    // A full disk keeps nobody from holding the lock; only its holder stays unnamed.
  }
  return () => held.close();
};

async function readOwner(directory: string): Promise<string> {
  try {
    const bytes = await readRegular(path.join(directory, OWNER_NAME), 4096);
    const text = new TextDecoder().decode(bytes);
    return text.trim().slice(0, 300) || 'another process';
  } catch {
    return 'another process';
  }
}

function resultCode(error: unknown): number | undefined {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
    ? error.errcode & 0xff
    : undefined;
}
