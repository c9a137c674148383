/**
 * A response on its way to the client: head, interim answers, body, with the client's pace as the limit.
 *
 * Promise: only what the codec validated is written, in the framing that the client can read; bytes of the shared read
 * buffer are copied before they are written; a body that ends early never looks complete.
 */
import { ChunkedReader, type ChunkedLimits } from '../../http1/body.ts';
import {
  parseResponseHead,
  responseFraming,
  ResponseHead,
  type ResponseFraming,
} from '../../http1/response-head.ts';
import type { HeadLimits } from '../../http1/request-head.ts';
import type { SocketWriter } from '../../net/socket-writer.ts';
import { HeadAccumulator } from '../connection/head-accumulator.ts';

/** Interim (1xx) answers that one request may get, together no larger than one head; an endpoint that sends more is broken. */
const INTERIM_LIMIT = 16;

/** So much more of a body, or so much in one read, makes it a long one, in bytes. */
export const LONG_BODY = 32 * 1024;

/** Who owns the relay: makes the heads and hears how the response goes. */
export interface ResponseSink {
  /** The client's. */
  readonly writer: SocketWriter;
  /** The method of the request. */
  readonly requestMethod: string;
  /** True where the client reads no chunks (HTTP/1.0). */
  readonly plainClient: boolean;
  /** The text of a final head for the client. */
  finalHead(head: ResponseHead, framing: ResponseFraming): string;
  /** The text of an interim head, or '' where the client does not understand them. */
  interimHead(head: ResponseHead): string;
  /** The endpoint switched protocols; `bytes[start..end)` are the tunnel's first. */
  upgraded(head: ResponseHead, bytes: Buffer, start: number, end: number): void;
  /** More of the body comes than one read brings. */
  longBody(): void;
  /** The response is complete. `leftover`: the endpoint sent more than it should have. */
  responseComplete(leftover: boolean): void;
  /** The endpoint sent something invalid. `begun`: the client has seen the head. */
  responseInvalid(code: number, begun: boolean): void;
}

export class ResponseRelay {
  readonly head = new ResponseHead();
  /** The final head has been written to the client. */
  begun = false;
  /** Any valid byte of an answer came, interim ones included. */
  heard = false;
  framing: ResponseFraming = 'none';
  readonly #sink: ResponseSink;
  readonly #pieces = new HeadAccumulator();
  readonly #reader = new ChunkedReader();
  #interims = 0;
  #interimBytes = 0;
  #remaining = 0;
  /** Where the body begins in the bytes that its head came with. */
  #bodyAt = 0;

  constructor(sink: ResponseSink) {
    this.#sink = sink;
  }

  reset(): void {
    this.begun = false;
    this.heard = false;
    this.#interims = 0;
    this.#interimBytes = 0;
    if (!this.#pieces.empty) this.#pieces.clear();
  }

  /** Handles bytes of the endpoint; valid only during the call. */
  push(bytes: Buffer, start: number, end: number, limits: HeadLimits & ChunkedLimits): void {
    this.heard = true;
    if (this.begun) {
      if (end - start > LONG_BODY) this.#sink.longBody();
      this.#body('', bytes, start, end);
    } else this.#heads(bytes, start, end, limits);
  }

  /** The endpoint closed: true when that is the proper end of the response. */
  endsByClose(): boolean {
    return this.begun && this.framing === 'close';
  }

  #heads(bytes: Buffer, start: number, end: number, limits: HeadLimits & ChunkedLimits): void {
    let at = start;
    let from = bytes;
    let until = end;
    if (!this.#pieces.empty) {
      this.#pieces.push(bytes, start, end);
      if (!this.#pieces.ready(limits.head)) return;
      from = this.#pieces.bytes;
      at = 0;
      until = this.#pieces.length;
    }
    for (;;) {
      const used = parseResponseHead(from, at, until, limits, this.head);
      if (used < 0) {
        this.#sink.responseInvalid(used, false);
        return;
      }
      if (used === 0) {
        this.#keep(from, at, until);
        return;
      }
      at += used;
      const { status } = this.head;
      if (status >= 200) break;
      if (status === 101) {
        this.#sink.upgraded(this.head, from, at, until);
        return;
      }
      this.#interims += 1;
      this.#interimBytes += used;
      if (this.#interims > INTERIM_LIMIT || this.#interimBytes > limits.head) {
        this.#sink.responseInvalid(0, false);
        return;
      }
      const text = this.#sink.interimHead(this.head);
      if (text !== '') this.#sink.writer.write(text);
      if (at === until) {
        this.#pieces.clear();
        return;
      }
    }
    this.#begin(from, at, until, limits);
  }

  /** Keeps an incomplete head for the next bytes. */
  #keep(from: Buffer, at: number, until: number): void {
    const rest =
      from === this.#pieces.bytes ? Buffer.from(from.subarray(at, until)) : from.subarray(at, until);
    this.#pieces.clear();
    this.#pieces.push(rest, 0, rest.length);
  }

  #begin(bytes: Buffer, at: number, end: number, limits: ChunkedLimits): void {
    const framing = responseFraming(this.head, this.#sink.requestMethod);
    this.framing = framing;
    this.#remaining = this.head.contentLength;
    if (framing === 'chunked') this.#reader.reset(limits, this.#sink.plainClient, true);
    const text = this.#sink.finalHead(this.head, framing);
    this.begun = true;
    this.#bodyAt = at;
    if (framing === 'length' && this.#remaining - (end - at) > LONG_BODY) this.#sink.longBody();
    this.#body(text, bytes, at, end);
    if (!this.#pieces.empty) this.#pieces.clear();
  }

  /** Writes `prefix` and what of the bytes belongs to the body. */
  #body(prefix: string, bytes: Buffer, start: number, end: number): void {
    const sink = this.#sink;
    switch (this.framing) {
      case 'none':
        this.#emit(prefix, bytes, start, start);
        sink.responseComplete(start < end);
        return;
      case 'length': {
        const take = Math.min(this.#remaining, end - start);
        this.#remaining -= take;
        this.#emit(prefix, bytes, start, start + take);
        if (this.#remaining === 0) sink.responseComplete(start + take < end);
        return;
      }
      case 'close':
        this.#emit(prefix, bytes, start, end);
        return;
      case 'chunked':
        this.#chunks(prefix, bytes, start, end);
        return;
    }
  }

  #chunks(prefix: string, bytes: Buffer, start: number, end: number): void {
    const reader = this.#reader;
    const { writer } = this.#sink;
    const used = reader.push(bytes, start, end);
    if (used < 0) {
      if (prefix !== '') this.#emit(prefix, bytes, start, start);
      this.#sink.responseInvalid(used, true);
      return;
    }
    if (this.#sink.plainClient) {
      if (prefix !== '') this.#emit(prefix, bytes, start, start);
      for (const piece of reader.payload) this.#emit('', Buffer.from(piece), 0, piece.length);
    } else if (reader.held === null) {
      this.#emit(prefix, bytes, reader.from, reader.to);
    } else {
      this.#emit(prefix, bytes, start, start);
      this.#emit('', reader.held, 0, reader.held.length);
      this.#emit('', bytes, reader.from, reader.to);
    }
    const { tail } = reader;
    if (tail !== null && !this.#sink.plainClient) writer.writeBytes(tail, 0, tail.length);
    if (reader.done) this.#sink.responseComplete(start + used < end);
  }

  #emit(prefix: string, bytes: Buffer, start: number, end: number): void {
    const { writer } = this.#sink;
    if (prefix !== '') writer.write(prefix);
    if (start === end) return;
    const { text, length } = this.head;
    const at = length + start - this.#bodyAt;
    if (prefix !== '' && at + end - start <= text.length) writer.write(text.slice(at, at + end - start));
    else writer.writeBytes(bytes, start, end);
  }
}
