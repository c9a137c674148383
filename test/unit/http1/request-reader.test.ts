/** The requests of a connection, step by step, however their bytes come. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeadAccumulator } from '../../../src/http1/head-accumulator.ts';
import { PROTOCOL_ERRORS } from '../../../src/http1/protocol-errors.ts';
import { RequestReader, type MessageLimits } from '../../../src/http1/request-reader.ts';

const LIMITS: MessageLimits = { requestLine: 100, head: 200, fields: 10, extension: 20, trailer: 50 };

/** The steps that a reader makes of `text` in pieces of `size` bytes, as words. Each piece lies in a buffer that is gone after it. */
function steps(text: string, size = Infinity, reader = new RequestReader()): string[] {
  const { head, body } = reader;
  const said: string[] = [];
  for (let at = 0; at < text.length; at += size) {
    const piece = Buffer.from(`##${text.slice(at, at + size)}`, 'latin1');
    for (let from = 2; from < piece.length; from += reader.used) {
      const step = reader.push(piece, from, piece.length, LIMITS);
      if (step === 'refused') return [...said, PROTOCOL_ERRORS[-reader.refusal - 1]!.code];
      if (step === 'head') said.push(`${head.method} ${head.path}${body.done ? '' : ' …'}`);
      if (step === 'body') {
        const passed = (body.held?.latin1Slice() ?? '') + piece.latin1Slice(body.from, body.to);
        if (passed !== '') said.push(passed);
        if (body.done)
          said.push(`done, ${body.size}${body.trailers === null ? '' : `, ${body.trailers.header('t')}`}`);
      }
    }
    piece.fill('!');
  }
  return said;
}

const GET = 'GET /a HTTP/1.1\r\nHost: h\r\n\r\n';
const POST = 'POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nabcd';
const CHUNKED =
  'PUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: u\r\n\r\n';

test('one request after another from the same bytes, none taking a byte of the next', () => {
  assert.deepEqual(steps(GET + POST + CHUNKED + GET), [
    'GET /a',
    'POST /b …',
    'abcd',
    'done, 4',
    'PUT /c …',
    '3\r\nabc\r\n0\r\nT: u\r\n\r\n',
    'done, 3, u',
    'GET /a',
  ]);
});

test('the same however the bytes are cut', () => {
  const whole = steps(GET + POST + CHUNKED + GET).join('');
  for (const size of [1, 2, 3, 5, 7, 31])
    assert.equal(steps(GET + POST + CHUNKED + GET, size).join(''), whole, `${size}`);
});

test('what is refused is refused in pieces too', () => {
  assert.deepEqual(steps('GET / HTTP/1.1\r\n\r\n'), ['missing_host']);
  assert.deepEqual(steps('GET / HTTP/1.1\r\n\r\n', 4), ['missing_host']);
  assert.deepEqual(steps(`GET / HTTP/1.1\r\nHost: h\r\nX: ${'x'.repeat(300)}`, 10), ['head_too_large']);
  assert.deepEqual(steps(CHUNKED.replace('3\r\n', 'x\r\n')), ['PUT /c …', 'chunk_size']);
});

test('a head in pieces is kept by whom it belongs to, and read on by whichever reader is lent next', () => {
  const mine = new HeadAccumulator();
  const first = new RequestReader();
  first.lend(mine);
  assert.deepEqual(steps(GET.slice(0, 9), Infinity, first), []);
  const other = new RequestReader();
  assert.deepEqual(steps(POST.slice(0, -2), Infinity, other), ['POST /b …', 'ab'], 'in the middle of a body');
  other.lend(mine);
  assert.deepEqual(steps(GET.slice(9), Infinity, other), ['GET /a']);
  assert.equal(mine.length, 0);
});

test('heads that come whole and bodies of a known length leave nothing behind', () => {
  const reader = new RequestReader();
  steps(GET + POST, Infinity, reader);
  assert.equal(reader.pieces.bytes.length, 0);
  assert.equal(reader.body.held, null);
});
