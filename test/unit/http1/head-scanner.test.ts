/** Where a head ends, told the same however the bytes arrive, and never later than the parser could say it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { BROKEN_LINE, findHeadEnd } from '../../../src/http1/head-scanner.ts';
import { latin1, requestOutcome, withLines } from './reading.ts';

function scan(text: string, cuts: readonly number[]): number {
  const bytes = latin1(text);
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    const end = findHeadEnd(bytes, from, to);
    if (end !== -1) return end;
    from = to;
  }
  return -1;
}

test('the first empty line after a line ends the head', () => {
  const cases: [text: string, end: number][] = [
    ['', -1],
    ['a', -1],
    ['a\r', -1],
    ['a\r\n', -1],
    ['a\r\n\r', -1],
    ['a\r\n\r\n', 5],
    ['a\r\nb\r\n\r\nc\r\n\r\n', 8],
    ['\r\na\r\n\r\n', 7],
    ['\r\n\r\n', 4],
    ['a\nb', BROKEN_LINE],
    ['\n', BROKEN_LINE],
    ['a\rb', BROKEN_LINE],
    ['a\r\r\n', BROKEN_LINE],
    ['a\r\n\n', BROKEN_LINE],
    ['a\r\n\r\r\n', BROKEN_LINE],
  ];
  for (const [text, end] of cases) {
    assert.equal(scan(text, []), end, JSON.stringify(text));
    assert.equal(
      scan(
        text,
        Array.from(text, (_, at) => at),
      ),
      end,
      JSON.stringify(text),
    );
  }
});

test('nothing beyond the end given is looked at', () => {
  assert.equal(findHeadEnd(latin1('a\r\n\r\n'), 0, 4), -1);
  assert.equal(findHeadEnd(latin1('a\r\nx\n'), 0, 4), -1);
});

test('property: cuts do not matter, and the parser agrees', () => {
  const alphabet = fc.constantFrom(
    'a',
    ': ',
    '\r\n',
    '\r\n',
    '\r\n\r\n',
    '\r',
    '\n',
    'GET / HTTP/1.1\r\n',
    'Host: a\r\n',
  );
  fc.assert(
    fc.property(fc.array(alphabet, { maxLength: 12 }), fc.array(fc.nat(40)), (parts, unsorted) => {
      const text = parts.join('');
      const cuts = unsorted.filter((cut) => cut <= text.length).toSorted((a, b) => a - b);
      const whole = scan(text, []);
      assert.equal(scan(text, cuts), whole);
      const parsed = requestOutcome(text);
      // A good head ends where the scanner says; while the parser waits, so may the scanner.
      if (typeof parsed === 'number') assert.equal(whole, parsed === 0 ? -1 : parsed);
      if (whole === BROKEN_LINE) assert.equal(typeof parsed, 'string');
    }),
    { numRuns: 3000 },
  );
  assert.equal(scan(withLines('A: b'), []), withLines('A: b').length);
});
