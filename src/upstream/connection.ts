/**
 * One connection to an endpoint: a raw socket, who is using it, and nothing about HTTP.
 *
 * Promise: every byte goes to the handler that holds the connection; a byte (or a close) while nobody holds it
 * destroys it, because an answer without a question can only poison the next request. The bytes given to the handler
 * are valid only during the call: they live in a buffer shared by all connections of the worker, and a handler
 * that keeps or writes them later must copy them first.
 */
import type { Socket } from 'node:net';
import type { EndpointAddress } from '../contract/endpoint-address.ts';
import { PLAIN, type Transport } from './transport.ts';
import { SocketWriter, type SocketWriterOwner } from '../net/socket-writer.ts';

/** Who holds a connection. Calls never overlap; after `upstreamClosed` no other call comes. */
export interface UpstreamHandler {
  upstreamConnected(): void;
  /** `bytes[start..end)` arrived; copy what must outlive the call. */
  upstreamBytes(bytes: Buffer, start: number, end: number): void;
  /** The endpoint reads slowly: write no more until it has drained. */
  upstreamStalled(): void;
  /** All that was written has left. */
  upstreamDrained(): void;
  /** The endpoint finished sending (FIN); it may still read. */
  upstreamEnded(): void;
  upstreamClosed(error: NodeJS.ErrnoException | null): void;
}

/** How long an endpoint may read nothing of the last bytes that it is sent, in ms. */
const UNREAD_TIME = 30_000;

/** The endpoint that a connection leads to, and whose it is. */
export interface ConnectionOwner extends EndpointAddress {
  readonly transport: Transport;
  /** It takes no new requests any more. */
  readonly retired: boolean;
  /** Takes the connection back, to be used again until `idleUntil`, in ms of real time. */
  release(connection: UpstreamConnection, idleUntil: number): void;
  /** The connection is closed. */
  forget(connection: UpstreamConnection): void;
}

export class UpstreamConnection implements SocketWriterOwner {
  readonly socket: Socket;
  readonly writer: SocketWriter;
  readonly endpoint: ConnectionOwner;
  readonly transport: Transport;
  handler: UpstreamHandler | null;
  /** True once a request was answered on it: an endpoint may be closing it at this very moment. */
  reused = false;
  /** There is a TCP connection. */
  reached = false;
  closed = false;
  /** Real time, in ms, after which an idle connection is no longer used; below the endpoint's own keep-alive. */
  idleUntil = 0;
  #error: NodeJS.ErrnoException | null = null;

  constructor(endpoint: ConnectionOwner, handler: UpstreamHandler) {
    this.endpoint = endpoint;
    this.handler = handler;
    this.transport = endpoint.transport;
    this.socket = this.transport.open(
      endpoint,
      () => {
        if (this.transport === PLAIN) this.writer.attach();
        this.handler?.upstreamConnected();
      },
      (bytes, length) => this.received(bytes, length),
    );
    this.writer = new SocketWriter(this.socket, this);
    this.socket.once('connect', () => {
      this.reached = true;
    });
    this.socket.on('end', () => {
      if (this.handler === null) this.destroy();
      else this.handler.upstreamEnded();
    });
    this.socket.on('error', (error) => {
      this.#error = error;
      // An alert or a broken record of TLS is an error, but Node.js leaves the connection open.
      this.socket.destroy();
    });
    this.socket.on('close', () => this.#onClose());
  }

  received(bytes: Buffer, length: number): void {
    const holder = this.handler;
    if (holder === null) this.destroy();
    else holder.upstreamBytes(bytes, 0, length);
  }

  stalled(): void {
    this.handler?.upstreamStalled();
  }

  drained(): void {
    this.handler?.upstreamDrained();
  }

  /** An endpoint that answers early and closes resets the connection; its answer is here or on its way. */
  writeFailed(): boolean {
    return this.handler !== null;
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
    this.writer.flush();
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
