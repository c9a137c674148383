import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { WantedParameters } from '../../../src/policy/query.ts';
import { readableText, wireText } from '../../../src/schema/latin1.ts';
import { anyText, characters } from './fixtures.ts';

/** The value of one parameter, among others that are asked for at the same time. */
function queryValue(query: string, name: string): string | undefined {
  const wanted = new WantedParameters();
  const values: (string | undefined)[] = [];
  for (const other of new Set([name, 'other', 'a', 'ab', 'a longer one', ''])) {
    wanted.add(other, values.length);
    values.push(undefined);
  }
  wanted.read(query, values);
  return values[0];
}

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

test('several parameters are read at once, each its first value', () => {
  const wanted = new WantedParameters();
  for (const [slot, name] of ['b', 'a', 'c c'].entries()) wanted.add(name, slot);
  const values = [undefined, undefined, undefined, 'untouched'];
  wanted.read('a=1&x&c+c=2&a=3&c%20c=4&%61=5', values);
  assert.deepEqual(values, [undefined, '1', '2', 'untouched']);
});

test('no query makes it throw', () => {
  fc.assert(fc.property(anyText, fc.string(), (query, name) => void queryValue(query, name)));
});
