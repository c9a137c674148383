/**
 * An HTTP/2 response head in the form of HTTP/1.1, and the trailers and data that go with it, for the response codec.
 *
 * Promise: as for requests (`request-text.ts`), no byte of a name or a value can end its line; what HTTP/2 does not allow
 * makes the response invalid. Pure.
 */
import { FIELD_NAMES } from '../http1/fields.ts';
import { isForbiddenTrailer } from '../http1/trailers.ts';
import { CONNECTION_FIELDS, isFieldName, isFieldValue } from './field-grammar.ts';

/** Names that the codec refuses as trailers: whoever reads HTTP/2 may discard them (RFC 9110, section 6.5.1). */
const FORBIDDEN_TRAILERS = new Set(FIELD_NAMES.filter((_, id) => isForbiddenTrailer(id)));

export interface ResponseText {
  readonly text: string;
  /** The body goes in chunks. */
  readonly chunked: boolean;
}

/**
 * The head as latin1 text, or null if it is not a valid one. `ended`: nothing follows it. `close`: the connection to the
 * endpoint takes no further request.
 */
export function responseText(
  raw: readonly string[],
  ended: boolean,
  method: string,
  close: boolean,
): ResponseText | null {
  let status = '';
  let lines = '';
  let sized = false;
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index]!;
    const value = String(raw[index + 1]);
    if (name === ':status' && status === '') {
      status = value;
      continue;
    }
    if (!isField(name, value) || CONNECTION_FIELDS.has(name)) return null;
    if (name === 'content-length') sized = true;
    lines += `${name}: ${value}\r\n`;
  }
  if (!/^[1-5]\d\d$/.test(status) || status === '101') return null;
  const interim = status.startsWith('1');
  const bodiless = interim || method === 'HEAD' || status === '204' || status === '304';
  let chunked = false;
  if (!bodiless && !sized) {
    chunked = !ended;
    lines += ended ? 'content-length: 0\r\n' : 'transfer-encoding: chunked\r\n';
  }
  if (close && !interim) lines += 'connection: close\r\n';
  return { text: `HTTP/1.1 ${status} \r\n${lines}\r\n`, chunked };
}

/** The end of a chunked body with these trailers. Those that are none by the codec's rules are left out. */
export function lastChunk(trailers: readonly string[] | null): string {
  if (trailers === null) return '0\r\n\r\n';
  let lines = '';
  for (let index = 0; index + 1 < trailers.length; index += 2) {
    const name = trailers[index]!;
    const value = trailers[index + 1]!;
    if (isField(name, value) && !FORBIDDEN_TRAILERS.has(name)) lines += `${name}: ${value}\r\n`;
  }
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

function isField(name: string, value: string): boolean {
  return isFieldName(name) && isFieldValue(value);
}
