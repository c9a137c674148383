/**
 * Latches: the signed memory of who was admitted, or excluded for good, in one rollout.
 *
 * A latch stands in for the conditions of the rules it names and fixes the user's bucket; method and path are never
 * stood in for. It is signed together with the service and the rollout's random id, so a new rollout voids it. Rules
 * are named by a hash: their names may say what users should not read. Its owner can copy it; it protects nothing.
 *
 *   1.<rollout tag>.<bucket>.<revision>.<marks>.<signature>      marks: `a` (admitted) or `x` (excluded) + rule tag
 */
import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { BUCKETS } from '../bucket.ts';
import { MAC_LENGTH, type KeyRing } from '../keys.ts';
import { standaloneText } from '../../schema/latin1.ts';

export interface Latch {
  /** The signed scope it was verified for: service and rollout. */
  readonly scope: string;
  readonly bucket: number;
  /** The revision of the first admission. */
  readonly revision: number;
  /** Tags of the rules that admitted the user, the strongest last as far as it was known. */
  readonly admitted: readonly string[];
  /** Tags of the exclude rules that took the canary away. */
  readonly excluded: readonly string[];
}

/** Characters of a tag. */
export const TAG_LENGTH = 8;
/** Rules that one latch remembers of each kind. */
export const MOST_MARKS = 4;

/** The tag of a rule's name or a rollout's id: 48 bits of its SHA-256, in base64url. */
export function tagOf(name: string): string {
  return createHash('sha256').update(name, 'utf8').digest('base64url').slice(0, TAG_LENGTH);
}

/** The scope that latches of a rollout are signed for. */
export function latchScope(service: string, rolloutId: string): string {
  return `${service}\x1f${rolloutId}`;
}

const LATCH =
  /^1\.([A-Za-z0-9_-]{8})\.([0-9a-z]{1,4})\.([0-9a-z]{1,10})\.((?:[ax][A-Za-z0-9_-]{8}){1,8})\.([A-Za-z0-9_-]{22})$/;
const LONGEST_LATCH =
  2 + TAG_LENGTH + 1 + 4 + 1 + 10 + 1 + 2 * MOST_MARKS * (TAG_LENGTH + 1) + 1 + MAC_LENGTH;

/** A bounded memory of verified latches. A forged one costs a verification each time and pushes out nothing. */
export class Latches {
  readonly #keys: KeyRing;
  readonly #known: LRUCache<string, Latch>;

  constructor(keys: KeyRing, max = 16_384) {
    this.#keys = keys;
    this.#known = new LRUCache({ max });
  }

  /** The cookie's value. */
  seal(latch: Latch, rolloutTag: string): string {
    const admitted = latch.admitted.slice(-MOST_MARKS).map((tag) => `a${tag}`);
    const excluded = latch.excluded.slice(-MOST_MARKS).map((tag) => `x${tag}`);
    const marks = [...admitted, ...excluded].join('');
    const body = `1.${rolloutTag}.${latch.bucket.toString(36)}.${latch.revision.toString(36)}.${marks}`;
    return `${body}.${this.#keys.sign('latch', `${latch.scope}\x1f${body}`)}`;
  }

  /** Null where the value is no latch of this scope: of another rollout or service, forged, or junk. */
  open(scope: string, rolloutTag: string, value: string): Latch | null {
    if (value.length > LONGEST_LATCH || !value.startsWith(rolloutTag, 2)) return null;
    const known = this.#known.get(value);
    if (known !== undefined && known.scope === scope) return known;
    const parts = LATCH.exec(value);
    if (parts === null) return null;
    const [, , bucketText = '', revisionText = '', marks = '', signature = ''] = parts;
    const body = value.slice(0, -(MAC_LENGTH + 1));
    if (!this.#keys.verify('latch', `${scope}\x1f${body}`, signature)) return null;
    const bucket = Number.parseInt(bucketText, 36);
    if (bucket >= BUCKETS) return null;
    const admitted: string[] = [];
    const excluded: string[] = [];
    for (let at = 0; at < marks.length; at += TAG_LENGTH + 1) {
      const tag = standaloneText(marks.slice(at + 1, at + 1 + TAG_LENGTH));
      (marks[at] === 'a' ? admitted : excluded).push(tag);
    }
    const latch = { scope, bucket, revision: Number.parseInt(revisionText, 36), admitted, excluded };
    this.#known.set(standaloneText(value), latch);
    return latch;
  }
}

/**
 * The latch with more admissions; the bucket and revision of the first stay. Of more than a latch remembers the weakest go, and of
 * equals the oldest; `kept` is one that stays in any case. The strongest comes last.
 */
export function withAdmissions(
  latch: Latch,
  tags: readonly string[],
  strengthOf: (tag: string) => number,
  kept = '',
): Latch {
  const admitted = [...latch.admitted.filter((tag) => !tags.includes(tag)), ...tags];
  admitted.sort((a, b) => strengthOf(a) - strengthOf(b));
  while (admitted.length > MOST_MARKS) admitted.splice(admitted[0] === kept ? 1 : 0, 1);
  return { ...latch, admitted };
}

/** What `merged` needs of a latch: marks are rules, by their tags or otherwise. */
interface Mergeable {
  readonly bucket: number;
  readonly revision: number;
  readonly admitted: readonly (string | number)[];
  readonly excluded: readonly (string | number)[];
}

/**
 * What two latches of one user and scope say together. The order in which latches are merged, and how often, does not
 * matter (but for the order of marks, and which of more than four are kept), so whoever has heard of the same latches
 * holds the same one.
 *
 * Bucket and revision are those of the first admission. Exclusions add up. An exclusion may have taken admissions away,
 * so the admissions of whoever knows of all the exclusions count: they came later, or were left.
 */
export function merged<Merged extends Mergeable>(first: Merged, second: Merged): Merged {
  const [older, newer] = comesFirst(first, second) ? [first, second] : [second, first];
  const excluded = latest(older.excluded, newer.excluded);
  const knowing = [older, newer].filter((latch) => excluded.every((mark) => latch.excluded.includes(mark)));
  const [one, other] = knowing;
  const admitted = one === undefined ? [] : strongest(one.admitted, other?.admitted ?? []);
  return { ...older, admitted, excluded };
}

function comesFirst(a: Mergeable, b: Mergeable): boolean {
  return a.revision < b.revision || (a.revision === b.revision && a.bucket <= b.bucket);
}

/** Both lists, each mark once, the latest last, within the bound. */
function latest<Mark>(marks: readonly Mark[], more: readonly Mark[]): Mark[] {
  return [...marks.filter((mark) => !more.includes(mark)), ...more].slice(-MOST_MARKS);
}

/**
 * The marks of both lists, each of which has its strongest last. Where they are too many, the last of both are kept: so the strongest
 * is among them, whichever list it came from.
 */
export function strongest<Mark>(marks: readonly Mark[], more: readonly Mark[]): readonly Mark[] {
  if (more.every((mark) => marks.includes(mark))) return marks;
  if (marks.every((mark) => more.includes(mark))) return more;
  const kept = new Set<Mark>();
  for (let behind = 1; behind <= MOST_MARKS; behind++) {
    for (const list of [more, marks]) {
      const mark = list.at(-behind);
      if (mark !== undefined && kept.size < MOST_MARKS) kept.add(mark);
    }
  }
  return [...kept].toReversed();
}

/** The latch with one more exclusion; `forAll`: it holds for every method and path, so no admission is left. */
export function withExclusion(latch: Latch, tag: string, forAll: boolean): Latch {
  return {
    ...latch,
    admitted: forAll ? [] : latch.admitted,
    excluded: latest(latch.excluded, [tag]),
  };
}
