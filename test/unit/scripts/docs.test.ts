/** The documents must not rot: their links lead somewhere, and every file says what it is. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { firstSentence } from '../../../scripts/rooms.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const DOCUMENTS = globSync(['*.md', 'docs/**/*.md', 'bench/*.md'], { cwd: ROOT });

test('every relative link of every document leads to a file', () => {
  assert.ok(DOCUMENTS.includes('README.md'));
  const broken = DOCUMENTS.flatMap((document) => {
    const text = readFileSync(path.join(ROOT, document), 'utf8').replaceAll(/```.*?```/gs, '');
    const targets = [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map((match) => match[1]!);
    return targets
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => !existsSync(path.join(ROOT, path.dirname(document), target)))
      .map((target) => `${document}: ${target}`);
  });
  assert.deepEqual(broken, []);
});

test('the first sentence of a file is found in its first comment', () => {
  assert.equal(firstSentence('/** Reads it. It never writes. */\ncode'), 'Reads it');
  assert.equal(
    firstSentence('/**\n * The life of it,\n * in short:\n *\n *   a → b\n */'),
    'The life of it, in short',
  );
  assert.equal(firstSentence('const a = 1; /** no */'), '');
});

test('every file of the program begins with what it is', () => {
  const silent = globSync('{src,scripts}/**/*.ts', { cwd: ROOT }).filter(
    (file) => firstSentence(readFileSync(path.join(ROOT, file), 'utf8')) === '',
  );
  assert.deepEqual(silent, []);
});

test('decision records are numbered without a gap or a double', () => {
  const numbers = globSync('docs/decisions/[0-9]*.md', { cwd: ROOT })
    .map((file) => Number(path.basename(file).slice(0, 4)))
    .toSorted((a, b) => a - b);
  assert.deepEqual(
    numbers,
    numbers.map((_, index) => index + 1),
  );
});
