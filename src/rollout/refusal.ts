/**
 * A refusal: the state of things speaks against a request. A stable code, the figures that decided, and the remedy.
 *
 * `admin/problem.ts` turns it into an answer. A faulty document is not refused here: see `DocumentError`.
 */

export type RefusalCode =
  /** The service has no rollout yet. */
  | 'no_rollout'
  /** The action does not exist in the rollout's phase. */
  | 'wrong_phase'
  /** The rollout is paused, and the write would go on with its ramp. */
  | 'rollout_paused'
  /** The write would take the canary from users, and does not say that it may. */
  | 'decrease_not_allowed'
  /** No step is left. */
  | 'no_next_step'
  /** The percentage that the step starts from is not the one that the caller saw. */
  | 'step_moved'
  /** Stable is not ready to take everybody. */
  | 'stable_not_ready'
  /** No endpoint of the canary can take anybody. */
  | 'canary_not_ready'
  /** The revision holds no policy that could be restored. */
  | 'nothing_to_restore'
  | 'service_not_found'
  | 'rollout_not_found'
  | 'revision_not_found'
  | 'change_not_found'
  /** The configuration file defines the service. */
  | 'service_read_only'
  /** The service has a rollout under way. */
  | 'rollout_active'
  /** The request id was used for another request. */
  | 'request_id_reused'
  /** The change was canceled before it was written. */
  | 'change_canceled'
  | 'precondition_required'
  | 'precondition_failed'
  /** The store cannot take the write; the last applied policy keeps serving. */
  | 'store_unavailable'
  /** Replicas differ in what they decide by. */
  | 'fleet_disagrees'
  /** The control plane is stopping. */
  | 'stopping'
  /** More bodies wait to be read than may. */
  | 'too_many_bodies'
  /** More subscribers than the server serves. */
  | 'too_many_subscribers';

export interface Refusal {
  readonly code: RefusalCode;
  /** What is the matter and what to do, in sentences. */
  readonly detail: string;
  /** One sentence for each thing that speaks against it, where there are several. */
  readonly reasons?: readonly string[];
  /** The figures that decided, by name. */
  readonly figures: { readonly [name: string]: string | number | null };
}

/** A refusal on its way to whoever asked. */
export class RefusedError extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal, options?: ErrorOptions) {
    super(refusal.detail, options);
    this.name = 'RefusedError';
    this.refusal = refusal;
  }
}

export function refused(code: RefusalCode, detail: string, figures: Refusal['figures'] = {}): RefusedError {
  return new RefusedError({ code, detail, figures });
}

/** Whether there is such a change can't be told now. `store` says what is wrong with it. */
export function changeUnknown(id: string, store: { readonly code: string }): Error {
  const detail = `This replica does not know the change ${id.slice(0, 100)}, and the store, which may, cannot be asked now. Try again.`;
  return refused('store_unavailable', detail, { store: store.code });
}

export function changeNotFound(id: string): Error {
  return refused(
    'change_not_found',
    `There is no change ${id.slice(0, 100)}; changes can be read for 24 hours.`,
  );
}
