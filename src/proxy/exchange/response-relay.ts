/**
 * A response on its way to the client: head, interim answers, body, in the framing that the client can read.
 *
 * Promise: only what the reader validated is written; bytes of the shared read buffer are copied before they are written; a body that
 * ends early never looks complete. It decides nothing: whoever pushes hears how the response goes on, after all was written.
 */
import type { BodyFraming } from '../../http1/body-reader.ts';
import type { MessageLimits } from '../../http1/request-reader.ts';
import type { ResponseHead } from '../../http1/response-head.ts';
import { AS_IT_CAME, DATA_ONLY, ResponseReader } from '../../http1/response-reader.ts';
import type { SocketWriter } from '../../net/socket-writer.ts';

/** Interim (1xx) answers that one request may get, together no larger than one head; an endpoint that sends more is broken. */
const INTERIM_LIMIT = 16;

/** So much more of a body, or so much in one read, makes it a long one, in bytes. */
export const LONG_BODY = 32 * 1024;

/** Where the response goes, and who makes the heads for the client. */
export interface RelayTarget {
  /** Where heads and bodies are written to; another one for each client. */
  readonly writer: Pick<SocketWriter, 'write' | 'writeBytes'>;
  /** The text of a final head for the client. */
  finalHead(head: ResponseHead, framing: BodyFraming): string;
  /** The text of an interim head, or '' where the client does not understand them. */
  interimHead(head: ResponseHead): string;
}

/**
 * `more`: the response goes on. `complete`: all of it was written. `upgraded`: the endpoint switched protocols, and the tunnel's first
 * bytes begin at `stoppedAt`. `invalid`: the endpoint sent something that is no response; `refusal` says what.
 */
export type RelayStep = 'more' | 'complete' | 'upgraded' | 'invalid';

export class ResponseRelay {
  readonly reader = new ResponseReader();
  /** After `push`: more of the body comes than one read brings. */
  long = false;
  /** After `complete` and `upgraded`: where in the bytes it stopped. */
  stoppedAt = 0;
  /** After `invalid`: the number of the refusal; 0 for an interim answer that nothing asked for, or more than are allowed. */
  refusal = 0;
  readonly #target: RelayTarget;
  #dataOnly = false;
  #upgrade = false;
  #interims = 0;
  #interimBytes = 0;
  /** Where the body begins in the bytes that its head came with. */
  #bodyAt = 0;

  constructor(target: RelayTarget) {
    this.#target = target;
  }

  /**
   * Before the response to a request with this method. `plain`: the client reads no chunks (HTTP/1.0). `upgrade`: it asks for another
   * protocol, so that 101 may answer it.
   */
  reset(method: string, plain: boolean, upgrade: boolean): void {
    this.#interims = 0;
    this.#interimBytes = 0;
    this.#dataOnly = plain;
    this.#upgrade = upgrade;
    this.reader.reset(method, plain ? DATA_ONLY : AS_IT_CAME);
  }

  /** Handles bytes of the endpoint; valid only during the call. */
  push(bytes: Buffer, start: number, end: number, limits: MessageLimits): RelayStep {
    const { reader } = this;
    if (reader.begun) {
      this.long = end - start > LONG_BODY;
      return this.#body('', bytes, start, end, limits);
    }
    this.long = false;
    for (let at = start; at < end;) {
      const step = reader.push(bytes, at, end, limits);
      if (step === 'refused') return this.#invalid(reader.refusal);
      if (step === 'more') return 'more';
      at += reader.used;
      const { head } = reader;
      if (reader.begun) return this.#begin(bytes, at, end, limits);
      if (head.status === 101) {
        if (!this.#upgrade) return this.#invalid(0);
        this.stoppedAt = at;
        return 'upgraded';
      }
      this.#interims += 1;
      this.#interimBytes += head.length;
      if (this.#interims > INTERIM_LIMIT || this.#interimBytes > limits.head) return this.#invalid(0);
      const text = this.#target.interimHead(head);
      if (text !== '') this.#target.writer.write(text);
    }
    return 'more';
  }

  #invalid(refusal: number): 'invalid' {
    this.refusal = refusal;
    return 'invalid';
  }

  #begin(bytes: Buffer, at: number, end: number, limits: MessageLimits): RelayStep {
    const { head, body } = this.reader;
    const text = this.#target.finalHead(head, body.framing);
    this.#bodyAt = at;
    this.long = body.framing === 'length' && head.contentLength - (end - at) > LONG_BODY;
    return this.#body(text, bytes, at, end, limits);
  }

  /** Writes `prefix` and what of the bytes belongs to the body. */
  #body(prefix: string, bytes: Buffer, start: number, end: number, limits: MessageLimits): RelayStep {
    const { reader } = this;
    const { body } = reader;
    this.stoppedAt = start;
    if (body.done || start === end) {
      this.#target.writer.write(prefix);
      return body.done ? 'complete' : 'more';
    }
    if (reader.push(bytes, start, end, limits) === 'refused') {
      if (prefix !== '') this.#target.writer.write(prefix);
      return this.#invalid(reader.refusal);
    }
    this.stoppedAt = start + reader.used;
    if (body.framing === 'chunked') this.#writeChunks(prefix, bytes);
    else this.#write(prefix, bytes, body.from, body.to);
    return body.done ? 'complete' : 'more';
  }

  #writeChunks(prefix: string, bytes: Buffer): void {
    const { held, from, to, tail, payload } = this.reader.body;
    if (this.#dataOnly) {
      this.#write(prefix, bytes, from, from);
      for (const piece of payload) this.#write('', Buffer.from(piece), 0, piece.length);
      return;
    }
    if (held === null) this.#write(prefix, bytes, from, to);
    else {
      this.#write(prefix, held, 0, 0);
      this.#write('', held, 0, held.length);
      this.#write('', bytes, from, to);
    }
    if (tail !== null) this.#write('', tail, 0, tail.length);
  }

  /** Writes `prefix` and `bytes[start..end)`. What of a small body came with its head is text already. */
  #write(prefix: string, bytes: Buffer, start: number, end: number): void {
    const { writer } = this.#target;
    if (prefix !== '') {
      const { text, length } = this.reader.head;
      const at = length + start - this.#bodyAt;
      if (start < end && at + end - start <= text.length) {
        writer.write(prefix + text.slice(at, at + end - start));
        return;
      }
      writer.write(prefix);
    }
    if (start < end) writer.writeBytes(bytes, start, end);
  }
}
