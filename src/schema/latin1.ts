/**
 * Texts as they travel: one character a byte (latin1).
 *
 * A request's fields are compared and hashed as the raw bytes that came. Documents hold Unicode; `wireText` turns it
 * into what a client that speaks UTF-8 puts on the wire. Nothing here may keep a request's head alive.
 */

const NOT_ASCII = /[^\0-\x7f]/;

/** The UTF-8 bytes of `text`, one character each. Costs nothing for ASCII. */
export function wireText(text: string): string {
  return NOT_ASCII.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text;
}

/** What a wire text says, read as UTF-8 (bytes that are not become U+FFFD). For people only. */
export function readableText(wire: string): string {
  return NOT_ASCII.test(wire) ? Buffer.from(wire, 'latin1').toString('utf8') : wire;
}

/** Characters of a request that people are shown of one value. */
const SHOWN = 200;

/** `readableText`, cut where it is long: an explanation may show one value thousands of times. */
export function shownText(wire: string): string {
  return wire.length <= SHOWN ? readableText(wire) : `${readableText(wire.slice(0, SHOWN))}…`;
}

/**
 * An equal string that stands alone. A part of a request's head keeps the whole head in memory (V8 slices share their
 * parent), so whatever goes into a cache goes through here first. `text` holds no character above 0xff.
 */
export function standaloneText(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

/** `text` without the spaces and tabs around it: the only white space of HTTP. `trim` would take a byte A0 off as well. */
export function trimBlanks(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}
