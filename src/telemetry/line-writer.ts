/**
 * Writes log lines to a file descriptor, from any thread, without holding up the caller.
 *
 * A worker's `process.stdout` goes through the main thread; this writes to the descriptor itself. What waits is bounded:
 * when the destination is slow or gone, new lines are dropped and counted; they never queue without end, and the caller
 * never waits. Lines of several threads do not mix: a write to a pipe is at most PIPE_BUF bytes and ends with a line.
 */
import { closeSync, constants, fstatSync, openSync, write, writeSync } from 'node:fs';
import { after, guarded, soon } from '../runtime/guard.ts';

/** Writes of this many bytes to a pipe are not torn apart (PIPE_BUF of Linux). A longer line is written alone. */
const ATOMIC_WRITE = 4096;
/** The most bytes of one write to anything but a pipe. */
const LARGE_WRITE = 65_536;

const NEWLINE = 0x0a;

/** How long, in ms, a full pipe is left alone, and an output that failed. */
const FULL_DELAY = 20;
const FAILURE_DELAY = 1000;

/** Where lines go. */
export interface Output {
  readonly fd: number;
  /**
   * `nonBlocking`: a write returns at once, with EAGAIN when the reader is slow. `file`: a write takes as long as the
   * page cache does. `blocking`: a write may take for ever, so it is left to the thread pool.
   */
  readonly kind: 'nonBlocking' | 'file' | 'blocking';
}

/**
 * Opens a destination: a descriptor (1 is standard output), or the path of a file, which is appended to.
 * Throws the system's error when it cannot be opened.
 *
 * A pipe or terminal is opened a second time, so that it is non-blocking here and nowhere else. Where the system refuses
 * that (sockets, as under systemd), the descriptor itself is used, by way of the thread pool.
 */
export function openOutput(destination: number | string): Output {
  if (typeof destination === 'string') return { fd: openSync(destination, 'a'), kind: 'file' };
  const stat = fstatSync(destination);
  // Not opened again: with an offset of its own it would write over what others write.
  if (stat.isFile()) return { fd: destination, kind: 'file' };
  if (stat.isFIFO() || stat.isCharacterDevice()) {
    try {
      const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
      return { fd: openSync(`/proc/self/fd/${destination}`, flags), kind: 'nonBlocking' };
    } catch {
      // Not Linux, or the pipe belongs to another user.
    }
  }
  return { fd: destination, kind: 'blocking' };
}

/** Closes what `openOutput` opened; the descriptor it was given stays open. */
export function closeOutput(output: Output, destination: number | string): void {
  if (output.fd !== destination) closeSync(output.fd);
}

/** The system calls and timers of a writer; tests put their own in their place. */
export interface WriterSystem {
  readonly write: (fd: number, bytes: Buffer, done: (error: Error | null, written: number) => void) => void;
  readonly writeSync: (fd: number, bytes: Buffer) => number;
  readonly soon: (run: () => void) => void;
  readonly later: (run: () => void, ms: number) => void;
}

const SYSTEM: WriterSystem = {
  write: (fd, bytes, done) => {
    write(fd, bytes, done);
  },
  writeSync: (fd, bytes) => writeSync(fd, bytes),
  soon: (run) => {
    soon(guarded('writing lines', run));
  },
  // Nobody waits for a log before leaving.
  later: (run, ms) => {
    after(ms, guarded('writing lines', run)).unref();
  },
};

export interface LineWriterOptions {
  readonly output: Output;
  /** The most bytes that may wait. */
  readonly limit: number;
  /**
   * true: each line is written at once where that cannot block, so that a crash loses none.
   * false: the lines of one turn of the event loop are written together.
   */
  readonly immediate: boolean;
  /** Told how many lines were just dropped. */
  readonly onDropped?: (lines: number) => void;
  readonly system?: WriterSystem;
}

export class LineWriter {
  readonly #output: Output;
  readonly #limit: number;
  readonly #immediate: boolean;
  readonly #sync: boolean;
  readonly #onDropped: (lines: number) => void;
  readonly #system: WriterSystem;
  #lines: string[] = [];
  /** The size of the lines that wait and of the chunk that is being written. */
  #bytes = 0;
  #chunk: Buffer | null = null;
  #chunkLines = 0;
  /** The last byte that is out ends no line; if the rest gets lost, the next chunk starts on a new line. */
  #torn = false;
  /** A write or a timer is under way and will go on with what waits. */
  #busy = false;
  #flushed: (() => void)[] = [];
  readonly #pump = (): void => {
    this.#busy = false;
    this.#writeOn();
  };

  constructor({ output, limit, immediate, onDropped = () => {}, system = SYSTEM }: LineWriterOptions) {
    this.#output = output;
    this.#limit = limit;
    this.#immediate = immediate;
    this.#sync = output.kind === 'nonBlocking' || (output.kind === 'file' && immediate);
    this.#onDropped = onDropped;
    this.#system = system;
  }

  /** Takes a line, its newline included. False: there was no room, the line is dropped and counted. */
  write(line: string): boolean {
    const size = Buffer.byteLength(line);
    if (this.#bytes + size > this.#limit) {
      this.#onDropped(1);
      return false;
    }
    this.#lines.push(line);
    this.#bytes += size;
    if (this.#busy) return true;
    if (this.#immediate) {
      this.#writeOn();
    } else {
      this.#busy = true;
      this.#system.soon(this.#pump);
    }
    return true;
  }

  /** Calls back when all lines taken so far, and those that come meanwhile, are out or dropped. */
  flush(done: () => void): void {
    if (this.#bytes === 0) done();
    else this.#flushed.push(done);
  }

  /** Writes what it can at once, for a process about to end. Stops where the output is full. */
  flushSync(): void {
    // A chunk handed to the thread pool is out already, or will be.
    if (this.#busy && !this.#sync && this.#chunk !== null) return;
    try {
      while (this.#nextChunk()) this.#written(this.#system.writeSync(this.#output.fd, this.#chunk!));
    } catch {
      // The process ends; there is nowhere to tell.
    }
  }

  #writeOn(): void {
    while (this.#nextChunk()) {
      if (!this.#sync) {
        this.#busy = true;
        this.#system.write(this.#output.fd, this.#chunk!, (error, written) => {
          this.#busy = false;
          if (error !== null) {
            this.#failed(error);
            return;
          }
          this.#written(written);
          this.#writeOn();
        });
        return;
      }
      try {
        this.#written(this.#system.writeSync(this.#output.fd, this.#chunk!));
      } catch (error) {
        this.#failed(error as NodeJS.ErrnoException);
        return;
      }
    }
    this.#settle();
  }

  /** Makes the next chunk, of whole lines, unless there is one under way. False: nothing waits. */
  #nextChunk(): boolean {
    if (this.#chunk !== null) return true;
    if (this.#lines.length === 0) return false;
    const most = this.#output.kind === 'file' ? LARGE_WRITE : ATOMIC_WRITE;
    let size = this.#torn ? 1 : 0;
    let count = 0;
    for (const line of this.#lines) {
      size += Buffer.byteLength(line);
      if (count > 0 && size > most) break;
      count++;
    }
    const text = this.#lines.splice(0, count).join('');
    this.#chunk = Buffer.from(this.#torn ? `\n${text}` : text);
    if (this.#torn) this.#bytes++;
    this.#chunkLines = count;
    return true;
  }

  #written(count: number): void {
    const chunk = this.#chunk!;
    this.#bytes -= count;
    if (count > 0) this.#torn = chunk[count - 1] !== NEWLINE;
    this.#chunk = count < chunk.length ? chunk.subarray(count) : null;
  }

  #failed(error: NodeJS.ErrnoException): void {
    const full = error.code === 'EAGAIN';
    if (!full) {
      this.#bytes -= this.#chunk!.length;
      this.#chunk = null;
      this.#onDropped(this.#chunkLines);
    }
    if (this.#bytes === 0) {
      this.#settle();
      return;
    }
    this.#busy = true;
    this.#system.later(this.#pump, full ? FULL_DELAY : FAILURE_DELAY);
  }

  #settle(): void {
    const waiting = this.#flushed;
    this.#flushed = [];
    for (const done of waiting) done();
  }
}
