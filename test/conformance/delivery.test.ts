/**
 * However bytes are cut into pieces, they are read the same: whole, byte by byte, a few at a time, and split in two at every offset.
 * All cases of the corpora, and generated ones; requests and responses.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readByCodec } from '../fuzz/by-codec.ts';
import {
  deliveries,
  differenceOf,
  readRequestsInPieces,
  relayInPieces,
  type Cuts,
  type PiecesReading,
} from '../fuzz/by-pieces.ts';
import { InputSource } from '../fuzz/input.ts';
import { createRandom } from '../fuzz/random.ts';
import { ownRequests, ownResponses, sharedCorpusFile, sharedRequests } from './corpus.ts';

const GENERATED = Number(process.env['SERIN_DELIVERIES'] ?? 400);

interface Delivered {
  readonly name: string;
  readonly bytes: Buffer;
  readonly read: (cuts: Cuts) => PiecesReading;
}

/** What is wrong, at most one thing an input; and how many deliveries there were. */
function check(inputs: Iterable<Delivered>): { wrong: string[]; count: number } {
  const wrong: string[] = [];
  let count = 0;
  for (const { name, bytes, read } of inputs) {
    const whole = read([]);
    for (const cuts of deliveries(bytes.length)) {
      count += 1;
      const difference = differenceOf(whole, read(cuts));
      if (difference === null) continue;
      wrong.push(`${name}, cut at ${cuts.slice(0, 3).join(', ')}…: ${difference}`);
      break;
    }
  }
  return { wrong, count };
}

function asRequest(name: string, bytes: Buffer): Delivered {
  return { name, bytes, read: (cuts) => readRequestsInPieces(bytes, cuts) };
}

function asResponse(name: string, bytes: Buffer, method: string): Delivered {
  return { name, bytes, read: (cuts) => relayInPieces(bytes, cuts, method) };
}

test('requests of the corpora', (t) => {
  const file = sharedCorpusFile();
  const cases = [...ownRequests(), ...(file === null ? [] : sharedRequests(file))];
  const { wrong, count } = check(cases.map(({ name, bytes }) => asRequest(name, bytes)));
  t.diagnostic(`${cases.length} cases, ${count} deliveries`);
  assert.deepEqual(wrong, []);
});

test('responses of the corpus', (t) => {
  const cases = ownResponses();
  const { wrong, count } = check(cases.map(({ name, bytes, method }) => asResponse(name, bytes, method)));
  t.diagnostic(`${cases.length} cases, ${count} deliveries`);
  assert.deepEqual(wrong, []);
});

test('generated requests', (t) => {
  const random = createRandom(1);
  const source = new InputSource('request');
  const inputs = Array.from({ length: GENERATED }, (_, index) =>
    asRequest(`generated ${index}`, Buffer.from(source.next(random).text, 'latin1')),
  );
  const { wrong, count } = check(inputs);
  t.diagnostic(`${inputs.length} inputs, ${count} deliveries`);
  assert.deepEqual(wrong, []);
});

test('generated responses', (t) => {
  const random = createRandom(2);
  const source = new InputSource('response');
  const inputs = Array.from({ length: GENERATED }, (_, index) => {
    const { text, answered } = source.next(random);
    return asResponse(`generated ${index}`, Buffer.from(text, 'latin1'), answered[0] ?? 'GET');
  });
  const { wrong, count } = check(inputs);
  t.diagnostic(`${inputs.length} inputs, ${count} deliveries`);
  assert.deepEqual(wrong, []);
});

test('what is put together here is what the fuzzer compares with llhttp', () => {
  const random = createRandom(3);
  const source = new InputSource('request');
  for (let index = 0; index < GENERATED; index += 1) {
    const bytes = Buffer.from(source.next(random).text, 'latin1');
    const { state, messages } = readByCodec('request', bytes);
    const pieces = readRequestsInPieces(bytes, []);
    assert.deepEqual([pieces.state, pieces.messages.length], [state, messages.length]);
  }
});
