/** The judge itself: each kind of violation is seen. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createReader, type Message } from '../support/strict-reader.ts';
import { type RequestCase, sharedCorpusFile } from './corpus.ts';
import { judge, readSent } from './judge.ts';

const ADDRESS = '127.1.0.1';

function messages(kind: 'request' | 'response', text: string): Message[] {
  const list: Message[] = [];
  const reader = createReader(kind, { head: (message) => list.push(message) });
  reader.push(Buffer.from(text, 'latin1'));
  return list;
}

const SENT = 'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok';
const FORWARDED = `POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nX-Forwarded-For: ${ADDRESS}\r\n\r\nok`;
const SERVED = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
const REFUSED = 'HTTP/1.1 400 Bad\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';

interface Seen {
  answers: string;
  forwarded: string;
  answerFault?: string;
  originFault?: string;
}

function violations(one: Partial<RequestCase>, seen: Seen): readonly string[] {
  const whole: RequestCase = {
    name: 'case',
    group: 'own',
    bytes: Buffer.from(SENT, 'latin1'),
    expectation: 'either',
    served: null,
    status: null,
    absent: [],
    ...one,
  };
  return judge(whole, {
    address: ADDRESS,
    answerFault: null,
    originFault: null,
    ...seen,
    answers: messages('response', seen.answers),
    forwarded: messages('request', seen.forwarded),
  }).violations;
}

test('a good exchange has no violation', () => {
  assert.deepEqual(
    violations({ expectation: 'accept', served: 1 }, { answers: SERVED, forwarded: FORWARDED }),
    [],
  );
  assert.deepEqual(
    violations({ expectation: 'reject', status: [400] }, { answers: REFUSED, forwarded: '' }),
    [],
  );
});

test('each violation is seen', () => {
  const good = { answers: SERVED, forwarded: FORWARDED };
  const cases: [string, Partial<RequestCase>, Seen][] = [
    ['served, must be refused', { expectation: 'reject' }, good],
    ['refused, must be served', { expectation: 'accept' }, { answers: REFUSED, forwarded: '' }],
    ['instead of 2', { served: 2 }, good],
    ['instead of 431', { status: [431] }, { answers: REFUSED, forwarded: '' }],
    ['malformed answer', {}, { ...good, answerFault: 'x' }],
    ['malformed request forwarded', {}, { ...good, originFault: 'x' }],
    ['was not sent', {}, { answers: SERVED + SERVED, forwarded: FORWARDED + FORWARDED }],
    ['forwarded GET', {}, { ...good, forwarded: FORWARDED.replace('POST', 'GET') }],
    ['forwarded POST /b', {}, { ...good, forwarded: FORWARDED.replace('/a', '/b') }],
    ['forwarded a body', {}, { ...good, forwarded: FORWARDED.replace(/ok$/, 'no') }],
    ['X-Forwarded-For', {}, { ...good, forwarded: FORWARDED.replace(ADDRESS, '10.0.0.1') }],
    ['the field host', { absent: ['host'] }, good],
    ['to 0 forwarded requests', {}, { ...good, forwarded: '' }],
    [
      'without Connection: close',
      {},
      { answers: REFUSED.replace('Connection: close\r\n', ''), forwarded: '' },
    ],
  ];
  for (const [what, one, seen] of cases) {
    const found = violations(one, seen);
    assert.ok(
      found.some((violation) => violation.includes(what)),
      `${what}: ${JSON.stringify(found)}`,
    );
  }
});

test('empty lines between requests are no requests', () => {
  assert.equal(readSent(Buffer.from(`\r\n${SENT}\r\n${SENT}`)).length, 2);
  assert.equal(readSent(Buffer.from(`${SENT}junk\r\n\r\n${SENT}`)).length, 1);
});

test('the larger corpus is named by its file or its folder, and a wrong name is told', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'serin-corpus-'));
  t.after(() => rm(folder, { recursive: true }));
  assert.throws(() => sharedCorpusFile(folder), /no file .*http1-requests\.jsonl; expected a file/);
  const file = join(folder, 'http1-requests.jsonl');
  await writeFile(file, '');
  assert.equal(sharedCorpusFile(folder), file);
  assert.equal(sharedCorpusFile(file), file);
  assert.throws(() => sharedCorpusFile(`${file}.gz`), /SERIN_CONFORMANCE is ".*\.gz"/);
});
