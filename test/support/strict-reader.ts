/**
 * Reads a stream of HTTP/1.1 messages strictly, in whatever pieces the bytes come, and stops for good at the first
 * fault. The recording origin reads what the proxy sends with it, the raw client what the proxy answers. Independent
 * of `src/http1`, as `strict-head.ts` is.
 */
import { createHash } from 'node:crypto';
import { readHead, readTrailers, type Field, type Head, type MessageKind } from './strict-head.ts';

/** A message; it grows while its body arrives. */
export interface Message extends Head {
  /** Number of the message on its connection, from 0. */
  readonly index: number;
  /** The first `KEPT` bytes of the decoded body. */
  body: Buffer;
  /** Of the decoded body, so far. */
  bodyLength: number;
  /** SHA-1 of the whole decoded body in hex; '' until the message is complete. */
  bodyHash: string;
  /** Sizes of the chunks where the body is chunked. */
  readonly chunks: number[];
  trailers: readonly Field[];
  complete: boolean;
}

export interface ReaderEvents {
  /** For responses: the method of the request that the next final response answers. */
  requestMethod?: () => string;
  /** Ignore empty lines before a message, as RFC 9112 2.2 lets a server do. */
  emptyLines?: boolean;
  head?: (message: Message) => void;
  data?: (message: Message, bytes: Buffer) => void;
  end?: (message: Message) => void;
  fault?: (why: string) => void;
}

export interface StrictReader {
  push(bytes: Buffer): void;
  /** The stream has ended; a message cut short stays incomplete, a close-delimited one is complete now. */
  finish(): void;
  /** From here on bytes are no HTTP: they are handed to `receive`, those already pushed first. */
  tunnel(receive: (bytes: Buffer) => void): void;
  /** The first fault, or null. */
  readonly fault: string | null;
  /** The message under way, or null between messages. */
  readonly current: Message | null;
  /** Bytes received that belong to no complete head yet. */
  readonly pending: number;
}

const KEPT = 65_536;
const HEAD_LIMIT = 4_194_304;
const CHUNK_LINE = /^(0{0,63}[0-9A-Fa-f]{1,13})((?:;[\t\x20-\x7e\x80-\xff]*)?)$/;

export function createReader(kind: MessageKind, events: ReaderEvents): StrictReader {
  let pending: Buffer = Buffer.alloc(0);
  let state: 'head' | 'length' | 'size' | 'chunk' | 'chunkEnd' | 'trailers' | 'close' | 'tunnel' | 'failed' =
    'head';
  let current: Message | null = null;
  let remaining = 0;
  let count = 0;
  let fault: string | null = null;
  let hash = createHash('sha1');
  let receive: ((bytes: Buffer) => void) | null = null;

  function fail(why: string): void {
    state = 'failed';
    fault = why;
    events.fault?.(why);
  }

  function complete(message: Message): void {
    message.bodyHash = hash.digest('hex');
    message.complete = true;
    current = null;
    if (state !== 'tunnel') state = 'head';
    events.end?.(message);
  }

  function takeBody(message: Message, bytes: Buffer): void {
    if (bytes.length === 0) return;
    hash.update(bytes);
    if (message.bodyLength < KEPT) {
      message.body = Buffer.concat([message.body, bytes.subarray(0, KEPT - message.bodyLength)]);
    }
    message.bodyLength += bytes.length;
    events.data?.(message, bytes);
  }

  function takeHead(): boolean {
    while (events.emptyLines === true && pending[0] === 13 && pending[1] === 10)
      pending = pending.subarray(2);
    const end = pending.indexOf('\r\n\r\n');
    if (end < 0) {
      if (pending.length > HEAD_LIMIT) fail('head without an end');
      // A lone line feed can never become part of a good head; a fault now says more than a timeout later.
      else if (/(?:^|[^\r])\n/.test(pending.toString('latin1', 0, 65_536)))
        fail('line feed without a carriage return');
      return false;
    }
    const method = kind === 'response' ? (events.requestMethod?.() ?? 'GET') : 'GET';
    const head = readHead(kind, pending.toString('latin1', 0, end), method);
    if (typeof head === 'string') {
      fail(head);
      return false;
    }
    pending = pending.subarray(end + 4);
    hash = createHash('sha1');
    const message: Message = {
      ...head,
      index: count++,
      body: Buffer.alloc(0),
      bodyLength: 0,
      bodyHash: '',
      chunks: [],
      trailers: [],
      complete: false,
    };
    current = message;
    remaining = head.length;
    state = head.framing === 'chunked' ? 'size' : head.framing === 'none' ? 'head' : head.framing;
    events.head?.(message);
    if (head.framing === 'none') complete(message);
    return true;
  }

  function takeSize(message: Message): boolean {
    const end = pending.indexOf('\r\n');
    if (end < 0) {
      if (pending.length > 8_192) fail('chunk size line without an end');
      return false;
    }
    const match = CHUNK_LINE.exec(pending.toString('latin1', 0, end));
    if (match === null) {
      fail(`bad chunk size line ${JSON.stringify(pending.toString('latin1', 0, Math.min(end, 80)))}`);
      return false;
    }
    pending = pending.subarray(end + 2);
    remaining = Number.parseInt(match[1] as string, 16);
    if (remaining > 0) message.chunks.push(remaining);
    state = remaining === 0 ? 'trailers' : 'chunk';
    return true;
  }

  function takeTrailers(message: Message): boolean {
    let text = '';
    if (!pending.subarray(0, 2).equals(Buffer.from('\r\n'))) {
      const end = pending.indexOf('\r\n\r\n');
      if (end < 0) {
        if (pending.length > HEAD_LIMIT) fail('trailers without an end');
        return false;
      }
      text = pending.toString('latin1', 0, end);
      pending = pending.subarray(end + 4);
    } else {
      pending = pending.subarray(2);
    }
    const trailers = readTrailers(text);
    if (typeof trailers === 'string') {
      fail(trailers);
      return false;
    }
    message.trailers = trailers;
    complete(message);
    return true;
  }

  /** Takes one step; false when more bytes are needed. */
  function step(): boolean {
    const message = current;
    if (state === 'tunnel') {
      const bytes = pending;
      pending = Buffer.alloc(0);
      receive?.(bytes);
      return false;
    }
    if (message === null) return takeHead();
    if (state === 'size') return takeSize(message);
    if (state === 'trailers') return takeTrailers(message);
    if (state === 'chunkEnd') {
      if (pending.length < 2) return false;
      if (pending[0] !== 13 || pending[1] !== 10) fail('no line end after a chunk');
      else state = 'size';
      pending = pending.subarray(2);
      return fault === null;
    }
    const take = state === 'close' ? pending.length : Math.min(remaining, pending.length);
    const bytes = pending.subarray(0, take);
    pending = pending.subarray(take);
    remaining -= take;
    takeBody(message, bytes);
    if (state === 'close' || remaining > 0) return false;
    if (state === 'chunk') state = 'chunkEnd';
    else complete(message);
    return true;
  }

  function run(): void {
    while (state !== 'failed' && pending.length > 0 && step());
  }

  return {
    push(bytes) {
      if (state === 'failed') return;
      pending = pending.length === 0 ? bytes : Buffer.concat([pending, bytes]);
      run();
    },
    finish() {
      if (state === 'close' && current !== null) complete(current);
    },
    tunnel(callback) {
      state = 'tunnel';
      receive = callback;
      current = null;
      run();
    },
    get fault() {
      return fault;
    },
    get current() {
      return current;
    },
    get pending() {
      return pending.length;
    },
  };
}
