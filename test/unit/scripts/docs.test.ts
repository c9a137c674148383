/** The documents must not rot: their links lead somewhere, and the file map names every file of the program. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const DOCUMENTS = globSync(['*.md', 'docs/**/*.md', 'bench/*.md'], { cwd: ROOT });

/** The paths named at the beginning of the lines of ARCHITECTURE.md's file map. */
function mappedFiles(): string[] {
  const text = readFileSync(path.join(ROOT, 'ARCHITECTURE.md'), 'utf8');
  const map = text.slice(text.indexOf('## File map'));
  return [...map.matchAll(/^(src\/\S+) {2,}\S/gm)].map((match) => match[1]!);
}

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

test('the file map of ARCHITECTURE.md is the tree', () => {
  assert.deepEqual(mappedFiles().toSorted(), globSync('src/**/*.ts', { cwd: ROOT }).toSorted());
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
