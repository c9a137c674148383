/** The second opinion itself: what the strict reader takes, what it refuses, in whatever pieces bytes come. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createReader, type Message } from '../../support/strict-reader.ts';

interface Reading {
  readonly messages: Message[];
  readonly fault: string | null;
}

function read(kind: 'request' | 'response', text: string, size: number, method = 'GET'): Reading {
  const messages: Message[] = [];
  const reader = createReader(kind, {
    requestMethod: () => method,
    end: (message) => messages.push(message),
  });
  const bytes = Buffer.from(text, 'latin1');
  for (let from = 0; from < bytes.length; from += size) reader.push(bytes.subarray(from, from + size));
  return { messages, fault: reader.fault };
}

const GOOD = [
  'GET /a HTTP/1.1\r\nHost: a\r\n\r\n',
  'POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello',
  'POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;x="y"\r\nhe\r\n3\r\nllo\r\n0\r\nX-Sum: 1\r\n\r\n',
  'GET /d HTTP/1.0\r\n\r\n',
];

test('a stream of requests reads the same in any pieces', () => {
  for (const size of [1, 2, 3, 7, 1000]) {
    const { messages, fault } = read('request', GOOD.join(''), size);
    assert.equal(fault, null);
    assert.deepEqual(
      messages.map((message) => `${message.target} ${message.body.toString()}`),
      ['/a ', '/b hello', '/c hello', '/d '],
    );
    assert.deepEqual(messages[2]?.trailers, [['X-Sum', '1']]);
  }
});

test('malformed requests are refused', () => {
  const host = 'Host: a\r\n';
  for (const text of [
    'GET /\r\n\r\n',
    'GET  / HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET / HTTP/1.1\r\n\r\n',
    `GET / HTTP/1.1\r\n${host}${host}\r\n`,
    'GET / HTTP/1.1\nHost: a\n\n',
    `GET / HTTP/1.1\r\n${host}X : 1\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}X: 1\r\n 2\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}X: \0\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}X: a\rb\r\n\r\n`,
    `POST / HTTP/1.1\r\n${host}Content-Length: 1\r\nContent-Length: 1\r\n\r\na`,
    `POST / HTTP/1.1\r\n${host}Content-Length: +1\r\n\r\na`,
    `POST / HTTP/1.1\r\n${host}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    `POST / HTTP/1.1\r\n${host}Transfer-Encoding: gzip\r\n\r\n`,
    `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
    `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n`,
    `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\nX\r\n\r\n`,
  ]) {
    for (const size of [1, 1000])
      assert.notEqual(read('request', text, size).fault, null, JSON.stringify(text));
  }
});

const twice = (text: string) => text + text;

test('responses end where their framing says', () => {
  assert.equal(
    read('response', twice('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'), 1).messages.length,
    2,
  );
  assert.equal(read('response', twice('HTTP/1.1 204 No\r\n\r\n'), 1).messages.length, 2);
  assert.equal(
    read('response', twice('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n'), 1, 'HEAD').messages.length,
    2,
  );
  assert.equal(read('response', 'HTTP/1.1 200 OK\r\n\r\nto the end', 1).messages.length, 0);
  const short = read('response', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok', 1);
  assert.equal(short.messages.length, 0);
  for (const text of ['HTTP/1.1 20 OK\r\n\r\n', 'HTTP/1.1 200\r\n\r\n', 'HTTP/2.0 200 OK\r\n\r\n']) {
    assert.notEqual(read('response', text, 1000).fault, null, text);
  }
});
