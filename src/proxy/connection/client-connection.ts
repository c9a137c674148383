/**
 * One client connection: its bytes, cut into requests that are answered strictly one after another.
 *
 * Promise: a request is parsed only when the one before it is answered, so pipelined requests are answered in order;
 * what waits is bounded, because reading stops; bytes after the last request of a connection are dropped; a refused
 * head is answered once and nothing of it is forwarded. What happens to a request is in `exchange.ts`.
 */
import type { Socket } from 'node:net';
import { parseRequestHead } from '../../http1/request-head.ts';
import { REFUSALS } from '../../http1/refusal.ts';
import { keepable } from '../../net/read-buffer.ts';
import { SocketWriter, type SocketWriterOwner } from '../../net/socket-writer.ts';
import type { DownstreamInfo } from './downstream-info.ts';
import type { ClientSide } from './client-side.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { HeadAccumulator } from './head-accumulator.ts';
import { beginsAsHead, refusalResponse, errorResponse, type ErrorCode } from '../exchange/error-responses.ts';
import { streamRefused } from '../../http2/client-stream.ts';
import { matchPreface } from '../../http2/preface.ts';
import { handOver } from '../../net/accepted-socket.ts';
import type { Routing } from '../routing.ts';
import { tcpBeneath } from '../../net/underlying-socket.ts';
import type { Tunnel } from './tunnel.ts';
import { unsentBytes } from '../../net/unsent-bytes.ts';
import type { ConnectionContext } from '../exchange/exchange-pool.ts';

/** Bytes that may wait for their turn before reading stops. One read more may come on top: together 80 KiB. */
const WAITING_LIMIT = 16 * 1024;

/** A connection that is being closed is read on until it has been silent for the first time, but no longer than the second, in ms. */
const LINGER_TIME = 2000;
const LONGEST_LINGER = 30_000;

/** How long a client that is still to get the rest of its last answer may read nothing, in ms. */
const UNREAD_TIME = 30_000;

type Deadline = 'idle' | 'head' | 'exchange' | 'linger';

export class ClientConnection implements ClientSide, SocketWriterOwner {
  readonly socket: Socket;
  readonly writer: SocketWriter;
  readonly context: ConnectionContext;
  readonly downstream: DownstreamInfo;
  /** The request that runs; where none does, what stands for that. */
  exchange: Exchange;
  /** Clock value (ms) at which `onDeadline` is due. */
  deadline: number;
  #deadlineKind: Deadline = 'idle';
  readonly #head = new HeadAccumulator();
  /** Bytes of the current body or of later requests that can't be used yet. */
  #waiting: Buffer | null = null;
  /** What the connection became by an upgrade. */
  #tunnel: Tunnel | null = null;
  #processing = false;
  /** Paused because too much waits or because the endpoint reads slowly. */
  #paused = false;
  #closing = false;
  /** A request was read on it. */
  #served = false;
  /** What was unsent when a closing connection was last looked at. */
  #unsent = 0;
  /** Clock value (ms) until which a closing connection is read on at most. */
  #lingerUntil = 0;
  #closed = false;
  #trustedBy: Routing | null = null;
  #trusted = false;
  readonly #onClosed: (connection: ClientConnection) => void;

  constructor(
    socket: Socket,
    downstream: DownstreamInfo,
    context: ConnectionContext,
    onClosed: (connection: ClientConnection) => void,
  ) {
    this.socket = socket;
    this.downstream = downstream;
    this.context = context;
    this.#onClosed = onClosed;
    this.writer = new SocketWriter(socket, this);
    this.deadline = this.#idleUntil(context.now());
    this.exchange = context.exchanges.none;
    socket.on('end', () => this.#onEnd());
    socket.on('error', ignored);
    socket.on('close', () => this.#onClose());
  }

  /** Whether the peer is a proxy whose forwarding fields are believed. */
  get trusted(): boolean {
    const { routing } = this.context;
    if (this.#trustedBy !== routing) {
      this.#trustedBy = routing;
      this.#trusted = routing.trustedProxies.contains(this.downstream.peer);
    }
    return this.#trusted;
  }

  get idle(): boolean {
    return !this.exchange.active && this.#head.empty && this.#waiting === null && !this.#closing;
  }

  /** What waits here and at the endpoint for a slow reader or its turn. */
  get bufferedBytes(): number {
    return (this.#waiting?.length ?? 0) + this.writer.heldBytes + this.exchange.bufferedBytes;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** An exchange sets its own deadline; it hears `onDeadline` of the exchange. */
  setDeadline(at: number): void {
    this.deadline = at;
    this.#deadlineKind = 'exchange';
  }

  /** The next request may be read. Called by the exchange when its answer is complete. */
  nextRequest(now: number): void {
    this.deadline = this.#idleUntil(now);
    this.#deadlineKind = 'idle';
    this.resume();
    this.#release();
  }

  /** Gives the exchange back where no request runs. */
  #release(): void {
    const { exchange, context } = this;
    if (exchange.active || exchange === context.exchanges.none) return;
    this.exchange = context.exchanges.none;
    context.exchanges.giveBack(exchange);
  }

  #idleUntil(now: number): number {
    const { routing, idleLimit } = this.context;
    return now + Math.min(routing.proxy.keepAliveTimeout, idleLimit);
  }

  /** The worker drains: if nothing is going on here, it may stay so for the shorter time that holds from now on. */
  limitIdle(): void {
    if (this.#deadlineKind === 'idle')
      this.deadline = Math.min(this.deadline, this.#idleUntil(this.context.now()));
  }

  /** Bytes of a further request are here already. */
  get moreWaits(): boolean {
    return this.#waiting !== null;
  }

  /** Goes on with what waits, and with reading. Nothing to do while bytes are being handled. */
  resume(): void {
    if (this.#processing) return;
    const waiting = this.#waiting;
    if (waiting !== null) {
      this.#waiting = null;
      this.#process(waiting, waiting.length);
    }
    this.#readIfRoom();
  }

  pauseReading(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.socket.pause();
  }

  /** Sends what is written, then ends; what the client still sends is dropped, so that no reset overtakes the answer. */
  closeGracefully(): void {
    if (this.#closing) return;
    this.writer.flush();
    this.#beginClosing();
    this.socket.end();
    if (this.#paused) {
      this.#paused = false;
      this.socket.resume();
    }
  }

  /** Sends what is written, then cuts: the end comes before the answer is complete, and the client can tell. */
  cutWhenSent(): void {
    this.writer.flush();
    this.#beginClosing();
    this.socket.destroySoon();
  }

  #beginClosing(): void {
    this.#closing = true;
    this.#waiting = null;
    this.#tunnel = null;
    this.#head.clear();
    this.#unsent = unsentBytes(this.socket);
    this.#lingerUntil = this.context.now() + LONGEST_LINGER;
    this.deadline = this.context.now() + (this.#unsent > 0 ? UNREAD_TIME : LINGER_TIME);
    this.#deadlineKind = 'linger';
    this.#release();
  }

  refuseStream(): boolean {
    if (this.downstream.http2) this.socket.destroy(streamRefused());
    return this.downstream.http2;
  }

  /** Cuts the connection; with `reset` the client sees a reset, so that it can't take a part for the whole. */
  abort(reset: boolean): void {
    if (reset) tcpBeneath(this.socket).resetAndDestroy();
    else this.socket.destroy();
  }

  onDeadline(now: number): void {
    switch (this.#deadlineKind) {
      case 'idle':
        this.closeGracefully();
        return;
      case 'head':
        this.answerAndClose('request_head_timeout');
        return;
      case 'exchange':
        this.exchange.onDeadline(now);
        return;
      case 'linger': {
        const unsent = unsentBytes(this.socket);
        if (unsent > 0 && unsent !== this.#unsent) {
          this.#unsent = unsent;
          this.deadline = now + UNREAD_TIME;
        } else {
          this.socket.destroy();
        }
        return;
      }
    }
  }

  answerAndClose(code: ErrorCode): void {
    this.writer.write(
      errorResponse(code, true, beginsAsHead(this.#head.bytes, 0, this.#head.length), this.context.dateLine),
    );
    this.closeGracefully();
  }

  writeFailed(): boolean {
    return false;
  }

  stalled(): void {
    if (this.#tunnel !== null) this.#tunnel.clientStalled();
    else this.exchange.clientStalled();
  }

  drained(): void {
    if (this.#tunnel !== null) this.#tunnel.clientDrained();
    else this.exchange.clientDrained();
    this.resume();
  }

  /** The first `length` bytes of `bytes` have come. They are valid only during the call. */
  received(bytes: Buffer, length: number): void {
    if (this.#closing) {
      this.#lingerOn();
      return;
    }
    if (this.#tunnel !== null) {
      this.#tunnel.fromClient(bytes, 0, length);
      return;
    }
    if (this.#waiting !== null) {
      this.#waiting = Buffer.concat([this.#waiting, bytes.subarray(0, length)]);
      if (this.#waiting.length > WAITING_LIMIT) this.pauseReading();
      return;
    }
    this.#process(bytes, length);
  }

  /** Whoever still sends what nobody wants has not read its answer yet: a reset now could take it away. */
  #lingerOn(): void {
    const until = Math.min(this.context.now() + LINGER_TIME, this.#lingerUntil);
    if (until > this.deadline) this.deadline = until;
  }

  #process(bytes: Buffer, end: number): void {
    this.#processing = true;
    let at = 0;
    while (at < end && !this.#closing && !this.#closed) {
      if (this.exchange.active) {
        const used = this.exchange.requestBytes(bytes, at, end);
        if (used === 0) break;
        at += used;
      } else {
        // A client that does not read its answers gets no further ones.
        if (this.writer.blocked) break;
        const used = this.#readHead(bytes, at, end);
        if (used < 0) break;
        at += used;
      }
    }
    this.#processing = false;
    this.#release();
    if (this.#closing || this.#closed) return;
    if (at < end) {
      this.#waiting = keepable(bytes, at, end);
      // A body that can't be taken yet must not pile up; a pipelined request may wait with reading on, for the client's leaving to be seen.
      if (end - at > WAITING_LIMIT || this.exchange.awaitsBody) this.pauseReading();
    }
  }

  /** After an upgrade: what came early belongs to the tunnel. */
  resumeTunnel(tunnel: Tunnel): void {
    const waiting = this.#waiting;
    this.#tunnel = tunnel;
    this.#waiting = null;
    if (waiting !== null) tunnel.fromClient(waiting, 0, waiting.length);
    this.#readIfRoom();
  }

  /** Bytes used (all of them when the head is not complete yet), or -1 when the connection is done. */
  #readHead(bytes: Buffer, start: number, end: number): number {
    const { proxy, headLimits: limits } = this.context.routing;
    const pieces = this.#head;
    if (this.exchange === this.context.exchanges.none) this.exchange = this.context.exchanges.borrow(this);
    if (pieces.empty) {
      const used = parseRequestHead(bytes, start, end, limits, this.exchange.head);
      if (used > 0) {
        this.#begin();
        return used;
      }
      if (used < 0 && !this.#isHttp2(bytes, start, end))
        return this.refuse(used, beginsAsHead(bytes, start, end));
      if (this.#closed) return -1;
      this.deadline = this.context.now() + proxy.requestHeadTimeout;
      this.#deadlineKind = 'head';
      pieces.push(bytes, start, end);
      return end - start;
    }
    const before = pieces.length;
    pieces.push(bytes, start, end);
    if (!pieces.ready(proxy.headLimit)) return end - start;
    const used = parseRequestHead(pieces.bytes, 0, pieces.length, limits, this.exchange.head);
    if (used < 0 && !this.#isHttp2(pieces.bytes, 0, pieces.length))
      return this.refuse(used, beginsAsHead(pieces.bytes, 0, pieces.length));
    if (used <= 0) return this.#closed ? -1 : end - start;
    pieces.clear();
    this.#begin();
    return used - before;
  }

  #begin(): void {
    this.#served = true;
    this.exchange.begin();
  }

  /**
   * Whether a first head that can't be read is, or may become, the preface of HTTP/2. If it is, the connection goes on
   * without this object, which is closed then.
   */
  #isHttp2(bytes: Buffer, start: number, end: number): boolean {
    const { http2, routing } = this.context;
    if (http2 === null || !routing.proxy.http2.enabled || this.#served || this.downstream.secure)
      return false;
    const match = matchPreface(bytes, start, end);
    if (match !== 'whole') return match === 'part';
    this.#closing = true;
    this.#closed = true;
    this.#release();
    const first = bytes.subarray(start, end);
    http2.accept((receive) => handOver(this.socket, first, receive), this.downstream);
    this.#onClosed(this);
    return true;
  }

  /** Answers a head that can't be read, by the number of its refusal; the connection ends. */
  refuse(refused: number, headOnly = false): -1 {
    const index = -refused - 1;
    const refusal = REFUSALS[index];
    this.context.counters.refused(index);
    if (refusal !== undefined) {
      const { status, code } = refusal;
      this.context.log.debug(
        {
          'error.type': code,
          'http.response.status_code': status,
          'client.address': this.downstream.peer.text,
        },
        'request refused',
      );
      this.writer.write(refusalResponse(refusal, headOnly, this.context.dateLine));
    }
    this.closeGracefully();
    return -1;
  }

  #readIfRoom(): void {
    if (!this.#paused || this.#closed) return;
    if (this.#waiting !== null && (this.#waiting.length > WAITING_LIMIT || this.exchange.awaitsBody)) return;
    if (this.exchange.readingBlocked) return;
    this.#paused = false;
    this.socket.resume();
  }

  #onEnd(): void {
    if (this.#tunnel !== null) {
      this.#tunnel.clientEnded();
      return;
    }
    if (this.exchange.draining) {
      // It has its answer, or all of it is on its way.
      this.exchange.clientLeft();
      this.closeGracefully();
      return;
    }
    if (this.exchange.active) {
      // As other proxies do: a client that finished sending while it waits is taken to have left.
      this.exchange.clientLeft();
      this.socket.destroy();
      return;
    }
    this.closeGracefully();
  }

  #onClose(): void {
    this.#closed = true;
    this.#waiting = null;
    this.exchange.clientLeft();
    this.#release();
    this.#onClosed(this);
  }
}

/** 'close' follows and does what is to be done; without a listener the error would end the worker. */
function ignored(): void {
  // Nothing is left to do.
}
