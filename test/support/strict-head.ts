/**
 * One head of an HTTP/1.1 message, read as strictly as RFC 9110 and 9112 allow. Written apart from `src/http1` on
 * purpose: it is the second opinion on every byte that the proxy lets through, so it must never import from there,
 * and it prefers plain regular expressions over speed.
 */

export type MessageKind = 'request' | 'response';
export type Framing = 'none' | 'length' | 'chunked' | 'close';
export type Field = readonly [name: string, value: string];

export interface Head {
  readonly kind: MessageKind;
  /** '' on responses. */
  readonly method: string;
  /** '' on responses. */
  readonly target: string;
  /** 0 on requests. */
  readonly status: number;
  readonly reason: string;
  readonly minor: 0 | 1;
  /** As they came, names in their own spelling. */
  readonly fields: readonly Field[];
  readonly framing: Framing;
  /** Of the body where `framing` is `length`, else 0. */
  readonly length: number;
  /** The whole head as it came, latin1, without the empty line. */
  readonly text: string;
}

const REQUEST_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!"$-~]+) HTTP\/1\.([01])$/;
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)$/;
const FIELD =
  /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*$/;
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z\-._~!$&'()*+,;=%]+)(?::[0-9]*)?$/;

/** Values of all field lines of that name (any case), in order. */
export function values(fields: readonly Field[], name: string): string[] {
  const lower = name.toLowerCase();
  return fields.filter(([other]) => other.toLowerCase() === lower).map(([, value]) => value);
}

/** The field's value, several lines joined by `, `; undefined when absent. */
export function value(head: { readonly fields: readonly Field[] }, name: string): string | undefined {
  const all = values(head.fields, name);
  return all.length === 0 ? undefined : all.join(', ');
}

/** A line that breaks the grammar, as a word for the fault. */
function readFields(lines: readonly string[]): Field[] | string {
  const fields: Field[] = [];
  for (const line of lines) {
    const match = FIELD.exec(line);
    if (match === null) return `bad field line ${JSON.stringify(line.slice(0, 80))}`;
    fields.push([match[1] as string, match[2] as string]);
  }
  return fields;
}

function lengthOf(fields: readonly Field[]): number | string {
  const lengths = values(fields, 'content-length');
  if (lengths.length === 0) return -1;
  if (lengths.length > 1) return 'more than one Content-Length';
  const text = lengths[0] as string;
  return /^[0-9]{1,15}$/.test(text) ? Number(text) : `bad Content-Length ${JSON.stringify(text)}`;
}

/** Reads trailer fields: the lines between the last chunk and the empty line. */
export function readTrailers(text: string): Field[] | string {
  return text === '' ? [] : readFields(text.split('\r\n'));
}

/**
 * Reads a head, without its empty line. Gives a sentence instead when it is malformed.
 * `requestMethod` is that of the request which a response answers.
 */
export function readHead(kind: MessageKind, text: string, requestMethod = 'GET'): Head | string {
  const lines = text.split('\r\n');
  const start = lines[0] as string;
  const match = (kind === 'request' ? REQUEST_LINE : STATUS_LINE).exec(start);
  if (match === null) return `bad first line ${JSON.stringify(start.slice(0, 120))}`;
  const fields = readFields(lines.slice(1));
  if (typeof fields === 'string') return fields;
  const length = lengthOf(fields);
  if (typeof length === 'string') return length;
  const coding = values(fields, 'transfer-encoding');
  if (coding.length > 0) {
    if (coding.length > 1 || (coding[0] as string).toLowerCase() !== 'chunked') {
      return `bad Transfer-Encoding ${JSON.stringify(coding)}`;
    }
    if (length !== -1) return 'both Content-Length and Transfer-Encoding';
  }
  const chunked = coding.length > 0;
  if (kind === 'request') {
    const minor = match[3] === '1' ? 1 : 0;
    if (chunked && minor === 0) return 'Transfer-Encoding in an HTTP/1.0 request';
    const hosts = values(fields, 'host');
    if (hosts.length > 1) return 'more than one Host';
    if (hosts.length === 0 && minor === 1) return 'no Host';
    if (hosts.length === 1 && !HOST.test(hosts[0] as string)) return `bad Host ${JSON.stringify(hosts[0])}`;
    const framing = chunked ? 'chunked' : length > 0 ? 'length' : 'none';
    const method = match[1] as string;
    const target = match[2] as string;
    return {
      kind,
      method,
      target,
      status: 0,
      reason: '',
      minor,
      fields,
      framing,
      length: Math.max(length, 0),
      text,
    };
  }
  const status = Number(match[2]);
  const minor = match[1] === '1' ? 1 : 0;
  const bodiless = status < 200 || status === 204 || status === 304 || requestMethod === 'HEAD';
  if ((status < 200 || status === 204) && (chunked || length !== -1))
    return `framing fields in a ${status} answer`;
  if (chunked && minor === 0) return 'Transfer-Encoding in an HTTP/1.0 response';
  const framing = bodiless
    ? 'none'
    : chunked
      ? 'chunked'
      : length === -1
        ? 'close'
        : length > 0
          ? 'length'
          : 'none';
  const reason = match[3] as string;
  return {
    kind,
    method: '',
    target: '',
    status,
    reason,
    minor,
    fields,
    framing,
    length: Math.max(length, 0),
    text,
  };
}
