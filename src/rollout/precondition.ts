/**
 * Preconditions of writes (RFC 9110, section 13): a document's ETag is its revision, and always strong.
 *
 * They are read from headers at the edge, and checked when the write's turn comes, so that of two writers with the
 * same ETag one is refused.
 */
import { refused } from './refusal.ts';

export interface Precondition {
  /** The revisions that may be there; `any` for `*`; null where the header is absent. */
  readonly ifMatch: 'any' | readonly number[] | null;
  /** `If-None-Match: *`: nothing may be there. */
  readonly ifNoneMatch: boolean;
  /** Whether a document that exists may not be replaced without If-Match. */
  readonly required: boolean;
}

export const NO_PRECONDITION: Precondition = { ifMatch: null, ifNoneMatch: false, required: false };

export function etagOf(revision: number): string {
  return `"${revision}"`;
}

/**
 * Reads `If-Match`. A weak or foreign tag never matches (the comparison is strong), so it counts as no revision at all.
 * A header that is no list of tags gives an empty list as well, and so matches nothing.
 */
export function parseIfMatch(header: string | undefined): Precondition['ifMatch'] {
  if (header === undefined) return null;
  if (header.trim() === '*') return 'any';
  return header.split(',').flatMap((tag) => {
    const [, revision] = /^"([0-9]{1,15})"$/.exec(tag.trim()) ?? [];
    return revision === undefined ? [] : [Number(revision)];
  });
}

/** Throws RefusedError `precondition_required` or `precondition_failed`. `revision` is null where nothing is there. */
export function checkPrecondition(precondition: Precondition, revision: number | null, what: string): void {
  const { ifMatch, ifNoneMatch, required } = precondition;
  if (ifNoneMatch && revision !== null) {
    throw refused('precondition_failed', `${what} exists already, at revision ${revision}.`, { revision });
  }
  if (ifMatch === null) {
    if (!required || revision === null) return;
    throw refused(
      'precondition_required',
      `${what} exists. Send its ETag in If-Match, so that no other change is overwritten: If-Match: ${etagOf(revision)}`,
      { revision },
    );
  }
  if (revision === null) {
    throw refused('precondition_failed', `${what} does not exist, so no If-Match can hold.`, { revision });
  }
  if (ifMatch !== 'any' && !ifMatch.includes(revision)) {
    throw refused(
      'precondition_failed',
      `${what} is at revision ${revision} now. Read it again and repeat the change on what it says.`,
      { revision, asked: ifMatch.join(', ') },
    );
  }
}
