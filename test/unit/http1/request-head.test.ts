/** Good request heads: what is read from them, and that nothing outside of their bytes matters. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseRequestHead, RequestHead } from '../../../src/http1/request-head.ts';
import { goodRequest, latin1, LIMITS, outcome, requestOutcome, withLines } from './reading.ts';

test('targets are read into path and query, and left as they were sent', () => {
  const cases: [target: string, path: string, query: string, absolute?: boolean][] = [
    ['/', '/', ''],
    ['/a/b', '/a/b', ''],
    ['/a?b=c', '/a', 'b=c'],
    ['/a?', '/a', ''],
    ['/a?b?c', '/a', 'b?c'],
    ['//a', '//a', ''],
    ['/../%2e%2F%00', '/../%2e%2F%00', ''],
    ['/a|b[c]{d}"e"^`<>\\', '/a|b[c]{d}"e"^`<>\\', ''],
    ['http://notes.test', '/', '', true],
    ['http://notes.test/', '/', '', true],
    ['HTTPS://NOTES.test/a?b', '/a', 'b', true],
    ['http://notes.test?a/b', '/', 'a/b', true],
  ];
  for (const [target, path, query, absolute = false] of cases) {
    const head = goodRequest(`GET ${target} HTTP/1.1\r\nHost: notes.test\r\n\r\n`);
    assert.deepEqual(
      [head.method, head.target, head.path, head.query, head.absoluteForm, head.host],
      ['GET', target, path, query, absolute, 'notes.test'],
    );
  }
  const star = goodRequest('OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.deepEqual([star.target, star.path, star.query], ['*', '*', '']);
});

test('good hosts', () => {
  const hosts = [
    'a',
    'notes.test',
    'notes.test:1',
    'notes.test:65535',
    '127.0.0.1:80',
    'a_b',
    '%41',
    '[::1]',
    '[::]',
    '[::1]:8080',
    '[1:2:3:4:5:6:7:8]',
    '[1:2:3:4:5:6:7::]',
    '[::2:3:4:5:6:7:8]',
    '[::ffff:1.2.3.4]',
    '[1:2:3:4:5:6:1.2.3.4]',
    'a.',
    '-',
  ];
  for (const host of hosts) {
    assert.equal(goodRequest(`GET / HTTP/1.1\r\nHost: \t${host} \r\n\r\n`).host, host);
    const absolute = goodRequest(`GET http://${host}/a HTTP/1.1\r\nHost: ${host.toUpperCase()}\r\n\r\n`);
    assert.equal(absolute.host, host.toUpperCase());
  }
  assert.equal(goodRequest(`GET / HTTP/1.1\r\nHost: ${'a'.repeat(512)}\r\n\r\n`).host.length, 512);
});

test('one empty line may come first and counts as part of the head', () => {
  const text = `\r\n${withLines()}`;
  assert.equal(requestOutcome(text), text.length);
  assert.ok(goodRequest(text).text.startsWith('GET '));
});

test('known methods pass, in upper case', () => {
  for (const method of 'GET HEAD POST PUT PATCH DELETE OPTIONS TRACE PROPFIND M-SEARCH QUERY'.split(' ')) {
    assert.equal(goodRequest(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`).method, method);
    assert.equal(requestOutcome(`${method.toLowerCase()} / HTTP/1.1\r\nHost: a\r\n\r\n`), 'bad_method');
  }
});

test('framing', () => {
  const cases: [lines: string[], length: number, chunked: boolean][] = [
    [[], -1, false],
    [['Content-Length: 0'], 0, false],
    [['content-LENGTH: \t 17 \t'], 17, false],
    [['Content-Length: 007'], 7, false],
    [['Content-Length: 9007199254740991'], 9007199254740991, false],
    [['Transfer-Encoding: chunked'], -1, true],
    [['TRANSFER-encoding: CHUNKed'], -1, true],
    [['Content_Length: 4'], -1, false],
    [['X-Content-Length: 4'], -1, false],
  ];
  for (const [lines, length, chunked] of cases) {
    const head = goodRequest(withLines(...lines));
    assert.deepEqual([head.contentLength, head.chunked], [length, chunked], String(lines));
  }
});

test('whether the connection is kept, upgraded, and what it nominates', () => {
  const cases: [version: string, lines: string[], keep: boolean, upgrade: boolean, names: string[] | null][] =
    [
      ['1.1', [], true, false, null],
      ['1.0', [], false, false, null],
      ['1.1', ['Connection: close'], false, false, null],
      ['1.1', ['Connection: CLOSE'], false, false, null],
      ['1.1', ['Connection: Close'], false, false, null],
      ['1.1', ['Connection: clone'], true, false, ['clone']],
      ['1.1', ['Connection: xlose'], true, false, ['xlose']],
      ['1.1', ['Connection: deep-alive'], true, false, ['deep-alive']],
      ['1.1', ['Connection: keep-alive, close'], false, false, null],
      ['1.1', ['Connection: keep-alive', 'Connection: close'], false, false, null],
      ['1.0', ['Connection: keep-alive'], true, false, null],
      ['1.0', ['Connection: Keep-Alive'], true, false, null],
      ['1.0', ['Connection: KEEP-alive'], true, false, null],
      ['1.0', ['Connection: keep-alive, close'], false, false, null],
      ['1.1', ['Connection: X-A,,\tTe ,'], true, false, ['x-a', 'te']],
      ['1.1', ['Connection:'], true, false, null],
      ['1.1', [`Connection: ${','.repeat(63)}`], true, false, null],
      ['1.1', ['Connection: upgrade', 'Upgrade: websocket'], true, true, null],
      ['1.1', ['Connection: keep-alive, Upgrade', 'Upgrade: websocket'], true, true, null],
      ['1.1', ['Connection: upgrade'], true, false, null],
      ['1.1', ['Upgrade: websocket'], true, false, null],
      ['1.0', ['Connection: upgrade', 'Upgrade: websocket'], false, false, null],
    ];
  for (const [version, lines, keep, upgrade, names] of cases) {
    const head = goodRequest(withLines(...lines).replace('HTTP/1.1', `HTTP/${version}`));
    assert.deepEqual(
      [head.versionMinor, head.keepAlive, head.upgrade, head.connectionNominates],
      [Number(version.at(-1)), keep, upgrade, names],
      `${version} ${lines.join(' | ')}`,
    );
  }
});

test('an expectation is one of HTTP/1.1', () => {
  assert.equal(goodRequest(withLines('Expect: 100-Continue')).expectContinue, true);
  assert.equal(goodRequest(withLines()).expectContinue, false);
  const old = withLines('Expect: something').replace('HTTP/1.1', 'HTTP/1.0');
  assert.equal(goodRequest(old).expectContinue, false);
});

test('a head at its limits passes, and one byte or field more does not', () => {
  const text = withLines('A: b');
  const lineLength = 'GET / HTTP/1.1\r\n'.length;
  const limits = { requestLine: lineLength, head: text.length, fields: 2 };
  assert.equal(requestOutcome(text, limits), text.length);
  assert.equal(requestOutcome(text, { ...limits, requestLine: lineLength - 1 }), 'request_line_too_long');
  assert.equal(requestOutcome(text, { ...limits, head: text.length - 1 }), 'head_too_large');
  assert.equal(requestOutcome(text, { ...limits, fields: 1 }), 'too_many_fields');
});

test('every shorter part of a good head is incomplete, and the bytes around it do not matter', () => {
  const text = `\r\n${withLines('Connection: close, x', 'Content-Length: 3', 'Cookie: a=b')}`;
  const head = new RequestHead();
  for (let length = 0; length <= text.length; length += 1) {
    const bytes = latin1(`\0\n${text.slice(0, length)}\0\n`);
    const used = parseRequestHead(bytes, 2, 2 + length, LIMITS, head);
    assert.equal(outcome(used), length === text.length ? length : 0, text.slice(0, length));
  }
});

test('bytes after the end are not read, even where they would complete the head', () => {
  for (const method of ['GET', 'POST', 'PUT']) {
    const bytes = latin1(
      withLines('Via: a', 'Connection: close', 'Content-Length: 3').replace('GET', method),
    );
    const head = new RequestHead();
    for (let end = 0; end < bytes.length; end += 1) {
      assert.equal(outcome(parseRequestHead(bytes, 0, end, LIMITS, head)), 0, `${method}, ${end}`);
    }
  }
});

test('an incomplete head that fills its limit is refused', () => {
  const text = withLines('A: bbbbbbbb');
  for (let limit = 18; limit < text.length; limit += 1) {
    const cut = text.slice(0, limit);
    assert.equal(requestOutcome(cut, { ...LIMITS, head: limit }), 'head_too_large', cut);
    assert.equal(requestOutcome(cut, { ...LIMITS, head: limit + 1 }), 0, cut);
  }
  for (let limit = 1; limit < 16; limit += 1) {
    const cut = text.slice(0, limit);
    assert.equal(requestOutcome(cut, { ...LIMITS, requestLine: limit }), 'request_line_too_long', cut);
  }
});

test('a head that is used again remembers nothing', () => {
  const head = new RequestHead();
  const read = (text: string): RequestHead => {
    const bytes = latin1(text);
    assert.equal(parseRequestHead(bytes, 0, bytes.length, LIMITS, head), bytes.length);
    return head;
  };
  read(
    'POST http://a/b?c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n' +
      'Connection: upgrade, x\r\nUpgrade: y\r\nCookie: z=1\r\nA_b: c\r\nA_b: c\r\n\r\n',
  );
  const plain = (one: RequestHead): unknown[] =>
    Object.entries(one).filter(([, value]) => !ArrayBuffer.isView(value));
  assert.deepEqual(plain(read(withLines())), plain(goodRequest(withLines())));
  assert.equal(head.cookie('z'), undefined);
  head.clear();
  assert.deepEqual(
    [head.text, head.target, head.host, head.count, head.header('host')],
    ['', '', '', 0, undefined],
  );
});

const token = fc.string({
  unit: fc.constantFrom(...Array.from("abcXYZ019-_.!#$%&'*+^`|~")),
  minLength: 1,
  maxLength: 12,
});
const value = fc
  .array(fc.integer({ min: 0, max: 255 }), { maxLength: 20 })
  .map((codes) => String.fromCharCode(...codes.filter((code) => code === 9 || (code >= 32 && code !== 127))))
  .map((text) => text.replaceAll(/^[ \t]+|[ \t]+$/g, ''));

test('property: any lines of tokens and values are read as they were written', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(token, value, fc.constantFrom('', ' ', '\t', ' \t ')), { maxLength: 60 }),
      (fields) => {
        const own = fields.map(([name, content, space]) => [`x-${name}`, content, space] as const);
        const text = withLines(...own.map(([name, content, space]) => `${name}:${space}${content}${space}`));
        const head = goodRequest(text, { requestLine: 100, head: 10_000, fields: 100 });
        assert.equal(head.text, text);
        assert.equal(head.count, own.length + 1);
        for (const [index, [name, content]] of own.entries()) {
          assert.equal(head.text.slice(head.nameStart[index + 1], head.nameEnd[index + 1]), name);
          assert.equal(head.value(index + 1), content);
        }
        assert.equal(
          head.hasOddNames,
          own.some(([name]) => /[^A-Za-z0-9-]/.test(name)),
        );
      },
    ),
  );
});

test('property: no bytes make it throw, or claim more than there is', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      'GET ',
      '/',
      ' HTTP/1.1\r\n',
      'Host: a\r\n',
      'Content-Length: 1\r\n',
      '\r\n',
      '\r',
      '\n',
      ':',
      ' ',
    ),
    fc.string({ unit: 'binary-ascii', maxLength: 3 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const text = pieces.join('');
      const result = requestOutcome(text);
      if (typeof result === 'number') assert.ok(result >= 0 && result <= text.length);
    }),
    { numRuns: 2000 },
  );
});
