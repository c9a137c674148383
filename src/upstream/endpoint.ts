/**
 * An endpoint as one worker sees it: its idle connections, its load, and whether it lately refused to be connected to.
 *
 * Idle connections are kept last in, first out, so that few stay warm and the rest expire. It never hands out a
 * connection that is past its keep-alive: an expired one may be closing at the other end.
 */
import { UpstreamConnection, type UpstreamHandler } from './connection.ts';
import { PLAIN, type Transport } from './transport.ts';

/** How long an endpoint that could not be connected to is left out, in ms, unless nothing else is left. */
const DOWN_TIME = 1000;

export class Endpoint {
  readonly host: string;
  readonly port: number;
  /** `host:port`, IPv6 in brackets. */
  readonly name: string;
  /** Requests that hold this endpoint now. */
  inFlight = 0;
  /** Open connections, idle ones included. */
  connections = 0;
  /** Clock value (ms) until which it is considered down; 0: up. */
  downUntil = 0;
  /** No snapshot names it any more: connections close when their request is done. */
  retired = false;
  readonly #idle: UpstreamConnection[] = [];
  #transport: Transport;

  constructor(host: string, port: number, transport: Transport = PLAIN) {
    this.#transport = transport;
    this.host = host;
    this.port = port;
    this.name = endpointName(host, port);
  }

  get transport(): Transport {
    return this.#transport;
  }

  /** New connections are opened by `transport`; if it is another one, those of the former close when their request is done. */
  useTransport(transport: Transport): void {
    if (transport.id === this.#transport.id) return;
    this.#transport = transport;
    this.#closeIdle();
  }

  /** An idle connection that is good at `now` (ms), or null. The caller becomes its handler. */
  takeIdle(handler: UpstreamHandler, now: number): UpstreamConnection | null {
    for (;;) {
      const connection = this.#idle.pop();
      if (connection === undefined) return null;
      if (connection.idleUntil > now) {
        connection.handler = handler;
        return connection;
      }
      connection.destroy();
    }
  }

  /** Opens a connection; the handler hears `upstreamConnected` or `upstreamClosed`. */
  open(handler: UpstreamHandler): UpstreamConnection {
    this.connections += 1;
    return new UpstreamConnection(this, handler);
  }

  /** Takes back a connection whose exchange is complete on both sides. */
  release(connection: UpstreamConnection, idleUntil: number): void {
    connection.handler = null;
    connection.reused = true;
    if (this.retired || connection.closed || connection.transport !== this.#transport) {
      connection.destroy();
      return;
    }
    connection.idleUntil = idleUntil;
    this.#idle.push(connection);
  }

  /** Called by a connection when it has closed. */
  forget(connection: UpstreamConnection): void {
    this.connections -= 1;
    const index = this.#idle.lastIndexOf(connection);
    if (index >= 0) this.#idle.splice(index, 1);
  }

  markDown(now: number): void {
    this.downUntil = now + DOWN_TIME;
  }

  markUp(): void {
    this.downUntil = 0;
  }

  isUp(now: number): boolean {
    return this.downUntil <= now;
  }

  /** Closes idle connections that are past their time. The oldest stand first. */
  closeExpired(now: number): void {
    while (this.#idle.length > 0) {
      const oldest = this.#idle[0];
      if (oldest === undefined || oldest.idleUntil > now) return;
      oldest.destroy();
    }
  }

  retire(): void {
    this.retired = true;
    this.#closeIdle();
  }

  #closeIdle(): void {
    for (let last = this.#idle.at(-1); last !== undefined; last = this.#idle.at(-1)) last.destroy();
  }
}

export function endpointName(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
