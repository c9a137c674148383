/** Good response heads and how their bodies end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseResponseHead, ResponseHead, responseFraming } from '../../../src/http1/response-head.ts';
import { goodResponse, latin1, LIMITS, outcome, responseOutcome } from './reading.ts';

const answer = (start: string, ...lines: readonly string[]): string => [start, ...lines, '', ''].join('\r\n');

test('status lines', () => {
  const cases: [line: string, status: number, reason: string, minor: number][] = [
    ['HTTP/1.1 200 OK', 200, 'OK', 1],
    ['HTTP/1.0 404 Not Found', 404, 'Not Found', 0],
    ['HTTP/1.1 200 ', 200, '', 1],
    ['HTTP/1.1 200', 200, '', 1],
    ['HTTP/1.1 100 Continue', 100, 'Continue', 1],
    ['HTTP/1.1 599 \xe4\t x', 599, '\xe4\t x', 1],
  ];
  for (const [line, status, reason, minor] of cases) {
    const head = goodResponse(answer(line));
    assert.deepEqual(
      [head.status, head.text.slice(head.reasonStart, head.reasonEnd), head.versionMinor],
      [status, reason, minor],
    );
  }
});

test('every shorter part of a good head is incomplete, and the bytes around it do not matter', () => {
  const text = answer('HTTP/1.1 200 OK', 'Content-Length: 3', 'Set-Cookie: a=b');
  for (let length = 0; length <= text.length; length += 1) {
    const bytes = latin1(`\0\n${text.slice(0, length)}\0\n`);
    const used = parseResponseHead(bytes, 2, 2 + length, LIMITS, new ResponseHead());
    assert.equal(outcome(used), length === text.length ? length : 0, text.slice(0, length));
    if (length > 0 && length < text.length) {
      assert.equal(responseOutcome(text.slice(0, length), { ...LIMITS, head: length }), 'head_too_large');
    }
  }
});

test('how the body ends', () => {
  const cases: [method: string, status: number, lines: string[], framing: string][] = [
    ['GET', 200, [], 'close'],
    ['GET', 200, ['Content-Length: 0'], 'length'],
    ['GET', 200, ['Content-Length: 5'], 'length'],
    ['GET', 200, ['Transfer-Encoding: chunked'], 'chunked'],
    ['HEAD', 200, ['Content-Length: 5'], 'none'],
    ['HEAD', 200, ['Transfer-Encoding: chunked'], 'none'],
    ['HEAD', 200, [], 'none'],
    ['GET', 204, [], 'none'],
    ['GET', 204, ['Content-Length: 0'], 'none'],
    ['GET', 304, ['Content-Length: 5'], 'none'],
    ['GET', 304, ['Transfer-Encoding: chunked'], 'none'],
    ['GET', 100, [], 'none'],
    ['GET', 101, ['Content-Length: 0'], 'none'],
    ['GET', 103, [], 'none'],
    ['GET', 205, [], 'close'],
    ['GET', 404, ['Content-Length: 7'], 'length'],
  ];
  for (const [method, status, lines, framing] of cases) {
    const head = goodResponse(answer(`HTTP/1.1 ${status} X`, ...lines));
    assert.equal(responseFraming(head, method), framing, `${method} ${status} ${lines.join()}`);
  }
});

test('whether the connection is kept, upgraded, and what it nominates', () => {
  const cases: [start: string, lines: string[], keep: boolean, upgrade: boolean, names: string[] | null][] = [
    ['HTTP/1.1 200 OK', [], true, false, null],
    ['HTTP/1.0 200 OK', [], false, false, null],
    ['HTTP/1.0 200 OK', ['Connection: keep-alive'], true, false, null],
    ['HTTP/1.1 200 OK', ['Connection: close, X-A'], false, false, ['x-a']],
    ['HTTP/1.1 101 Switching', ['Connection: Upgrade', 'Upgrade: websocket'], true, true, null],
    ['HTTP/1.1 101 Switching', ['Connection: Upgrade'], true, false, null],
    ['HTTP/1.1 101 Switching', ['Upgrade: websocket'], true, false, null],
  ];
  for (const [start, lines, keep, upgrade, names] of cases) {
    const head = goodResponse(answer(start, ...lines));
    assert.deepEqual([head.keepAlive, head.upgrade, head.connectionNominates], [keep, upgrade, names]);
  }
});

test('a head that is used again remembers nothing', () => {
  const head = new ResponseHead();
  const first = latin1(answer('HTTP/1.0 200 OK', 'Connection: x', 'Content-Length: 4', 'Upgrade: y'));
  assert.equal(parseResponseHead(first, 0, first.length, LIMITS, head), first.length);
  const second = latin1(answer('HTTP/1.1 404', 'A: b'));
  assert.equal(parseResponseHead(second, 0, second.length, LIMITS, head), second.length);
  assert.deepEqual(
    [head.contentLength, head.chunked, head.keepAlive, head.upgrade, head.connectionNominates, head.count],
    [-1, false, true, false, null, 1],
  );
  head.clear();
  assert.deepEqual([head.text, head.count, head.header('a')], ['', 0, undefined]);
});
