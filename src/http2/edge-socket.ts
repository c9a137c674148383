/**
 * What a stream of HTTP/2 looks like to code that is made for sockets: it takes written HTTP/1.1, and tells of its end as a
 * socket does ('drain', 'finish', 'error', 'close'). What is read is handed over by a call, as sockets of the proxy do.
 *
 * A write is done, and its bytes may be reused, when HTTP/2 has sent them; until then at most the high-water mark waits.
 */
import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import type { Http2Stream } from 'node:http2';

/** `code` of the error with which a stream ends that nobody has processed: it may be sent again, whatever it was. */
export const STREAM_REFUSED = 'STREAM_REFUSED';

/** Bytes that may wait in a stream's socket before its writer is told to wait. */
const HIGH_WATER = 16 * 1024;

export abstract class EdgeSocket extends Writable {
  /** Bytes that the message which is read now declares although it goes in chunks; -1 where it does not. */
  declared = -1;
  /** The same of the message that is written next. */
  toDeclare = -1;
  /** Nobody reads while it is set. */
  protected paused = false;
  /** The stream that it stands for now. */
  protected abstract get stream(): Http2Stream | null;

  constructor() {
    super({ highWaterMark: HIGH_WATER });
  }

  pause(): this {
    this.paused = true;
    this.stream?.pause();
    return this;
  }

  resume(): this {
    this.paused = false;
    this.stream?.resume();
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  /** One stream's wait for its reader is bounded by whoever holds it, and by its session. */
  setTimeout(): this {
    return this;
  }

  destroySoon(): void {
    if (!this.writableEnded) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  resetAndDestroy(): this {
    return this.destroy();
  }

  /** Under the type that the holders of sockets know; only what is above and `Writable` has may be used of it. */
  asSocket(): Socket {
    return this as unknown as Socket;
  }

  override _writev(written: { chunk: Buffer; encoding: BufferEncoding }[], done: () => void): void {
    // In one piece, so that it goes out in as few frames as it can.
    this._write(Buffer.concat(written.map(({ chunk }) => chunk)), 'latin1', done);
  }

  /** Sends pieces of data; `done` is called when they are out, or will never be. */
  protected send(stream: Http2Stream, pieces: readonly Buffer[], last: boolean, done: () => void): void {
    const [first] = pieces;
    if (first === undefined) done();
    else stream.write(pieces.length === 1 ? first : Buffer.concat(pieces), () => done());
    // In the same turn, so that the last frame of data is the end of the stream.
    if (last) stream.end();
  }
}

/**
 * Resets a stream. `close` alone would first end what has begun and is not complete, as if it were: the other side could take a
 * part for the whole.
 */
export function reset(stream: Http2Stream, code: number): void {
  if (stream.closed) return;
  if (!stream.writableEnded) stream.end = () => stream;
  stream.close(code);
}
