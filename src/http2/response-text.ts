/**
 * An HTTP/2 response head in the form of HTTP/1.1, for the response codec.
 *
 * Promise: as for requests (`request-text.ts`), no byte of a name or a value can end its line; what HTTP/2 does not allow
 * makes the response invalid. Pure.
 */
import { CONNECTION_FIELDS, isFieldName, isFieldValue, trimmedValue } from './field-grammar.ts';
import { declaredLength, type BodyForm, type BodyFraming } from './stream-body.ts';

export interface ResponseText extends BodyFraming {
  /** Latin1, through the empty line. */
  readonly text: string;
  /** A final answer follows this one. */
  readonly interim: boolean;
}

/** What decides how a response is written besides its fields. */
export interface ResponseSituation {
  /** Nothing follows the head. */
  readonly ended: boolean;
  /** Of the request. */
  readonly method: string;
  /** The connection to the endpoint takes no further request. */
  readonly close: boolean;
  /**
   * Who gets the answer has use for trailers: `always`, or `announced`, where the answer names them in `trailer`. Trailers follow
   * chunks only, so that a body with a length goes in chunks then, and the length goes beside the text.
   */
  readonly trailers: 'always' | 'announced';
}

/** The head, or null if it is not a valid one. */
export function responseText(
  raw: readonly string[],
  { ended, method, close, trailers }: ResponseSituation,
): ResponseText | null {
  let status = '';
  let lines = '';
  let length = -1;
  let announced = trailers === 'always';
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index]!;
    const value = trimmedValue(String(raw[index + 1]));
    if (name === ':status' && status === '') {
      status = value;
      continue;
    }
    if (!isFieldName(name) || !isFieldValue(value) || CONNECTION_FIELDS.has(name)) return null;
    if (name === 'content-length') {
      if (length !== -1) return null;
      length = declaredLength(value);
      if (length === -1) return null;
      continue;
    }
    if (name === 'trailer') announced = true;
    lines += `${name}: ${value}\r\n`;
  }
  if (!/^[1-5]\d\d$/.test(status) || status === '101') return null;
  const interim = status.startsWith('1');
  const bodiless = interim || method === 'HEAD' || status === '204' || status === '304';
  if (ended && interim) return null;
  let form: BodyForm = 'none';
  if (bodiless) {
    if (length !== -1) lines += `content-length: ${length}\r\n`;
  } else if (ended) {
    if (length > 0) return null;
    lines += 'content-length: 0\r\n';
  } else if (length === -1 || announced) {
    form = 'chunks';
    lines += 'transfer-encoding: chunked\r\n';
  } else {
    form = 'length';
    lines += `content-length: ${length}\r\n`;
  }
  if (close && !interim) lines += 'connection: close\r\n';
  return { text: `HTTP/1.1 ${status} \r\n${lines}\r\n`, form, length, interim };
}
