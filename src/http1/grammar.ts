/**
 * The byte classes of HTTP/1.1 as 256-entry tables, one load per byte.
 *
 * Sources: RFC 9110 section 5.6.2 (token) and 5.5 (field values), RFC 9112 section 3 (request line), RFC 3986 section 3.2.2 (host).
 * The tables say what this codec accepts, never more than llhttp does in strict mode.
 */

export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const COLON = 0x3a;

function table(accepts: (byte: number) => boolean): Uint8Array {
  const out = new Uint8Array(256);
  for (let byte = 0; byte < 256; byte += 1) if (accepts(byte)) out[byte] = 1;
  return out;
}

function among(characters: string): (byte: number) => boolean {
  return (byte) => characters.includes(String.fromCharCode(byte));
}

const DIGITS = '0123456789';
const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

const isToken = among(`!#$%&'*+-.^_\`|~${DIGITS}${LETTERS}`);

/** 1: may stand in a token (method, field name, coding, connection option). */
export const TOKEN = table(isToken);

/**
 * As TOKEN, with 2 for what is no letter, digit or hyphen: CGI-like servers take those characters for a hyphen, so that such a name
 * looks like another one, and a reader may want to know.
 */
export const NAME = TOKEN.map((accepted, byte) =>
  accepted === 1 && !among(`-${DIGITS}${LETTERS}`)(byte) ? 2 : accepted,
);

/** 1: may stand in a field value or a reason phrase: tab, space, visible ASCII, and bytes above 127, which pass as they are. */
export const VALUE = table((byte) => byte === HTAB || (byte >= SP && byte !== 0x7f));

/**
 * 1: may stand in a request target. All of visible ASCII but `#`: browsers send `|`, `[`, `{`, `"` and their like unescaped,
 * and HAProxy, nginx and llhttp let them pass.
 */
export const TARGET = table((byte) => byte > SP && byte < 0x7f && byte !== 0x23);

/** 1: may stand in a registered name: unreserved, sub-delims, and `%`, whose two digits are checked apart. */
export const HOST = table(among(`-._~!$&'()*+,;=%${DIGITS}${LETTERS}`));

/** The value of a hexadecimal digit, 255 for other bytes. */
export const HEX = table(() => false).map((_, byte) => {
  const value = '0123456789abcdef'.indexOf(String.fromCharCode(byte).toLowerCase());
  return value === -1 ? 255 : value;
});

/** A byte with ASCII letters made lower case. */
export const LOWER = new Uint8Array(256).map((_, byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 32 : byte));

/** Whether a character is one of those that may surround values (RFC 9110 section 5.6.3). */
export function isSpace(code: number): boolean {
  return code === SP || code === HTAB;
}

/** `text[start..end)` without the spaces and tabs around it. `trim` would take a byte A0 for a space, as no other parser does. */
export function trimSpace(text: string, start: number, end: number): string {
  let from = start;
  let to = end;
  while (from < to && isSpace(text.charCodeAt(from))) from += 1;
  while (to > from && isSpace(text.charCodeAt(to - 1))) to -= 1;
  return text.slice(from, to);
}
