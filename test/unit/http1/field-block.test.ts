/** Fields and cookies by name, the well-known ids, and the tables of bytes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { FieldBlock, parseFields } from '../../../src/http1/field-block.ts';
import { F, FIELD_NAMES } from '../../../src/http1/fields.ts';
import { HEX, TOKEN, trimSpace } from '../../../src/http1/grammar.ts';
import { parseRequestHead, RequestHead } from '../../../src/http1/request-head.ts';
import { goodRequest, latin1, LIMITS, requestOutcome, withLines } from './reading.ts';

test('lines of one field are joined, cookies by semicolons', () => {
  const head = goodRequest(
    withLines('X-A: 1', 'Cookie: a=b', 'x-a:', 'X-B: \xe4 \xff', 'X-AA: 3', 'COOKIE: c=d', 'X-a: 2'),
  );
  assert.equal(head.header('x-a'), '1, , 2');
  assert.equal(head.header('x-b'), '\xe4 \xff');
  assert.equal(head.header('cookie'), 'a=b; c=d');
  assert.equal(head.header('x'), undefined);
  assert.equal(head.header('x-a '), undefined);
  assert.equal(head.header(''), undefined);
});

test('cookies: the first of that name, whole names only, raw', () => {
  const head = goodRequest(
    withLines(
      'Cookie: aa=1; a=2;a=3; b = "q;r" ;  c; =d; e=f=g; h=; A=4; x=a=9',
      'X: a=5; z=6',
      'Cookie: i=\xa0j\xa0; c=7; last=8',
    ),
  );
  const cases: [name: string, value: string | undefined][] = [
    ['a', '2'],
    ['aa', '1'],
    ['A', '4'],
    ['b', '"q'],
    ['c', '7'],
    ['e', 'f=g'],
    ['h', ''],
    ['i', '\xa0j\xa0'],
    ['x', 'a=9'],
    ['z', undefined],
    ['r"', undefined],
    ['d', undefined],
    ['last', '8'],
    ['', undefined],
    ['as', undefined],
  ];
  for (const [name, value] of cases) assert.equal(head.cookie(name), value, name);
  assert.equal(goodRequest(withLines('X: a=1')).cookie('a'), undefined);
});

test('the end of the Cookie line is the end of its last cookie', () => {
  const head = goodRequest(withLines('Cookie: a=1 ', 'X: ;b=2'));
  assert.equal(head.cookie('a'), '1');
  assert.equal(head.cookie('b'), undefined);
  assert.equal(goodRequest(withLines('Cookie: a', 'X: =1')).cookie('a'), undefined);
});

test('property: cookies agree with splitting', () => {
  const part = fc.string({ unit: fc.constantFrom('a', 'b', '=', ';', ' ', '"'), maxLength: 14 });
  fc.assert(
    fc.property(
      fc.array(part, { minLength: 1, maxLength: 3 }),
      fc.constantFrom('a', 'ab', 'b', 'aa'),
      (lines, name) => {
        const head = goodRequest(withLines(...lines.map((line) => `Cookie: ${line}`)));
        const pairs = lines
          .flatMap((line) => line.trim().split(';'))
          .filter((pair) => pair.includes('='))
          .map((pair) => [pair.slice(0, pair.indexOf('=')).trim(), pair.slice(pair.indexOf('=') + 1).trim()]);
        assert.equal(head.cookie(name), pairs.find(([found]) => found === name)?.[1]);
        const values = pairs.filter(([found]) => found === name).map(([, value]) => value);
        assert.deepEqual(head.otherCookies(name), values.slice(1));
      },
    ),
    { numRuns: 3000 },
  );
});

const block = new FieldBlock();

/** The id that the parser gives a name, with as few bytes after it as there can be. */
function idRead(name: string): number {
  const bytes = latin1(`##${name}:\r\n\r\n`);
  assert.equal(parseFields(bytes, 2, bytes.length, 0, 1, block), bytes.length);
  return block.fieldId[0] as number;
}

test('well-known names are found in any case, and near ones are not', () => {
  for (const [id, name] of FIELD_NAMES.entries()) {
    if (name === '') continue;
    for (const spelling of [name, name.toUpperCase(), name[0]!.toUpperCase() + name.slice(1)]) {
      assert.equal(idRead(spelling), id);
    }
    for (const other of [name.slice(0, -1), `${name}x`, name.slice(0, -1) + '_', `x${name.slice(1)}`]) {
      const expected = Math.max(FIELD_NAMES.indexOf(other), 0);
      if (other !== '') assert.equal(idRead(other), expected, other);
    }
  }
  assert.equal(idRead('x'.repeat(80)), F.OTHER);
});

test('a name with any other token byte anywhere is another name', () => {
  const tokens = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => TOKEN[byte] === 1);
  for (const name of FIELD_NAMES.filter((one) => one !== '')) {
    for (let at = 0; at < name.length; at += 1) {
      for (const byte of tokens) {
        const other = name.slice(0, at) + String.fromCharCode(byte) + name.slice(at + 1);
        const expected = Math.max(FIELD_NAMES.indexOf(other.toLowerCase()), 0);
        assert.equal(idRead(other), expected, other);
      }
    }
  }
});

test('a known name with a byte that no token has is no name', () => {
  const others = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => TOKEN[byte] !== 1);
  for (const name of FIELD_NAMES.filter((one) => one !== '')) {
    for (let at = 0; at < name.length; at += 1) {
      for (const byte of others) {
        const bytes = latin1(
          `${name.slice(0, at)}${String.fromCharCode(byte)}${name.slice(at + 1)}: 1\r\n\r\n`,
        );
        const used = parseFields(bytes, 0, bytes.length, 0, 1, block);
        // A colon only ends the name sooner, unless nothing stands before it.
        if (byte === 0x3a && at > 0)
          assert.equal(block.fieldId[0], Math.max(FIELD_NAMES.indexOf(name.slice(0, at)), 0));
        else assert.ok(used < 0, `${name} with ${byte} at ${at}`);
      }
    }
  }
});

test('seen and indexOf tell which well-known fields there are', () => {
  const head = goodRequest(withLines('Accept: 1', 'Server: 2', 'Accept: 3', 'Max-Forwards: 4', 'X-Other: 5'));
  assert.deepEqual(
    [F.HOST, F.ACCEPT, F.SERVER, F.MAX_FORWARDS, F.COOKIE, F.DATE].map((id) => head.seen(id)),
    [true, true, true, true, false, false],
  );
  assert.deepEqual([head.indexOf(F.ACCEPT), head.indexOf(F.SERVER), head.indexOf(F.COOKIE)], [1, 2, -1]);
});

test('more lines than there was room for at first', () => {
  const lines = Array.from({ length: 99 }, (_, index) => `X-${index}: ${index}`);
  const head = goodRequest(withLines(...lines), { requestLine: 100, head: 10_000, fields: 100 });
  for (let index = 0; index < 99; index += 1) assert.equal(head.header(`x-${index}`), String(index));
});

test('a character that is no letter, digit or hyphen in any name is told', () => {
  assert.equal(goodRequest(withLines('X-A: b_c')).hasOddNames, false);
  assert.equal(goodRequest(withLines('X_A: b', 'C: d')).hasOddNames, true);
  assert.equal(goodRequest(withLines('Content_Length: 3')).hasOddNames, true);
  assert.equal(goodRequest(withLines('X.A: b', 'C: d')).hasOddNames, true);
});

test('hexadecimal digits, and nothing else', () => {
  for (let byte = 0; byte < 256; byte += 1) {
    const character = String.fromCharCode(byte);
    assert.equal(HEX[byte], /[0-9a-f]/i.test(character) ? Number.parseInt(character, 16) : 255);
  }
});

test('only spaces and tabs are trimmed', () => {
  assert.equal(trimSpace('x \t\xa0a b\xa0\t x', 1, 10), '\xa0a b\xa0');
  assert.equal(trimSpace('x  y', 1, 3), '');
});

test('a byte that may not stand in a value is found at any place of it, and all others may', () => {
  for (const length of [1, 2, 3, 4, 5, 8, 9]) {
    for (let at = 0; at < length; at += 1) {
      for (let byte = 0; byte < 256; byte += 1) {
        const value = `${'\xff'.repeat(at)}${String.fromCharCode(byte)}${'a'.repeat(length - at - 1)}`;
        const result = requestOutcome(withLines(`A: b${value}c`, 'D: e'));
        if (byte === 0x0a) assert.equal(result, 'bare_lf');
        else if (byte === 0x0d) assert.equal(result, 'bare_cr');
        else if ((byte < 0x20 && byte !== 0x09) || byte === 0x7f) assert.equal(result, 'control_character');
        else assert.equal(typeof result, 'number', JSON.stringify(value));
      }
    }
  }
});

test('heads in buffers of their own, one after another, are read from the right one', () => {
  const head = new RequestHead();
  for (const value of ['first', 'second', 'third']) {
    const pooled = latin1(`##${withLines(`Cookie: a=${value}`)}`);
    assert.ok(parseRequestHead(pooled, 2, pooled.length, LIMITS, head) > 0);
    assert.equal(head.cookie('a'), value);
    const other = latin1(withLines('Server: b'));
    assert.ok(parseRequestHead(other, 0, other.length, LIMITS, head) > 0);
    assert.equal(head.seen(F.SERVER), true);
  }
});
