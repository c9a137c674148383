/** Fields and cookies by name, the well-known ids, and the tables of bytes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { F, FIELD_NAMES, fieldIdAt, fieldIdOf } from '../../../src/http1/fields.ts';
import { HEX, trimSpace } from '../../../src/http1/grammar.ts';
import { goodRequest, latin1, withLines } from './reading.ts';

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
      },
    ),
    { numRuns: 3000 },
  );
});

test('well-known names are found in any case, and near ones are not', () => {
  for (const [id, name] of FIELD_NAMES.entries()) {
    if (name === '') continue;
    for (const spelling of [name, name.toUpperCase(), name[0]!.toUpperCase() + name.slice(1)]) {
      assert.equal(fieldIdOf(`##${spelling}##`, 2, 2 + name.length), id);
      assert.equal(fieldIdAt(latin1(`##${spelling}##`), 2, 2 + name.length), id);
    }
    for (const other of [name.slice(0, -1), `${name}x`, name.slice(0, -1) + '_', `x${name.slice(1)}`]) {
      const expected = Math.max(FIELD_NAMES.indexOf(other), 0);
      assert.equal(fieldIdOf(other, 0, other.length), other === '' ? 0 : expected, other);
      assert.equal(fieldIdAt(latin1(other), 0, other.length), other === '' ? 0 : expected, other);
    }
  }
  assert.equal(fieldIdOf('x'.repeat(80), 0, 80), F.OTHER);
  assert.equal(fieldIdAt(latin1('x'.repeat(80)), 0, 80), F.OTHER);
  // A byte that is a letter but for bit 5 or 7 is another byte.
  assert.equal(fieldIdAt(latin1('\x08ost'), 0, 4), F.OTHER);
  assert.equal(fieldIdAt(latin1('ho\xf3t'), 0, 4), F.OTHER);
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

test('an underscore in any name is told', () => {
  assert.equal(goodRequest(withLines('X-A: b_c')).hasUnderscores, false);
  assert.equal(goodRequest(withLines('X_A: b', 'C: d')).hasUnderscores, true);
  assert.equal(goodRequest(withLines('Content_Length: 3')).hasUnderscores, true);
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
