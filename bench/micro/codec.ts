/**
 * What reading HTTP/1.1 costs: `node bench/micro/codec.ts`. Some seconds on one core; pin it (`taskset -c 1`) to compare.
 *
 * Heads as browsers, mobile applications and servers send them; bodies in chunks as a stream of events has them. Each kind of head
 * is 64 heads of different lengths in one buffer, read in turn, so that the processor can't learn one by heart. llhttp
 * with Node's binding stands beside it: it hands out the fields as strings, which the codec does only when asked. The last group
 * compares ways to find the line ends and forbidden bytes of a head, which is most of what the codec does.
 */
import { createRequire } from 'node:module';
import { bench, do_not_optimize, group, run } from 'mitata';
import { ChunkedReader } from '../../src/http1/body.ts';
import { VALUE } from '../../src/http1/grammar.ts';
import { findHeadEnd } from '../../src/http1/head-scanner.ts';
import { parseRequestHead, RequestHead } from '../../src/http1/request-head.ts';
import { parseResponseHead, ResponseHead } from '../../src/http1/response-head.ts';
import { hasControl, viewOf } from '../../src/http1/words.ts';

const LIMITS = { requestLine: 8192, head: 32_768, fields: 100 };

/** Heads one after the other in one buffer, as in a read buffer, and whose turn it is. */
interface Heads {
  readonly bytes: Buffer;
  readonly starts: number[];
  readonly ends: number[];
  /** Each head as a buffer, for parsers that want it so. */
  readonly cut: Buffer[];
  turn: number;
}

const VARIETY = 64;

/** Heads made from a list of lines; a `%` in a line becomes 0 to 15 digits, another number of them each time. */
function headsOf(lines: readonly string[]): Heads {
  let seed = 1;
  const starts: number[] = [];
  const ends: number[] = [];
  let text = '';
  for (let index = 0; index < VARIETY; index += 1) {
    starts.push(text.length);
    text += `${lines.join('\r\n')}\r\n\r\n`.replaceAll('%', () => {
      seed = Math.imul(seed, 1_664_525) + 1_013_904_223;
      return '123456789012345'.slice(0, (seed >>> 16) & 15);
    });
    ends.push(text.length);
  }
  const bytes = Buffer.from(text, 'latin1');
  return {
    bytes,
    starts,
    ends,
    cut: starts.map((start, index) => bytes.subarray(start, ends[index])),
    turn: 0,
  };
}

/** Has the next head read by llhttp. */
function measureLlhttp(heads: Heads, parser: Parser): void {
  bench('llhttp', () => {
    const turn = heads.turn;
    heads.turn = (turn + 1) % VARIETY;
    do_not_optimize(parser.execute(heads.cut[turn] as Buffer));
  });
}

type Read = (bytes: Buffer, start: number, end: number) => unknown;

/** Has the next head read. */
function measure(name: string, heads: Heads, read: Read): void {
  bench(name, () => {
    const turn = heads.turn;
    heads.turn = (turn + 1) % VARIETY;
    do_not_optimize(read(heads.bytes, heads.starts[turn] as number, heads.ends[turn] as number));
  });
}

function averageLength(heads: Heads): number {
  return Math.round(heads.bytes.length / VARIETY);
}

const SMALL = headsOf([
  'GET /health%?% HTTP/1.1',
  'Host: notes.test',
  'User-Agent: probe/1.0.%',
  'Accept: */*',
]);

const MOBILE = headsOf([
  'GET /api/v2/notes?folder=inbox&limit=50&cursor=eyJpZCI6% HTTP/1.1',
  'Host: notes.example.com',
  'Accept: application/json',
  'Accept-Encoding: gzip, deflate, br',
  'Accept-Language: de-CH, de;q=0.9, en;q=0.8',
  'User-Agent: Notes/7.12.3 (iPhone; iOS 18.%; Scale/3.00) CFNetwork/1568.200.51 Darwin/24.1.0',
  'Authorization: Bearer %eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ',
  'Cookie: serin_id=v1.k1.0190f2a4-7c3e-7b1d-9a52-3f5d1c6b8e90.c2lnbmF0dXJl; session=9f86d081884c7d65%',
  'X-Forwarded-For: 203.0.113.%, 10.1.2.3',
  'X-Forwarded-Proto: https',
  'X-Request-Id: 0190f2a4-7c3e-7b1d-9a52-%',
  'X-App-Version: 7.12.%',
  'traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  'Connection: keep-alive',
]);

const RESPONSE = headsOf([
  'HTTP/1.1 200 OK',
  'Date: Tue, 02 Jan 2024 10:00:00 GMT',
  'Content-Type: application/json; charset=utf-8',
  'Content-Length: 1%',
  'Cache-Control: private, max-age=0',
  'ETag: W/"%-8hKzGQ8vYV9mQf"',
  'Vary: Accept-Encoding',
  'X-Content-Type-Options: nosniff',
  'Connection: keep-alive',
]);

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

const readRequest: Read = (bytes, start, end) => parseRequestHead(bytes, start, end, LIMITS, request);
const readResponse: Read = (bytes, start, end) => parseResponseHead(bytes, start, end, LIMITS, response);

for (const [heads, read] of [
  [SMALL, readRequest],
  [MOBILE, readRequest],
  [RESPONSE, readResponse],
] as const) {
  for (const [turn, start] of heads.starts.entries()) {
    const end = heads.ends[turn] as number;
    if (read(heads.bytes, start, end) !== end - start) throw new Error('a head is not read');
  }
}

group(`request head, 3 fields, ${averageLength(SMALL)} bytes`, () => {
  measure('codec', SMALL, readRequest);
  measureLlhttp(SMALL, requests);
});
group(`request head, 13 fields, ${averageLength(MOBILE)} bytes`, () => {
  measure('codec', MOBILE, readRequest);
  measureLlhttp(MOBILE, requests);
  measure('only the end of the head', MOBILE, findHeadEnd);
});
group(`response head, 8 fields, ${averageLength(RESPONSE)} bytes`, () => {
  measure('codec', RESPONSE, readResponse);
  measureLlhttp(RESPONSE, responses);
});
group(`chunked body`, () => {
  bench('100 events, whole', () => do_not_optimize(readBody(EVENTS, EVENTS.length)));
  bench('100 events, in pieces of 64 bytes', () => do_not_optimize(readBody(EVENTS, 64)));
  bench('64 KiB in one chunk', () => do_not_optimize(readBody(LARGE, LARGE.length)));
});

/* Ways to find each line's end and to see that no forbidden byte stands before it. */

function byBytes(bytes: Buffer, start: number, end: number): number {
  let lines = 0;
  for (let at = start; at < end; at += 2, lines += 1) while (VALUE[bytes[at] as number] === 1) at += 1;
  return lines;
}

function byWords(bytes: Buffer, start: number, end: number): number {
  const view = viewOf(bytes);
  const lastWord = end - 4;
  let lines = 0;
  for (let at = start; at < end; at += 2, lines += 1) {
    while (at <= lastWord && !hasControl(view.getInt32(at, true))) at += 4;
    while (VALUE[bytes[at] as number] === 1) at += 1;
  }
  return lines;
}

function byCharacters(bytes: Buffer, start: number, end: number): number {
  const text = bytes.latin1Slice(start, end);
  let lines = 0;
  for (let at = 0; at < text.length; at += 2, lines += 1) while (VALUE[text.charCodeAt(at)] === 1) at += 1;
  return lines;
}

const LINE = /[\t\x20-\x7e\x80-\xff]*\r\n/y;

function byExpression(bytes: Buffer, start: number, end: number): number {
  const text = bytes.latin1Slice(start, end);
  let lines = 0;
  LINE.lastIndex = 0;
  for (; LINE.lastIndex < text.length && LINE.test(text);) lines += 1;
  return lines;
}

/** Line ends only: forbidden bytes would need a second look. */
function byIndexOf(bytes: Buffer, start: number, end: number): number {
  const text = bytes.latin1Slice(start, end);
  let lines = 0;
  for (let at = text.indexOf('\r\n'); at !== -1; at = text.indexOf('\r\n', at + 2)) lines += 1;
  return lines;
}

group(`lines of ${averageLength(MOBILE)} bytes`, () => {
  for (const way of [byBytes, byWords, byCharacters, byExpression, byIndexOf]) {
    if (way(MOBILE.bytes, MOBILE.starts[0] as number, MOBILE.ends[0] as number) !== 15)
      throw new Error(way.name);
    measure(way.name, MOBILE, way);
  }
});

await run();
