/**
 * Query parameters, read as HTML forms write them (WHATWG URL, application/x-www-form-urlencoded).
 *
 * Names and values are wire texts: escapes become bytes, `+` a space, and a stray `%` stays as it is. Never throws.
 */

/** The first value of a parameter; '' for one without `=`, undefined for none. `name` is a wire text. */
export function queryValue(query: string, name: string): string | undefined {
  let start = 0;
  while (start < query.length) {
    let end = query.indexOf('&', start);
    if (end < 0) end = query.length;
    if (end > start) {
      const equals = query.indexOf('=', start);
      const nameEnd = equals < 0 || equals > end ? end : equals;
      if (isName(query, start, nameEnd, name)) {
        return nameEnd === end ? '' : decodeForm(query.slice(nameEnd + 1, end));
      }
    }
    start = end + 1;
  }
  return undefined;
}

function isName(query: string, start: number, end: number, name: string): boolean {
  // Escapes only ever make a name longer.
  if (end - start < name.length) return false;
  const raw = query.slice(start, end);
  return (hasEscape(raw) ? decodeForm(raw) : raw) === name;
}

function hasEscape(text: string): boolean {
  return text.indexOf('%') >= 0 || text.indexOf('+') >= 0;
}

const ESCAPE = /%([0-9A-Fa-f]{2})/g;

function decodeForm(text: string): string {
  if (!hasEscape(text)) return text;
  return text
    .replaceAll('+', ' ')
    .replace(ESCAPE, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}
