/**
 * Reads the README's tour: its shell blocks, each with the output that the README shows for it, and compares that with
 * what really came. Values that differ from run to run must agree in their form only; everything else literally.
 */

export interface TourStep {
  /** 1-based line of the block's first line in the document. */
  readonly line: number;
  readonly script: string;
  /** The shown output, or null where none is shown. */
  readonly output: string | null;
}

/** The `sh` blocks of the section with the heading `heading`; a `text` block that follows one is its output. */
export function readTour(markdown: string, heading: string): TourStep[] {
  const lines = markdown.split('\n');
  const start = lines.indexOf(heading);
  if (start === -1) throw new Error(`there is no heading "${heading}"`);
  const steps: TourStep[] = [];
  for (let index = start + 1; index < lines.length && !lines[index]!.startsWith('## '); index++) {
    const kind = /^```(sh|text)$/.exec(lines[index]!)?.[1];
    if (kind === undefined) continue;
    const end = lines.indexOf('```', index + 1);
    const text = lines.slice(index + 1, end).join('\n');
    const last = steps.at(-1);
    if (kind === 'sh') steps.push({ line: index + 2, script: text, output: null });
    else if (last?.output === null) steps[steps.length - 1] = { ...last, output: text };
    else throw new Error(`line ${index + 1}: an output without a command`);
    index = end;
  }
  return steps;
}

/** What differs from run to run, and what stands for it on both sides of the comparison. */
const VOLATILE: readonly (readonly [RegExp, string])[] = [
  [/\b[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z/g, 'TIME'],
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, 'ID'],
  [/\b[0-9a-f]{16,}\b/g, 'ID'],
  [/\b(stable|canary)-[12]\b/g, '$1-N'],
  [/("bucket": ?)[0-9]+/g, '$1N'],
];

/** How far a count of users may be from the one shown: their places are drawn anew for every rollout. */
const COUNT = /\b([0-9]+) of 100\b/g;
const COUNT_TOLERANCE = 25;

const normalise = (line: string): string => {
  let text = line.trimEnd();
  for (const [pattern, stand] of VOLATILE) text = text.replace(pattern, stand);
  return text;
};

function sameLine(shown: string, actual: string): boolean {
  const counts = (text: string): number[] => [...text.matchAll(COUNT)].map((match) => Number(match[1]));
  const expected = counts(shown);
  const got = counts(actual);
  const close = expected.every((count, index) => {
    // Nobody and everybody are no matter of chance.
    const tolerance = count === 0 || count === 100 ? 0 : COUNT_TOLERANCE;
    return Math.abs(count - (got[index] ?? Infinity)) <= tolerance;
  });
  const rest = (text: string): string => normalise(text.replace(COUNT, '# of 100'));
  // «…» within a line stands for any text.
  const [first = '', ...parts] = rest(shown).split('…');
  const line = rest(actual);
  if (!close || !line.startsWith(first)) return false;
  let from = first.length;
  for (const part of parts) {
    const found = line.indexOf(part, from);
    if (found === -1) return false;
    from = found + part.length;
  }
  return shown.endsWith('…') || (parts.length === 0 ? line === first : line.endsWith(parts.at(-1)!));
}

/** Null when `actual` is what the document shows; else a sentence. A line `…` stands for any number of lines. */
export function compareOutput(shown: string, actual: string): string | null {
  const expected = shown.split('\n');
  const got = actual.trimEnd().split('\n');
  let at = 0;
  for (const [index, line] of expected.entries()) {
    if (line === '…') {
      const next = expected[index + 1];
      if (next === undefined) return null;
      while (at < got.length && !sameLine(next, got[at]!)) at += 1;
      continue;
    }
    if (at >= got.length) return `the output ends before "${line}"`;
    if (!sameLine(line, got[at]!)) return `shown: ${line}\n  came: ${got[at]}`;
    at += 1;
  }
  return at === got.length ? null : `more came than is shown: ${got[at]}`;
}
