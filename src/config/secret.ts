/**
 * The key ring's file: one `id:secret` a line, the secret in base64url; the first key signs, all verify.
 *
 * It promises that a ring is either read whole or refused, that a new one is on disk before it is returned, and that an
 * existing file is never overwritten. No message holds a secret or a part of one.
 */
import { randomBytes } from 'node:crypto';
import { link, open, rename, stat, unlink } from 'node:fs/promises';
import path from 'node:path';
import type { KeyData } from '../policy/keys.ts';
import { DocumentError, type Fault } from '../schema/faults.ts';
import { codeOf, fileTrouble } from '../schema/thrown.ts';
import { openRegular, readOpened } from '../files/regular-file.ts';

/** Bytes of a secret that the proxy makes, and the fewest it accepts. */
const SECRET_BYTES = 32;
const LARGEST_FILE = 64 * 1024;

export interface KeyRingOptions {
  /** Absolute path. */
  readonly file: string;
  /** Whether a missing file is made, with one random key. Not where several replicas must share one ring. */
  readonly create: boolean;
  /** That many random bytes. */
  readonly random?: (size: number) => Uint8Array;
  /** Milliseconds since 1970; part of a new key's id. */
  readonly wallNow?: () => number;
}

/**
 * Reads the key ring, or makes it. Rejects with DocumentError `secret_unreadable` (missing, no permission), `secret_exposed`
 * (readable by everybody) or `secret_invalid` (malformed); faults name the line.
 */
export async function openKeyRing(options: KeyRingOptions): Promise<KeyData[]> {
  const { file, create, random = randomBytes, wallNow = Date.now } = options;
  const existing = await readRing(file);
  if (existing !== null) return existing;
  if (!create) {
    throw refuse(
      'secret_unreadable',
      file,
      'there is no such file; copy the key ring that the other replicas use to this place',
    );
  }
  // The date makes ids tell their age; the random part keeps two rings' keys apart.
  const day = new Date(wallNow()).toISOString().slice(0, 10).replaceAll('-', '');
  const id = `k${day}-${Buffer.from(random(4)).toString('hex')}`;
  const secret = Buffer.from(random(SECRET_BYTES)).toString('base64url');
  await writeNew(
    file,
    `# Serin's key ring. Keep it secret; see docs/configuration.md for rotation.\n${id}:${secret}\n`,
  );
  const made = await readRing(file);
  if (made === null)
    throw refuse('secret_unreadable', file, 'it was removed while it was being made; start again');
  return made;
}

/** The ring, or null where there is no file. */
async function readRing(file: string): Promise<KeyData[] | null> {
  let opened;
  try {
    opened = await openRegular(file);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw refuse(
      'secret_unreadable',
      file,
      `${fileTrouble(error)}; let the user that runs the proxy read it`,
    );
  }
  try {
    // Of the opened file, not of the name: nobody can swap it in between.
    const { mode, size } = opened.stats;
    if ((mode & 0o004) !== 0) {
      const detail =
        'every user of this machine can read it; run `chmod 600` on it (in Kubernetes: defaultMode: 0400), and replace its keys if others had access';
      throw refuse('secret_exposed', file, detail);
    }
    if ((mode & 0o022) !== 0) {
      throw refuse('secret_exposed', file, 'other users of this machine can write it; run `chmod 600` on it');
    }
    if (size > LARGEST_FILE)
      throw refuse('secret_invalid', file, `it has ${size} bytes; expected at most ${LARGEST_FILE}`);
    return parseKeyRing((await readOpened(opened, LARGEST_FILE)).toString('latin1'), file);
  } catch (error) {
    if (error instanceof DocumentError) throw error;
    throw refuse('secret_unreadable', file, fileTrouble(error));
  } finally {
    await opened.handle.close();
  }
}

/** Reads the text of a key ring. `file` is for messages only. Throws DocumentError `secret_invalid`. */
export function parseKeyRing(text: string, file: string): KeyData[] {
  const keys: KeyData[] = [];
  const faults: Fault[] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const key = parseKey(line, keys);
    if (typeof key === 'string') faults.push({ pointer: '', detail: key, line: index + 1 });
    else keys.push(key);
  }
  if (faults.length === 0 && keys.length === 0) {
    const detail = 'it holds no key; expected a line such as k1:SECRET, or remove the file to have one made';
    faults.push({ pointer: '', detail });
  }
  if (faults.length > 0)
    throw new DocumentError('secret_invalid', `The key ring ${file} is not valid:`, faults);
  return keys;
}

function parseKey(line: string, before: readonly KeyData[]): KeyData | string {
  const [, id, text] = /^([A-Za-z0-9_-]{1,32}):([A-Za-z0-9_-]+)$/.exec(line) ?? [];
  if (id === undefined || text === undefined) {
    return 'expected id:secret, the id of 1 to 32 letters, digits, "-" and "_", the secret in base64url without "="';
  }
  const secret = Buffer.from(text, 'base64url');
  if (secret.toString('base64url') !== text)
    return `the secret of "${id}" is not base64url; a character is missing or too many`;
  if (secret.length < SECRET_BYTES) {
    return `the secret of "${id}" has ${secret.length} bytes; expected at least ${SECRET_BYTES} (\`openssl rand -base64 32 | tr +/ -_ | tr -d =\`)`;
  }
  if (before.some((key) => key.id === id)) return `the id "${id}" is there already; give each key its own`;
  if (before.some((key) => secret.equals(key.secret)))
    return `the secret of "${id}" is that of another key; remove one`;
  return { id, secret: new Uint8Array(secret) };
}

/** Writes a file that is not there yet, whole or not at all, readable by its owner only. */
async function writeNew(file: string, text: string): Promise<void> {
  const temporary = `${file}.${process.pid}.new`;
  try {
    await unlinkIfThere(temporary);
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      await handle.chmod(0o600);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await publish(temporary, file);
    await syncDirectory(path.dirname(file));
  } catch (error) {
    await unlinkIfThere(temporary).catch(() => undefined);
    throw refuse(
      'secret_unreadable',
      file,
      `it cannot be made: ${fileTrouble(error)}; let the user that runs the proxy write its directory, or set secretFile`,
    );
  }
}

/** Gives a finished file its name, but not where another process was first; its ring counts then. */
async function publish(temporary: string, file: string): Promise<void> {
  try {
    await link(temporary, file);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return unlink(temporary);
    // A file system without hard links. The store's lock keeps a second process away there.
    if (codeOf(error) !== 'EPERM' && codeOf(error) !== 'ENOTSUP' && codeOf(error) !== 'ENOSYS') throw error;
    if (
      await stat(file).then(
        () => true,
        () => false,
      )
    )
      return unlink(temporary);
    return rename(temporary, file);
  }
  return unlink(temporary);
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function unlinkIfThere(file: string): Promise<void> {
  try {
    await unlink(file);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

function refuse(code: string, file: string, detail: string): DocumentError {
  return new DocumentError(code, `The key ring ${file} cannot be used:`, [{ pointer: '', detail }]);
}
