/**
 * The cases: the project's own (`cases.jsonl`), and a larger corpus of other people's requests where it is present.
 * `expectations.json` overrules single cases with an argument; `docs/conformance.md` shows the same arguments.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { InputSource } from '../fuzz/input.ts';
import { createRandom } from '../fuzz/random.ts';

export type RequestExpectation = 'accept' | 'reject' | 'either';
export type ResponseExpectation = 'relay' | 'refuse' | 'truncate' | 'either';

export interface RequestCase {
  readonly name: string;
  readonly group: string;
  readonly bytes: Buffer;
  readonly expectation: RequestExpectation;
  /** Exactly so many requests are served with a 2xx, where said. */
  readonly served: number | null;
  /** The refusal has one of these statuses, where said. */
  readonly status: readonly number[] | null;
  /** Fields that the origin must not see, in lower case. */
  readonly absent: readonly string[];
}

export interface ResponseCase {
  readonly name: string;
  readonly bytes: Buffer;
  readonly method: string;
  readonly expectation: ResponseExpectation;
  readonly status: number;
  /** The decoded body that the client must get, where said. */
  readonly body: string | null;
  /** Interim answers that must be relayed. */
  readonly interim: number;
  /** The origin closes after the bytes. */
  readonly close: boolean;
  /** Fields that the client must not see, in lower case. */
  readonly absent: readonly string[];
  /** false: the connection must carry no further request. */
  readonly reuse: boolean;
}

export interface Exception {
  readonly name: string;
  readonly expectation: RequestExpectation;
  readonly why: string;
}

type Raw = string | readonly (string | { readonly repeat: string; readonly times: number })[];

interface OwnCase {
  readonly kind: 'request' | 'response';
  readonly name: string;
  readonly raw: Raw;
  readonly expectation: string;
  readonly served?: number;
  readonly status?: readonly number[] | number;
  readonly absent?: readonly string[];
  readonly method?: string;
  readonly body?: string;
  readonly interim?: number;
  readonly close?: boolean;
  readonly reuse?: boolean;
}

interface SharedCase {
  readonly name: string;
  readonly raw_base64: string;
  readonly expectation: RequestExpectation;
  readonly source: string;
}

const HERE = import.meta.dirname;

/** Raw text of a case in latin1; parts may be repeated, so that long ones stay readable. */
function bytesOf(raw: Raw): Buffer {
  const parts = typeof raw === 'string' ? [raw] : raw;
  const text = parts
    .map((part) => (typeof part === 'string' ? part : part.repeat.repeat(part.times)))
    .join('');
  return Buffer.from(text, 'latin1');
}

function readLines<T>(file: string): T[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as T);
}

function ownCases(): OwnCase[] {
  return readLines<OwnCase>(join(HERE, 'cases.jsonl'));
}

/** The argued exceptions, by name. */
export function loadExceptions(): Map<string, Exception> {
  const file = join(HERE, 'expectations.json');
  const list = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Exception[]) : [];
  return new Map(list.map((exception) => [exception.name, exception]));
}

/** The requests of the project's own corpus. */
export function ownRequests(): RequestCase[] {
  return ownCases()
    .filter((one) => one.kind === 'request')
    .map((one) => ({
      name: one.name,
      group: 'own requests',
      bytes: bytesOf(one.raw),
      expectation: one.expectation as RequestExpectation,
      served: one.served ?? null,
      status: one.status === undefined ? null : [one.status].flat(),
      absent: one.absent ?? [],
    }));
}

/** The responses of the project's own corpus. */
export function ownResponses(): ResponseCase[] {
  return ownCases()
    .filter((one) => one.kind === 'response')
    .map((one) => ({
      name: one.name,
      bytes: bytesOf(one.raw),
      method: one.method ?? 'GET',
      expectation: one.expectation as ResponseExpectation,
      status: typeof one.status === 'number' ? one.status : 200,
      body: one.body ?? null,
      interim: one.interim ?? 0,
      close: one.close ?? false,
      absent: one.absent ?? [],
      reuse: one.reuse ?? true,
    }));
}

/** Generated requests of the fuzzer: whatever becomes of them, nothing malformed may be forwarded, and nothing that was not sent. */
export function generatedRequests(seed: number, count: number): RequestCase[] {
  const random = createRandom(seed);
  const source = new InputSource('request');
  return Array.from({ length: count }, (_, index) => ({
    name: `generated ${seed}, ${index}`,
    group: 'generated',
    bytes: Buffer.from(source.next(random).text, 'latin1'),
    expectation: 'either',
    served: null,
    status: null,
    absent: [],
  }));
}

/** Generated responses of the fuzzer, after which the origin closes. */
export function generatedResponses(seed: number, count: number): ResponseCase[] {
  const random = createRandom(seed);
  const source = new InputSource('response');
  return Array.from({ length: count }, (_, index) => {
    const { text, answered } = source.next(random);
    return {
      name: `generated ${seed}, ${index}`,
      bytes: Buffer.from(text, 'latin1'),
      method: answered[0] ?? 'GET',
      expectation: 'either',
      status: 200,
      body: null,
      interim: 0,
      close: true,
      absent: [],
      // The next request may be on its way before the end of the connection is.
      reuse: true,
    };
  });
}

const CORPUS_NAME = 'http1-requests.jsonl';

/**
 * Where a larger corpus is: `SERIN_CONFORMANCE`, a file or the folder that it is in, or beside the repository; null when there is none.
 * Throws where the variable names neither.
 */
export function sharedCorpusFile(named = process.env['SERIN_CONFORMANCE'] ?? ''): string | null {
  if (named !== '') {
    const file = statSync(named, { throwIfNoEntry: false })?.isDirectory() ? join(named, CORPUS_NAME) : named;
    if (existsSync(file)) return file;
    throw new Error(
      `SERIN_CONFORMANCE is "${named}", and there is no file ${file}; expected a file with one JSON object a line, or a folder with ${CORPUS_NAME}`,
    );
  }
  const beside = join(HERE, '../../../shared/conformance', CORPUS_NAME);
  return existsSync(beside) ? beside : null;
}

/** The requests of the larger corpus, with the exceptions applied. */
export function sharedRequests(file: string): RequestCase[] {
  const exceptions = loadExceptions();
  return readLines<SharedCase>(file).map((one) => ({
    name: one.name,
    group: one.source.startsWith('defparam') ? 'smuggler' : 'llhttp',
    bytes: Buffer.from(one.raw_base64, 'base64'),
    expectation: exceptions.get(one.name)?.expectation ?? one.expectation,
    served: null,
    status: null,
    absent: [],
  }));
}
