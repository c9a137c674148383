/**
 * A change: one accepted write, and how far it has got. Plain data that pipelines poll, so every field is always there.
 */
import type { ChangeStatus } from '../contract/change-status.ts';
import type { CommitKind } from '../store/store.ts';
import type { Decrease } from './exposure.ts';

export interface PercentageMove {
  readonly rule: string;
  readonly from: number;
  readonly to: number;
}

export interface Change {
  readonly id: string;
  readonly service: string;
  readonly kind: CommitKind;
  readonly status: ChangeStatus;
  /** For people: `0 of 1 replicas (1 of 2 workers)`. */
  readonly progress: string;
  /** The revision that it made; that of the present where it found nothing to do; null while it has none. */
  readonly revision: number | null;
  /** RFC 3339; null for a change that found nothing to do, which nothing remembers. */
  readonly createdAt: string | null;
  readonly updatedAt: string | null;
  readonly actor: string | null;
  readonly reason: string | null;
  readonly requestId: string | null;
  /** Applied while the store could not take it; false again as soon as the store has it. */
  readonly degraded: boolean;
  /** What a percentage or a step changed; null for other kinds. */
  readonly percentage: PercentageMove | null;
  /** How many parts of the policy took the canary from users, and the first hundred of them. */
  readonly decreaseCount: number;
  readonly decreases: readonly Decrease[];
  /** What somebody should know, although it stops nothing: overlapping networks, say. */
  readonly warnings: readonly string[];
}

/** Decreases that a change shows; `decreaseCount` counts all. */
export const MOST_DECREASES = 100;

/** What a change has before anything is known of it. */
export const BLANK_CHANGE = {
  status: 'PENDING',
  progress: 'waiting to be written',
  revision: null,
  degraded: false,
  percentage: null,
  decreaseCount: 0,
  decreases: [],
  warnings: [],
} as const satisfies Partial<Change>;

/** No more is to come of a change in one of these. */
export function isFinal(status: ChangeStatus): boolean {
  return status !== 'PENDING' && status !== 'APPLYING';
}
