/**
 * A refusal: the rollout's state, or a guard, speaks against a write. Plain data with a stable code, the figures, and
 * the remedy; `admin/problem.ts` turns it into an answer. A faulty document is not refused here: see `DocumentError`.
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
  /** The revision holds no policy that could be restored. */
  | 'nothing_to_restore';

export interface Refusal {
  readonly code: RefusalCode;
  /** What is the matter and what to do, in sentences. */
  readonly detail: string;
  /** One sentence for each thing that speaks against it, where there are several. */
  readonly reasons?: readonly string[];
  /** The figures that decided, by name. */
  readonly figures: { readonly [name: string]: string | number | null };
}
