/**
 * Whether a service's document, as somebody else wrote it, can be used by this version: everything that the control plane and the
 * workers take for granted is there and right. What depends on the configuration, such as names of segments, is not looked at.
 *
 * Fields that this version does not know are left alone, but for those of the policy: what a rule asks for must not be overlooked.
 */
import { Type } from 'typebox';
import { checkServiceDefinition } from '../config/service-checks.ts';
import { BUCKET_ALGORITHMS } from '../policy/bucket.ts';
import { DocumentError, type Fault } from '../schema/faults.ts';
import { validateRollout } from '../policy/validate.ts';
import { checkSchema } from '../schema/check.ts';
import { isRecord } from '../schema/json-value.ts';

const name = Type.String({ minLength: 1, maxLength: 128 });

/** All of it but its document: that is large, and `validateRollout` checks it. */
const checkRollout = checkSchema(
  Type.Object({
    id: name,
    epoch: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    seed: Type.String({ pattern: '^[0-9a-f]{32}$', description: '16 bytes in hex' }),
    bucketAlgorithm: Type.Union(BUCKET_ALGORITHMS.map((one) => Type.Literal(one))),
    fingerprintKey: name,
    phase: Type.Union(
      ['idle', 'running', 'paused', 'promoted', 'rolledBack'].map((phase) => Type.Literal(phase)),
    ),
    step: Type.Integer({ minimum: -1, maximum: 10_000 }),
    startedAt: Type.String({ maxLength: 64 }),
  }),
);

/** What keeps this version from using it, as a sentence; null where nothing does. Never throws. */
export function documentFault(value: unknown): string | null {
  if (!isRecord(value)) return 'it is no document';
  const { definition, rollout } = value;
  if (definition === undefined || rollout === undefined) return 'it lacks its definition or its rollout';
  return (
    (definition === null ? null : told('definition', checkServiceDefinition(definition))) ??
    (rollout === null ? null : rolloutFault(rollout))
  );
}

function told(what: string, [fault]: readonly Fault[]): string | null {
  return fault === undefined ? null : `/${what}${fault.pointer}: ${fault.detail}`;
}

function rolloutFault(rollout: unknown): string | null {
  if (!isRecord(rollout)) return 'its rollout is no object';
  const { document, ...rest } = rollout;
  const faults = checkRollout(rest);
  if (faults.length > 0) return told('rollout', faults);
  try {
    validateRollout(document, null);
    return null;
  } catch (error) {
    if (error instanceof DocumentError) return told('rollout/document', error.faults);
    throw error;
  }
}
