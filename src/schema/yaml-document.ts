/**
 * Reads one YAML (or JSON) document and remembers where its parts stand, so that every fault can name a line.
 *
 * It promises to end on hostile input: aliases that multiply, endless nesting and huge files are refused. Tags, several
 * documents and duplicate keys are refused as well: what a person misreads is not guessed at.
 */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
  type YAMLError,
} from 'yaml';
import type { Fault } from './faults.ts';
import { messageOf } from './thrown.ts';

/** The largest file that is read; 100,000 networks take a fifteenth of it. */
const LARGEST = 32 * 1024 * 1024;

/** Uses of anchors, multiplied where one holds others. Enough for one anchor in each of thousands of services. */
const MOST_ALIASES = 10_000;

export interface YamlDocument {
  /** Plain objects, lists, strings, numbers, booleans and null. */
  readonly value: unknown;
  /** The 1-based line of the value a JSON pointer names (for a field: of its key), or of the nearest part around it. */
  line(pointer: string): number;
}

/** Reads a document, or gives the faults that keep it from being read. */
export function readYaml(bytes: Uint8Array): YamlDocument | Fault[] {
  if (bytes.length > LARGEST) {
    return [{ pointer: '', detail: `the file has ${bytes.length} bytes; expected at most ${LARGEST}` }];
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return [
      { pointer: '', detail: 'the file is not UTF-8 text; expected YAML in UTF-8', ...lineOfBadByte(bytes) },
    ];
  }
  const nul = text.indexOf('\0');
  if (nul >= 0) {
    return [
      {
        pointer: '',
        detail: 'the file holds a NUL character; expected text',
        line: text.slice(0, nul).split('\n').length,
      },
    ];
  }
  const lines = new LineCounter();
  try {
    const document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      merge: true,
      uniqueKeys: true,
    });
    const problems: readonly YAMLError[] = document.errors.length > 0 ? document.errors : document.warnings;
    if (problems.some((problem) => /call stack|stack overflow/i.test(problem.message))) return [TOO_DEEP];
    if (problems.length > 0) return problems.slice(0, 20).map((problem) => faultOf(problem, lines));
    const dangling = danglingAlias(document);
    if (dangling !== null) {
      return [{ pointer: '', detail: SENTENCES.BAD_ALIAS, line: lines.linePos(dangling).line }];
    }
    if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) {
      return [
        {
          pointer: '',
          detail: 'the file is empty; expected at least one setting, such as services',
          line: 1,
        },
      ];
    }
    const value: unknown = document.toJS({ maxAliasCount: MOST_ALIASES });
    return { value, line: (pointer) => lines.linePos(offsetOf(document, pointer)).line };
  } catch (error) {
    if (error instanceof RangeError) return [TOO_DEEP];
    if (error instanceof ReferenceError) return [TOO_MANY_ALIASES];
    // A merge key with something that is no map, and the like: found only when the values are put together.
    return [{ pointer: '', detail: `not valid YAML: ${messageOf(error).replaceAll(/\s+/g, ' ')}` }];
  }
}

const TOO_DEEP: Fault = {
  pointer: '',
  detail: 'the file is nested too deeply to be read; expected a few levels',
};
const TOO_MANY_ALIASES: Fault = {
  pointer: '',
  detail: `anchors and aliases multiply to over ${MOST_ALIASES} values; write them out, or use fewer`,
};

const SENTENCES = {
  DUPLICATE_KEY: 'this key is there already; keep one',
  TAB_AS_INDENT: 'a tab cannot indent in YAML; use spaces',
  MULTIPLE_DOCS: 'a second document begins here; keep one document in the file, without another "---"',
  TAG_RESOLVE_FAILED: 'this tag (a word with "!") is not known; remove it, or quote the text',
  BAD_ALIAS: 'this alias has no anchor before it; quote the text if it only begins with "*"',
} as const;

function sentenceFor(problem: YAMLError): string {
  for (const [code, sentence] of Object.entries(SENTENCES)) {
    if (code === problem.code) return sentence;
  }
  return `not valid YAML: ${problem.message.replaceAll(/\s+/g, ' ')}`;
}

/** The offset of the first alias that no anchor stands behind, or null. */
function danglingAlias(document: Document.Parsed): number | null {
  const anchors = new Set<string>();
  let offset: number | null = null;
  visit(document, {
    Node(_key, node) {
      if (isAlias(node)) {
        if (anchors.has(node.source)) return undefined;
        offset = node.range?.[0] ?? 0;
        return visit.BREAK;
      }
      if (node.anchor !== undefined) anchors.add(node.anchor);
      return undefined;
    },
  });
  return offset;
}

function faultOf(problem: YAMLError, lines: LineCounter): Fault {
  const detail = sentenceFor(problem);
  return { pointer: '', detail, line: lines.linePos(problem.pos[0]).line };
}

function lineOfBadByte(bytes: Uint8Array): { line?: number } {
  // A decoder that may stop anywhere takes all lines up to the one that no decoder takes.
  let line = 1;
  for (let start = 0; start < bytes.length; line++) {
    const newline = bytes.indexOf(10, start);
    const end = newline === -1 ? bytes.length : newline + 1;
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(start, end));
    } catch {
      return { line };
    }
    start = end;
  }
  return {};
}

/** The offset of the last part of `pointer` that exists: of the key in a map, of the entry in a list. */
function offsetOf(document: Document.Parsed, pointer: string): number {
  let offset = document.contents?.range?.[0] ?? 0;
  let node: unknown = document.contents;
  for (const token of pointer.split('/').slice(1)) {
    if (isAlias(node)) node = node.resolve(document);
    const name = token.replaceAll('~1', '/').replaceAll('~0', '~');
    const next: { node: unknown; at: unknown } | null = isMap(node)
      ? findPair(document, node.items, name)
      : isSeq(node)
        ? entry(node.items, name)
        : null;
    if (next === null) break;
    offset = startOf(next.at) ?? startOf(next.node) ?? offset;
    node = next.node;
  }
  return offset;
}

function entry(items: readonly unknown[], name: string): { node: unknown; at: unknown } | null {
  const node = items[Number(name)];
  return node === undefined ? null : { node, at: node };
}

function findPair(
  document: Document.Parsed,
  items: readonly Pair[],
  name: string,
): { node: unknown; at: unknown } | null {
  for (const pair of items) {
    if (isScalar(pair.key) && String(pair.key.value) === name) return { node: pair.value, at: pair.key };
  }
  for (const pair of items) {
    if (!isScalar(pair.key) || !isMergeKey(pair.key.value)) continue;
    const merged: unknown = isAlias(pair.value) ? pair.value.resolve(document) : pair.value;
    for (const source of isSeq(merged) ? merged.items : [merged]) {
      const map: unknown = isAlias(source) ? source.resolve(document) : source;
      const found = isMap(map) ? findPair(document, map.items, name) : null;
      if (found !== null) return found;
    }
  }
  return null;
}

/** The parser keeps `<<` as a symbol where it merges. */
function isMergeKey(value: unknown): boolean {
  return value === '<<' || (typeof value === 'symbol' && value.description === '<<');
}

function startOf(node: unknown): number | undefined {
  return typeof node === 'object' && node !== null ? ((node as Node).range?.[0] ?? undefined) : undefined;
}
