/**
 * One connection to an endpoint: a raw socket, who is using it, and nothing about HTTP.
 *
 * Promise: every byte goes to the handler that holds the connection; a byte (or a close) while nobody holds it
 * destroys it, because an answer without a question can only poison the next request. The bytes given to the handler
 * are valid only during the call: they live in a buffer shared by all connections of the worker, and a handler
 * that keeps or writes them later must copy them first.
 */
import { connect, type Socket } from 'node:net';
import type { Endpoint } from './endpoint.ts';
import { guardedLookup } from './guarded-lookup.ts';
import { readBuffer } from './read-buffer.ts';

/** Who holds a connection. Calls never overlap; after `upstreamClosed` no other call comes. */
export interface UpstreamHandler {
  upstreamConnected(): void;
  /** `bytes[start..end)` arrived; copy what must outlive the call. */
  upstreamBytes(bytes: Buffer, start: number, end: number): void;
  /** The write buffer is empty again. */
  upstreamDrained(): void;
  /** The endpoint finished sending (FIN); it may still read. */
  upstreamEnded(): void;
  upstreamClosed(error: NodeJS.ErrnoException | null): void;
}

/** How long an endpoint may read nothing of the last bytes that it is sent, in ms. */
const UNREAD_TIME = 30_000;

const lookup = guardedLookup();

export class UpstreamConnection {
  readonly socket: Socket;
  readonly endpoint: Endpoint;
  handler: UpstreamHandler | null;
  /** True once a request was answered on it: an endpoint may be closing it at this very moment. */
  reused = false;
  connected = false;
  closed = false;
  /** Clock value (ms) after which an idle connection is no longer used; below the endpoint's own keep-alive. */
  idleUntil = 0;
  #error: NodeJS.ErrnoException | null = null;

  constructor(endpoint: Endpoint, handler: UpstreamHandler) {
    this.endpoint = endpoint;
    this.handler = handler;
    this.socket = connect({
      host: endpoint.host,
      port: endpoint.port,
      noDelay: true,
      allowHalfOpen: true,
      lookup,
      onread: {
        buffer: readBuffer,
        callback: (length: number): boolean => {
          const holder = this.handler;
          if (holder === null) this.destroy();
          else holder.upstreamBytes(readBuffer, 0, length);
          return true;
        },
      },
    });
    this.socket.on('connect', () => {
      this.connected = true;
      this.handler?.upstreamConnected();
    });
    this.socket.on('drain', () => this.handler?.upstreamDrained());
    this.socket.on('end', () => {
      if (this.handler === null) this.destroy();
      else this.handler.upstreamEnded();
    });
    this.socket.on('error', (error) => {
      this.#error = error;
    });
    this.socket.on('close', () => this.#onClose());
  }

  #onClose(): void {
    if (this.closed) return;
    this.closed = true;
    this.endpoint.forget(this);
    const holder = this.handler;
    this.handler = null;
    holder?.upstreamClosed(this.#error);
  }

  /** Closes when all that was written is sent, or at the latest after a while; tells nobody, like `destroy`. */
  destroyWhenSent(): void {
    if (this.closed) return;
    this.closed = true;
    this.handler = null;
    this.endpoint.forget(this);
    this.socket.setTimeout(UNREAD_TIME, () => this.socket.destroy());
    this.socket.destroySoon();
  }

  /** Closes at once and tells nobody: the caller is the one who holds it, or nobody does. */
  destroy(): void {
    if (this.closed) return;
    this.closed = true;
    this.handler = null;
    this.endpoint.forget(this);
    this.socket.destroy();
  }
}
