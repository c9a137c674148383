/**
 * An HTTP/2 request head in the form of HTTP/1.1, so that one grammar, the codec's, decides what a request is.
 *
 * Promise: no byte of a pseudo-field, a name or a value can end its line or begin another one; fields that frame or steer a
 * connection are refused, never dropped; so the codec reads as many fields as the client sent, and nothing can be smuggled
 * on the way from HTTP/2 to HTTP/1.1. Source: RFC 9113, sections 8.2 and 8.3. Pure.
 */
import { protocolErrorNumber } from '../http1/protocol-errors.ts';
import { TARGET, TOKEN } from '../http1/grammar.ts';
import { CONNECTION_FIELDS, isFieldName, isFieldValue, isOf, trimmedValue } from './field-grammar.ts';
import { declaredLength, type BodyForm, type BodyFraming } from './stream-body.ts';

const BAD_METHOD = protocolErrorNumber('bad_method');
const BAD_TARGET = protocolErrorNumber('bad_target');
const BAD_FIELD_NAME = protocolErrorNumber('bad_field_name');
const BAD_LENGTH = protocolErrorNumber('bad_length');
const DUPLICATE_LENGTH = protocolErrorNumber('duplicate_length');
const CONTROL_CHARACTER = protocolErrorNumber('control_character');
const CONNECT = protocolErrorNumber('connect');
const DUPLICATE_HOST = protocolErrorNumber('duplicate_host');
const HOST_MISMATCH = protocolErrorNumber('host_mismatch');
const BAD_PSEUDO_FIELD = protocolErrorNumber('bad_pseudo_field');
const CONNECTION_FIELD = protocolErrorNumber('connection_field');

/** Methods whose requests are expected to say how long their content is, even if there is none (RFC 9110, section 8.6). */
const WITH_CONTENT = new Set(['POST', 'PUT', 'PATCH']);

/** A head in the form of HTTP/1.1, and what its writer knows of the request besides. */
export interface RequestText extends BodyFraming {
  /** Latin1, through the empty line. */
  readonly text: string;
  readonly method: string;
}

/**
 * The head, or a negative refusal. `raw` has names and values in turns, as they came. `ended`: the request has no body and no
 * trailers. A body of a length that the client does not tell goes in chunks.
 */
export function requestText(raw: readonly string[], ended: boolean): RequestText | number {
  let method: string | undefined;
  let path: string | undefined;
  let scheme: string | undefined;
  let authority: string | undefined;
  let host: string | undefined;
  let length = -1;
  let cookies: string | null = null;
  let lines = '';
  let fields = false;
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index]!;
    const given = raw[index + 1]!;
    if (!isFieldValue(given)) return CONTROL_CHARACTER;
    if (name.charCodeAt(0) === COLON) {
      const value = given;
      if (fields) return BAD_PSEUDO_FIELD;
      if (name === ':method' && method === undefined) method = value;
      else if (name === ':path' && path === undefined) path = value;
      else if (name === ':scheme' && scheme === undefined) scheme = value;
      else if (name === ':authority' && authority === undefined) authority = value;
      else return name === ':protocol' ? CONNECT : BAD_PSEUDO_FIELD;
      continue;
    }
    fields = true;
    const value = trimmedValue(given);
    if (!isFieldName(name)) return BAD_FIELD_NAME;
    if (CONNECTION_FIELDS.has(name)) return CONNECTION_FIELD;
    if (name === 'te' && value.toLowerCase() !== 'trailers') return CONNECTION_FIELD;
    if (name === 'host') {
      if (host !== undefined) return DUPLICATE_HOST;
      host = value;
      continue;
    }
    if (name === 'cookie') {
      // Clients may send each cookie in a field of its own; HTTP/1.1 has one (RFC 9113, section 8.2.3).
      if (cookies === null || cookies === '') cookies = value;
      else if (value !== '') cookies += `; ${value}`;
      continue;
    }
    if (name === 'content-length') {
      if (length !== -1) return DUPLICATE_LENGTH;
      length = declaredLength(value);
      if (length === -1) return BAD_LENGTH;
    }
    lines += `${name}: ${value}\r\n`;
  }
  if (method === 'CONNECT') return CONNECT;
  if (method === undefined || path === undefined) return BAD_PSEUDO_FIELD;
  if (scheme !== 'http' && scheme !== 'https') return BAD_PSEUDO_FIELD;
  if (!isOf(TOKEN, method)) return BAD_METHOD;
  if (!isOf(TARGET, path) || (path.charCodeAt(0) !== SLASH && path !== '*')) return BAD_TARGET;
  if (authority !== undefined && host !== undefined && authority.toLowerCase() !== host.toLowerCase())
    return HOST_MISMATCH;
  if (ended && length > 0) return BAD_LENGTH;
  const name = authority ?? host;
  if (name !== undefined) lines = `host: ${name}\r\n${lines}`;
  if (cookies !== null) lines += `cookie: ${cookies}\r\n`;
  let form: BodyForm = 'none';
  if (length === -1) {
    if (!ended) {
      lines += 'transfer-encoding: chunked\r\n';
      form = 'chunks';
    } else if (WITH_CONTENT.has(method)) lines += 'content-length: 0\r\n';
  } else if (!ended) form = 'length';
  return { text: `${method} ${path} HTTP/1.1\r\n${lines}\r\n`, method, form, length };
}

const COLON = 0x3a;
const SLASH = 0x2f;
