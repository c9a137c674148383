/**
 * What HTTP/2 allows in a field, for heads and trailers in both directions (RFC 9113, section 8.2): so that no byte of a name or a
 * value can end its line or begin another one once it is written as HTTP/1.1. Pure.
 */
import { isSpace, TOKEN, trimSpace, VALUE } from '../http1/grammar.ts';

/** Fields that mean one connection (RFC 9113, section 8.2.2). */
export const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

/** Not empty, and every character of the class. */
export function isOf(table: Uint8Array, text: string): boolean {
  return text !== '' && holdsOnly(table, text);
}

export function isFieldValue(text: string): boolean {
  return holdsOnly(VALUE, text);
}

/** A token without upper-case letters. */
export function isFieldName(name: string): boolean {
  return isOf(TOKEN, name) && !/[A-Z]/.test(name);
}

function holdsOnly(table: Uint8Array, text: string): boolean {
  for (let at = 0; at < text.length; at += 1) if (table[text.charCodeAt(at)] !== 1) return false;
  return true;
}

/** Without the blanks around it, which are no part of a value (RFC 9110, section 5.5); HTTP/1.1 reads it so too. */
export function trimmedValue(value: string): string {
  const last = value.length - 1;
  if (last < 0 || (!isSpace(value.charCodeAt(0)) && !isSpace(value.charCodeAt(last)))) return value;
  return trimSpace(value, 0, value.length);
}
