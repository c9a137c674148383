import { test } from 'node:test';
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { REDACTED, redactFields, redactText } from '../../../src/telemetry/redaction.ts';

test('values of secret names go, at any depth and in any case; their neighbours stay', () => {
  const names = [
    'authorization',
    'Proxy-Authorization',
    'cookie',
    'Set-Cookie',
    'x-serin-override',
    'token',
    'password',
    'secret',
    'http.request.header.cookie',
    'http.response.header.set-cookie',
  ];
  for (const name of names) {
    for (const value of ['S3CRET', ['S3CRET'], { a: 'S3CRET' }, 5_3_3]) {
      const fields = { [name]: value, near: 1, deep: { list: [{ [name]: value, near: 2 }] } };
      const safe = redactFields(fields);
      assert.deepEqual(safe, {
        [name]: REDACTED,
        near: 1,
        deep: { list: [{ [name]: REDACTED, near: 2 }] },
      });
      // The caller's object is as it was.
      assert.equal(fields[name], value);
    }
  }
});

test('names that only look alike stay', () => {
  const fields = { 'serin.token_name': 'spinnaker', actor: 'spinnaker', cookieCount: 2, cookie: undefined };
  assert.deepEqual(redactFields(fields), fields);
});

test('raw header lists lose the values of secret names', () => {
  const safe = redactFields({ raw: ['Host', 'a', 'Cookie', 'S3CRET', 'Accept', 'b'] });
  assert.deepEqual(safe, { raw: ['Host', 'a', 'Cookie', REDACTED, 'Accept', 'b'] });
});

test('maps, sets, dates, buffers and nested errors are shown safely', () => {
  const safe = redactFields({
    map: new Map([['token', 'S3CRET']]),
    set: new Set([1]),
    date: new Date(0),
    bytes: Buffer.from('S3CRET'),
    inner: { failure: Object.assign(new Error('no'), { code: 'E_NO' }) },
    json: { toJSON: () => ({ token: 'S3CRET', near: 1 }) },
  });
  assert.deepEqual(safe, {
    map: { token: REDACTED },
    set: [1],
    date: '1970-01-01T00:00:00.000Z',
    bytes: '[6 bytes]',
    inner: { failure: { 'error.type': 'E_NO', 'exception.message': 'no' } },
    json: { near: 1, token: REDACTED },
  });
});

test('circles and depths without end are cut, and a hostile object breaks nothing', () => {
  const circle: Record<string, unknown> = { near: 1 };
  circle['self'] = circle;
  assert.match(JSON.stringify(redactFields({ circle })), /\[…\]/);
  const hostile = {
    get bad(): string {
      throw new Error('no');
    },
  };
  assert.deepEqual(redactFields({ hostile }), { 'serin.unprintable': true });
});

test('a chain of causes that never ends is cut', () => {
  const error = new Error('round');
  error.cause = error;
  const stack = String(redactFields({ err: error })['exception.stacktrace']);
  assert.equal(stack.match(/caused by/g)?.length, 6);
});

test('texts lose what looks like a secret and keep the rest', () => {
  const cases: [text: string, safe: string][] = [
    ['sent Bearer abc.def-_~+/= now', `sent Bearer ${REDACTED} now`],
    ['BASIC dXNlcjpwYXNz', `BASIC ${REDACTED}`],
    ['Authorization: Bearer abc', `Authorization: Bearer ${REDACTED}`],
    ['Authorization: Digest abc def', `Authorization: ${REDACTED}`],
    ['x-serin-override: v1.abc rest', `x-serin-override: ${REDACTED} rest`],
    ['serin_override=abc; other=1', `serin_override=${REDACTED}; other=1`],
    ['serin_latch_notes=abc,def', `serin_latch_notes=${REDACTED},def`],
    ['serin_id=abc', `serin_id=${REDACTED}`],
    ['{"msg":"Cookie: a=b; c=d","n":1}', `{"msg":"Cookie: ${REDACTED}","n":1}`],
    ['set-cookie: a=b', `set-cookie: ${REDACTED}`],
    ['a bearer of news and basic facts', 'a bearer of news and basic facts'],
    ['cookies are signed', 'cookies are signed'],
  ];
  for (const [text, safe] of cases) assert.equal(redactText(text), safe);
});

test('redaction never breaks the JSON of a line, whatever texts it holds', () => {
  const word = fc.constantFrom(
    'Bearer x',
    'cookie: a',
    'authorization=',
    'serin_id=',
    '"',
    '\\',
    ' ',
    '\n',
    'é',
    ';',
  );
  fc.assert(
    fc.property(fc.array(word), fc.array(word), (first, second) => {
      const line = JSON.stringify({ first: first.join(''), second: second.join('') });
      assert.deepEqual(Object.keys(JSON.parse(redactText(line)) as object), ['first', 'second']);
    }),
  );
});

test('a long hostile line is redacted in linear time', () => {
  for (const piece of ['authorization ', 'cookie: ', 'Bearer ', 'serin_latch_', ' \t', 'a']) {
    // Were it the square of its length, this would take an hour: the limit of a test file ends it then.
    assert.ok(redactText(piece.repeat(400_000)).length > 0);
  }
});
