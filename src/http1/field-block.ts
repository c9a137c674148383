/**
 * A block of header lines: one pass over the bytes that validates every line and notes where its name and value are.
 *
 * It allocates nothing per line, and what it accepts ends each line with CRLF, has no folded lines and no byte that the grammar
 * forbids. What a field means is not decided here.
 */
import { F, NAME_LENGTH, nameAt, shortNameAt } from './fields.ts';
import { COLON, CR, HTAB, isSpace, LF, LOWER, NAME, SP, trimSpace, VALUE } from './grammar.ts';
import { protocolErrorNumber } from './protocol-errors.ts';
import { hasControl, viewOf } from './words.ts';

const BAD_FIELD_NAME = protocolErrorNumber('bad_field_name');
const SPACE_BEFORE_COLON = protocolErrorNumber('space_before_colon');
const OBS_FOLD = protocolErrorNumber('obs_fold');
const BARE_CR = protocolErrorNumber('bare_cr');
const BARE_LF = protocolErrorNumber('bare_lf');
const CONTROL_CHARACTER = protocolErrorNumber('control_character');
const TOO_MANY_FIELDS = protocolErrorNumber('too_many_fields');

const FIRST_CAPACITY = 32;
const COOKIE_BIT = 1 << F.COOKIE;
const NO_VALUES: readonly string[] = Object.freeze([]);

/** The lines of one head. Offsets are into `text`; the arrays are longer than `count` and are replaced when they grow. */
export class FieldBlock {
  /** Latin1 (a character is a byte): the head from its first line through its empty line, and perhaps bytes after it. */
  text = '';
  /** The length of the head in `text`. */
  length = 0;
  /** The number of header lines. */
  count = 0;
  /** The offset of the first header line. */
  fieldsStart = 0;
  nameStart: Int32Array = new Int32Array(FIRST_CAPACITY);
  nameEnd: Int32Array = new Int32Array(FIRST_CAPACITY);
  /** Values come without the spaces and tabs around them; an empty value has `valueStart === valueEnd`. */
  valueStart: Int32Array = new Int32Array(FIRST_CAPACITY);
  valueEnd: Int32Array = new Int32Array(FIRST_CAPACITY);
  /** Ids from `fields.ts`; 0 for names that are not well known. */
  fieldId: Uint8Array = new Uint8Array(FIRST_CAPACITY);
  /** True when a name that is not well known has a character that is no letter, digit or hyphen, such as an underscore. */
  hasOddNames = false;
  /** The cookie that was asked for last, and where the "=" of its first one is: others of that name are looked for behind it. */
  #foundCookie = '';
  #foundAt = -1;
  /** Bit sets of the ids seen, below 32 and from 32 on, and of those below 32 that were seen more than once. */
  seenLow = 0;
  seenHigh = 0;
  repeatedLow = 0;
  /** For the ids in `seenLow`, the index of the first line. */
  firstLine: Uint16Array = new Uint16Array(32);

  /** The offset where each line starts: nothing may stand before a name. */
  get lineStart(): Int32Array {
    return this.nameStart;
  }

  /** Whether a field with this well-known id is there. */
  seen(id: number): boolean {
    return (((id < 32 ? this.seenLow : this.seenHigh) >>> (id & 31)) & 1) === 1;
  }

  /** The index of the first line with this well-known id, or -1. */
  indexOf(id: number): number {
    if (!this.seen(id)) return -1;
    if (id < 32) return this.firstLine[id] as number;
    const { fieldId, count } = this;
    for (let index = 0; index < count; index += 1) if (fieldId[index] === id) return index;
    return -1;
  }

  /** The value of a line, as latin1. */
  value(index: number): string {
    return this.text.slice(this.valueStart[index], this.valueEnd[index]);
  }

  /** The field's value, given its lower-case name; several lines are joined by ", " (Cookie: by "; "). undefined: absent. */
  header(lowerName: string): string | undefined {
    const { count, nameStart, nameEnd } = this;
    const length = lowerName.length;
    let found: string | undefined;
    for (let index = 0; index < count; index += 1) {
      const start = nameStart[index] as number;
      if ((nameEnd[index] as number) - start !== length || !this.#isName(start, lowerName)) continue;
      const value = this.value(index);
      if (found === undefined) found = value;
      else found += (lowerName === 'cookie' ? '; ' : ', ') + value;
    }
    return found;
  }

  #isName(start: number, lowerName: string): boolean {
    const { text } = this;
    for (let at = 0; at < lowerName.length; at += 1) {
      if (LOWER[text.charCodeAt(start + at)] !== lowerName.charCodeAt(at)) return false;
    }
    return true;
  }

  /** The raw value of the first cookie of that name, or undefined. Cookies are split at ";" and trimmed, never unquoted. */
  cookie(name: string): string | undefined {
    if (!this.seen(F.COOKIE) || name === '') return undefined;
    if ((this.repeatedLow & COOKIE_BIT) === 0) {
      const index = this.indexOf(F.COOKIE);
      const end = this.valueEnd[index] as number;
      const equals = cookieAt(this.text, this.valueStart[index] as number, end, name);
      this.#foundCookie = name;
      this.#foundAt = equals;
      return equals === -1 ? undefined : cookieValue(this.text, equals, end);
    }
    for (let index = 0; index < this.count; index += 1) {
      if (this.fieldId[index] !== F.COOKIE) continue;
      // A line of its own: in the text, a name would be looked for up to the end of the head, for each line anew.
      const line = this.value(index);
      const equals = cookieAt(line, 0, line.length, name);
      if (equals !== -1) return cookieValue(line, equals, line.length);
    }
    return undefined;
  }

  /** The raw values of all cookies of that name but the first, in order; where there is none, no list is made. */
  otherCookies(name: string): readonly string[] {
    if (!this.seen(F.COOKIE) || name === '') return NO_VALUES;
    if ((this.repeatedLow & COOKIE_BIT) === 0) {
      const index = this.indexOf(F.COOKIE);
      const end = this.valueEnd[index] as number;
      const known = this.#foundCookie === name;
      const first = known ? this.#foundAt : cookieAt(this.text, this.valueStart[index] as number, end, name);
      if (first === -1 || cookieAt(this.text, first, end, name) === -1) return NO_VALUES;
    }
    const found: string[] = [];
    for (let index = 0; index < this.count; index += 1) {
      if (this.fieldId[index] !== F.COOKIE) continue;
      const line = this.value(index);
      const end = line.length;
      for (let at = cookieAt(line, 0, end, name); at !== -1; at = cookieAt(line, at, end, name))
        found.push(cookieValue(line, at, end));
    }
    return found.length < 2 ? NO_VALUES : found.slice(1);
  }

  /** Forgets the text, so that an idle connection does not hold it. */
  clear(): void {
    this.text = '';
    this.count = 0;
    this.seenLow = 0;
    this.seenHigh = 0;
    this.repeatedLow = 0;
    this.hasOddNames = false;
    this.#foundCookie = '';
  }

  grow(): void {
    const capacity = this.fieldId.length * 2;
    this.nameStart = grown(this.nameStart, capacity);
    this.nameEnd = grown(this.nameEnd, capacity);
    this.valueStart = grown(this.valueStart, capacity);
    this.valueEnd = grown(this.valueEnd, capacity);
    const fieldId = new Uint8Array(capacity);
    fieldId.set(this.fieldId);
    this.fieldId = fieldId;
  }
}

function grown(array: Int32Array, capacity: number): Int32Array {
  const out = new Int32Array(capacity);
  out.set(array);
  return out;
}

/**
 * Where the "=" of the first cookie `name` in `text[start..end)` is, or -1: the name must follow a ";" or the start, which is that of a
 * line or the "=" of another cookie.
 */
function cookieAt(text: string, start: number, end: number, name: string): number {
  for (let at = text.indexOf(name, start); at !== -1 && at < end; at = text.indexOf(name, at + 1)) {
    let before = at - 1;
    while (before >= start && isSpace(text.charCodeAt(before))) before -= 1;
    if (before >= start && text.charCodeAt(before) !== 0x3b) continue;
    let equals = at + name.length;
    while (equals < end && isSpace(text.charCodeAt(equals))) equals += 1;
    if (equals < end && text.charCodeAt(equals) === 0x3d) return equals;
  }
  return -1;
}

/** The value after the "=" at `equals`, up to the next ";" or `end`. */
function cookieValue(text: string, equals: number, end: number): string {
  const semicolon = text.indexOf(';', equals);
  return trimSpace(text, equals + 1, semicolon === -1 || semicolon > end ? end : semicolon);
}

/**
 * Reads header lines from `bytes[at..stop)` through the empty line. Offsets are noted relative to `base`.
 * Returns the position after the empty line; 0 when `stop` came first; or a negative refusal.
 */
export function parseFields(
  bytes: Buffer,
  from: number,
  stop: number,
  base: number,
  limit: number,
  block: FieldBlock,
): number {
  const { firstLine } = block;
  let { nameStart, nameEnd, valueStart, valueEnd, fieldId } = block;
  let capacity = fieldId.length;
  const view = viewOf(bytes);
  /** From here on there is no whole word. */
  const lastWord = stop - 4;
  let at = from;
  let count = 0;
  let nameFlags = 0;
  let seenLow = 0;
  let seenHigh = 0;
  let repeatedLow = 0;
  block.fieldsStart = from - base;
  for (;;) {
    if (at === stop) return 0;
    let byte = bytes[at] as number;
    if (byte === CR) {
      if (at + 1 === stop) return 0;
      if (bytes[at + 1] !== LF) return BARE_CR;
      break;
    }
    if (count === limit) return TOO_MANY_FIELDS;
    const lineAt = at;
    let id = at <= lastWord ? nameAt(bytes, view, at, stop) : F.OTHER;
    if (id === F.OTHER) {
      let flag = NAME[byte] as number;
      while (flag !== 0) {
        nameFlags |= flag;
        at += 1;
        if (at === stop) return 0;
        byte = bytes[at] as number;
        flag = NAME[byte] as number;
      }
      if (byte !== COLON || at === lineAt) return nameRefusal(byte, at === lineAt);
      id = shortNameAt(bytes, lineAt, at);
    } else {
      at += NAME_LENGTH[id] as number;
    }
    const nameStop = at;

    at += 1;
    while (at < stop && ((byte = bytes[at] as number) === SP || byte === HTAB)) at += 1;
    const valueAt = at;
    // Four bytes at a time to where the line's end, or a tab, is near.
    while (at <= lastWord && !hasControl(view.getInt32(at, true))) at += 4;
    while (at < stop && VALUE[(byte = bytes[at] as number)] === 1) at += 1;
    if (at === stop) return 0;
    if (byte !== CR) return byte === LF ? BARE_LF : CONTROL_CHARACTER;
    if (at + 1 === stop) return 0;
    if (bytes[at + 1] !== LF) return BARE_CR;
    let valueStop = at;
    while (valueStop > valueAt && ((byte = bytes[valueStop - 1] as number) === SP || byte === HTAB))
      valueStop -= 1;
    at += 2;

    if (count === capacity) {
      block.grow();
      ({ nameStart, nameEnd, valueStart, valueEnd, fieldId } = block);
      capacity = fieldId.length;
    }
    nameStart[count] = lineAt - base;
    nameEnd[count] = nameStop - base;
    valueStart[count] = valueAt - base;
    valueEnd[count] = valueStop - base;
    fieldId[count] = id;
    const bit = 1 << (id & 31);
    if (id >= 32) {
      seenHigh |= bit;
    } else if ((seenLow & bit) === 0) {
      seenLow |= bit;
      firstLine[id] = count;
    } else {
      repeatedLow |= bit;
    }
    count += 1;
  }
  block.count = count;
  block.hasOddNames = (nameFlags & 2) !== 0;
  block.seenLow = seenLow;
  block.seenHigh = seenHigh;
  block.repeatedLow = repeatedLow;
  return at + 2;
}

/** Why `byte` may not stand where a name or its colon should. */
function nameRefusal(byte: number, first: boolean): number {
  if (byte === SP || byte === HTAB) return first ? OBS_FOLD : SPACE_BEFORE_COLON;
  if (byte === LF) return BARE_LF;
  if (byte === CR || byte === COLON) return BAD_FIELD_NAME;
  return VALUE[byte] === 1 ? BAD_FIELD_NAME : CONTROL_CHARACTER;
}
