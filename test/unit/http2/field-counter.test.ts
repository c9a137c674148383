/** Fields are counted from the frames: as many as were sent, however they are written, cut and padded. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { FieldCounter } from '../../../src/http2/field-counter.ts';
import { END_HEADERS, FRAME, frame, PREFACE } from '../../support/http2-frames.ts';

const PADDED = 8;
const PRIORITY = 32;

/** An integer behind a prefix of so many bits (RFC 7541, section 5.1). */
function integer(value: number, bits: number, kind: number): Buffer {
  const most = 2 ** bits - 1;
  if (value < most) return Buffer.from([kind | value]);
  const bytes = [kind | most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

const text = (length: number, huffman: boolean): Buffer =>
  Buffer.concat([integer(length, 7, huffman ? 0x80 : 0), Buffer.alloc(length, 0xff)]);

/** One field as a block has it, or a new size of the table, which is none. */
const field = fc.record({
  kind: fc.constantFrom<[bits: number, mark: number, texts: boolean]>(
    [7, 0x80, false],
    [6, 0x40, true],
    [4, 0x00, true],
    [4, 0x10, true],
    [5, 0x20, false],
  ),
  index: fc.integer({ min: 0, max: 400 }),
  name: fc.integer({ min: 0, max: 300 }),
  value: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 10_000, max: 20_000 })),
  huffman: fc.boolean(),
});
type Field = typeof field extends fc.Arbitrary<infer One> ? One : never;

function bytesOf({ kind: [bits, mark, texts], index, name, value, huffman }: Field): Buffer {
  const parts = [integer(index, bits, mark)];
  if (texts && index === 0) parts.push(text(name, huffman));
  if (texts) parts.push(text(value, huffman));
  return Buffer.concat(parts);
}

test('property: the count is that of the fields', () => {
  const block = fc.record({
    fields: fc.array(field, { maxLength: 8 }),
    cuts: fc.array(fc.nat(), { maxLength: 4 }),
    pad: fc.option(fc.integer({ min: 0, max: 255 })),
    priority: fc.boolean(),
    other: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.array(block, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 5000 }),
      fc.boolean(),
      (blocks, step, preface) => {
        const parts: Buffer[] = preface ? [PREFACE] : [];
        const expected: number[] = [];
        for (const [index, { fields, cuts, pad, priority, other }] of blocks.entries()) {
          const bytes = Buffer.concat(fields.map(bytesOf));
          expected.push(fields.filter(({ kind: [bits] }) => bits !== 5).length);
          const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted(
            (a, b) => a - b,
          );
          for (let piece = 0; piece + 1 < at.length; piece += 1) {
            const part = bytes.subarray(at[piece], at[piece + 1]);
            const ends = piece + 2 === at.length ? END_HEADERS : 0;
            if (piece > 0) parts.push(frame(FRAME.continuation, ends, index, part));
            else {
              const lead = [
                ...(pad === null ? [] : [Buffer.from([pad])]),
                ...(priority ? [Buffer.alloc(5, 0x80)] : []),
              ];
              const flags = ends | (pad === null ? 0 : PADDED) | (priority ? PRIORITY : 0);
              const padding = Buffer.alloc(pad ?? 0, 0x82);
              parts.push(frame(FRAME.headers, flags, index, Buffer.concat([...lead, part, padding])));
            }
          }
          if (other)
            parts.push(
              frame(FRAME.data, 0, index, Buffer.alloc(40, 1)),
              frame(FRAME.ping, 0, 0, Buffer.alloc(8)),
            );
        }
        const all = Buffer.concat(parts);
        const counter = new FieldCounter(preface ? PREFACE.length : 0);
        for (let start = 0; start < all.length; start += step)
          counter.read(all.subarray(start, start + step));
        assert.deepEqual(
          blocks.map((_, index) => counter.take(index)),
          expected,
        );
      },
    ),
    { numRuns: 2000 },
  );
});

test('a block that ends within a field agrees with no list', () => {
  for (const bytes of [
    [0x40],
    [0x00, 1],
    [0x00, 1, 0x61],
    [0x00, 1, 0x61, 5, 0x61],
    [0xff],
    [0x82, 0xff, 0x80],
    [0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  ]) {
    const counter = new FieldCounter(0);
    counter.read(frame(FRAME.headers, END_HEADERS, 1, Buffer.from(bytes)));
    assert.equal(counter.take(1), -1, String(bytes));
  }
  const counter = new FieldCounter(0);
  counter.read(frame(FRAME.headers, END_HEADERS | PADDED, 1, Buffer.from([200, 0x82])));
  counter.read(frame(FRAME.headers, END_HEADERS | PADDED, 3));
  counter.read(frame(FRAME.headers, END_HEADERS | PRIORITY, 5, Buffer.alloc(3)));
  counter.read(frame(FRAME.headers, END_HEADERS, 7, Buffer.from([0x82])));
  assert.deepEqual(
    [1, 3, 5, 7].map((stream) => counter.take(stream)),
    [-1, -1, -1, 1],
  );
});

test('a list takes the counts of blocks before its own along, and what waits is bounded', () => {
  const counter = new FieldCounter(0);
  const one = (stream: number): Buffer => frame(FRAME.headers, END_HEADERS, stream, Buffer.from([0x82]));
  counter.read(Buffer.concat([one(1), one(3), one(3), one(5)]));
  assert.equal(counter.take(3), 1);
  assert.equal(counter.take(1), -1);
  assert.equal(counter.take(5), -1);
  counter.read(one(7));
  assert.equal(counter.take(7), 1);
  for (let count = 0; count < 100_000; count += 1) counter.read(one(9));
  counter.read(one(11));
  assert.equal(counter.take(11), 1);
  assert.equal(counter.take(9), -1);
});
