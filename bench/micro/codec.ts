/**
 * What reading HTTP/1.1 costs: `node bench/micro/codec.ts`. Some seconds on one core; pin it (`taskset -c 1`) to compare.
 *
 * Heads as browsers, mobile applications and servers send them; bodies in chunks as a stream of events has them. llhttp
 * with Node's binding stands beside it: it hands out the fields as strings, which the codec does only when asked.
 */
import { createRequire } from 'node:module';
import { bench, do_not_optimize, group, run } from 'mitata';
import { ChunkedReader } from '../../src/http1/body.ts';
import { findHeadEnd } from '../../src/http1/head-scanner.ts';
import { parseRequestHead, RequestHead } from '../../src/http1/request-head.ts';
import { parseResponseHead, ResponseHead } from '../../src/http1/response-head.ts';

const LIMITS = { requestLine: 8192, head: 32_768, fields: 100 };

const SMALL = Buffer.from(
  'GET /health HTTP/1.1\r\nHost: notes.test\r\nUser-Agent: probe/1.0\r\nAccept: */*\r\n\r\n',
);

const MOBILE = Buffer.from(
  [
    'GET /api/v2/notes?folder=inbox&limit=50&cursor=eyJpZCI6MTAyNH0 HTTP/1.1',
    'Host: notes.example.com',
    'Accept: application/json',
    'Accept-Encoding: gzip, deflate, br',
    'Accept-Language: de-CH, de;q=0.9, en;q=0.8',
    'User-Agent: Notes/7.12.3 (iPhone; iOS 18.1; Scale/3.00) CFNetwork/1568.200.51 Darwin/24.1.0',
    'Authorization: Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ',
    'Cookie: serin_id=v1.k1.0190f2a4-7c3e-7b1d-9a52-3f5d1c6b8e90.c2lnbmF0dXJl; session=9f86d081884c7d659a2feaa0c55ad015',
    'X-Forwarded-For: 203.0.113.7, 10.1.2.3',
    'X-Forwarded-Proto: https',
    'X-Request-Id: 0190f2a4-7c3e-7b1d-9a52-3f5d1c6b8e90',
    'X-App-Version: 7.12.3',
    'traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    'Connection: keep-alive',
    '',
    '',
  ].join('\r\n'),
);

const RESPONSE = Buffer.from(
  [
    'HTTP/1.1 200 OK',
    'Date: Tue, 02 Jan 2024 10:00:00 GMT',
    'Content-Type: application/json; charset=utf-8',
    'Content-Length: 1024',
    'Cache-Control: private, max-age=0',
    'ETag: W/"400-8hKzGQ8vYV9mQf"',
    'Vary: Accept-Encoding',
    'X-Content-Type-Options: nosniff',
    'Connection: keep-alive',
    '',
    '',
  ].join('\r\n'),
);

const EVENT = `data: ${'x'.repeat(100)}\n\n`;
const EVENTS = Buffer.from(`${`${EVENT.length.toString(16)}\r\n${EVENT}\r\n`.repeat(100)}0\r\n\r\n`);
const LARGE = Buffer.from(`10000\r\n${'x'.repeat(0x10000)}\r\n0\r\n\r\n`);

const request = new RequestHead();
const response = new ResponseHead();
const reader = new ChunkedReader();

interface Parser {
  [callback: number]: (...values: never[]) => unknown;
  initialize(type: number, resource: object): void;
  execute(bytes: Buffer): number;
}
const { HTTPParser } = createRequire(import.meta.url)('_http_common') as {
  HTTPParser: { new (): Parser; REQUEST: number; RESPONSE: number; kOnHeadersComplete: number };
};

function llhttp(type: number): Parser {
  const parser = new HTTPParser();
  parser.initialize(type, {});
  // 1: no body is read after the head.
  parser[HTTPParser.kOnHeadersComplete] = () => 1;
  return parser;
}
const requests = llhttp(HTTPParser.REQUEST);
const responses = llhttp(HTTPParser.RESPONSE);

function readBody(bytes: Buffer, step: number): number {
  reader.reset({ extension: 256, trailer: 8192, fields: 100 });
  let at = 0;
  while (!reader.done) {
    const used = reader.push(bytes, at, Math.min(at + step, bytes.length));
    if (used < 0) throw new Error(`refused: ${used}`);
    at += used;
  }
  return at;
}

group(`request head, 3 fields, ${SMALL.length} bytes`, () => {
  bench('codec', () => do_not_optimize(parseRequestHead(SMALL, 0, SMALL.length, LIMITS, request)));
  bench('llhttp', () => do_not_optimize(requests.execute(SMALL)));
});
group(`request head, 13 fields, ${MOBILE.length} bytes`, () => {
  bench('codec', () => do_not_optimize(parseRequestHead(MOBILE, 0, MOBILE.length, LIMITS, request)));
  bench('llhttp', () => do_not_optimize(requests.execute(MOBILE)));
  bench('only the end of the head', () => do_not_optimize(findHeadEnd(MOBILE, 0, MOBILE.length)));
});
group(`response head, 8 fields, ${RESPONSE.length} bytes`, () => {
  bench('codec', () => do_not_optimize(parseResponseHead(RESPONSE, 0, RESPONSE.length, LIMITS, response)));
  bench('llhttp', () => do_not_optimize(responses.execute(RESPONSE)));
});
group(`chunked body`, () => {
  bench('100 events, whole', () => do_not_optimize(readBody(EVENTS, EVENTS.length)));
  bench('100 events, in pieces of 64 bytes', () => do_not_optimize(readBody(EVENTS, 64)));
  bench('64 KiB in one chunk', () => do_not_optimize(readBody(LARGE, LARGE.length)));
});

await run();
