/**
 * What the data path writes to a connection through, and where what arrives comes out: the shortest way between a plain TCP
 * socket and the request path, and the ordinary way for every other stream.
 *
 * Two things make it short. A write of a Node.js socket makes a request object, a closure and a tick, although the kernel nearly
 * always takes all of it at once; a writer hands the bytes to the socket's handle itself, and gives a request object away only when the
 * kernel took a part. And small writes wait for the end of the loop's turn, when those of all connections go out one after
 * another: what is written to one connection in a turn is one system call, and the peers are woken once instead of once for each write.
 *
 * Promises: bytes leave in the order of the calls, whichever way each went; no byte of the shared read buffer is held after a call;
 * a write that fails destroys its socket with the system's error, as a socket's own would, unless its owner wants to read on. Whether the connection ends in
 * order or is cut remains the socket's business; whoever ends it calls `flush` first.
 *
 * This leans on `process.binding`, `_handle` and the handle's methods, which Node.js does not document; the runtime's version is
 * pinned. Where one of them is missing, `binding` is null and all goes through the socket. The gain is measured
 * in the decision records.
 */
import type { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { giveOwnBuffer, isOwnBuffer, keepable, readBuffer, takeOwnBuffer } from './read-buffer.ts';
import { guarded, soon } from '../runtime/guard.ts';

/** Up to this size bytes go out as part of a string: it costs no buffer. */
const STRING_LIMIT = 8 * 1024;

/** Who owns a writer. */
export interface SocketWriterOwner {
  /** `bytes[0..length)` arrived; they are valid only during the call. */
  received(bytes: Buffer, length: number): void;
  /** Not all that was written has left: write no more until `drained`. */
  stalled(): void;
  /** All that was written has left. */
  drained(): void;
  /**
   * The other end takes nothing any more. True: what it sent before is still of interest, so that the connection is read to its end
   * and what is written is dropped from now on; false: the socket is destroyed.
   */
  writeFailed(): boolean;
}

/** What Node.js reports of the last call on any stream of this thread. */
interface StreamBinding {
  readonly WriteWrap: new () => WriteRequest;
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kLastWriteWasAsync: number;
}

/** A write that the kernel took a part of. */
interface WriteRequest {
  writer?: SocketWriter;
  /** Keeps the bytes alive. */
  buffer?: Buffer;
  oncomplete?: (this: WriteRequest, status: number) => void;
}

/** The handle of a plain TCP connection. */
interface Handle {
  onread: (this: Handle, bytes: ArrayBuffer | undefined) => Buffer | undefined;
  writer?: SocketWriter;
  forwardRead?: Handle['onread'];
  readonly writeQueueSize?: number;
  writeLatin1String(request: WriteRequest, text: string): number | undefined;
  writeBuffer(request: WriteRequest, bytes: Buffer): number | undefined;
}

const binding = streamBinding();
const state = binding?.streamBaseState ?? new Int32Array(8);
const AT_READ = binding?.kReadBytesOrError ?? 0;
const AT_ASYNC = binding?.kLastWriteWasAsync ?? 0;

/** Given along with every write until one needs it. */
let spare: WriteRequest = binding === null ? {} : new binding.WriteWrap();

/** What parts of the shared read buffer are copied to: those that are too large for a string, with a head before them. */
const SCRATCH_SIZE = 80 * 1024;
let scratch: Buffer = Buffer.allocUnsafeSlow(SCRATCH_SIZE);

/**
 * Writers with something to write at the end of this turn: the first `waitingCount`. Neither array is ever shortened, and they take turns,
 * because a writer that stalls may have others written to while its list is gone through.
 */
let waiting: SocketWriter[] = [];
let flushing: SocketWriter[] = [];
let waitingCount = 0;

/**
 * With few connections at work there is nobody to go out together with, and a turn's end costs more than it brings: so many reads
 * in a row are answered as soon as they were handled, before it is looked again whether there is more to do.
 */
const READS_ALONE = 32;
/** Up to this number of connections in a turn count as few. */
const FEW = 2;
/** How many of those reads are left; 0: everything waits for the end of the turn. */
let readsAlone = 0;
let handlingRead = false;

function streamBinding(): StreamBinding | null {
  const { binding: open } = process as unknown as { binding?: (name: string) => Partial<StreamBinding> };
  try {
    const found = open?.('stream_wrap');
    const whole =
      found?.streamBaseState instanceof Int32Array &&
      typeof found.WriteWrap === 'function' &&
      typeof found.kReadBytesOrError === 'number' &&
      typeof found.kLastWriteWasAsync === 'number';
    return whole ? (found as StreamBinding) : null;
  } catch {
    return null;
  }
}

export class SocketWriter {
  readonly socket: Socket;
  readonly #owner: SocketWriterOwner;
  #handle: Handle | null = null;
  /** Writes of our own that the kernel has not taken whole. */
  #pending = 0;
  /** What waits for the end of the turn. */
  #text = '';
  /** What the handle reads into, and what it will read into after this read. */
  #reading: Buffer = readBuffer;
  #next: Buffer = readBuffer;
  #inUse = false;
  /** Something went by way of the socket, which may still hold it. */
  #viaSocket = false;
  /** Stands in `waiting`. */
  #queued = false;
  #corked = false;
  /** A write failed, and the owner reads on. */
  #broken = false;

  constructor(socket: Socket, owner: SocketWriterOwner) {
    this.socket = socket;
    this.#owner = owner;
    socket.on('drain', () => owner.drained());
  }

  /** Takes the short way. Only for a connected plain TCP socket that reads into the shared buffer. */
  attach(): void {
    const handle = (this.socket as unknown as { _handle: Handle | null })._handle;
    if (binding === null || handle === null || typeof handle.writeLatin1String !== 'function') return;
    this.#handle = handle;
    handle.writer = this;
    handle.forwardRead = handle.onread;
    handle.onread = onRead;
  }

  /** True while something that was written has not left, apart from what waits for the end of the turn. */
  get blocked(): boolean {
    return this.#pending > 0 || this.socket.writableNeedDrain;
  }

  /** Bytes of what was written that this process still holds. */
  get heldBytes(): number {
    return this.#text.length + Math.max(this.#handle?.writeQueueSize ?? 0, this.socket.writableLength);
  }

  /** Writes latin1 text at the end of the turn. */
  write(text: string): void {
    if (this.#handle === null) {
      this.#writeSocket(text);
      return;
    }
    this.#text = this.#text === '' ? text : this.#text + text;
    if (!this.#queued) this.#queue();
  }

  /**
   * Writes bytes. Those of the shared read buffer are copied; those of this or another writer's own buffer are written as they
   * stand, so after `stalled` they must not be read over until `drained`; others must stay as they are until they have left.
   */
  writeBytes(bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    if (length + this.#text.length <= STRING_LIMIT) {
      if (length > 0) this.write(bytes.latin1Slice(start, end));
      return;
    }
    if (this.#handle === null || (this.#viaSocket && this.socket.writableLength !== 0)) {
      this.flush();
      this.#writeSocket(keepable(bytes, start, end));
    } else if (bytes === readBuffer) {
      this.#writeCopy(start, end);
    } else {
      this.flush();
      this.#writeBuffer(bytes.subarray(start, end));
    }
  }

  /** Writes what waits and a part of the shared read buffer by way of a buffer that is used again unless the kernel takes less. */
  #writeCopy(start: number, end: number): void {
    const text = this.#text;
    this.#text = '';
    const size = text.length + end - start;
    const room = size <= scratch.length ? scratch : Buffer.allocUnsafeSlow(size);
    if (text !== '') room.write(text, 0, 'latin1');
    readBuffer.copy(room, text.length, start, end);
    if (this.#writeBuffer(room.subarray(0, size)) && room === scratch)
      scratch = Buffer.allocUnsafeSlow(SCRATCH_SIZE);
  }

  /** Writes what waits now. Nothing happens where nothing waits. */
  flush(): void {
    const text = this.#text;
    if (text === '') {
      if (this.#corked) this.#uncork();
      return;
    }
    this.#text = '';
    const handle = this.#handle;
    const { socket } = this;
    if (handle === null || this.#broken || !isOpen(socket, handle)) return;
    // What the socket itself still holds goes first.
    if (this.#viaSocket && socket.writableLength !== 0) {
      if (!socket.write(text, 'latin1')) this.#owner.stalled();
      return;
    }
    const error = handle.writeLatin1String(spare, text);
    if (error !== 0 || state[AT_ASYNC] !== 0) this.#unfinished(error, undefined);
  }

  #uncork(): void {
    this.#corked = false;
    this.socket.uncork();
  }

  #queue(): void {
    this.#queued = true;
    if (waitingCount === 0 && !(handlingRead && readsAlone > 0)) soon(endOfTurn);
    waiting[waitingCount] = this;
    waitingCount += 1;
  }

  turnEnded(): void {
    this.#queued = false;
    this.flush();
  }

  #writeSocket(data: string | Buffer): void {
    const { socket } = this;
    this.#viaSocket = true;
    if (!this.#corked) {
      // What is written in one turn goes out together.
      this.#corked = true;
      socket.cork();
      if (!this.#queued) this.#queue();
    }
    const taken = typeof data === 'string' ? socket.write(data, 'latin1') : socket.write(data);
    if (!taken) this.#owner.stalled();
  }

  /** Hands bytes to the handle. True when they are still in use. */
  #writeBuffer(bytes: Buffer): boolean {
    const handle = this.#handle!;
    if (this.#broken || !isOpen(this.socket, handle)) return false;
    const error = handle.writeBuffer(spare, bytes);
    if (error === 0 && state[AT_ASYNC] === 0) return false;
    this.#unfinished(error, bytes);
    return true;
  }

  /** The last write failed, or the kernel took a part of it. */
  #unfinished(error: number | undefined, bytes: Buffer | undefined): void {
    if (error !== 0) {
      this.#fail(error);
      return;
    }
    const request = spare;
    spare = new binding!.WriteWrap();
    request.writer = this;
    request.oncomplete = onWritten;
    if (bytes !== undefined) request.buffer = bytes;
    this.#pending += 1;
    this.#owner.stalled();
  }

  /** A handle without a connection gives no error number at all. */
  #fail(error: number | undefined): void {
    if (this.#broken) return;
    if (this.#owner.writeFailed()) {
      this.#broken = true;
      return;
    }
    const code = error === undefined || error > 0 ? 'EBADF' : getSystemErrorName(error);
    this.socket.destroy(Object.assign(new Error(`write ${code}`), { code, syscall: 'write' }));
  }

  written(status: number): void {
    this.#pending -= 1;
    if (this.socket.destroyed) return;
    if (status < 0) this.#fail(status);
    // What is dropped holds nobody up.
    if (status < 0 && !this.#broken) return;
    if (this.#pending === 0) this.#owner.drained();
  }

  /** A long body follows: from the next read on, its bytes come in a buffer of its own. */
  readLong(): void {
    if (this.#handle !== null && this.#next === readBuffer) this.#next = takeOwnBuffer();
  }

  /** The long body is over. `inUse`: some of its bytes have not left. */
  readShort(inUse: boolean): void {
    if (this.#next === readBuffer) return;
    this.#next = readBuffer;
    this.#inUse = inUse;
  }

  /** That much was read. Returns the buffer for the next read where it is another one. */
  received(length: number): Buffer | undefined {
    const buffer = this.#reading;
    this.#owner.received(buffer, length);
    const next = this.#next;
    if (next === buffer) return undefined;
    this.#reading = next;
    if (isOwnBuffer(buffer) && !this.#inUse) giveOwnBuffer(buffer);
    return next;
  }
}

/** A socket that was destroyed has no handle. Cheaper than asking the stream. */
function isOpen(socket: Socket, handle: Handle): boolean {
  return (socket as unknown as { _handle: Handle | null })._handle === handle;
}

const endOfTurn = guarded('writing', endTurn);

function endTurn(): void {
  readsAlone = waitingCount > FEW ? 0 : READS_ALONE;
  flushAll();
}

function flushAll(): void {
  const list = waiting;
  const count = waitingCount;
  waiting = flushing;
  flushing = list;
  waitingCount = 0;
  for (let index = 0; index < count; index += 1) list[index]!.turnEnded();
}

function onWritten(this: WriteRequest, status: number): void {
  this.writer?.written(status);
}

function onRead(this: Handle, bytes: ArrayBuffer | undefined): Buffer | undefined {
  const length = state[AT_READ]!;
  const { writer } = this;
  if (length > 0 && writer !== undefined && isOpen(writer.socket, this)) {
    handlingRead = true;
    const next = writer.received(length);
    handlingRead = false;
    if (readsAlone > 0) {
      readsAlone -= 1;
      if (waitingCount > 0) flushAll();
    }
    return next;
  }
  // The end of the stream, or an error: the socket knows what to do.
  return this.forwardRead?.call(this, bytes);
}
