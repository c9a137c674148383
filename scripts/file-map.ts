/**
 * Writes the file map of ARCHITECTURE.md anew: every file of the program with the first sentence of its first comment.
 *
 *   node scripts/file-map.ts
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.dirname(import.meta.dirname);
const HEADING = '## File map';
const LONGEST = 110;

/** The first sentence of the first comment of a source text, on one line. */
function firstSentence(source: string): string {
  const comment = /\/\*\*([\s\S]*?)\*\//.exec(source)?.[1] ?? '';
  const text = comment
    .split('\n')
    .map((line) => line.trim().replace(/^\* ?/, '').trim())
    .join(' ')
    .trim();
  const sentence = (text.split(/(?<=[.!?])\s/, 1)[0] ?? '').replace(/[.:]$/, '');
  if (sentence.length <= LONGEST) return sentence;
  return `${sentence.slice(0, sentence.lastIndexOf(' ', LONGEST - 2))} …`;
}

const files = globSync('src/**/*.ts', { cwd: ROOT }).toSorted();
const width = Math.max(...files.map((file) => file.length));
const map = files.map((file) => {
  const source = readFileSync(path.join(ROOT, file), 'utf8');
  return `${file.padEnd(width)}  ${firstSentence(source)}`;
});
const document = path.join(ROOT, 'ARCHITECTURE.md');
const [before = ''] = readFileSync(document, 'utf8').split(`\n${HEADING}\n`);
const intro =
  'Each file says in its first comment what it promises and what it must never do; this is how each begins.';
const body = [
  `${before.trimEnd()}\n`,
  `${HEADING}\n`,
  `${intro} Made by \`node scripts/file-map.ts\`.\n`,
  '```',
  ...map,
  '```\n',
];
writeFileSync(document, body.join('\n'));
