/** Heads of HTTP/2 that are refused before the codec sees them, by the code that says why. Names and values in turns. */
import type { ProtocolErrorCode } from '../../../src/http1/protocol-errors.ts';

const GET = [':method', 'GET', ':scheme', 'http', ':authority', 'notes.test', ':path', '/'];

/** A good head but for one of its pseudo-fields. */
export const withPseudo = (name: string, value: string | null): string[] => {
  const head = [...GET];
  const at = head.indexOf(name);
  if (value === null) head.splice(at, 2);
  else head[at + 1] = value;
  return head;
};

export const REFUSED_HEADS: Partial<Record<ProtocolErrorCode, string[][]>> = {
  bad_pseudo_field: [
    withPseudo(':method', null),
    withPseudo(':path', null),
    withPseudo(':scheme', null),
    withPseudo(':scheme', 'ftp'),
    withPseudo(':scheme', ''),
    [...GET, ':path', '/other'],
    [...GET, 'a', 'b', ':authority', 'late.test'],
    ['a', 'b', ...GET],
    [...GET, ':status', '200'],
    [...GET, ':', ''],
    [...GET, ':Method', 'GET'],
  ],
  connect: [
    withPseudo(':method', 'CONNECT'),
    [':method', 'CONNECT', ':authority', 'notes.test:443'],
    [...GET, ':protocol', 'websocket'],
  ],
  bad_method: [
    withPseudo(':method', ''),
    withPseudo(':method', 'GET /evil HTTP/1.1'),
    withPseudo(':method', 'G T'),
  ],
  bad_target: [
    withPseudo(':path', ''),
    withPseudo(':path', 'x'),
    withPseudo(':path', '/a b'),
    withPseudo(':path', '/ HTTP/1.1'),
    withPseudo(':path', 'http://other.test/'),
    withPseudo(':path', '/#fragment'),
    withPseudo(':path', '/\u00e9'),
    withPseudo(':path', '*/'),
  ],
  control_character: [
    withPseudo(':path', '/\r\nx: y'),
    withPseudo(':path', '/\0'),
    withPseudo(':authority', 'notes.test\r\nx: y'),
    withPseudo(':method', 'GET\n'),
    [...GET, 'a', 'b\r\nc: d'],
    [...GET, 'a', 'b\rc'],
    [...GET, 'a', 'b\nc'],
    [...GET, 'a', 'b\0c'],
    [...GET, 'a', '\u007f'],
    // Beyond a byte: what a latin1 writer would cut to a line feed.
    [...GET, 'a', 'b\u010ac'],
    [...GET, 'cookie', 'a=b\r\nx: y'],
  ],
  bad_field_name: [
    [...GET, '', 'b'],
    [...GET, 'A', 'b'],
    [...GET, 'a b', 'c'],
    [...GET, 'a:', 'c'],
    [...GET, 'a\r\nb', 'c'],
    [...GET, 'a\0', 'c'],
    [...GET, '\u00e9', 'c'],
    [...GET, 'a\u010ab', 'c'],
  ],
  connection_field: [
    [...GET, 'connection', 'close'],
    [...GET, 'connection', ''],
    [...GET, 'keep-alive', 'timeout=5'],
    [...GET, 'proxy-connection', 'close'],
    [...GET, 'transfer-encoding', 'chunked'],
    [...GET, 'upgrade', 'websocket'],
    [...GET, 'http2-settings', 'AAMAAABk'],
    [...GET, 'te', 'gzip'],
    [...GET, 'te', 'trailers, gzip'],
  ],
  duplicate_host: [[...GET, 'host', 'notes.test', 'host', 'notes.test']],
  host_mismatch: [
    [...GET, 'host', 'other.test'],
    [...GET, 'host', 'notes.test:80'],
    [...GET, 'host', ''],
  ],
};
