/** Chunked bodies, in whatever pieces they come: the same reading, and nothing passed on that was not validated. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ChunkedReader } from '../../../src/http1/body.ts';
import { CHUNKED_LIMITS, latin1, readChunked } from './reading.ts';

const GOOD: readonly [name: string, body: string, payload: string][] = [
  ['empty', '0\r\n\r\n', ''],
  ['one chunk', '5\r\nhello\r\n0\r\n\r\n', 'hello'],
  ['several', '1\r\na\r\n00A\r\n0123456789\r\n1\r\n\n\r\n000\r\n\r\n', 'a0123456789\n'],
  ['hexadecimal in both cases', `aB\r\n${'x'.repeat(171)}\r\n0\r\n\r\n`, 'x'.repeat(171)],
  ['16 digits', '0000000000000001\r\nx\r\n0000000000000000\r\n\r\n', 'x'],
  ['64 digits', `${'0'.repeat(63)}1\r\nx\r\n${'0'.repeat(64)}\r\n\r\n`, 'x'],
  ['line ends as data', '4\r\n\r\n\r\n\r\n0\r\n\r\n', '\r\n\r\n'],
  ['extensions', '1;a;b=c;d="e;f\\"\t"\r\nx\r\n0;last=1\r\n\r\n', 'x'],
  ['empty quotes', '1;a=""\r\nx\r\n0\r\n\r\n', 'x'],
  ['trailers', '1\r\nx\r\n0\r\nChecksum: abc\r\nX-Empty:\r\n\r\n', 'x'],
  ['trailers after an extension', '0;a\r\nServer-Timing: db;dur=5\r\n\r\n', ''],
];

test('good bodies are read the same whole, byte by byte and split at every offset', () => {
  for (const [name, body, payload] of GOOD) {
    const pieces = [
      [body],
      Array.from(body),
      ...Array.from(body, (_, at) => [body.slice(0, at), body.slice(at)]),
    ];
    for (const list of pieces) {
      const raw = readChunked(list);
      assert.deepEqual([raw.result, raw.forwarded, raw.done], [body.length, body, true], name);
      const data = readChunked(list, { payloadOnly: true });
      assert.deepEqual([data.result, data.payload, data.done], [body.length, payload, true], name);
    }
  }
});

test('what follows the body is left alone', () => {
  const body = '1\r\nx\r\n0\r\n\r\n';
  const whole = readChunked([`${body}GET / HTTP/1.1`]);
  assert.deepEqual([whole.result, whole.forwarded, whole.done], [body.length, body, true]);
});

test('a body cut short is not done', () => {
  for (const [name, body] of GOOD) {
    for (let length = 0; length < body.length; length += 1) {
      const { result, done } = readChunked([body.slice(0, length)]);
      assert.deepEqual([result, done], [length, false], name);
    }
  }
});

test('a line is passed on when it is complete, trailers when they all are, and neither waits for what comes next', () => {
  const body = '5;a\r\nhello\r\n0\r\nA: b\r\n\r\n';
  const { progress } = readChunked(Array.from(body));
  /** Where a unit ends; the data between them is passed on as it comes. */
  const ends = [0, body.indexOf('hello'), 10, body.indexOf('0\r\n'), body.indexOf('A: b'), body.length];
  for (const [index, forwarded] of progress.entries()) {
    const got = index + 1;
    const inData = got > 5 && got <= 10;
    const expected = inData ? got : ends.findLast((end) => end <= got);
    assert.equal(forwarded, expected, `after ${got} bytes`);
  }
});

test('what is complete goes at once in whatever pieces it comes: every event of a stream, whole', () => {
  const event = 'data: 1\n\n';
  const chunk = `9\r\n${event}\r\n`;
  for (let cut = 1; cut < chunk.length; cut += 1) {
    const { progress } = readChunked([chunk.slice(0, cut), chunk.slice(cut), chunk, chunk]);
    assert.deepEqual(progress.slice(1), [chunk.length, 2 * chunk.length, 3 * chunk.length], `cut at ${cut}`);
  }
});

test('a lenient reader leaves out the trailers that may be none, in whatever pieces they come', () => {
  const start = '1\r\nx\r\n0;a\r\n';
  const end = 'Date: now\r\nX-Sum: 1\r\nSet-Cookie: a=b\r\nvary: x\r\nX-Other:  2 \r\n\r\n';
  const body = start + end;
  const kept = `${start}X-Sum: 1\r\nX-Other:  2 \r\n\r\n`;
  const pieces = [
    [body],
    Array.from(body),
    ...Array.from(body, (_, at) => [body.slice(0, at), body.slice(at)]),
  ];
  for (const list of pieces) {
    const reading = readChunked(list, { lenient: true });
    assert.deepEqual([reading.result, reading.forwarded, reading.done], [body.length, kept, true]);
  }
  const none = readChunked(['0\r\nDate: now\r\n\r\nNEXT'], { lenient: true });
  assert.deepEqual([none.result, none.forwarded, none.done], [16, '0\r\n\r\n', true]);
  const bad = readChunked(['0\r\nDate: now\r\nA\r\n\r\n'], { lenient: true });
  assert.equal(bad.result, 'bad_trailer');
});

test('nothing of a unit that turns out bad was passed on', () => {
  const cases: [body: string, forwarded: string][] = [
    ['5\r\nhello\r\n-1\r\n', '5\r\nhello\r\n'],
    ['5\r\nhello!', '5\r\nhello'],
    ['1;\0', ''],
    ['1\r\nx\r\n0\r\nContent-Length: 5\r\n\r\n', '1\r\nx\r\n0\r\n'],
    ['1\r\nx\r\n0\r\nA\r\n\r\n', '1\r\nx\r\n0\r\n'],
    ['1\r\nx\r\n0\r\n\n', '1\r\nx\r\n0\r\n'],
  ];
  for (const [body, forwarded] of cases) {
    const codes = new Set<number | string>();
    for (const pieces of [
      Array.from(body),
      [body.slice(0, 1), body.slice(1)],
      [body.slice(0, -1), body.slice(-1)],
    ]) {
      const reading = readChunked(pieces);
      codes.add(reading.result);
      assert.ok(forwarded.startsWith(reading.forwarded), JSON.stringify([body, reading.forwarded]));
      assert.equal(reading.done, false);
    }
    assert.equal(codes.size, 1);
    assert.equal(readChunked(Array.from(body)).forwarded, forwarded);
  }
});

test('extensions are counted over the whole body, and a chunk without any is free', () => {
  const limits = { ...CHUNKED_LIMITS, extension: 8 };
  const chunk = '1;a=b\r\nx\r\n';
  assert.equal(readChunked([`${chunk}${chunk}0\r\n\r\n`], { limits }).done, true);
  assert.equal(readChunked([`${chunk}${chunk}0;a\r\n\r\n`], { limits }).result, 'chunk_extension');
  assert.equal(readChunked([`${'1\r\nx\r\n'.repeat(500)}0\r\n\r\n`], { limits }).done, true);
});

test('trailers at their limits pass, and one byte or field more does not', () => {
  const body = '0\r\nA: b\r\nC: d\r\n\r\n';
  const limits = { extension: 0, trailer: body.length - 3, fields: 2 };
  for (const pieces of [[body], Array.from(body)]) {
    assert.equal(readChunked(pieces, { limits }).done, true);
    const less = { ...limits, trailer: limits.trailer - 1 };
    assert.equal(readChunked(pieces, { limits: less }).result, 'trailer_too_large');
    assert.equal(readChunked(pieces, { limits: { ...limits, fields: 1 } }).result, 'trailer_too_large');
  }
});

test('a large size is no large buffer, and its data is passed on as it comes', () => {
  const { result, forwarded, done } = readChunked(['1fffffffffffff\r\nabc']);
  assert.deepEqual([result, forwarded, done], [19, '1fffffffffffff\r\nabc', false]);
});

test('a reader that is used again remembers nothing', () => {
  const reader = new ChunkedReader();
  for (const left of [
    '5',
    '5;a',
    '5\r\nhe',
    '5\r\nhello\r',
    '0\r\nA: b\r',
    'x',
    '0;a="',
    `1;${'a'.repeat(200)}`,
  ]) {
    readChunked([left], { reader, payloadOnly: left.startsWith('5\r') });
    for (const [name, body, payload] of GOOD) {
      assert.equal(readChunked([body.slice(0, 2), body.slice(2)], { reader }).forwarded, body, name);
      assert.equal(readChunked([body], { reader, payloadOnly: true }).payload, payload, name);
    }
  }
});

const data = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 1, maxLength: 40 });

test('property: chunks of any data, in any pieces, come out as they went in', () => {
  fc.assert(
    fc.property(
      fc.array(data, { maxLength: 6 }),
      fc.array(fc.nat(60)),
      fc.boolean(),
      (chunks, cuts, trailer) => {
        const texts = chunks.map((codes) => String.fromCharCode(...codes));
        const sized = texts.map((text) => `${text.length.toString(16)}\r\n${text}\r\n`).join('');
        const body = `${sized}0\r\n${trailer ? 'A: b\r\n' : ''}\r\n`;
        const pieces: string[] = [];
        let rest = `${body}NEXT`;
        for (const cut of cuts) {
          pieces.push(rest.slice(0, cut));
          rest = rest.slice(cut);
        }
        pieces.push(rest);
        const raw = readChunked(pieces);
        assert.deepEqual([raw.result, raw.forwarded, raw.done], [body.length, body, true]);
        assert.equal(readChunked(pieces, { payloadOnly: true }).payload, texts.join(''));
      },
    ),
  );
});

test('property: any bytes are read the same whole and in pieces', () => {
  const alphabet = fc.constantFrom(
    '0',
    '1',
    '5',
    'a',
    '\r\n',
    '\r\n',
    '\r',
    '\n',
    ';',
    '=',
    '"',
    'A: b',
    ':',
    ' ',
    '\0',
  );
  fc.assert(
    fc.property(fc.array(alphabet, { maxLength: 24 }), fc.nat(30), (parts, cut) => {
      const text = parts.join('');
      const whole = readChunked([text]);
      const bytewise = readChunked(Array.from(text));
      const cutOnce = readChunked([text.slice(0, cut), text.slice(cut)].filter((piece) => piece !== ''));
      assert.deepEqual([bytewise.result, bytewise.done], [whole.result, whole.done]);
      assert.deepEqual([cutOnce.result, cutOnce.done], [whole.result, whole.done]);
      if (typeof whole.result === 'number') {
        assert.equal(bytewise.forwarded, whole.forwarded);
        assert.equal(cutOnce.forwarded, whole.forwarded);
      }
      assert.ok(text.startsWith(bytewise.forwarded));
    }),
    { numRuns: 5000 },
  );
});

test('empty pieces change nothing', () => {
  const reader = new ChunkedReader();
  reader.reset(CHUNKED_LIMITS);
  assert.equal(reader.push(latin1('x'), 1, 1), 0);
  assert.deepEqual([reader.held, reader.from, reader.to, reader.done], [null, 1, 1, false]);
  assert.equal(readChunked(['', '1\r\n', '', 'x\r\n0\r\n\r\n']).done, true);
});
