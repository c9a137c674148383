/**
 * Query parameters, read as HTML forms write them (WHATWG URL, application/x-www-form-urlencoded).
 *
 * Names and values are wire texts: escapes become bytes, `+` a space, and a stray `%` stays as it is. Never throws.
 */

/**
 * The parameters that a policy asks for. A query is read once for all of them, in time proportional to its length: to look for each
 * name anew would let a long query cost as many times as much as there are names.
 */
export class WantedParameters {
  /** All slots. */
  readonly slots: number[] = [];
  readonly #byName = new Map<string, number>();
  #shortest = Infinity;
  #longest = 0;

  /** `name` is a wire text; no name twice. */
  add(name: string, slot: number): void {
    this.slots.push(slot);
    this.#byName.set(name, slot);
    this.#shortest = Math.min(this.#shortest, name.length);
    this.#longest = Math.max(this.#longest, name.length);
  }

  /** Puts the first value of each wanted parameter into its slot, '' for one without `=`. The slots hold undefined before. */
  read(query: string, values: unknown[]): void {
    const longestRaw = ESCAPE_LENGTH * this.#longest;
    // Each is searched for only when it is behind: looked for anew at every parameter, it might be found at the end each time.
    let equals = -1;
    let percent = -1;
    let plus = -1;
    for (let start = 0, end = 0; start < query.length; start = end + 1) {
      end = indexOrEnd(query, '&', start);
      if (end === start) continue;
      if (equals < start) equals = indexOrEnd(query, '=', start);
      const nameEnd = Math.min(equals, end);
      const length = nameEnd - start;
      // Escapes only ever make a name longer.
      if (length < this.#shortest || length > longestRaw) continue;
      if (percent < start) percent = indexOrEnd(query, '%', start);
      if (plus < start) plus = indexOrEnd(query, '+', start);
      const escaped = percent < nameEnd || plus < nameEnd;
      if (!escaped && length > this.#longest) continue;
      const raw = query.slice(start, nameEnd);
      const slot = this.#byName.get(escaped ? decodeForm(raw) : raw);
      if (slot === undefined || values[slot] !== undefined) continue;
      values[slot] = nameEnd === end ? '' : decodeForm(query.slice(nameEnd + 1, end));
    }
  }
}

/** The length of an escape, which stands for one character. */
const ESCAPE_LENGTH = 3;

function indexOrEnd(text: string, sought: string, from: number): number {
  const index = text.indexOf(sought, from);
  return index < 0 ? text.length : index;
}

let scratch = Buffer.alloc(8_192);

const PERCENT = 0x25;
const PLUS = 0x2b;
const SPACE = 0x20;

function decodeForm(text: string): string {
  if (text.indexOf('%') < 0 && text.indexOf('+') < 0) return text;
  if (text.length > scratch.length) scratch = Buffer.alloc(text.length);
  let to = 0;
  for (let at = 0; at < text.length; at++) {
    let byte = text.charCodeAt(at);
    if (byte === PLUS) byte = SPACE;
    else if (byte === PERCENT && at + 2 < text.length) {
      const decoded = (hexDigit(text.charCodeAt(at + 1)) << 4) | hexDigit(text.charCodeAt(at + 2));
      if (decoded >= 0) {
        byte = decoded;
        at += 2;
      }
    }
    scratch[to++] = byte;
  }
  return scratch.latin1Slice(0, to);
}

/** The value of a hexadecimal digit, or -1. */
function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const letter = code | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}
