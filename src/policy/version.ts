/**
 * Versions and ranges: what applications say of themselves against what rules ask for.
 *
 * Ranges are those of npm's `semver`, prereleases included: 8.3.0-beta.1 is newer than 8.2.0 and so meets `>=8.2.0`.
 * Versions are read generously (`v8.2`, `8.2.0.1234`), within a bounded length; what is none meets no range.
 */
import { Range, SemVer, validRange } from 'semver';
import { DocumentError } from '../schema/faults.ts';
import { standaloneText } from '../schema/latin1.ts';

/** Longer ranges are nobody's, and cost more than they should to read. */
const LONGEST_RANGE = 256;
const LONGEST_VERSION = 128;
/** Answers kept by one test. */
const MOST_KNOWN = 256;

/** Of versions as of ranges: semver reads a version anew for each range whose options are others. */
export const VERSION_OPTIONS = { includePrerelease: true } as const;

/** Compiles a range. Throws DocumentError `rollout_invalid` where the text is none. */
export function compileRange(text: string): Range {
  const fault = rangeFault(text);
  if (fault === null) return new Range(text, VERSION_OPTIONS);
  throw new DocumentError('rollout_invalid', 'A version range is not valid.', [
    { pointer: '', detail: fault },
  ]);
}

/** What is wrong with a range, as a sentence, or null. */
export function rangeFault(text: string): string | null {
  if (text.length > LONGEST_RANGE) return `a version range has at most ${LONGEST_RANGE} characters`;
  if (validRange(text, VERSION_OPTIONS) !== null) return null;
  return `"${text}" is no version range; write one like ">=8.2.0" or ">=17 <18"`;
}

/** What is wrong with a range that no version can meet, or null; a text that is no range is left to `rangeFault`. */
export function emptyRangeFault(text: string): string | null {
  if (rangeFault(text) !== null) return null;
  // A union is empty where each of its parts is: `intersects` asks whether the comparators of a part leave anything.
  const range = new Range(text, VERSION_OPTIONS);
  const below = range.set.every((part) => part.some(({ value }) => value === NOTHING));
  if (!below && range.intersects(ANY_VERSION)) return null;
  return `no version is in the range "${text}"; write one like ">=8.2.0" or ">=17 <18"`;
}

/** What semver makes of a comparator that nothing meets. */
const NOTHING = '<0.0.0-0';
const ANY_VERSION = new Range('>=0.0.0-0', VERSION_OPTIONS);

/** One to four numbers, with or without a `v`, a prerelease and a build. */
const VERSION =
  /^\s*[vV]?(\d{1,15})(?:\.(\d{1,15}))?(?:\.(\d{1,15}))?(?:\.\d{1,15})?(-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?\s*$/;

/** Reads a version; null where the text is none. */
export function parseVersion(text: string): SemVer | null {
  if (text.length > LONGEST_VERSION) return null;
  const found = VERSION.exec(text);
  if (found === null) return null;
  const [, major, minor = '0', patch = '0', prerelease = ''] = found;
  try {
    return new SemVer(`${Number(major)}.${Number(minor)}.${Number(patch)}${prerelease}`, VERSION_OPTIONS);
  } catch {
    return null;
  }
}

/** What was read last: a thousand rules that ask for versions of one header read it once. */
let lastText = '';
let lastVersion: SemVer | null = null;

/** A test of texts against a range, with a bounded memory of the answers. */
export function versionTest(range: Range): (text: string) => boolean {
  // Versions in use are few. A map that starts anew when it is full costs nothing while it is empty, as most are.
  const known = new Map<string, boolean>();
  return (text) => {
    if (text.length > LONGEST_VERSION) return false;
    const before = known.get(text);
    if (before !== undefined) return before;
    if (text !== lastText) {
      lastVersion = parseVersion(text);
      lastText = standaloneText(text);
    }
    const answer = lastVersion !== null && range.test(lastVersion);
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(lastText, answer);
    return answer;
  };
}
