import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { queryValue } from '../../../src/policy/query.ts';
import { readableText, wireText } from '../../../src/policy/wire.ts';
import { anyText, characters } from './fixtures.ts';

test('finds the first value of a parameter', () => {
  assert.equal(queryValue('a=1&b=2&a=3', 'a'), '1');
  assert.equal(queryValue('a=1&b=2', 'b'), '2');
  assert.equal(queryValue('a', 'a'), '');
  assert.equal(queryValue('a=', 'a'), '');
  assert.equal(queryValue('a=b=c', 'a'), 'b=c');
  assert.equal(queryValue('aa=1&xa=2', 'a'), undefined);
  assert.equal(queryValue('', 'a'), undefined);
  assert.equal(queryValue('&&&', ''), undefined);
});

test('reads escapes in names and values as bytes, and keeps stray ones', () => {
  assert.equal(queryValue('a%62=x+y%20z', 'ab'), 'x y z');
  assert.equal(queryValue('q=%C3%A9', 'q'), '\xc3\xa9');
  assert.equal(queryValue('q=%E9', 'q'), '\xe9');
  assert.equal(queryValue('q=%zz%4', 'q'), '%zz%4');
  assert.equal(queryValue('a%=1', 'a%'), '1');
  assert.equal(queryValue('a+b=1', 'a b'), '1');
  assert.equal(queryValue('a+b=1', 'a+b'), undefined);
  assert.equal(queryValue('a%2Bb=1', 'a+b'), '1');
});

test('agrees with URLSearchParams', () => {
  const query = fc.string({
    unit: fc.constantFrom(
      'a',
      'b',
      '&',
      '=',
      '%',
      '+',
      '2',
      'B',
      '0',
      'F',
      '%41',
      '%C3%A9',
      '%e9',
      '%20',
      '%26',
      '%3D',
    ),
    maxLength: 40,
  });
  const name = fc.string({ unit: fc.constantFrom(...characters('ab+% é')), maxLength: 3 });
  fc.assert(
    fc.property(query, name, (query, name) => {
      const wire = wireText(query);
      const found = queryValue(wire, wireText(name));
      const expected = new URLSearchParams(query).get(name);
      // URLSearchParams drops a leading question mark (there is none) and reads bytes as UTF-8.
      assert.equal(found === undefined ? null : readableText(found), expected, `${query} ${name}`);
    }),
    { numRuns: 20_000 },
  );
});

test('no query makes it throw', () => {
  fc.assert(fc.property(anyText, fc.string(), (query, name) => void queryValue(query, name)));
});
