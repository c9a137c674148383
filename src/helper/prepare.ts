/**
 * From what was sent as a rollout document to the document: read, merge, validate. Pure, so that it runs on the main thread
 * for small documents and in a helper thread for large ones, with the same result.
 *
 * It promises that what comes out is small enough to be kept, stored and handed to the workers by the main thread.
 */
import type { DocumentBody } from '../rollout/write-request.ts';
import { readBody } from './read-body.ts';
import { DocumentError } from '../schema/faults.ts';
import type { RolloutDocument } from '../policy/schema.ts';
import { type ValidationContext, validateRollout } from '../policy/validate.ts';
import { mergePatch } from '../rollout/merge-patch.ts';
import { valueSize } from '../schema/value-size.ts';

export interface Preparation {
  /** A body as it came, or its value. */
  readonly source: { readonly body: DocumentBody } | { readonly value: unknown };
  /** The document that the value is a merge patch for; null where it is a whole document. */
  readonly base: RolloutDocument | null;
  readonly context: ValidationContext;
}

/** Values and characters of one document. 100,000 networks of IPv6 come near the latter; more are for segments. */
const MOST_VALUES = 200_000;
const MOST_CHARACTERS = 6_000_000;

/** Throws DocumentError. */
export function prepareRollout({ source, base, context }: Preparation): RolloutDocument {
  const value = 'body' in source ? readBody('document', source.body).value : source.value;
  const document = validateRollout(base === null ? value : mergePatch(base, value), context);
  const size = valueSize(document);
  if (size.values <= MOST_VALUES && size.characters <= MOST_CHARACTERS) return document;
  const detail = `the document has ${size.values} values of ${size.characters} characters; expected at most ${MOST_VALUES} of ${MOST_CHARACTERS}. Long lists of networks belong into "segments" of the configuration`;
  throw new DocumentError('rollout_invalid', 'The rollout document is too large.', [{ pointer: '', detail }]);
}
