/**
 * Data and trailers of HTTP/2 as chunks of HTTP/1.1. Pure.
 */
import { isForbiddenTrailer } from '../http1/trailers.ts';
import { FIELD_NAMES } from '../http1/fields.ts';
import { isFieldName, isFieldValue, trimmedValue } from './field-grammar.ts';

/** Names that the codec refuses as trailers: whoever reads HTTP/2 may discard them (RFC 9110, section 6.5.1). */
const FORBIDDEN_TRAILERS = new Set(FIELD_NAMES.filter((_, id) => isForbiddenTrailer(id)));

/**
 * The trailers that may be, names and values in turns: those that are none by the codec's rules are left out. null where one of them
 * is no field.
 */
export function keptTrailers(trailers: readonly string[]): string[] | null {
  const kept: string[] = [];
  for (let index = 0; index + 1 < trailers.length; index += 2) {
    const name = trailers[index] as string;
    const value = trimmedValue(trailers[index + 1] as string);
    if (!isFieldName(name) || !isFieldValue(value)) return null;
    if (!FORBIDDEN_TRAILERS.has(name)) kept.push(name, value);
  }
  return kept;
}

/** The end of a chunked body with those of the trailers that may be, or null where one of them is no field. */
export function lastChunk(trailers: readonly string[] | null): string | null {
  if (trailers === null) return '0\r\n\r\n';
  const kept = keptTrailers(trailers);
  if (kept === null) return null;
  let lines = '';
  for (let index = 0; index < kept.length; index += 2) lines += `${kept[index]}: ${kept[index + 1]}\r\n`;
  return `0\r\n${lines}\r\n`;
}

/** `data` as a chunk. Not for empty data, which would be the last one. */
export function chunkOf(data: Buffer): Buffer {
  const size = `${data.length.toString(16)}\r\n`;
  const chunk = Buffer.allocUnsafe(size.length + data.length + 2);
  chunk.write(size, 0, 'latin1');
  data.copy(chunk, size.length);
  chunk[chunk.length - 2] = 0x0d;
  chunk[chunk.length - 1] = 0x0a;
  return chunk;
}
