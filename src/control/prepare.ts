/**
 * From the bytes of a rollout document to the document: read, merge, validate. Pure, so that it runs on the main thread
 * for small bodies and in the helper thread for large ones, with the same result.
 */
import type { DocumentBody } from '../admin/backend.ts';
import { parseBody } from '../admin/parse-body.ts';
import type { RolloutDocument } from '../policy/schema.ts';
import { type ValidationContext, validateRollout } from '../policy/validate.ts';
import { mergePatch } from '../rollout/merge-patch.ts';
import { isRecord } from '../schema/json-value.ts';

export interface Preparation {
  readonly body: DocumentBody;
  /** The document that the body is a merge patch for; null where the body is a whole document. */
  readonly base: RolloutDocument | null;
  readonly context: ValidationContext;
}

/** Throws DocumentError. `status`, which answers carry beside the document, is left out of account. */
export function prepareRollout({ body, base, context }: Preparation): RolloutDocument {
  const value = withoutStatus(parseBody(body));
  return validateRollout(base === null ? value : mergePatch(base, value), context);
}

function withoutStatus(value: unknown): unknown {
  if (!isRecord(value) || !Object.hasOwn(value, 'status')) return value;
  const { status: _status, ...document } = value;
  return document;
}
