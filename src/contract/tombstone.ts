/**
 * A tombstone: one rollout is rolled back, and by which change. Plain data, as replicas tell each other and keep it on disk.
 *
 * It says something that stays true: a rollout that was rolled back never comes back to life.
 */
export interface Tombstone {
  readonly service: string;
  /** The random id of the rollout that is over. Where no rollout is known here, the id of the change, which names none. */
  readonly rolloutId: string;
  /** RFC 3339, by the fleet's clock. */
  readonly at: string;
  readonly actor: string;
  readonly reason: string | null;
  readonly requestId: string | null;
  /** The change that did it; one change may end several rollouts of its service. */
  readonly changeId: string;
}
