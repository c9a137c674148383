/**
 * Messages of HTTP/2 for the fuzzer: fields with framing words in names and values, bodies that look like messages of HTTP/1.1, with
 * lengths that are right, wrong or missing, and trailers. Names and values in turns; text is latin1.
 */
import type { Random } from './random.ts';

export interface Http2Message {
  readonly kind: 'request' | 'answer';
  readonly head: readonly string[];
  /** Frames of data, none of them empty. */
  readonly data: readonly string[];
  readonly trailers: readonly string[] | null;
  /** END_STREAM stands at the head: nothing follows. */
  readonly ended: boolean;
  /** Of the request that is answered. */
  readonly method: string;
  /** The client takes trailers. */
  readonly wanted: boolean;
  /** It has no fault, so that it must arrive. */
  readonly valid: boolean;
}

const METHODS = ['GET', 'POST', 'POST', 'POST', 'PUT', 'HEAD', 'OPTIONS', 'DELETE', 'QUERY', 'BREW'];
const STATUSES = [
  '200',
  '200',
  '200',
  '200',
  '200',
  '200',
  '200',
  '201',
  '204',
  '205',
  '206',
  '304',
  '404',
  '500',
  '103',
  '99',
  '101',
];

const WORDS = [
  'content-length',
  'transfer-encoding',
  ':method',
  ':path',
  ':authority',
  ':status',
  'host',
  'te',
  'trailer',
  'trailers',
  'connection',
  'upgrade',
  'expect',
  'cookie',
  'keep-alive',
  'chunked',
  'identity',
];
const NAMES = [
  ...WORDS,
  'a',
  'x-a',
  'x-b',
  'x_content_length',
  'content_length',
  'x-user-id',
  'x_user_id',
  'x-forwarded-for',
  'x-canary',
  'accept',
  'content-type',
  'cache-control',
  'user-agent',
  'set-cookie',
  'grpc-status',
];
const BAD_NAMES = ['', 'X-A', 'a b', 'a:', 'a\r\nb', 'a\0', '\u00e9', ':x', 'transfer-encoding '];
const VALUES = [
  ...WORDS,
  '',
  '0',
  '5',
  '10',
  '00',
  'a',
  'b, c',
  'a=b; c=d',
  'application/grpc',
  'notes.test',
  '100-continue',
  'a \u00ff b',
  'GET /admin HTTP/1.1',
];
const BAD_VALUES = [
  'a\r\nb: c',
  '\n',
  'a\0',
  '\r',
  '\u007f',
  '5\r\n\r\nGET /admin HTTP/1.1\r\nhost: a\r\n\r\n',
];
const BLANKS = ['', '', '', '', '', ' ', '\t', '  \t'];
const BODIES = [
  '0\r\n\r\n',
  '0\r\n\r\nGET /admin HTTP/1.1\r\nHost: notes.test\r\n\r\n',
  'GET /admin HTTP/1.1\r\nHost: notes.test\r\nContent-Length: 5\r\n\r\nhello',
  '5\r\nhello\r\n0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  'hello',
  '\r\n',
  'a',
  '\0\u00ff',
  '0',
];

function listOf(random: Random, most: number, good: number): string[] {
  const list: string[] = [];
  for (let count = random.below(most + 1); count > 0; count -= 1) {
    const name = random.chance(good) ? random.pick(NAMES) : random.pick(BAD_NAMES);
    const value = random.chance(good) ? random.pick(VALUES) : random.pick(BAD_VALUES);
    list.push(name, random.pick(BLANKS) + value + random.pick(BLANKS));
  }
  return list;
}

/** Fields that a message may have are more likely, so that most of the messages go through. */
function fieldsOf(random: Random, good: number, wild: boolean): string[] {
  const list = listOf(random, 5, good);
  if (wild) return list;
  const kept: string[] = [];
  for (let index = 0; index < list.length; index += 2) {
    const name = list[index] as string;
    if (!PLAIN.test(name) || REFUSED.has(name)) kept.push(`x-${random.below(9)}`, list[index + 1] as string);
    else kept.push(name, list[index + 1] as string);
  }
  return kept;
}

const PLAIN = /^[a-z_-]+$/;
const REFUSED = new Set([
  'transfer-encoding',
  'connection',
  'upgrade',
  'keep-alive',
  'host',
  'te',
  'expect',
  'content-length',
  'trailers',
  'set-cookie',
]);

export function http2Message(random: Random): Http2Message {
  const kind = random.chance(0.5) ? 'request' : 'answer';
  const good = random.chance(0.8) ? 1 : 0.9;
  const wild = random.chance(0.2);
  const method = random.pick(METHODS);
  const data: string[] = [];
  const ended = random.chance(0.3);
  if (!ended) for (let count = random.below(4); count > 0; count -= 1) data.push(random.pick(BODIES));
  const trailers = !ended && random.chance(0.3) ? fieldsOf(random, good, wild) : null;
  const fields = fieldsOf(random, good, wild);
  const size = data.reduce((sum, piece) => sum + piece.length, 0);
  let told = size;
  if (random.chance(0.5)) {
    if (random.chance(0.15)) told = Math.max(0, size + random.below(20) - 10);
    fields.splice(2 * random.below(fields.length / 2 + 1), 0, 'content-length', String(told));
  }
  if (random.chance(0.1)) fields.push('te', 'trailers');
  const status = random.pick(STATUSES);
  const path = random.pick(PATHS);
  const pseudo =
    kind === 'answer'
      ? [':status', status]
      : [':method', method, ':scheme', 'http', ':authority', 'notes.test', ':path', path];
  const broken = random.chance(0.02);
  if (broken) pseudo.splice(2 * random.below(pseudo.length / 2), 2);
  const bodiless = method === 'HEAD' || status === '304';
  const legal =
    kind === 'request'
      ? method !== 'BREW' && GOOD_PATHS.includes(path)
      : FINAL.test(status) && !(bodiless && size > 0);
  const valid = good === 1 && !wild && !broken && legal && told === size;
  const head = [...pseudo, ...fields];
  return { kind, head, data, trailers, ended, method, wanted: random.chance(0.5), valid };
}

/** 204 may have no length, and so is left out. */
const FINAL = /^(?!204)[2-5]\d\d$/;
const GOOD_PATHS = ['/', '/b', '/c?d', '/e', '/a?b', '/content-length', '/:method', '/%0d%0a'];
const PATHS = [...GOOD_PATHS, ...GOOD_PATHS, '/', '/a b', '*', '/x\r\ny: z'];
