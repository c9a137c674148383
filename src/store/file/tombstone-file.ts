/**
 * The tombstones that a replica knows, on its own disk, beside its store or its state: one line for each.
 *
 * It promises that a line is on the disk when `append` resolves, that a crash at any point leaves a file whose appended lines are
 * all read again, and that no line is read whose sum does not match: what a crash tore off is left out, and so is what was damaged,
 * for each line says something by itself. The first line is `serin-tombstones VERSION SUM`, every other one `SUM JSON`.
 */
import { hash } from 'node:crypto';
import path from 'node:path';
import type { Tombstone } from '../../contract/tombstone.ts';
import { replaceWhole } from '../../files/atomic-file.ts';
import { NODE_FILES, type StoreFile, type StoreFiles } from '../../files/file-system.ts';
import { isRecord, parsedJson } from '../../schema/json-value.ts';
import { fileTrouble, messageOf } from '../../schema/thrown.ts';
import { isRevision } from '../log-records.ts';
import { StoreError } from '../store.ts';

const VERSION = 1;
const MAGIC = 'serin-tombstones';
const SUM_LENGTH = 22;

/** No file of ours is nearly as large, in bytes. */
const LARGEST = 256 * 1024 * 1024;

export type TombstoneLine =
  | { readonly tombstone: Tombstone }
  /** The change is in the store at that revision; null: the store has lost it. */
  | { readonly change: string; readonly revision: number | null };

export interface TombstoneFile {
  /** All lines, oldest first; none where there is no file yet. Rejects with StoreError `foreign`, `newer` or `unreadable`. */
  read(): Promise<readonly TombstoneLine[]>;
  /**
   * On the disk when it resolves. Calls must not overlap, and none may come while `isBroken`. Rejects with StoreError `unavailable`;
   * then none of them counts.
   */
  append(lines: readonly TombstoneLine[]): Promise<void>;
  /** Puts these in the place of all that are there, whole or not at all. Rejects with StoreError, also `foreign` and `newer`. */
  replace(lines: readonly TombstoneLine[]): Promise<void>;
  /** There is no file, or its end is torn, damaged or unsure: what comes next must be `replace`. */
  readonly isBroken: boolean;
  /** Bytes of the file. */
  readonly size: number;
  close(): Promise<void>;
}

export interface TombstoneFileOptions {
  readonly file: string;
  /** Told of lines that cannot be read. */
  readonly warn: (message: string) => void;
  readonly files?: StoreFiles;
}

export function createTombstoneFile({ file, warn, files = NODE_FILES }: TombstoneFileOptions): TombstoneFile {
  return new LineFile(file, warn, files);
}

class LineFile implements TombstoneFile {
  readonly #name: string;
  readonly #warn: (message: string) => void;
  readonly #files: StoreFiles;
  #open: StoreFile | null = null;
  #size = 0;
  #isBroken = true;
  /** Why nothing may be written: the file is somebody else's. */
  #refusal: StoreError | null = null;

  constructor(name: string, warn: (message: string) => void, files: StoreFiles) {
    this.#name = name;
    this.#warn = warn;
    this.#files = files;
  }

  get size(): number {
    return this.#size;
  }

  get isBroken(): boolean {
    return this.#isBroken;
  }

  async read(): Promise<readonly TombstoneLine[]> {
    let bytes: Buffer;
    try {
      const open = await this.#files.open(this.#name);
      if (open === null) return [];
      this.#open = open;
      const size = await open.size();
      if (size > LARGEST) throw new Error(`it has ${size} bytes`);
      const whole = Buffer.alloc(size);
      bytes = whole.subarray(0, await open.read(whole, 0));
    } catch (error) {
      throw new StoreError(
        'unreadable',
        `The tombstones in ${this.#name} cannot be read: ${fileTrouble(error)}. Let the user that runs the proxy read and write it.`,
        { cause: error },
      );
    }
    return bytes.length === 0 ? [] : this.#decode(bytes);
  }

  #decode(bytes: Buffer): readonly TombstoneLine[] {
    const [first = '', ...rest] = bytes.toString('utf8').split('\n');
    const [, version] = /^serin-tombstones ([1-9][0-9]{0,8}) [A-Za-z0-9_-]{22}$/.exec(first) ?? [];
    const isWhole = version !== undefined && first === header(Number(version));
    if (!first.startsWith(`${MAGIC} `)) throw this.#refuse('foreign', 'was not written by Serin');
    if (isWhole && Number(version) > VERSION)
      throw this.#refuse('newer', `was written by a newer version of Serin (format ${version})`);
    // What comes after the last line end is what a crash tore off, or nothing.
    const torn = rest.pop() ?? '';
    const lines = rest.map(decodeLine);
    const damaged = lines.filter((one) => one === null).length + (isWhole ? 0 : 1);
    if (damaged > 0)
      this.#warn(`${this.#name} has ${damaged} damaged lines; the tombstones in the other lines count.`);
    this.#size = bytes.length;
    this.#isBroken = damaged > 0 || torn !== '';
    return lines.filter((one) => one !== null);
  }

  #refuse(code: 'foreign' | 'newer', why: string): StoreError {
    this.#refusal = new StoreError(
      code,
      `The file ${this.#name} ${why}, and is left alone: rollbacks cannot be kept on this disk. Move it away, or use the version that wrote it.`,
    );
    return this.#refusal;
  }

  async append(lines: readonly TombstoneLine[]): Promise<void> {
    if (this.#open === null || this.#isBroken)
      throw new Error('A broken file of tombstones is not appended to.');
    const bytes = Buffer.from(lines.map(encodeLine).join(''));
    this.#isBroken = true;
    try {
      await this.#open.write(bytes, this.#size);
      await this.#open.sync();
    } catch (error) {
      throw this.#unavailable(error);
    }
    this.#isBroken = false;
    this.#size += bytes.length;
  }

  async replace(lines: readonly TombstoneLine[]): Promise<void> {
    if (this.#refusal !== null) throw this.#refusal;
    const bytes = Buffer.from(`${header(VERSION)}\n${lines.map(encodeLine).join('')}`);
    this.#isBroken = true;
    try {
      await this.#files.makeDirectory(path.dirname(this.#name));
      const fresh = await replaceWhole(this.#files, this.#name, (one) => one.write(bytes, 0));
      await this.#open?.close().catch(() => {});
      this.#open = fresh;
    } catch (error) {
      throw this.#unavailable(error);
    }
    this.#isBroken = false;
    this.#size = bytes.length;
  }

  #unavailable(error: unknown): StoreError {
    const message = `The tombstones in ${this.#name} cannot be written: ${messageOf(error)}. Let the user that runs the proxy write its directory, and give it space.`;
    return new StoreError('unavailable', message, { cause: error });
  }

  async close(): Promise<void> {
    await this.#open?.close();
    this.#open = null;
    this.#isBroken = true;
  }
}

function header(version: number): string {
  const text = `${MAGIC} ${version}`;
  return `${text} ${sumOf(text)}`;
}

function sumOf(text: string): string {
  return hash('sha256', text, 'base64url').slice(0, SUM_LENGTH);
}

function encodeLine(line: TombstoneLine): string {
  const json = JSON.stringify(line);
  return `${sumOf(json)} ${json}\n`;
}

/** Null where it is damaged, or says something that this version does not know. */
function decodeLine(text: string): TombstoneLine | null {
  const json = text.slice(SUM_LENGTH + 1);
  if (text !== `${sumOf(json)} ${json}`) return null;
  const value = parsedJson(json);
  if (!isRecord(value)) return null;
  const { tombstone, change, revision } = value;
  if (isTombstone(tombstone)) return { tombstone };
  return typeof change === 'string' && (revision === null || isRevision(revision))
    ? { change, revision }
    : null;
}

export function isTombstone(value: unknown): value is Tombstone {
  return (
    isRecord(value) &&
    ['service', 'rolloutId', 'at', 'actor', 'changeId'].every((name) => typeof value[name] === 'string') &&
    ['reason', 'requestId'].every((name) => value[name] === null || typeof value[name] === 'string')
  );
}
