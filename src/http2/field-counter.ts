/**
 * Counts the fields of each head and of trailers in the bytes of one direction of a connection of HTTP/2, from the frames themselves
 * (RFC 9113, sections 4.1, 6.2 and 6.10; RFC 7541, sections 5 and 6).
 *
 * nghttp2 leaves out a field whose name or value HTTP/2 does not allow (an empty name, a line feed or a NUL in a value), and tells
 * nobody: a request would go on without its user's identity. Whoever knows how many fields were sent sees that one is missing.
 *
 * Promise: it decodes nothing, keeps no byte, and takes time in proportion to the bytes, however they are cut. A block that does not
 * end where a field ends counts as -1, so that it never agrees with any list.
 */

const FRAME_HEAD = 9;
const HEADERS = 1;
const CONTINUATION = 9;
const END_HEADERS = 0x4;
const PADDED = 0x8;
const PRIORITY = 0x20;
const PRIORITY_LENGTH = 5;

/** Where in a block the next byte stands. */
const FIELD = 0;
const INDEX = 1;
const LENGTH = 2;
const LENGTH_REST = 3;
const TEXT = 4;
const BROKEN = 5;

/** Blocks that may wait for their list: each list takes those before it along, so that more are nobody's in good faith. */
const MOST_WAITING = 16_384;

/** No number in a block is longer: nghttp2 refuses it as well. */
const MOST_SHIFT = 28;

export class FieldCounter {
  /** Bytes until the next frame's head: the preface, or the rest of a payload. */
  #skip: number;
  readonly #frameHead = Buffer.alloc(FRAME_HEAD);
  #headLength = 0;
  /** What of the current frame's payload is the block: how much of it is left, and what padding follows it. */
  #block = 0;
  #padding = 0;
  #padded = false;
  #lead = 0;
  /** The rest of the payload while pad length and priority are read. */
  #rest = 0;
  #endsBlock = false;
  #stream = 0;

  #state = FIELD;
  #fields = 0;
  /** Texts of the current field that are still to come, its name's or its value's. */
  #texts = 0;
  #length = 0;
  #shift = 0;

  /** Of blocks that are complete, in their order: a stream and its number of fields in turns. */
  #counts: number[] = [];
  #first = 0;

  /** `preface`: bytes before the first frame, 24 from a client and none from a server. */
  constructor(preface: number) {
    this.#skip = preface;
  }

  /** The next bytes of the connection. */
  read(bytes: Buffer): void {
    let at = 0;
    const end = bytes.length;
    while (at < end) {
      if (this.#block > 0) at = this.#readBlock(bytes, at, end);
      else if (this.#skip > 0) {
        const taken = Math.min(this.#skip, end - at);
        this.#skip -= taken;
        at += taken;
      } else if (this.#headLength < FRAME_HEAD) {
        this.#frameHead[this.#headLength] = bytes[at] as number;
        this.#headLength += 1;
        at += 1;
        if (this.#headLength === FRAME_HEAD) this.#beginFrame();
      } else {
        at = this.#readLead(bytes, at);
      }
    }
  }

  #beginFrame(): void {
    const head = this.#frameHead;
    const length = head.readUIntBE(0, 3);
    const type = head[3] as number;
    const flags = head[4] as number;
    if (type !== HEADERS && type !== CONTINUATION) {
      this.#skip = length;
      this.#headLength = 0;
      return;
    }
    if (type === HEADERS) {
      this.#stream = head.readUInt32BE(5) & 0x7fffffff;
      this.#fields = 0;
      this.#state = FIELD;
    }
    this.#endsBlock = (flags & END_HEADERS) !== 0;
    this.#padded = type === HEADERS && (flags & PADDED) !== 0;
    this.#lead = type === HEADERS && (flags & PRIORITY) !== 0 ? PRIORITY_LENGTH : 0;
    this.#padding = 0;
    this.#rest = length;
    if (this.#padded || this.#lead > 0) return;
    this.#beginBlock();
  }

  /** Reads the pad length and the priority, which stand before the block. */
  #readLead(bytes: Buffer, at: number): number {
    if (this.#rest === 0) {
      this.#broken();
      this.#beginBlock();
      return at;
    }
    this.#rest -= 1;
    if (this.#padded) {
      this.#padded = false;
      this.#padding = bytes[at] as number;
    } else {
      this.#lead -= 1;
    }
    if (!this.#padded && this.#lead === 0) this.#beginBlock();
    return at + 1;
  }

  #beginBlock(): void {
    if (this.#padding > this.#rest) {
      this.#broken();
      this.#padding = this.#rest;
    }
    this.#block = this.#rest - this.#padding;
    this.#skip = this.#padding;
    this.#headLength = 0;
    if (this.#block === 0) this.#endBlock();
  }

  #broken(): void {
    this.#state = BROKEN;
  }

  /** Reads what is here of the frame's part of a block. */
  #readBlock(bytes: Buffer, start: number, end: number): number {
    const stop = Math.min(end, start + this.#block);
    let at = start;
    while (at < stop) {
      if (this.#state === TEXT) {
        const taken = Math.min(this.#length, stop - at);
        this.#length -= taken;
        at += taken;
        if (this.#length === 0) this.#endText();
      } else if (this.#state === BROKEN) at = stop;
      else {
        this.#step(bytes[at] as number);
        at += 1;
      }
    }
    this.#block -= stop - start;
    if (this.#block === 0) this.#endBlock();
    return stop;
  }

  #step(byte: number): void {
    switch (this.#state) {
      case FIELD:
        this.#beginField(byte);
        return;
      case INDEX:
        if (byte < 0x80) this.#afterIndex();
        return;
      case LENGTH:
        this.#length = byte & 0x7f;
        this.#shift = 0;
        if (this.#length === 0x7f) this.#state = LENGTH_REST;
        else this.#beginText();
        return;
      case LENGTH_REST:
        if (this.#shift > MOST_SHIFT) {
          this.#broken();
          return;
        }
        this.#length += (byte & 0x7f) * 2 ** this.#shift;
        this.#shift += 7;
        if (byte < 0x80) this.#beginText();
        return;
    }
  }

  /** A field, or a new size of the table, begins with its kind and an index. */
  #beginField(byte: number): void {
    let most = 0x0f;
    if (byte >= 0x80) most = 0x7f;
    else if (byte >= 0x40) most = 0x3f;
    else if (byte >= 0x20) most = 0x1f;
    const index = byte & most;
    if (most !== 0x1f) this.#fields += 1;
    // A field of the table has no text; others have a value, and a name where the table has none for them.
    this.#texts = most === 0x7f || most === 0x1f ? 0 : index === 0 ? 2 : 1;
    if (index === most) this.#state = INDEX;
    else this.#afterIndex();
  }

  #afterIndex(): void {
    this.#state = this.#texts > 0 ? LENGTH : FIELD;
  }

  #beginText(): void {
    this.#state = TEXT;
    if (this.#length === 0) this.#endText();
  }

  #endText(): void {
    this.#texts -= 1;
    this.#afterIndex();
  }

  #endBlock(): void {
    if (!this.#endsBlock) return;
    if (this.#counts.length >= 2 * MOST_WAITING) {
      this.#counts.splice(0, MOST_WAITING);
      this.#first = Math.max(0, this.#first - MOST_WAITING);
    }
    this.#counts.push(this.#stream, this.#state === FIELD ? this.#fields : -1);
  }

  /**
   * How many fields the next block of `stream` has; -1 where there is none, or none that can be counted. Blocks before it are
   * forgotten: what became of them is known, because lists come in the order of their blocks.
   */
  take(stream: number): number {
    const counts = this.#counts;
    let at = this.#first;
    while (at < counts.length && counts[at] !== stream) at += 2;
    const found = at < counts.length ? (counts[at + 1] as number) : -1;
    this.#first = at + 2;
    if (this.#first >= counts.length) {
      counts.length = 0;
      this.#first = 0;
    }
    return found;
  }
}
