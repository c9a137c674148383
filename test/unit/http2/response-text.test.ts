/** Answers between HTTP/2 and HTTP/1.1, both ways: heads, data, trailers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ChunkedReader } from '../../../src/http1/body.ts';
import { parseRequestHead, RequestHead } from '../../../src/http1/request-head.ts';
import { parseResponseHead, responseFraming, ResponseHead } from '../../../src/http1/response-head.ts';
import { fieldObject, requestFields, responseFields } from '../../../src/http2/field-list.ts';
import { matchPreface } from '../../../src/http2/preface.ts';
import { chunkOf, lastChunk } from '../../../src/http2/chunk-text.ts';
import { responseText } from '../../../src/http2/response-text.ts';
import { addData, WRITTEN, WRITTEN_LIMITS } from '../../../src/http2/written-message.ts';
import { BodyReader } from '../../../src/http1/body-reader.ts';

const LIMITS = { requestLine: 8192, head: 32_768, fields: 100 };
const CHUNKS = { extension: 256, trailer: 32_768, fields: 100 };

function read(raw: readonly string[], ended: boolean, method = 'GET', close = false) {
  const made = responseText(raw, { ended, method, close, trailers: 'announced' });
  if (made === null) return null;
  const head = new ResponseHead();
  const bytes = Buffer.from(made.text, 'latin1');
  assert.equal(parseResponseHead(bytes, 0, bytes.length, LIMITS, head), bytes.length);
  return { head, framing: responseFraming(head, method), chunked: made.form === 'chunks' };
}

test('heads that are no answers are invalid', () => {
  const ok = [':status', '200'];
  for (const raw of [
    [],
    ['a', 'b'],
    [':status', '20'],
    [':status', '0200'],
    [':status', '600'],
    [':status', '101'],
    [':status', '200', ':status', '200'],
    [...ok, ':path', '/'],
    [...ok, 'A', 'b'],
    [...ok, '', 'b'],
    [...ok, 'a b', 'c'],
    [...ok, 'a', 'b\r\nc: d'],
    [...ok, 'a', 'b\0'],
    [...ok, 'a\r\nb', 'c'],
    [...ok, 'a', '\u010a'],
    [...ok, 'connection', 'close'],
    [...ok, 'transfer-encoding', 'chunked'],
    [...ok, 'upgrade', 'h2c'],
    [...ok, 'keep-alive', '5'],
  ]) {
    const situation = { ended: false, method: 'GET', close: false, trailers: 'announced' } as const;
    assert.equal(responseText(raw, situation), null, JSON.stringify(raw));
  }
});

test('the end of the body is where the stream ends', () => {
  const framing = (status: string, ended: boolean, method = 'GET', ...more: string[]) =>
    read([':status', status, ...more], ended, method)?.framing;
  assert.equal(framing('200', false), 'chunked');
  assert.equal(framing('200', true), 'length');
  assert.equal(read([':status', '200'], true)?.head.contentLength, 0);
  assert.equal(framing('200', false, 'GET', 'content-length', '5'), 'length');
  assert.equal(framing('200', false, 'HEAD'), 'none');
  assert.equal(framing('204', true), 'none');
  assert.equal(framing('304', true), 'none');
  assert.equal(read([':status', '204'], true)?.head.contentLength, -1);
  assert.equal(read([':status', '200'], false)?.chunked, true);
  assert.equal(read([':status', '200'], false, 'HEAD')?.chunked, false);
  assert.equal(read([':status', '200'], false, 'GET', true)?.head.keepAlive, false);
  assert.equal(read([':status', '103', 'link', '</a>'], false, 'GET', true)?.head.keepAlive, true);
});

test('an answer of trailers alone stays one', () => {
  const raw = [':status', '200', 'content-type', 'application/grpc', 'grpc-status', '5'];
  assert.deepEqual(responseFields(read(raw, true)!.head), raw);
  assert.deepEqual(responseFields(read([':status', '200'], true)!.head), [
    ':status',
    '200',
    'content-length',
    '0',
  ]);
});

test('fields of HTTP/1.1 become fields of HTTP/2, without those of one connection', () => {
  const head = new RequestHead();
  const bytes = Buffer.from(
    'POST /a?b HTTP/1.1\r\nHost: notes.test\r\nX-A: 1\r\nConnection: TE\r\nTE: trailers\r\nx-a: 2\r\nKeep-Alive: 5\r\n' +
      'Transfer-Encoding: chunked\r\nProxy-Connection: x\r\nUpgrade: y\r\nHTTP2-Settings: z\r\nCookie: a=1; b=2\r\n\r\n',
    'latin1',
  );
  assert.equal(parseRequestHead(bytes, 0, bytes.length, LIMITS, head), bytes.length);
  assert.equal(
    requestFields(head, 'http').join(' '),
    ':method POST :scheme http :authority notes.test :path /a?b x-a 1 x-a 2 cookie a=1; b=2 te trailers',
  );
  assert.deepEqual({ ...fieldObject(head) }, { host: 'notes.test', 'x-a': ['1', '2'], cookie: 'a=1; b=2' });
});

test('trailers that the codec forbids are left out', () => {
  const raw = ['grpc-status', '0', 'content-length', '5', 'host', 'x', 'grpc-message', ' ok '];
  assert.equal(lastChunk(raw), '0\r\ngrpc-status: 0\r\ngrpc-message: ok\r\n\r\n');
  assert.equal(lastChunk(null), '0\r\n\r\n');
});

test('trailers that are no fields are refused, not left out', () => {
  for (const bad of [
    ['x', 'a\r\nb'],
    ['x', 'a\0'],
    ['', 'a'],
    ['X', 'a'],
    ['x y', 'a'],
    [':status', '200'],
  ]) {
    assert.equal(lastChunk(['grpc-status', '0', ...bad]), null, JSON.stringify(bad));
  }
});

test('property: data goes through chunks and back unchanged, however it is cut', () => {
  const data = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 6 });
  fc.assert(
    fc.property(
      data,
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 5 }),
      (pieces, cuts) => {
        const bytes = Buffer.concat([
          ...pieces.map((piece) => chunkOf(Buffer.from(piece))),
          Buffer.from(lastChunk(['x-sum', '1'])!),
        ]);
        const strict = new ChunkedReader();
        strict.reset(CHUNKS);
        assert.equal(strict.push(bytes, 0, bytes.length), bytes.length);
        assert.ok(strict.done);
        const body = new BodyReader();
        body.begin('chunked', -1, WRITTEN_LIMITS, WRITTEN);
        const out: Buffer[] = [];
        for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
          const end = Math.min(bytes.length, at + cuts[turn % cuts.length]!);
          assert.equal(body.read(bytes, at, end), end - at);
          addData(body, bytes, out);
          at = end;
        }
        assert.ok(body.done);
        assert.ok(Buffer.concat(out).equals(Buffer.concat(pieces)));
        assert.deepEqual({ ...fieldObject(body.trailers!) }, { 'x-sum': '1' });
      },
    ),
    { numRuns: 500 },
  );
});

test('the preface is known by its bytes', () => {
  const bytes = Buffer.from('xPRI * HTTP/2.0\r\n\r\nSM\r\n\r\nmore');
  assert.equal(matchPreface(bytes, 1, bytes.length), 'whole');
  assert.equal(matchPreface(bytes, 1, 25), 'whole');
  assert.equal(matchPreface(bytes, 1, 24), 'part');
  assert.equal(matchPreface(bytes, 1, 2), 'part');
  assert.equal(matchPreface(bytes, 0, 24), 'no');
  assert.equal(matchPreface(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\rX'), 0, 24), 'no');
});
