/**
 * Chunked bodies: finds where they end, and says which bytes may be passed on as they are.
 *
 * A size line, the line end after a chunk's data, or the trailers are passed on when all of them have come and are valid, and
 * never wait for what comes next; until then their bytes are kept here, at most as many as the limits allow. Time is proportional
 * to the bytes, however they are cut. What it accepts, llhttp in strict mode accepts and reads the same way. Grammar: RFC 9112,
 * section 7.1.
 */
import { FieldBlock, parseFields } from './field-block.ts';
import { CR, HEX, HTAB, LF, SP, TOKEN } from './grammar.ts';
import { protocolErrorNumber } from './protocol-errors.ts';
import { isForbiddenTrailer, trailersKept } from './trailers.ts';

const CHUNK_SIZE = protocolErrorNumber('chunk_size');
const CHUNK_EXTENSION = protocolErrorNumber('chunk_extension');
const CHUNK_END = protocolErrorNumber('chunk_end');
const BARE_CR = protocolErrorNumber('bare_cr');
const BARE_LF = protocolErrorNumber('bare_lf');
const BAD_TRAILER = protocolErrorNumber('bad_trailer');
const TOO_MANY_FIELDS = protocolErrorNumber('too_many_fields');
const TRAILER_TOO_LARGE = protocolErrorNumber('trailer_too_large');
const FORBIDDEN_TRAILER = protocolErrorNumber('forbidden_trailer');

/** Bytes: of all extensions of a body together, of all trailers; and the number of trailer fields. */
export interface ChunkedLimits {
  readonly extension: number;
  readonly trailer: number;
  readonly fields: number;
}

/** Where in the grammar the next byte stands. */
const FIRST_DIGIT = 0;
const DIGITS = 1;
const EXTENSION_NAME = 2;
const EXTENSION_VALUE = 3;
const EXTENSION_QUOTED = 4;
const EXTENSION_ESCAPE = 5;
const EXTENSION_END = 6;
const SIZE_LF = 7;
const DATA = 8;
const DATA_CR = 9;
const DATA_LF = 10;
const TRAILERS = 11;
const DONE = 12;

/** Some senders fill a size up with zeros (RFC 9112, section 7.1, sets no limit); what it says is limited apart from this. */
const DIGIT_LIMIT = 64;

/** A line that is not complete at the end of a buffer is mostly this short. */
const FIRST_KEEP = 128;

export class ChunkedReader {
  /** After `push`: validated bytes of earlier buffers, to be passed on before the range; null where there are none. */
  held: Buffer | null = null;
  /** After `push`: the range of this buffer to pass on as it is. */
  from = 0;
  to = 0;
  /** After `push`: what is to be passed on after the range, where it is not what came: trailers without those left out. Else null. */
  tail: Buffer | null = null;
  /** True when the last byte of the body was in what was pushed. */
  done = false;
  /** After `push` in payload mode: the data of the chunks, as views of the buffer. */
  payload: Buffer[] = [];
  /** Bytes of data so far. */
  size = 0;
  #limits: ChunkedLimits = { extension: 0, trailer: 0, fields: 0 };
  #payloadOnly = false;
  #lenient = false;
  #state = FIRST_DIGIT;
  #size = 0;
  #digits = 0;
  #extensionBytes = 0;
  /** Name bytes seen in the current extension. */
  #nameBytes = 0;
  #remaining = 0;
  /** The bytes of a unit (size line, trailers) that began in an earlier buffer. */
  #kept: Buffer = Buffer.alloc(0);
  #keptLength = 0;
  /** How many bytes of trailers have come, and of those, how many were looked through for their end. */
  #trailerBytes = 0;
  /** Length of the line that is coming in, its CR left out; -1 right after a CR. */
  #lineLength = 0;
  readonly #trailers = new FieldBlock();
  #hasTrailers = false;

  /** When `done`: the body's trailers, or null where it has none. Of use until the next call. */
  get trailers(): FieldBlock | null {
    return this.#hasTrailers ? this.#trailers : null;
  }

  /**
   * Starts with a new body. `payloadOnly`: the data is wanted, not the bytes as they came. `lenient`: trailers that may be none are
   * left out; otherwise they make the body invalid.
   */
  reset(limits: ChunkedLimits, payloadOnly = false, lenient = false): void {
    this.held = null;
    this.tail = null;
    this.done = false;
    this.size = 0;
    this.#limits = limits;
    this.#payloadOnly = payloadOnly;
    this.#lenient = lenient;
    if (this.payload.length > 0) this.payload = [];
    this.#state = FIRST_DIGIT;
    this.#size = 0;
    this.#digits = 0;
    this.#extensionBytes = 0;
    this.#keptLength = 0;
    this.#trailerBytes = 0;
    this.#hasTrailers = false;
    if (this.#kept.length > FIRST_KEEP) this.#kept = Buffer.alloc(0);
  }

  /**
   * Reads `bytes[start..end)`. Returns the number of bytes that belong to the body, which is less than all only when
   * it ended; or a negative refusal, after which only `reset` may be called.
   */
  push(bytes: Buffer, start: number, end: number): number {
    this.held = null;
    this.tail = null;
    this.from = start;
    this.to = start;
    if (this.#payloadOnly) this.payload = [];
    let at = start;
    /** Where the unit that is not validated yet begins in this buffer. */
    let unit = start;
    while (at < end && this.#state !== DONE) {
      if (this.#state === DATA) {
        const taken = Math.min(this.#remaining, end - at);
        if (this.#payloadOnly) this.payload.push(bytes.subarray(at, at + taken));
        at += taken;
        this.size += taken;
        this.#remaining -= taken;
        unit = at;
        if (this.#remaining === 0) this.#state = DATA_CR;
        continue;
      }
      if (this.#state === TRAILERS) {
        const next = this.#readTrailers(bytes, unit, at, end);
        if (next < 0) return next;
        at = next;
        continue;
      }
      const refusal = this.#step(bytes[at] as number);
      if (refusal !== 0) return refusal;
      at += 1;
      // The line that ended is valid whatever follows.
      if (this.#state === DATA || this.#state === FIRST_DIGIT || this.#state === TRAILERS) {
        this.#releaseKept();
        unit = at;
      }
    }
    if (this.#state === DONE) {
      this.done = true;
      if (this.tail === null) this.#releaseKept();
      this.to = this.tail === null ? at : unit;
      this.#keptLength = 0;
    } else {
      this.to = unit;
      this.#keep(bytes, unit, at);
    }
    return at - start;
  }

  /** One byte of a size line, or of the line end before it. Returns 0 or a refusal. */
  #step(byte: number): number {
    switch (this.#state) {
      case DATA_CR:
        if (byte !== CR) return CHUNK_END;
        this.#state = DATA_LF;
        return 0;
      case DATA_LF:
        if (byte !== LF) return CHUNK_END;
        this.#state = FIRST_DIGIT;
        return 0;
      case FIRST_DIGIT:
        this.#size = 0;
        this.#digits = 0;
        if (HEX[byte] === 255) return CHUNK_SIZE;
        this.#state = DIGITS;
        return this.#digit(byte);
      case DIGITS:
        if (HEX[byte] !== 255) return this.#digit(byte);
        if (byte === CR) this.#state = SIZE_LF;
        else if (byte === 0x3b) return this.#extension(EXTENSION_NAME);
        else return byte === LF ? BARE_LF : CHUNK_SIZE;
        return 0;
      case SIZE_LF:
        if (byte !== LF) return BARE_CR;
        this.#state = this.#size === 0 ? TRAILERS : DATA;
        this.#remaining = this.#size;
        this.#lineLength = 0;
        return 0;
      default:
        return this.#extensionByte(byte);
    }
  }

  #digit(byte: number): number {
    this.#digits += 1;
    if (this.#digits > DIGIT_LIMIT) return CHUNK_SIZE;
    this.#size = this.#size * 16 + (HEX[byte] as number);
    return this.#size <= Number.MAX_SAFE_INTEGER ? 0 : CHUNK_SIZE;
  }

  #extension(state: number): number {
    this.#state = state;
    if (state === EXTENSION_NAME) this.#nameBytes = 0;
    this.#extensionBytes += 1;
    return this.#extensionBytes <= this.#limits.extension ? 0 : CHUNK_EXTENSION;
  }

  #extensionByte(byte: number): number {
    const state = this.#state;
    if (state === EXTENSION_QUOTED) {
      if (byte === 0x22) return this.#extension(EXTENSION_END);
      if (byte === 0x5c) return this.#extension(EXTENSION_ESCAPE);
      return isQuotable(byte) ? this.#extension(state) : CHUNK_EXTENSION;
    }
    if (state === EXTENSION_ESCAPE)
      return isQuotable(byte) ? this.#extension(EXTENSION_QUOTED) : CHUNK_EXTENSION;
    if (TOKEN[byte] === 1 && state !== EXTENSION_END) {
      const refusal = this.#extension(state);
      this.#nameBytes += 1;
      return refusal;
    }
    if (byte === 0x22 && state === EXTENSION_VALUE && this.#nameBytes === 0)
      return this.#extension(EXTENSION_QUOTED);
    // What follows ends a name or a value, which may not be empty.
    if (state !== EXTENSION_END && this.#nameBytes === 0) return byte === LF ? BARE_LF : CHUNK_EXTENSION;
    if (byte === 0x3d && state === EXTENSION_NAME) {
      const refusal = this.#extension(EXTENSION_VALUE);
      this.#nameBytes = 0;
      return refusal;
    }
    if (byte === 0x3b) return this.#extension(EXTENSION_NAME);
    if (byte === CR) {
      this.#state = SIZE_LF;
      return 0;
    }
    return byte === LF ? BARE_LF : CHUNK_EXTENSION;
  }

  /**
   * Looks for the empty line that ends the trailers, then validates them all at once. Returns the position after what it
   * looked at, or a refusal. `unit`: where the trailers begin in this buffer, as far as they are here.
   */
  #readTrailers(bytes: Buffer, unit: number, start: number, end: number): number {
    let at = start;
    while (at < end) {
      const byte = bytes[at] as number;
      at += 1;
      this.#trailerBytes += 1;
      if (this.#trailerBytes > this.#limits.trailer) return TRAILER_TOO_LARGE;
      if (byte === CR) {
        if (this.#lineLength < 0) return BARE_CR;
        // -1: an ordinary line's CR, -2: the CR of the empty line.
        this.#lineLength = this.#lineLength === 0 ? -2 : -1;
      } else if (byte === LF) {
        if (this.#lineLength >= 0) return BARE_LF;
        const last = this.#lineLength === -2;
        this.#lineLength = 0;
        if (!last) continue;
        const refusal = this.#validateTrailers(bytes, unit, at);
        if (refusal !== 0) return refusal;
        this.#state = DONE;
        return at;
      } else {
        if (this.#lineLength < 0) return BARE_CR;
        this.#lineLength += 1;
      }
    }
    return at;
  }

  /** Most bodies have none: then there is only the empty line. */
  #validateTrailers(bytes: Buffer, unit: number, end: number): number {
    const length = this.#trailerBytes;
    if (length === 2) return 0;
    let whole = bytes;
    let stop = end;
    if (end - unit < length) {
      whole = Buffer.concat([this.#kept.subarray(0, this.#keptLength), bytes.subarray(unit, end)]);
      stop = whole.length;
    }
    const from = stop - length;
    const block = this.#trailers;
    const after = parseFields(whole, from, stop, from, this.#limits.fields, block);
    // The end was found before, so there is no third case: not the limit, then a line is at fault.
    if (after <= 0) return after === TOO_MANY_FIELDS ? TRAILER_TOO_LARGE : BAD_TRAILER;
    block.text = whole.latin1Slice(from, stop);
    block.length = length;
    for (let index = 0; index < block.count; index += 1) {
      if (!isForbiddenTrailer(block.fieldId[index] as number)) continue;
      if (!this.#lenient) return FORBIDDEN_TRAILER;
      this.tail = trailersKept(block);
      return 0;
    }
    this.#hasTrailers = true;
    return 0;
  }

  /** A unit that began in earlier buffers is valid: its bytes may go. */
  #releaseKept(): void {
    if (this.#keptLength === 0) return;
    this.held = Buffer.from(this.#kept.subarray(0, this.#keptLength));
    this.#keptLength = 0;
  }

  #keep(bytes: Buffer, start: number, end: number): void {
    const length = this.#keptLength + end - start;
    if (length > this.#kept.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(FIRST_KEEP, length, this.#kept.length * 2));
      this.#kept.copy(grown, 0, 0, this.#keptLength);
      this.#kept = grown;
    }
    bytes.copy(this.#kept, this.#keptLength, start, end);
    this.#keptLength = length;
  }
}

/** A byte of a quoted extension value, or one that a backslash may stand before. */
function isQuotable(byte: number): boolean {
  return byte === HTAB || (byte >= SP && byte < 0x7f);
}
