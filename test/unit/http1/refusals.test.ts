/** Every refusal code has inputs that get exactly it; what is nearly the same and good is in the tests of the parts. */
import { REFUSED_HEADS } from '../http2/refused-heads.ts';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  PROTOCOL_ERRORS,
  protocolErrorNumber,
  protocolErrorOf,
  type ProtocolErrorCode,
} from '../../../src/http1/protocol-errors.ts';
import { readChunked, requestOutcome, responseOutcome } from './reading.ts';
import { CHUNKED } from './chunked-cases.ts';
import { REQUESTS, RESPONSES } from './refusal-cases.ts';

function check(
  table: Partial<Record<ProtocolErrorCode, readonly string[]>>,
  read: (text: string) => number | string,
): void {
  for (const [code, texts] of Object.entries(table)) {
    for (const text of texts) assert.equal(read(text), code, JSON.stringify(text));
  }
}

test('requests are refused with the code that says why', () => check(REQUESTS, requestOutcome));
test('responses are refused with the code that says why', () => check(RESPONSES, responseOutcome));
test('chunked bodies are refused with the code that says why', () =>
  check(CHUNKED, (text) => readChunked([text]).result));

/** nghttp2 leaves such fields out, so that only a session has cases of them: `test/integration/http2-fields.test.ts`. */
const IN_SESSIONS = ['malformed_field'];

test('every code has a case', () => {
  const tables = [REQUESTS, RESPONSES, CHUNKED, REFUSED_HEADS];
  const tried = new Set([...tables.flatMap((table) => Object.keys(table)), ...IN_SESSIONS]);
  assert.deepEqual(
    PROTOCOL_ERRORS.map(({ code }) => code).filter((code) => !tried.has(code)),
    [],
  );
});

test('a code, its number and its status belong together', () => {
  for (const [index, { code, status, title, detail }] of PROTOCOL_ERRORS.entries()) {
    assert.match(code, /^[a-z][a-z0-9_]*$/);
    assert.equal(protocolErrorNumber(code as ProtocolErrorCode), -(index + 1));
    assert.equal(protocolErrorOf(-(index + 1)).code, code);
    assert.ok([400, 417, 431, 501, 505].includes(status) && title !== '' && detail.endsWith('.'), code);
  }
  assert.throws(() => protocolErrorOf(0), RangeError);
  assert.throws(() => protocolErrorOf(-PROTOCOL_ERRORS.length - 1), RangeError);
});
