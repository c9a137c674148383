/** Reading bodies: what two readers could read differently is refused, everything else is what JSON.parse says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { findDuplicateKey, parseBody } from '../../../src/helper/parse-body.ts';
import { DocumentError } from '../../../src/schema/faults.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const json = (text: string): unknown => parseBody({ bytes: bytes(text), format: 'json' });

function fault(run: () => unknown): string {
  try {
    return `accepted ${JSON.stringify(run())}`;
  } catch (error) {
    assert.ok(error instanceof DocumentError);
    assert.equal(error.code, 'malformed_body');
    return `${error.faults[0]?.pointer}: ${error.faults[0]?.detail}`;
  }
}

test('whatever JSON says is read as it is said', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(0, 2, '\t'), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      assert.equal(findDuplicateKey(text), null);
      assert.deepEqual(json(text), JSON.parse(text));
    }),
  );
});

test('a key that is there twice is found, wherever it is and however it is written', () => {
  const key = fc.string({ unit: 'binary' });
  fc.assert(
    fc.property(fc.array(key, { maxLength: 5 }), key, fc.jsonValue(), (path, name, value) => {
      const twice = `{${JSON.stringify(name)}:${JSON.stringify(value)} , ${JSON.stringify(name)}\n:1}`;
      const text = path.reduceRight(
        (inner, one) => `{"":[0,[]],${JSON.stringify(`${one}.`)}:[{}, ${inner}]}`,
        twice,
      );
      const escaped = (one: string): string => `/${one.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      const expected = [...path.map((one) => `${escaped(`${one}.`)}/1`), escaped(name)].join('');
      assert.equal(findDuplicateKey(text), expected);
    }),
  );
  assert.equal(findDuplicateKey('{"a":1,"\\u0061":2}'), '/a');
  assert.equal(findDuplicateKey('{"a\\"":1,"a\\\\":2,"b":"\\\\"}'), null);
  assert.equal(findDuplicateKey('[{"a":"a"},{"a":{"a":1}}]'), null);
});

test('what is no JSON is said with its place', () => {
  assert.match(
    fault(() => json('{"a":1')),
    /^: it is not JSON: .* line 1, column 7/,
  );
  assert.match(
    fault(() => json('{\n "a": 01}')),
    /line 2, column/,
  );
  assert.match(
    fault(() => json('{"a":NaN}')),
    /not JSON/,
  );
  assert.match(
    fault(() => json('{"a":1,"b":{"c":1,"c":2}}')),
    /^\/b\/c: this key is there twice/,
  );
  const latin = new Uint8Array([0x22, 0xe9, 0x22]);
  assert.match(
    fault(() => parseBody({ bytes: latin, format: 'json' })),
    /not UTF-8/,
  );
  assert.equal(json(' \r\n'), undefined, 'an empty body');
});

test('YAML: plain values; aliases that multiply, tags and double keys are refused', () => {
  const yaml = (text: string): unknown => parseBody({ bytes: bytes(text), format: 'yaml' });
  assert.deepEqual(yaml('rules:\n  - { name: everyone, percentage: 10 }'), {
    rules: [{ name: 'everyone', percentage: 10 }],
  });
  assert.match(
    fault(() => yaml('a: 1\na: 2')),
    /key is there already/,
  );
  assert.match(
    fault(() => yaml('a: !!js/function x')),
    /tag/,
  );
  const bomb = `a: &a [x]\n${'bcdefghij'
    .split('')
    .map((name, at) => `${name}: &${name} [${Array(20).fill(`*${'abcdefghij'[at]}`).join(', ')}]`)
    .join('\n')}`;
  assert.match(
    fault(() => yaml(bomb)),
    /multiply/,
  );
});

test('what is nested too deep is refused, not walked through', () => {
  const nested = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`;
  assert.match(
    fault(() => json(nested(200_000))),
    /levels/,
  );
  assert.ok(Array.isArray(json(nested(100))));
});
