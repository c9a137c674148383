/**
 * Writes ARCHITECTURE.md's file map: every file of the program with the first sentence of its first comment.
 *
 *   node scripts/file-map.ts
 *
 * A test compares the map with the tree, so it is never older than the files.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const HEADING = '## File map';
const ROOT = path.dirname(import.meta.dirname);
const DOCUMENT = path.join(ROOT, 'ARCHITECTURE.md');

/** The first sentence of the comment that a source text begins with; '' where there is none. */
export function firstSentence(source: string): string {
  const comment = /^(?:#!.*\n)?\/\*\*([\s\S]*?)\*\//.exec(source)?.[1];
  if (comment === undefined) return '';
  const paragraph = comment
    .split('\n')
    .map((line) => line.replace(/^ *\* ?/, '').trim())
    .join('\n')
    .trim()
    .split('\n\n', 1)[0]!
    .replaceAll('\n', ' ');
  // A full stop ends a sentence where a capital or nothing follows; "e.g. this" is none.
  return paragraph.replace(/\. [A-Z`].*$/, '').replace(/[.:]$/, '');
}

/** The document with the map as its last section. `files` maps paths to source texts. */
export function withFileMap(document: string, files: ReadonlyMap<string, string>): string {
  const groups = Map.groupBy([...files.keys()].toSorted(), (file) => path.dirname(file));
  const sections = [...groups].map(([directory, members]) => {
    const width = Math.max(...members.map((file) => path.basename(file).length));
    const lines = members.map((file) => {
      const sentence = firstSentence(files.get(file)!);
      return `${path.basename(file).padEnd(width)}  ${sentence}`;
    });
    return `\n\`${directory}/\`\n\n\`\`\`\n${lines.join('\n')}\n\`\`\`\n`;
  });
  const before = document.slice(0, document.indexOf(HEADING));
  const introduction = 'Made by `node scripts/file-map.ts` from the first sentence of each file.\n';
  return `${before}${HEADING}\n\n${introduction}${sections.join('')}`;
}

/** The document as it is, and as it should be. */
export function fileMap(): { readonly is: string; readonly shouldBe: string } {
  const is = readFileSync(DOCUMENT, 'utf8');
  const names = globSync('src/**/*.ts', { cwd: ROOT });
  const files = new Map(names.map((name) => [name, readFileSync(path.join(ROOT, name), 'utf8')]));
  return { is, shouldBe: withFileMap(is, files) };
}

if (import.meta.main) writeFileSync(DOCUMENT, fileMap().shouldBe);
