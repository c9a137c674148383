/** Text of others at a terminal: nothing moves the cursor, reverses the writing or hides; JSON says the same as before. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { columnsOf, visibleLine, visibleText } from '../../../src/schema/visible-text.ts';

test('controls, overrides and what cannot be seen are written out', () => {
  const hidden = [
    '\u0000',
    '\u0007',
    '\b',
    '\r',
    '\u001b',
    '\u007f',
    '\u0085',
    '\u009b',
    '\u009d',
    '\u00ad',
    '\u061c',
    '\u180e',
    '\u200b',
    '\u200d',
    '\u200e',
    '\u2028',
    '\u2029',
    '\u202a',
    '\u202e',
    '\u2060',
    '\u2066',
    '\u2069',
    '\ufeff',
    '\ufff9',
    '\u{e0001}',
    '\u{e0041}',
    '\u3164',
    '\ud800',
  ];
  for (const character of hidden) {
    const shown = visibleText(`a${character}b`);
    assert.match(shown, /^a(\\u[0-9a-f]{4}){1,2}b$/, JSON.stringify(character));
    assert.equal(JSON.parse(`"${shown}"`), `a${character}b`);
  }
  assert.equal(visibleText('\u001b]52;c;AAAA\u0007'), '\\u001b]52;c;AAAA\\u0007');
  assert.equal(visibleText('größer 日本 🎉\n\tx'), 'größer 日本 🎉\n\tx');
  assert.equal(visibleLine('a\nb\tc\r'), 'a\\nb\\tc\\u000d');
});

test('property: JSON and lines stay what they are', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const shown = visibleText(JSON.stringify({ text }));
      assert.deepEqual(JSON.parse(shown), { text });
      assert.equal(visibleText(shown), shown);
      assert.doesNotMatch(visibleLine(text), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    }),
    { numRuns: 500 },
  );
});

test('columns: letters of East Asia and pictures take two, marks none', () => {
  for (const [text, columns] of [
    ['abc', 3],
    ['日本', 4],
    ['한', 2],
    ['e\u0301', 1],
    ['🎉', 2],
    ['ａ', 2],
    ['größer', 6],
  ] as const)
    assert.equal(columnsOf(text), columns, text);
});
