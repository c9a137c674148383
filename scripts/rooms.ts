/**
 * The rooms of the program: the folders of `src/`, in the order in which ARCHITECTURE.md lists them. A room imports only
 * rooms that stand below it.
 *
 *   node scripts/rooms.ts
 *
 * writes the linter's rule from that list. A test compares the two, and the list with the tree.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.dirname(import.meta.dirname);
const DOCUMENT = path.join(ROOT, 'ARCHITECTURE.md');
const LINTER = path.join(ROOT, '.oxlintrc.json');

/** Rooms without I/O, clock and randomness of their own, in any order. */
const PURE = ['http1', 'ip', 'policy', 'proxy-protocol', 'schema'];

interface Override {
  readonly files: readonly string[];
  readonly rules: Readonly<Record<string, unknown>>;
}

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

/** The rooms that the document lists under `## Rooms`, from top to bottom. */
export function roomsOf(document: string): string[] {
  const list = /^## Rooms$[\s\S]*?^```\n([\s\S]*?)^```$/m.exec(document)?.[1] ?? '';
  return [...list.matchAll(/^([a-z0-9-]+)\/ /gm)].map((match) => match[1]!);
}

/** The linter's rules that keep imports downwards: one for each room. */
export function overridesFor(rooms: readonly string[]): Override[] {
  return rooms.flatMap((room, index) => {
    const above = rooms.slice(0, index);
    const patterns = [];
    if (above.length > 0) {
      patterns.push({
        regex: `^(?:\\.\\./)+(?:${above.join('|')})/`,
        message: `${room}/ imports only what stands below it in the list of rooms in ARCHITECTURE.md.`,
      });
    }
    if (PURE.includes(room)) {
      patterns.push({
        regex: '^node:(?!crypto$|buffer$|util$)',
        message: `${room}/ is pure: no I/O, no clock, no process.`,
      });
    }
    if (patterns.length === 0) return [];
    return [{ files: [`src/${room}/**/*.ts`], rules: { 'no-restricted-imports': ['error', { patterns }] } }];
  });
}

/** The linter's configuration with these rules in place of those that it has. */
export function withRooms(configuration: string, rooms: readonly string[]): string {
  const parsed = JSON.parse(configuration) as { overrides: Override[] };
  const others = parsed.overrides.filter(({ rules }) => !Object.hasOwn(rules, 'no-restricted-imports'));
  return `${JSON.stringify({ ...parsed, overrides: [...others, ...overridesFor(rooms)] }, null, 2)}\n`;
}

export interface Import {
  /** Paths below the root of the project. */
  readonly from: string;
  readonly to: string;
}

/** Every import of one file of the program by another one, those of types included. */
export function imports(): Import[] {
  return globSync('src/**/*.ts', { cwd: ROOT }).flatMap((from) => {
    const source = readFileSync(path.join(ROOT, from), 'utf8');
    const found = source.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'(\.[^']+)'/g);
    return [...found].map((match) => ({ from, to: path.join(path.dirname(from), match[1]!) }));
  });
}

/** Files that import each other in a circle, one list for each circle. */
export function circles(edges: readonly Import[]): string[][] {
  const next = Map.groupBy(edges, ({ from }) => from);
  const reaches = (start: string): Set<string> => {
    const seen = new Set<string>();
    const open = [start];
    for (let file = open.pop(); file !== undefined; file = open.pop()) {
      for (const { to } of next.get(file) ?? []) {
        if (seen.has(to)) continue;
        seen.add(to);
        open.push(to);
      }
    }
    return seen;
  };
  const reached = new Map([...next.keys()].map((file) => [file, reaches(file)]));
  const found = new Map<string, string[]>();
  for (const [file, files] of reached) {
    if (!files.has(file)) continue;
    const circle = [...files].filter((other) => reached.get(other)?.has(file)).toSorted();
    found.set(circle[0]!, circle);
  }
  return [...found.values()];
}

/** The room of a file below `src/`; '' for the two programs themselves. */
export function roomOf(file: string): string {
  const [, room = '', ...rest] = file.split('/');
  return rest.length === 0 ? '' : room;
}

/** The document's list, and the linter's configuration as it is and as it should be. */
export function rooms(): { readonly listed: string[]; readonly is: string; readonly shouldBe: string } {
  const listed = roomsOf(readFileSync(DOCUMENT, 'utf8'));
  const is = readFileSync(LINTER, 'utf8');
  return { listed, is, shouldBe: withRooms(is, listed) };
}

if (import.meta.main) writeFileSync(LINTER, rooms().shouldBe);
