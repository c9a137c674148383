/**
 * A client's session of HTTP/2: its streams, its limits, its end.
 *
 * Promise: what a session may cost is bounded. Streams at once, sizes of heads, settings, pings, empty and continuation frames
 * are bounded by nghttp2, whose limits are set here; resets by a budget of our own on top of nghttp2's, because each may have
 * cost a request to an endpoint (CVE-2023-44487). A session without streams ends after a while. Its end is a GOAWAY that names
 * the last stream that is served; those beyond are left unread, which tells the client that it may send them elsewhere.
 *
 * Behind a trusted proxy many users share a session. There no user's doing cuts the requests of others: what one stream does wrong
 * ends that stream, and a session whose budget is used up takes no new streams, while those under way go on.
 */
import {
  constants,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Socket } from 'node:net';
import { ClientStream, type StreamReader } from './client-stream.ts';
import { FieldCounter } from './field-counter.ts';
import { PREFACE_LENGTH } from './preface.ts';
import { spareFromStreamFaults } from './stream-faults.ts';
import { watchedSocket, type OpenSocket } from './watched-socket.ts';

const { NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_FLAG_END_STREAM } = constants;

/** How long a session without streams that was told to end may take to do so, in ms. */
const LINGER_TIME = 2000;

/** Bytes of request bodies that may wait for one stream's reader, and what a session may send ahead. */
const STREAM_WINDOW = 256 * 1024;
const SESSION_WINDOW = 1024 * 1024;

/** Resets of unanswered streams that a client may do at once, and how many of them are forgiven a second. */
const RESET_BURST = 200;
const RESET_RATE = 50;

/** The same of nghttp2 and Node.js for a shared session: never reached, because ours comes first. */
const NEVER = 0xffff_ffff;

/** The last stream that a client can name: a GOAWAY with it ends a session, but no stream that is on its way. */
const LAST_STREAM = 2 ** 31 - 1;

export interface SessionLimits {
  readonly maxConcurrentStreams: number;
  /** Bytes of a head, and its fields. */
  readonly head: number;
  readonly fields: number;
  /** How long a session may be without streams, in ms. */
  readonly idleTime: number;
  /** The peer is a trusted proxy, and its session many users'. */
  readonly shared: boolean;
}

export interface SessionHost {
  /** Monotonic, in ms. */
  monotonicNow(): number;
  /** Makes the connection of HTTP/1.1 that reads what the streams of `socket` ask. */
  read(socket: ClientStream): StreamReader;
  streamOpened(): void;
  streamClosed(): void;
  /** A client reset a stream before it was answered. */
  streamReset(): void;
  /** A session was ended because of what it did. */
  sessionRefused(): void;
  sessionClosed(session: ClientSession): void;
}

export class ClientSession {
  /** Without the probe's; see `deadline`. */
  #deadline: number;
  readonly #session: ServerHttp2Session;
  readonly #socket: Socket;
  readonly #fields: FieldCounter;
  readonly #limits: SessionLimits;
  readonly #host: SessionHost;
  readonly #free: ClientStream[] = [];
  #ending = false;
  #retiring = false;
  #streams = 0;
  #resets = 0;
  #resetsAt = 0;
  /** Retiring; clock value (ms) at which it ends even if its peer has not answered. */
  #retiredUntil = Number.POSITIVE_INFINITY;
  /** Asked for a sign of life; clock value (ms) at which it is overdue. */
  #probedUntil = Number.POSITIVE_INFINITY;
  #closed = false;

  /** `open` gives a connection, of TCP or TLS, on which HTTP/2 has been agreed, and all of its bytes, from the preface on. */
  constructor(open: OpenSocket, limits: SessionLimits, host: SessionHost) {
    this.#limits = limits;
    this.#host = host;
    this.#deadline = host.monotonicNow() + limits.idleTime;
    const fields = new FieldCounter(PREFACE_LENGTH);
    this.#fields = fields;
    const [socket, stream] = watchedSocket(open, (bytes) => fields.read(bytes));
    this.#socket = socket;
    this.#session = performServerHandshake(stream, options(limits));
    const session = this.#session;
    spareFromStreamFaults(session, () => this.#probe());
    session.setLocalWindowSize(SESSION_WINDOW);
    session.on('stream', (stream: ServerHttp2Stream, _fields: unknown, flags: number, raw: unknown) =>
      this.#begin(stream, flags, raw as readonly string[]),
    );
    session.on('error', (error: NodeJS.ErrnoException) => {
      // A connection that broke is nobody's fault.
      if (error.code?.startsWith('ERR_HTTP2') === true) host.sessionRefused();
    });
    session.once('close', () => this.#onClose());
    socket.once('close', () => this.#onClose());
  }

  get closed(): boolean {
    return this.#closed;
  }

  #begin(stream: ServerHttp2Stream, flags: number, raw: readonly string[]): void {
    this.#streams += 1;
    this.#deadline = Number.POSITIVE_INFINITY;
    this.#host.streamOpened();
    stream.once('close', () => this.#ended());
    stream.on('error', () => {
      // 'close' follows and says all that is needed; without a listener the error would end the worker.
    });
    if (stream.destroyed) {
      // Its reset came along with it: no work is done for it.
      this.#onReset();
      return;
    }
    const socket = this.#free.pop() ?? this.#open();
    socket.begin(stream, raw, (flags & NGHTTP2_FLAG_END_STREAM) !== 0);
  }

  #ended(): void {
    this.#streams -= 1;
    this.#host.streamClosed();
    if (this.#streams > 0) return;
    this.#deadline = this.#host.monotonicNow() + (this.#ending ? LINGER_TIME : this.#limits.idleTime);
  }

  #open(): ClientStream {
    const socket = new ClientStream({
      free: (freed) => {
        if (!this.#closed) this.#free.push(freed);
        else freed.destroy();
      },
      reset: () => this.#onReset(),
      isWhole: ({ id }, raw) => this.#fields.take(id ?? 0) * 2 === raw.length,
    });
    socket.reader = this.#host.read(socket);
    socket.once('close', () => {
      const index = this.#free.indexOf(socket);
      if (index >= 0) this.#free.splice(index, 1);
    });
    return socket;
  }

  /** A leaky bucket: who keeps filling it wants work done for nothing. */
  #onReset(): void {
    this.#host.streamReset();
    const now = this.#host.monotonicNow();
    this.#resets = Math.max(0, this.#resets - ((now - this.#resetsAt) * RESET_RATE) / 1000) + 1;
    this.#resetsAt = now;
    if (this.#resets <= RESET_BURST || this.#session.destroyed || this.#ending) return;
    this.#host.sessionRefused();
    if (this.#limits.shared) this.#retire(now);
    else this.#session.destroy(new Error('too many resets'), NGHTTP2_ENHANCE_YOUR_CALM);
  }

  /** Ends a session that others use as well: its peer hears of the end first, so that no request crosses it on the way. */
  #retire(now: number): void {
    if (this.#retiring) return;
    this.#retiring = true;
    this.#retiredUntil = now + LINGER_TIME;
    this.#session.goaway(constants.NGHTTP2_NO_ERROR, LAST_STREAM);
    // The answer comes after all that was sent before the peer heard.
    if (!this.#ask(() => this.drain(this.#host.monotonicNow()))) this.drain(now);
  }

  /** nghttp2 may be through with the session, or only with one of its streams: in the first case it says nothing more. */
  #probe(): void {
    if (this.#probedUntil !== Number.POSITIVE_INFINITY || this.#session.destroyed) return;
    const asked = this.#ask(() => (this.#probedUntil = Number.POSITIVE_INFINITY));
    this.#probedUntil = asked ? this.#host.monotonicNow() + LINGER_TIME : 0;
  }

  #ask(then: () => void): boolean {
    return this.#session.ping((error) => {
      if (error === null) then();
    });
  }

  /** Clock value (ms) at which `onDeadline` is due. */
  get deadline(): number {
    return Math.min(this.#deadline, this.#probedUntil, this.#retiredUntil);
  }

  onDeadline(now: number): void {
    if (now < this.#probedUntil && !this.#ending) {
      this.drain(now);
      return;
    }
    if (now >= this.#probedUntil) this.#host.sessionRefused();
    this.#session.destroy();
    this.#socket.destroy();
  }

  /** Ends the session when its streams are done. */
  drain(now: number): void {
    if (this.#ending || this.#closed) return;
    this.#ending = true;
    this.#retiredUntil = Number.POSITIVE_INFINITY;
    this.#deadline = this.#streams > 0 ? Number.POSITIVE_INFINITY : now + LINGER_TIME;
    this.#session.close();
  }

  #onClose(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#session.destroy();
    for (const socket of this.#free.splice(0)) socket.destroy();
    this.#host.sessionClosed(this);
  }
}

function options(limits: SessionLimits): Parameters<typeof performServerHandshake>[1] {
  const { maxConcurrentStreams, head, fields, shared } = limits;
  // Each field counts 32 bytes more than it has; the exact limits are the codec's.
  const most = fields + PSEUDO_FIELDS + COOKIES;
  return {
    settings: {
      maxConcurrentStreams,
      maxHeaderListSize: head + most * 32,
      initialWindowSize: STREAM_WINDOW,
      enableConnectProtocol: false,
    },
    maxHeaderListPairs: most,
    maxSettings: 32,
    maxOutstandingPings: 10,
    maxOutstandingSettings: 10,
    maxSessionInvalidFrames: shared ? NEVER : 100,
    maxSessionRejectedStreams: shared ? NEVER : 100,
    // In MB; where it is used up, streams are refused. What all streams together may have waiting fits in.
    maxSessionMemory: OWN_MEMORY + (shared ? Math.ceil((maxConcurrentStreams * STREAM_WINDOW) / 2 ** 20) : 0),
    maxSendHeaderBlockLength: 1 << 20,
    streamResetBurst: shared ? NEVER : 2 * RESET_BURST,
    streamResetRate: shared ? NEVER : 2 * RESET_RATE,
    // Repeated fields pass as they came.
    strictSingleValueFields: false,
    // Values are trimmed here; nghttp2 would leave out the fields.
    strictFieldWhitespaceValidation: false,
  } as Parameters<typeof performServerHandshake>[1];
}

/** Of a session, in MB, as Node.js has it. */
const OWN_MEMORY = 10;

const PSEUDO_FIELDS = 4;

/** Browsers send each cookie in a field of its own, and keep up to 180 for a site; joined they count as one. */
const COOKIES = 200;
