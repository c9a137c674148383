/** HTTP/2 heads as HTTP/1.1: what is refused, and that the codec reads of the rest exactly what was sent. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { PROTOCOL_ERRORS } from '../../../src/http1/protocol-errors.ts';
import { parseRequestHead, RequestHead } from '../../../src/http1/request-head.ts';
import { requestText } from '../../../src/http2/request-text.ts';
import { REFUSED_HEADS, withPseudo } from './refused-heads.ts';

const LIMITS = { requestLine: 8192, head: 32_768, fields: 100 };

const codeOf = (refusal: number): string => PROTOCOL_ERRORS[-refusal - 1]?.code ?? `number ${refusal}`;

/** What the codec makes of it. */
function read(raw: readonly string[], ended = true): { code: string; head: RequestHead; text: string } {
  const made = requestText(raw, ended);
  const head = new RequestHead();
  if (typeof made === 'number') return { code: codeOf(made), head, text: '' };
  const { text } = made;
  const bytes = Buffer.from(text, 'latin1');
  const used = parseRequestHead(bytes, 0, bytes.length, LIMITS, head);
  return { code: used === bytes.length ? '' : used === 0 ? 'incomplete' : codeOf(used), head, text };
}

test('heads that are no requests are refused with the code that says why', () => {
  for (const [code, heads] of Object.entries(REFUSED_HEADS)) {
    for (const raw of heads) {
      assert.equal(read(raw).code, code, JSON.stringify(raw));
      assert.equal(read(raw, false).code, code, JSON.stringify(raw));
    }
  }
});

test('what the codec refuses is refused by it: there is one grammar', () => {
  assert.equal(read(withPseudo(':authority', null)).code, 'missing_host');
  assert.equal(read(withPseudo(':authority', '')).code, 'missing_host');
  assert.equal(read(withPseudo(':authority', 'user@notes.test')).code, 'bad_host');
  assert.equal(read(withPseudo(':authority', 'a, b')).code, 'bad_host');
  assert.equal(read(withPseudo(':method', 'BREW')).code, 'bad_method');
  assert.equal(read(withPseudo(':path', '*')).code, 'asterisk');
  assert.equal(read(withPseudo(':path', `/${'a'.repeat(9000)}`)).code, 'request_line_too_long');
  const get = withPseudo(':path', '/');
  assert.equal(read([...get, 'content-length', '1', 'content-length', '1'], false).code, 'duplicate_length');
  assert.equal(read([...get, 'content-length', '+1'], false).code, 'bad_length');
  assert.equal(read([...get, 'expect', 'magic']).code, 'expectation_unknown');
  const many = Array.from({ length: 101 }, (_, index) => [`a${index}`, '']).flat();
  assert.equal(read([...get, ...many]).code, 'too_many_fields');
});

test('the length must agree with the end of the stream', () => {
  const post = withPseudo(':method', 'POST');
  assert.equal(read([...post, 'content-length', '5']).code, 'bad_length');
  assert.equal(read([...post, 'content-length', '0']).code, '');
  assert.equal(read([...post, 'content-length', '5'], false).head.contentLength, 5);
  assert.equal(read(post).head.contentLength, 0);
  assert.equal(read(post, false).head.chunked, true);
  const get = read(withPseudo(':path', '/'));
  assert.deepEqual([get.head.contentLength, get.head.chunked], [-1, false]);
});

test('authority and host are one, cookies are joined, trailers are asked for', () => {
  assert.equal(read([...withPseudo(':authority', null), 'host', 'notes.test']).head.host, 'notes.test');
  assert.equal(
    read([...withPseudo(':authority', 'Notes.test'), 'host', 'notes.TEST']).head.host,
    'Notes.test',
  );
  const { head } = read([
    ...withPseudo(':path', '/'),
    'cookie',
    'a=1',
    'te',
    'trailers',
    'cookie',
    'b=2; c=3',
  ]);
  assert.equal(head.header('cookie'), 'a=1; b=2; c=3');
  assert.equal(head.header('te'), 'trailers');
  // An empty one stays, and adds nothing to others.
  assert.equal(read([...withPseudo(':path', '/'), 'cookie', ' ']).head.header('cookie'), '');
  const mixed = [...withPseudo(':path', '/'), 'cookie', '', 'cookie', ' a=1 ', 'cookie', ' '];
  assert.equal(read(mixed).head.header('cookie'), 'a=1');
  assert.equal(head.keepAlive, true);
  assert.equal(read(withPseudo(':method', 'OPTIONS').with(7, '*')).head.path, '*');
});

/** Anything that may come: good parts, hostile parts, and parts that are cut to bytes badly. */
const value = fc.oneof(
  fc.constantFrom(
    '',
    'a',
    'GET',
    '/',
    'http',
    'notes.test',
    'trailers',
    '5',
    'chunked',
    '\r\n',
    ' HTTP/1.1\r\n',
  ),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.string({ maxLength: 40 }),
);
const name = fc.oneof(
  fc.constantFrom(
    ':method',
    ':path',
    ':scheme',
    ':authority',
    'host',
    'cookie',
    'te',
    'content-length',
    'a',
    'X',
  ),
  fc.string({ maxLength: 8 }),
  fc.string({ unit: 'binary', maxLength: 4 }),
);
const good = fc.record({
  method: fc.constantFrom('GET', 'POST', 'OPTIONS', 'DELETE'),
  path: fc.stringMatching(/^\/[!-"$-~]{0,30}$/),
  authority: fc.constantFrom('notes.test', 'a.b:80', '[::1]:9'),
});

test('property: whatever is sent, the codec reads the fields that were sent, or it is refused', () => {
  let accepted = 0;
  fc.assert(
    fc.property(
      good,
      fc.array(fc.tuple(name, value), { maxLength: 8 }),
      fc.boolean(),
      (first, rest, ended) => {
        const raw = [
          ':method',
          first.method,
          ':scheme',
          'http',
          ':authority',
          first.authority,
          ':path',
          first.path,
        ];
        raw.push(...rest.flat());
        const { code, head, text } = read(raw, ended);
        if (code !== '') return;
        accepted += 1;
        assert.equal(head.method, first.method);
        assert.equal(head.target, first.path);
        assert.equal(head.host, first.authority);
        assert.equal(text.indexOf('\r\n\r\n'), text.length - 4);
        const sent = rest.filter(([key]) => key !== 'host' && key !== 'cookie');
        const lines: [string, string][] = [];
        for (let index = 0; index < head.count; index += 1)
          lines.push([head.text.slice(head.nameStart[index], head.nameEnd[index]), head.value(index)]);
        const trimmed = (one: string): string => one.replace(/^[ \t]+|[ \t]+$/g, '');
        const cookies = rest.filter(([key]) => key === 'cookie').map(([, one]) => trimmed(one));
        const joined = cookies.filter((one) => one !== '').join('; ');
        const expected: [string, string][] = [['host', first.authority]];
        for (const [key, one] of sent) expected.push([key, trimmed(one)]);
        if (cookies.length > 0) expected.push(['cookie', joined]);
        if (!rest.some(([key]) => key === 'content-length')) {
          if (!ended) expected.push(['transfer-encoding', 'chunked']);
          else if (first.method === 'POST') expected.push(['content-length', '0']);
        }
        assert.deepEqual(lines, expected);
      },
    ),
    { numRuns: 20_000 },
  );
  assert.ok(accepted > 1000, `only ${accepted} were accepted`);
});
