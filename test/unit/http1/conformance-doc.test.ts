/** The argued exceptions are told in the documents as they are in the file that the tests read. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import path from 'node:path';
import { loadExceptions } from '../../conformance/corpus.ts';

test('every exception is in docs/conformance.md with the same reason', () => {
  const text = readFileSync(path.join(import.meta.dirname, '../../../docs/conformance.md'), 'utf8');
  const headings = [...text.matchAll(/^### (.+)$/gm)].map((match) => match[1]);
  const exceptions = [...loadExceptions().values()];
  assert.deepEqual(
    headings,
    exceptions.map(({ name }) => name),
  );
  for (const { name, expectation, why } of exceptions) {
    assert.ok(text.includes(`Must be: ${expectation}. ${why}`), name);
  }
});
