/**
 * A file that lines are appended to, each with its sum.
 *
 * It promises that a line is on the disk when `append` resolves, that lines which arrive while the disk is busy are written
 * together, that a line which a crash cut off or damaged is left out while all others are read, and that a file of another program
 * is refused rather than written over. The file is for its owner only.
 *
 * It is one line `NAME VERSION`, then lines of the length of the text in bytes, its CRC-32 (each 8 hexadecimal digits) and the
 * text. A text has no line break.
 */
import path from 'node:path';
import { crc32 } from 'node:zlib';
import type { StoreFile, StoreFiles } from '../../files/file-system.ts';
import { fileTrouble, messageOf } from '../../schema/thrown.ts';
import { StoreError } from '../store.ts';

const VERSION = 1;
const HEADER = /^(serin-[a-z]+) ([1-9][0-9]{0,8})$/;
/** `LLLLLLLL CCCCCCCC `. */
const HEAD_SIZE = 18;
const HEAD = /^([0-9a-f]{8}) ([0-9a-f]{8}) $/;

/** No log of ours is half as large, in bytes. */
const LARGEST = 1024 * 1024 * 1024;

export interface LineLog {
  /**
   * Opens the file, which is made where it is missing, and reads its lines, oldest first; it must come first. `damaged` counts the
   * lines that were left out. Rejects with StoreError `foreign`, `newer` or `unreadable`.
   */
  open(): Promise<{ readonly lines: readonly string[]; readonly damaged: number }>;
  /** On the disk when it resolves. Rejects with StoreError `unavailable`; then they are not. */
  append(lines: readonly string[]): Promise<void>;
  /** Takes all lines out, but for those that are being appended. Rejects with StoreError `unavailable`. */
  clear(): Promise<void>;
  /** Lets what is under way end. */
  close(): Promise<void>;
}

export interface LineLogOptions {
  readonly file: string;
  readonly files: StoreFiles;
  /** `serin-` and a word. */
  readonly name: string;
}

interface Waiting {
  readonly lines: readonly string[];
  readonly resolve: () => void;
  readonly reject: (error: StoreError) => void;
}

export function createLineLog({ file, files, name }: LineLogOptions): LineLog {
  const header = Buffer.from(`${name} ${VERSION}\n`);
  let handle: StoreFile | null = null;
  /** Where the next line goes. */
  let end = 0;
  let waiting: Waiting[] = [];
  let writing: Promise<void> | null = null;
  /** One thing after another. */
  let last: Promise<unknown> = Promise.resolve();

  const exclusively = <T>(run: () => Promise<T>): Promise<T> => {
    const result = last.then(run);
    last = result.catch(() => {});
    return result;
  };

  const unavailable = (error: unknown): StoreError =>
    new StoreError('unavailable', `The file ${file} cannot be written: ${messageOf(error)}.`, {
      cause: error,
    });

  async function make(): Promise<StoreFile> {
    await files.makeDirectory(path.dirname(file));
    const made = await files.create(file);
    try {
      await made.write(header, 0);
      await made.sync();
      await files.syncDirectory(path.dirname(file));
      return made;
    } catch (error) {
      await made.close();
      throw error;
    }
  }

  async function open(): Promise<{ readonly lines: readonly string[]; readonly damaged: number }> {
    let bytes: Buffer | null;
    try {
      handle = await files.open(file);
      bytes = handle === null ? null : await contents(handle);
      // A crash right after it was made.
      if (bytes !== null && bytes.length < header.length && header.subarray(0, bytes.length).equals(bytes)) {
        await handle?.close();
        bytes = null;
      }
      if (bytes === null) {
        handle = await make();
        end = header.length;
        return { lines: [], damaged: 0 };
      }
    } catch (error) {
      await forget();
      throw new StoreError('unreadable', `The file ${file} cannot be used: ${fileTrouble(error)}.`, {
        cause: error,
      });
    }
    const refusal = refusalOf(bytes);
    if (refusal !== null) {
      await forget();
      throw refusal;
    }
    const { lines, damaged, size } = readLines(bytes, header.length);
    end = size;
    return { lines, damaged };
  }

  function refusalOf(bytes: Buffer): StoreError | null {
    const first = bytes.subarray(0, Math.max(0, Math.min(bytes.indexOf(0x0a), 100))).toString('latin1');
    const [, found, version] = HEADER.exec(first) ?? [];
    if (found !== name)
      return new StoreError('foreign', `The file ${file} is none of this kind (${name}). Move it away.`);
    if (Number(version) === VERSION) return null;
    const message = `The file ${file} was written by a newer version of Serin (format ${version}, this version reads up to ${VERSION}). Use that version, or remove the file.`;
    return new StoreError('newer', message);
  }

  async function forget(): Promise<void> {
    await handle?.close().catch(() => {});
    handle = null;
  }

  async function writeWaiting(): Promise<void> {
    while (waiting.length > 0) {
      await exclusively(async () => {
        const batch = waiting;
        waiting = [];
        try {
          if (handle === null) throw new Error('it is not open');
          const bytes = Buffer.concat(batch.flatMap(({ lines }) => lines.map(encodeLine)));
          // What a write that failed left behind `end` is written over, or read as a damaged line.
          await handle.write(bytes, end);
          await handle.sync();
          end += bytes.length;
        } catch (error) {
          for (const one of batch) one.reject(unavailable(error));
          return;
        }
        for (const one of batch) one.resolve();
      });
    }
    writing = null;
  }

  return {
    open: () => exclusively(open),
    append(lines) {
      if (lines.length === 0) return Promise.resolve();
      return new Promise<void>((resolve, reject) => {
        waiting.push({ lines, resolve, reject });
        writing ??= writeWaiting();
      });
    },
    clear: () =>
      exclusively(async () => {
        try {
          if (handle === null) throw new Error('it is not open');
          await handle.truncate(header.length);
          end = header.length;
        } catch (error) {
          throw unavailable(error);
        }
      }),
    async close() {
      await writing;
      await exclusively(forget);
    },
  };
}

function encodeLine(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from(`${hex(bytes.length)} ${hex(crc32(bytes))} `), bytes, LINE_END]);
}

const LINE_END = Buffer.from('\n');

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}

async function contents(handle: StoreFile): Promise<Buffer> {
  const size = await handle.size();
  if (size > LARGEST) throw new Error(`it has ${size} bytes; expected ${LARGEST} at most`);
  const bytes = Buffer.alloc(size);
  return bytes.subarray(0, await handle.read(bytes, 0));
}

/** `size`: where the last whole line ends. */
function readLines(
  bytes: Buffer,
  from: number,
): { readonly lines: string[]; readonly damaged: number; readonly size: number } {
  const lines: string[] = [];
  let size = from;
  let damaged = 0;
  for (let at = from; at < bytes.length;) {
    const found = bytes.indexOf(0x0a, at);
    const next = found === -1 ? bytes.length : found + 1;
    const [, length, sum] = HEAD.exec(bytes.subarray(at, at + HEAD_SIZE).toString('latin1')) ?? [];
    const text = bytes.subarray(at + HEAD_SIZE, next - 1);
    const whole = found !== -1 && length === hex(text.length) && sum === hex(crc32(text));
    if (whole) {
      lines.push(text.toString('utf8'));
      size = next;
    } else damaged += 1;
    at = next;
  }
  return { lines, damaged, size };
}
