/**
 * An endpoint as one worker sees it: its idle connections, its load, its latency, and whether it lately refused to be
 * connected to.
 *
 * Idle connections are kept last in, first out, so that few stay warm and the rest expire. It never hands out a
 * connection that is past its keep-alive: an expired one may be closing at the other end.
 */
import type { Circuit } from './circuit.ts';
import { UpstreamConnection, type UpstreamHandler } from './connection.ts';
import { OutlierRecord } from './outlier.ts';
import { PLAIN, type Transport } from './transport.ts';

/** How long an endpoint that could not be connected to is left out, in ms, unless nothing else is left. */
const DOWN_TIME = 1000;

/** The latency of an endpoint that nothing is known of, in ms, where nothing is known of its siblings either. */
const ASSUMED_LATENCY = 1;
/** Estimates are not told apart below this, in ms. */
const LEAST_LATENCY = 0.01;

/** What active health checks say; `unknown` is as good as `healthy`. */
export type Health = 'unknown' | 'healthy' | 'unhealthy';

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
  /** Its share of the requests, relative to its siblings'. */
  weight = 1;
  /** Clock value (ms) since which it is in use: its slow start begins there. -Infinity: it needs none. */
  usedSince = Number.NEGATIVE_INFINITY;
  /** What one request in flight counts: less the greater its weight is. Kept by the picture that it is part of. */
  loadFactor = 1;
  /** Estimate of its latency in ms: a moving average that follows a peak at once. Assumed while `observedAt` is 0. */
  latency = ASSUMED_LATENCY;
  /** Clock value (ms) of the last latency that was observed; 0: none was. */
  observedAt = 0;
  health: Health = 'unknown';
  outlier = new OutlierRecord();
  /** Counts its connections against its variant's limit. */
  circuit: Circuit | null = null;
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

  /**
   * New connections are opened by `transport`; if it is another one, those of the former close when their request is done, and what
   * failed under it is forgotten: it may be what the new one puts right.
   */
  useTransport(transport: Transport): void {
    if (transport.id === this.#transport.id) return;
    this.#transport = transport;
    this.downUntil = 0;
    this.outlier = new OutlierRecord();
    this.closeIdle();
  }

  /** What the next request would meet here: the latency, times the requests that are there already by weight. */
  get cost(): number {
    return this.latency * (1 + this.inFlight * this.loadFactor);
  }

  /**
   * Takes note of a latency of `ms`. A rise counts at once, a fall by and by: by a share of what is left that grows with the
   * time since the last one, as an exponential average with time constant `decay` (ms) does for short times.
   * Source: Finagle's PeakEwma; Linkerd's balancer has it from there.
   */
  observeLatency(ms: number, now: number, decay: number): void {
    if (this.observedAt === 0 || ms >= this.latency) {
      this.latency = ms;
    } else {
      const elapsed = now - this.observedAt;
      this.latency += ((ms - this.latency) * elapsed) / (decay + elapsed);
    }
    this.observedAt = now;
  }

  /** A latency of at least `ms`: its end was not seen. */
  observeAtLeast(ms: number, now: number): void {
    if (ms < this.latency) return;
    this.latency = ms;
    this.observedAt = now;
  }

  /** Time went by without news: the estimate sinks to `kept` of it, so that a slow endpoint is tried again some day. */
  forgetLatency(kept: number): void {
    this.latency = Math.max(LEAST_LATENCY, this.latency * kept);
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
    this.circuit?.connectionClosed();
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

  /** Closes all idle connections. */
  closeIdle(): void {
    for (let last = this.#idle.at(-1); last !== undefined; last = this.#idle.at(-1)) last.destroy();
  }

  retire(): void {
    this.retired = true;
    this.closeIdle();
  }
}

export function endpointName(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
