/**
 * A rollback that is in force although the store may not have it yet, as replicas tell each other. Plain data.
 *
 * It says something that stays true: a rollout that was rolled back never comes back to life.
 */
export interface Tombstone {
  readonly service: string;
  /** The random id of the rollout that is over. */
  readonly rolloutId: string;
  /** RFC 3339. */
  readonly at: string;
  readonly actor: string;
  readonly reason: string | null;
  readonly requestId: string | null;
  /** The change that did it. */
  readonly changeId: string;
}
