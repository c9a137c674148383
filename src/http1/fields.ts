/**
 * Well-known field names as small numbers, so that nobody compares strings per header line. A name that is not listed has the number
 * 0, and nothing may be concluded from that.
 */
import { COLON, LOWER } from './grammar.ts';
import { wordOf } from './words.ts';

/** Ids of fields. Those that the codec itself interprets come first: they must have a bit in 32. */
export const F = {
  OTHER: 0,
  HOST: 1,
  CONNECTION: 2,
  CONTENT_LENGTH: 3,
  TRANSFER_ENCODING: 4,
  UPGRADE: 5,
  EXPECT: 6,
  TE: 7,
  TRAILER: 8,
  KEEP_ALIVE: 9,
  PROXY_CONNECTION: 10,
  PROXY_AUTHORIZATION: 11,
  PROXY_AUTHENTICATE: 12,
  PROXY_AUTHENTICATION_INFO: 13,
  HTTP2_SETTINGS: 14,
  FORWARDED: 15,
  X_FORWARDED_FOR: 16,
  X_FORWARDED_PROTO: 17,
  X_FORWARDED_HOST: 18,
  X_FORWARDED_PORT: 19,
  X_REAL_IP: 20,
  VIA: 21,
  X_REQUEST_ID: 22,
  X_CANARY: 23,
  X_SERIN_OVERRIDE: 24,
  COOKIE: 25,
  SET_COOKIE: 26,
  AUTHORIZATION: 27,
  WWW_AUTHENTICATE: 28,
  CACHE_CONTROL: 29,
  VARY: 30,
  EXPIRES: 31,
  DATE: 32,
  SERVER: 33,
  USER_AGENT: 34,
  ACCEPT: 35,
  ACCEPT_LANGUAGE: 36,
  ACCEPT_ENCODING: 37,
  TRACEPARENT: 38,
  TRACESTATE: 39,
  CONTENT_TYPE: 40,
  CONTENT_ENCODING: 41,
  CONTENT_RANGE: 42,
  ORIGIN: 43,
  LOCATION: 44,
  ETAG: 45,
  RETRY_AFTER: 46,
  MAX_FORWARDS: 47,
  X_SERIN_MIRROR: 48,
  CDN_CACHE_CONTROL: 49,
  CLOUDFLARE_CDN_CACHE_CONTROL: 50,
  SURROGATE_CONTROL: 51,
  EDGE_CONTROL: 52,
  X_ACCEL_EXPIRES: 53,
  LAST_MODIFIED: 54,
} as const;

/** The lower-case name of each id; '' for `F.OTHER`. */
export const FIELD_NAMES: readonly string[] = Object.keys(F).map((key) =>
  key === 'OTHER' ? '' : key.toLowerCase().replaceAll('_', '-'),
);

/*
 * Most names on the wire are well known. `nameAt` guesses from a name's first four bytes which it could be, and compares four bytes
 * at a time; a name that it confirms needs no look at its bytes one by one. Names under four characters are not in its tables.
 */
const WORD = 4;
const KNOWN = [...FIELD_NAMES.entries()].filter(([id]) => id !== F.OTHER);
const LONG_NAMES = KNOWN.filter(([, name]) => name.length >= WORD);
const SHORT_NAMES = KNOWN.filter(([, name]) => name.length < WORD);

/** Length of each name, 0 where it is not in the tables of `nameAt`. */
export const NAME_LENGTH = new Uint8Array(FIELD_NAMES.length);
const FIRST_WORD = new Uint16Array(FIELD_NAMES.length);
/** The words of all names: at 0, 4, 8, …, and the last four bytes, which may overlap. */
const WORDS: number[] = [];
/** Where a word has letters, the bit that makes them lower case. Other bytes must be equal: CR with that bit would be a hyphen. */
const CASES: number[] = [];
for (const [id, name] of LONG_NAMES) {
  NAME_LENGTH[id] = name.length;
  FIRST_WORD[id] = WORDS.length;
  const cases = name.replaceAll(/[a-z]/g, ' ').replaceAll(/[^ ]/g, '\0');
  for (let at = 0; at < name.length; at += WORD) {
    const from = Math.min(at, name.length - WORD);
    WORDS.push(wordOf(name.slice(from, from + WORD)));
    CASES.push(wordOf(cases.slice(from, from + WORD)));
  }
}
const NAME_WORDS = Int32Array.from(WORDS);
const NAME_CASES = Int32Array.from(CASES);

/** First candidate by a hash of the first word, and the next candidate of the same place. */
const CANDIDATES = new Uint8Array(256);
const NEXT_CANDIDATE = new Uint8Array(FIELD_NAMES.length);
for (const [id, name] of LONG_NAMES) {
  const place = wordHash(wordOf(name));
  NEXT_CANDIDATE[id] = CANDIDATES[place] as number;
  CANDIDATES[place] = id;
}

/** 0 to 255, the same for upper and lower case letters (Fibonacci hashing). */
function wordHash(word: number): number {
  return Math.imul(word | 0x20202020, 0x9e3779b1) >>> 24;
}

/**
 * The id of the well-known name, any case, that stands at `at` with a colon right after it; `F.OTHER` where there is none, or one of
 * under four characters. `view` is of the same bytes; at least four of them are left before `stop`.
 */
export function nameAt(bytes: Buffer, view: DataView, at: number, stop: number): number {
  let id = CANDIDATES[wordHash(view.getInt32(at, true))] as number;
  while (id !== F.OTHER) {
    const end = at + (NAME_LENGTH[id] as number);
    if (end < stop && bytes[end] === COLON && isWords(view, at, end - WORD, FIRST_WORD[id] as number))
      return id;
    id = NEXT_CANDIDATE[id] as number;
  }
  return F.OTHER;
}

/** Whether the words from `at` through the one at `last` are those of a name. */
function isWords(view: DataView, at: number, last: number, firstWord: number): boolean {
  let index = firstWord;
  for (let from = at; from < last; from += WORD, index += 1) {
    if ((view.getInt32(from, true) | (NAME_CASES[index] as number)) !== NAME_WORDS[index]) return false;
  }
  return (view.getInt32(last, true) | (NAME_CASES[index] as number)) === NAME_WORDS[index];
}

/** The id of the well-known name of under four characters, any case, in `bytes[start..end)`, or `F.OTHER`. */
export function shortNameAt(bytes: Buffer, start: number, end: number): number {
  if (end - start >= WORD) return F.OTHER;
  for (const [id, name] of SHORT_NAMES) {
    if (name.length !== end - start) continue;
    let at = 0;
    while (at < name.length && LOWER[bytes[start + at] as number] === name.charCodeAt(at)) at += 1;
    if (at === name.length) return id;
  }
  return F.OTHER;
}
