/** What fuzzing has found stays found; and the comparison sees each kind of difference. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import path from 'node:path';
import { compare, faultOf } from './compare.ts';
import { readByCodec } from './by-codec.ts';
import { readByLlhttp } from './by-llhttp.ts';
import type { Kind, MessageRead } from './reading.ts';

interface Case {
  readonly name: string;
  readonly kind: Kind;
  readonly text: string;
  readonly answered?: readonly string[];
  /** Why the codec stops. */
  readonly state: string;
}

const FILES = globSync('corpus/*.json', { cwd: import.meta.dirname }).toSorted();

test('every case of the corpus is read as llhttp reads it, or refused as it says', () => {
  assert.ok(FILES.length > 0);
  for (const file of FILES) {
    const cases = JSON.parse(readFileSync(path.join(import.meta.dirname, file), 'utf8')) as Case[];
    for (const { name, kind, text, answered, state } of cases) {
      for (const step of [1, 2, 3, 7, Infinity]) {
        const found = compare(kind, Buffer.from(text, 'latin1'), answered, step);
        assert.deepEqual([found.fault, found.state], [null, state], `${file}: ${name}`);
      }
    }
  }
});

const GOOD = Buffer.from(
  'POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nok\r\n0\r\nT: u\r\n\r\nGET /b HTTP/1.0\r\nHost: a\r\n\r\n',
);

test('both readers see all of a message', () => {
  const expected: MessageRead[] = [
    {
      method: 'POST',
      target: '/a',
      status: 0,
      minor: 1,
      keepAlive: true,
      fields: ['Host', 'a', 'Transfer-Encoding', 'chunked'],
      trailers: ['T', 'u'],
      body: 'ok',
      complete: true,
    },
    {
      method: 'GET',
      target: '/b',
      status: 0,
      minor: 0,
      keepAlive: false,
      fields: ['Host', 'a'],
      trailers: [],
      body: '',
      complete: true,
    },
  ];
  const { messages, accepted, state } = readByCodec('request', GOOD);
  assert.deepEqual(
    { messages, accepted, state },
    { messages: expected, accepted: GOOD.length, state: 'end' },
  );
  assert.deepEqual(readByLlhttp('request', GOOD), { messages: expected, error: null });
});

test('each kind of difference is seen', () => {
  const { messages } = readByCodec('request', GOOD);
  const theirs = readByLlhttp('request', GOOD);
  const changed = (change: Partial<MessageRead>): string | null =>
    faultOf(
      messages,
      { ...theirs, messages: [{ ...theirs.messages[0]!, ...change }, theirs.messages[1]!] },
      false,
    );
  assert.equal(changed({}), null);
  const changes: Partial<MessageRead>[] = [
    { method: 'PUT' },
    { target: '/' },
    { status: 200 },
    { minor: 0 },
    { body: 'ok!' },
    { complete: false },
    { keepAlive: false },
    { fields: ['Host', 'a'] },
    { fields: ['Host', 'b', 'Transfer-Encoding', 'chunked'] },
    { trailers: [] },
  ];
  for (const change of changes) assert.notEqual(changed(change), null, JSON.stringify(change));
  assert.notEqual(faultOf(messages, { ...theirs, error: 'HPE' }, false), null);
  assert.notEqual(faultOf(messages.slice(1), theirs, false), null);
});

test('llhttp is strict here', () => {
  const head = 'POST / HTTP/1.1\r\nHost: a\r\n';
  const wrong = [
    `${head}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
    `${head}A: b\nC: d\r\n\r\n`,
    `${head}A: b\0\r\n\r\n`,
    `${head}Content-Length: 1\r\nContent-Length: 1\r\n\r\n`,
    `${head}Transfer-Encoding: chunked\r\n\r\n1 \r\n`,
  ];
  for (const text of wrong)
    assert.notEqual(readByLlhttp('request', Buffer.from(text, 'latin1')).error, null, text);
});
