/** The responses of a connection, step by step: interim heads, the final one, its body, and where that ends. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChunkedMode } from '../../../src/http1/body-reader.ts';
import { PROTOCOL_ERRORS } from '../../../src/http1/protocol-errors.ts';
import type { MessageLimits } from '../../../src/http1/request-reader.ts';
import { AS_IT_CAME, DATA_ONLY, ResponseReader } from '../../../src/http1/response-reader.ts';

const LIMITS: MessageLimits = { requestLine: 100, head: 200, fields: 10, extension: 20, trailer: 50 };

interface Read {
  readonly said: string[];
  readonly reader: ResponseReader;
  /** Bytes that no step took. */
  readonly left: number;
}

function read(text: string, method = 'GET', mode: ChunkedMode = AS_IT_CAME, size = Infinity): Read {
  const reader = new ResponseReader();
  const { head, body } = reader;
  reader.reset(method, mode);
  const said: string[] = [];
  let taken = 0;
  for (let at = 0; at < text.length; at += size) {
    const piece = Buffer.from(text.slice(at, at + size), 'latin1');
    for (let from = 0; from < piece.length && !reader.done; from += reader.used) {
      const step = reader.push(piece, from, piece.length, LIMITS);
      if (step === 'refused')
        return { said: [...said, PROTOCOL_ERRORS[-reader.refusal - 1]!.code], reader, left: 0 };
      taken += reader.used;
      if (step === 'head') said.push(`${head.status}`);
      if (step !== 'body') continue;
      const passed = (body.held?.latin1Slice() ?? '') + piece.latin1Slice(body.from, body.to);
      const tail = body.tail?.latin1Slice() ?? '';
      said.push(mode.payloadOnly ? Buffer.concat(body.payload).latin1Slice() : passed + tail);
    }
    piece.fill('!');
  }
  return { said, reader, left: text.length - taken };
}

test('interim heads come before the final one, and the body after it', () => {
  const { said, reader } = read(
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
  );
  assert.deepEqual(said, ['100', '103', '200', 'ok']);
  assert.deepEqual([reader.done, reader.reusable, reader.body.size], [true, true, 2]);
});

test('the same however the bytes are cut', () => {
  const text =
    'HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nHost: x\r\nT: u\r\n\r\n';
  const whole = read(text);
  assert.equal(whole.said.join(''), '1032002\r\nok\r\n0\r\nT: u\r\n\r\n');
  for (const size of [1, 2, 3, 7, 40]) {
    const parts = read(text, 'GET', AS_IT_CAME, size);
    assert.deepEqual([parts.said.join(''), parts.reader.done], [whole.said.join(''), true], `${size}`);
  }
});

test('what is complete takes no more: the rest is left', () => {
  assert.equal(read('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!').left, 1);
  assert.equal(read('HTTP/1.1 204 No\r\n\r\n!!').left, 2);
  assert.equal(read('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n!').left, 1);
});

test('an answer to HEAD has no body, whatever its head says', () => {
  const { reader } = read('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n', 'HEAD');
  assert.deepEqual([reader.done, reader.body.framing, reader.body.size], [true, 'none', 0]);
});

test('data alone, for who reads no chunks', () => {
  const text = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n';
  assert.deepEqual(read(text, 'GET', DATA_ONLY).said, ['200', 'abc']);
});

test('a body without a length ends with the connection, and its connection serves nobody again', () => {
  const { said, reader } = read('HTTP/1.1 200 OK\r\n\r\nall');
  assert.deepEqual([said, reader.done, reader.reusable], [['200', 'all'], false, false]);
  assert.equal(reader.endsByClose(), true);
  assert.equal(reader.done, true);
});

test('the end of the connection is no proper end of anything else', () => {
  assert.equal(read('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no').reader.endsByClose(), false);
  assert.equal(read('HTTP/1.1 200 OK\r\nTransf').reader.endsByClose(), false);
  assert.equal(read('').reader.endsByClose(), false);
});

test('a reader that is used again knows nothing of the response before', () => {
  const { reader } = read('HTTP/1.1 200 OK\r\n\r\nall');
  reader.reset('GET');
  assert.equal(reader.endsByClose(), false);
  assert.equal(reader.done, false);
  const bytes = Buffer.from('HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n');
  assert.equal(reader.push(bytes, 0, bytes.length, LIMITS), 'head');
  assert.deepEqual([reader.head.status, reader.done], [404, true]);
});
