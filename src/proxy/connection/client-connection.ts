/**
 * One client connection: its bytes, cut into requests that are answered strictly one after another. One loop (`#run`) decides what is
 * next, whatever has happened: it alone begins a request, and does what an exchange's end asks for.
 *
 * Promise: a request is parsed only when the one before it is answered, so pipelined requests are answered in order;
 * what waits is bounded, because reading stops; bytes after the last request of a connection are dropped; a refused
 * head is answered once and nothing of it is forwarded. What happens to a request is in `exchange.ts`.
 */
import type { Socket } from 'node:net';
import { HeadAccumulator } from '../../http1/head-accumulator.ts';
import { PROTOCOL_ERRORS } from '../../http1/protocol-errors.ts';
import { keepable } from '../../net/read-buffer.ts';
import { SocketWriter, type SocketWriterOwner } from '../../net/socket-writer.ts';
import type { DownstreamInfo } from './downstream-info.ts';
import type { ClientSide } from './client-side.ts';
import type { Ending, Exchange } from '../exchange/exchange.ts';
import { beginsAsHead, refusalResponse, errorResponse, type ErrorCode } from '../exchange/error-responses.ts';
import { streamRefused } from '../../http2/client-stream.ts';
import { matchPreface } from '../../http2/preface.ts';
import { handOver } from '../../net/accepted-socket.ts';
import type { Routing } from '../routing.ts';
import { tcpBeneath } from '../../net/underlying-socket.ts';
import type { Tunnel } from './tunnel.ts';
import { unsentBytes } from '../../net/unsent-bytes.ts';
import type { ConnectionContext, ExchangePool } from '../exchange/exchange-pool.ts';

/** Bytes that may wait for their turn before reading stops. One read more may come on top: together 80 KiB. */
const WAITING_LIMIT = 16 * 1024;

/** A connection that is being closed is read on until it has been silent for the first time, but no longer than the second, in ms. */
const LINGER_TIME = 2000;
const LONGEST_LINGER = 30_000;

/** How long a client that is still to get the rest of its last answer may read nothing, in ms. */
const UNREAD_TIME = 30_000;

const NOTHING = Buffer.alloc(0);

type Deadline = 'idle' | 'head' | 'exchange' | 'linger';

export class ClientConnection implements ClientSide, SocketWriterOwner {
  readonly socket: Socket;
  readonly writer: SocketWriter;
  readonly context: ConnectionContext;
  readonly #exchanges: ExchangePool;
  readonly downstream: DownstreamInfo;
  /** The request that runs; where none does, what stands for that. */
  exchange: Exchange;
  /** Clock value (ms) at which `onDeadline` is due. */
  deadline: number;
  #deadlineKind: Deadline = 'idle';
  /** A head that is not complete. */
  readonly #head = new HeadAccumulator();
  /** Bytes of the current body or of later requests that can't be used yet. */
  #waiting: Buffer | null = null;
  /** What the connection became by an upgrade. */
  #tunnel: Tunnel | null = null;
  /** The loop runs. */
  #running = false;
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
    this.deadline = this.#idleUntil(context.monotonicNow());
    this.#exchanges = context.exchanges;
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
    return !this.exchange.active && this.#head.length === 0 && this.#waiting === null && !this.#closing;
  }

  /** What waits here and at the endpoint for a slow reader or its turn. */
  get bufferedBytes(): number {
    return (this.#waiting?.length ?? 0) + this.writer.heldBytes + this.exchange.delivery.heldBytes;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** An exchange sets its own deadline; it hears `onDeadline` of the exchange. */
  setDeadline(at: number): void {
    this.deadline = at;
    this.#deadlineKind = 'exchange';
  }

  /** Gives the exchange back where no request runs. */
  #release(): void {
    const { exchange } = this;
    const exchanges = this.#exchanges;
    if (exchange.active || exchange === exchanges.none) return;
    this.exchange = exchanges.none;
    exchanges.giveBack(exchange);
  }

  #idleUntil(now: number): number {
    const { routing, idleLimit } = this.context;
    return now + Math.min(routing.proxy.keepAliveTimeout, idleLimit);
  }

  /** The worker drains: if nothing is going on here, it may stay so for the shorter time that holds from now on. */
  limitIdle(): void {
    if (this.#deadlineKind === 'idle')
      this.deadline = Math.min(this.deadline, this.#idleUntil(this.context.monotonicNow()));
  }

  /** Bytes of a further request are here already. */
  get moreWaits(): boolean {
    return this.#waiting !== null;
  }

  /** Decides what is next. Nothing to do while that is being decided. */
  advance(): void {
    if (!this.#running && !this.#closing && !this.#closed) this.#run(NOTHING, 0);
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

  #beginClosing(): void {
    this.#closing = true;
    this.#waiting = null;
    this.#tunnel = null;
    this.#head.clear();
    this.#unsent = unsentBytes(this.socket);
    this.#lingerUntil = this.context.monotonicNow() + LONGEST_LINGER;
    this.deadline = this.context.monotonicNow() + (this.#unsent > 0 ? UNREAD_TIME : LINGER_TIME);
    this.#deadlineKind = 'linger';
    this.#release();
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
        this.onExchangeDue(now);
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

  /** The exchange's own deadline has come. */
  onExchangeDue(now: number): void {
    this.exchange.onDeadline(now);
    this.advance();
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
    else this.exchange.pace.clientStalled();
  }

  drained(): void {
    if (this.#tunnel !== null) this.#tunnel.clientDrained();
    else this.exchange.pace.clientDrained();
    this.advance();
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
    this.#run(bytes, length);
  }

  /** Whoever still sends what nobody wants has not read its answer yet: a reset now could take it away. */
  #lingerOn(): void {
    const until = Math.min(this.context.monotonicNow() + LINGER_TIME, this.#lingerUntil);
    if (until > this.deadline) this.deadline = until;
  }

  /**
   * The loop: takes `bytes[0..length)`, and then what waits, as far as that can be used now; the rest waits. Before all else it does what
   * the end of an exchange asks for.
   */
  #run(bytes: Buffer, length: number): void {
    this.#running = true;
    let from = bytes;
    let at = 0;
    let end = length;
    while (!this.#closing && !this.#closed) {
      const { exchange } = this;
      if (exchange.ending !== null) this.#settle(exchange, exchange.ending);
      else if (at < end) {
        const used = exchange.active ? exchange.requestBytes(from, at, end) : this.#readHead(from, at, end);
        if (used === 0) break;
        at += used;
      } else if (this.#waiting === null) break;
      else {
        from = this.#waiting;
        this.#waiting = null;
        at = 0;
        end = from.length;
      }
    }
    this.#running = false;
    this.#release();
    if (this.#closing || this.#closed) return;
    if (at < end) {
      this.#waiting = keepable(from, at, end);
      // A body that can't be taken yet must not pile up; a pipelined request may wait with reading on, for the client's leaving to be seen.
      if (end - at > WAITING_LIMIT || this.exchange.request.awaitsBody) this.pauseReading();
    }
    this.#readIfRoom();
  }

  /** An exchange has ended: what that means for the connection. */
  #settle(exchange: Exchange, ending: Ending): void {
    exchange.ending = null;
    switch (ending) {
      case 'next':
        this.deadline = this.#idleUntil(exchange.endedAt);
        this.#deadlineKind = 'idle';
        return;
      case 'close':
        this.closeGracefully();
        return;
      case 'cut':
        this.writer.flush();
        this.#beginClosing();
        this.socket.destroySoon();
        return;
      case 'reset':
        this.#closing = true;
        tcpBeneath(this.socket).resetAndDestroy();
        return;
      case 'refuse':
        this.#closing = true;
        this.socket.destroy(streamRefused());
        return;
    }
  }

  /** After an upgrade: what came early belongs to the tunnel. */
  startTunnel(tunnel: Tunnel): void {
    const waiting = this.#waiting;
    this.#tunnel = tunnel;
    this.#waiting = null;
    if (waiting !== null) tunnel.fromClient(waiting, 0, waiting.length);
    this.#readIfRoom();
  }

  /** Reads a head from `bytes[start..end)`; returns the bytes used, 0 when the next one is not to be read now. */
  #readHead(bytes: Buffer, start: number, end: number): number {
    // A client that does not read its answers gets no further ones.
    if (this.writer.blocked) return 0;
    const pieces = this.#head;
    const collected = pieces.length > 0;
    if (this.exchange === this.#exchanges.none) this.exchange = this.#exchanges.borrow(this, pieces);
    const { reader } = this.exchange.request;
    const { proxy, messageLimits } = this.context.routing;
    const step = reader.push(bytes, start, end, messageLimits);
    if (step === 'head') {
      this.#served = true;
      this.exchange.begin();
      return reader.used;
    }
    if (step === 'refused') {
      const from = collected ? pieces.bytes : bytes;
      const [first, last] = collected ? [0, pieces.length] : [start, end];
      if (!this.#mayBeHttp2(from, first, last)) this.refuse(reader.refusal, beginsAsHead(from, first, last));
      else if (!collected && !this.#closed) pieces.push(bytes, start, end);
    }
    if (!collected && !this.#closing) {
      this.deadline = this.context.monotonicNow() + proxy.requestHeadTimeout;
      this.#deadlineKind = 'head';
    }
    return end - start;
  }

  /**
   * Whether a first head that can't be read is, or may become, the preface of HTTP/2. If it is, the connection goes on
   * without this object, which is closed then.
   */
  #mayBeHttp2(bytes: Buffer, start: number, end: number): boolean {
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
  refuse(refused: number, headOnly = false): void {
    const index = -refused - 1;
    const refusal = PROTOCOL_ERRORS[index];
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
  }

  #readIfRoom(): void {
    if (!this.#paused || this.#closed) return;
    const { active, pace, request } = this.exchange;
    if (this.#waiting !== null && (this.#waiting.length > WAITING_LIMIT || request.awaitsBody)) return;
    if (active && pace.endpointBlocked) return;
    this.#paused = false;
    this.socket.resume();
  }

  #onEnd(): void {
    if (this.#tunnel !== null) {
      this.#tunnel.clientEnded();
      return;
    }
    if (this.exchange.request.phase === 'draining') {
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
