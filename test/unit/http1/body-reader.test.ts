/** A body takes no more than it has, whatever its framing, and says what of it may be passed on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BodyReader, type BodyFraming, type ChunkedMode } from '../../../src/http1/body-reader.ts';

const LIMITS = { extension: 20, trailer: 50, fields: 5 };
const DATA: ChunkedMode = { payloadOnly: true, lenient: false };

function begun(framing: BodyFraming, length = -1, mode?: ChunkedMode): BodyReader {
  const body = new BodyReader();
  body.begin(framing, length, LIMITS, mode);
  return body;
}

function read(body: BodyReader, text: string): number {
  const bytes = Buffer.from(`#${text}`, 'latin1');
  return body.read(bytes, 1, bytes.length);
}

test('of a known length', () => {
  const body = begun('length', 3);
  assert.deepEqual([body.done, body.rest], [false, 3]);
  assert.equal(read(body, 'ab'), 2);
  assert.deepEqual([body.done, body.rest, body.from, body.to], [false, 1, 1, 3]);
  assert.equal(read(body, 'cd'), 1);
  assert.deepEqual([body.done, body.rest, body.to, body.size], [true, 0, 2, 3]);
  assert.equal(body.endsByClose(), false);
});

test('of no length, and where there is none', () => {
  assert.equal(begun('length', 0).done, true);
  const none = begun('none');
  assert.deepEqual([none.done, none.rest, read(none, 'a')], [true, 0, 0]);
});

test('in chunks', () => {
  const body = begun('chunked');
  assert.deepEqual([body.done, body.rest, body.trailers], [false, Infinity, null]);
  assert.equal(read(body, '2\r'), 2);
  assert.deepEqual([body.held, body.from, body.to], [null, 1, 1], 'a line that is not complete waits');
  assert.equal(read(body, '\nok\r\n0\r\nT: u\r\n\r\nnext'), 16);
  assert.equal(body.held?.latin1Slice(), '2\r\n'.slice(0, body.held?.length));
  assert.deepEqual([body.done, body.size, body.trailers?.header('t')], [true, 2, 'u']);
});

test('the data of chunks alone', () => {
  const body = begun('chunked', -1, DATA);
  assert.equal(read(body, '2;x=y\r\nok\r\n1\r\n!\r\n0\r\n\r\n'), 22);
  assert.equal(Buffer.concat(body.payload).latin1Slice(), 'ok!');
  body.begin('length', 2, LIMITS, DATA);
  assert.deepEqual([body.payload.length, body.held, body.trailers], [0, null, null], 'nothing is left of it');
});

test('until the connection ends', () => {
  const body = begun('close');
  assert.equal(read(body, 'all'), 3);
  assert.deepEqual([body.done, body.rest], [false, Infinity]);
  assert.equal(body.endsByClose(), true);
  assert.deepEqual([body.done, body.size], [true, 3]);
});

test('what is given up takes nothing more', () => {
  const body = begun('length', 3);
  body.abandon();
  assert.deepEqual([body.done, body.rest, read(body, 'abc')], [true, 0, 0]);
});
