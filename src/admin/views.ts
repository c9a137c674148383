/** How resources look in answers. */
import type { Explanation } from '../policy/explain.ts';
import type { Change } from '../rollout/change.ts';
import { etagOf } from '../rollout/precondition.ts';
import type { ServiceView } from '../state/service-view.ts';
import type { Answer } from './route.ts';

/** The definition, which can be PUT as it is, and beside it `status`, which a PUT leaves out of account. */
export function serviceBody({ name, source, definition, rollout, revision }: ServiceView): object {
  return {
    ...definition,
    status: {
      name,
      source,
      revision,
      rollout:
        rollout === null
          ? null
          : {
              phase: rollout.phase,
              epoch: rollout.epoch,
              rolloutId: rollout.id,
              startedAt: rollout.startedAt,
            },
    },
  };
}

/** The policy document, which can be PUT as it is, and beside it `status`. Null where the service has no rollout. */
export function rolloutBody({ name, rollout, revision }: ServiceView): object | null {
  if (rollout === null) return null;
  const { document, phase, epoch, id, step, startedAt } = rollout;
  return { ...document, status: { service: name, phase, epoch, revision, rolloutId: id, step, startedAt } };
}

export function changeBody(change: Change, base: string): object {
  return { ...change, statusUrl: statusUrl(change, base), cancelUrl: `${statusUrl(change, base)}/cancel` };
}

/** The decision by its glossary names, without what only the data plane needs (cookies to set are secrets of their user). */
export function explanationBody({ decision, ...rest }: Explanation): object {
  const { variant, assigned, fallback, unavailable, reason, rule, bucket, tier, epoch, revision } = decision;
  return {
    decision: {
      variant,
      reason,
      rule: rule === '' ? null : rule,
      bucket: bucket < 0 ? null : bucket,
      identityTier: tier,
      epoch,
      revision,
      assigned,
      fallback,
      unavailable,
    },
    ...rest,
  };
}

/** 202 for an accepted write: where to follow it is in Location and in the body. */
export function accepted(change: Change, base: string): Answer {
  return { status: 202, headers: { location: statusUrl(change, base) }, body: changeBody(change, base) };
}

export function withEtag(body: unknown, revision: number): Answer {
  return { status: 200, headers: { etag: etagOf(revision) }, body };
}

function statusUrl({ id }: Change, base: string): string {
  return `${base}/v1/changes/${encodeURIComponent(id)}`;
}
