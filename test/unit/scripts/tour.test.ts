import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareOutput, readTour } from '../../e2e/tour.ts';

const markdown = `# Title
\`\`\`sh
not in the tour
\`\`\`
## The tour
\`\`\`sh
echo one
echo two
\`\`\`
which prints
\`\`\`text
one
two
\`\`\`
\`\`\`sh
silent
\`\`\`
## After
\`\`\`sh
not in the tour
\`\`\`
`;

test("the tour's blocks are read with their outputs and lines", () => {
  assert.deepEqual(readTour(markdown, '## The tour'), [
    { line: 7, script: 'echo one\necho two', output: 'one\ntwo' },
    { line: 16, script: 'silent', output: null },
  ]);
  assert.throws(() => readTour(markdown, '## Elsewhere'), /no heading/);
});

test('what is literal must agree', () => {
  assert.equal(compareOutput('a\nb', 'a\nb\n'), null);
  assert.match(compareOutput('a\nb', 'a\nc')!, /shown: b/);
  assert.match(compareOutput('a\nb', 'a')!, /ends before "b"/);
  assert.match(compareOutput('a', 'a\nb')!, /more came/);
  assert.notEqual(compareOutput('{"variant":"stable"}', '{"variant":"canary"}'), null);
});

test('volatile values must agree in form', () => {
  assert.equal(compareOutput('at 2026-01-02T03:04:05Z', 'at 2027-11-12T13:14:15.678Z'), null);
  assert.equal(compareOutput('"endpoint":"stable-1"', '"endpoint":"stable-2"'), null);
  assert.notEqual(compareOutput('"endpoint":"stable-1"', '"endpoint":"canary-1"'), null);
  assert.equal(compareOutput('"bucket":12', '"bucket":999999'), null);
  assert.notEqual(compareOutput('"bucket":12', '"bucket":-'), null);
});

test('counts of users may differ a little, but nobody and everybody are exact', () => {
  assert.equal(compareOutput('10 of 100 users', '17 of 100 users'), null);
  assert.notEqual(compareOutput('10 of 100 users', '40 of 100 users'), null);
  assert.notEqual(compareOutput('0 of 100 users', '1 of 100 users'), null);
  assert.notEqual(compareOutput('100 of 100 users', '99 of 100 users'), null);
});

test('an ellipsis stands for any text, or for any lines', () => {
  assert.equal(compareOutput('{"id":"…","status":"x"}', '{"id":"abc","status":"x"}'), null);
  assert.notEqual(compareOutput('{"id":"…","status":"x"}', '{"id":"abc","status":"y"}'), null);
  assert.equal(compareOutput('a\n…\nd', 'a\nb\nc\nd'), null);
  assert.equal(compareOutput('a\n…', 'a\nb\nc'), null);
  assert.notEqual(compareOutput('…\nd', 'a\nb'), null);
  assert.equal(compareOutput('starts…', 'starts and goes on'), null);
});
