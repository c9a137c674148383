/**
 * Rollbacks that are in force here although the store does not have them yet: this replica's own, and those that peers told of.
 *
 * It promises that a rollback that was learned stays in force until the store has it or has moved on, that it is kept on disk
 * before anybody is told so, and that it reaches the store even when the replica that took it never comes back: then
 * another one stores it. A rollout that is rolled back never comes back to life, so learning one twice, or late, does no harm.
 */
import type { Tombstone } from '../contract/tombstone.ts';
import { isActive } from '../rollout/lifecycle.ts';
import type { RollbackAhead } from '../state/active-state.ts';
import type { ControlState } from '../state/state.ts';

/** More than are ever under way at a time; a bound for memory. */
const MOST = 1000;

/** How long a rollback of a rollout that this replica never heard of is kept, in ms. */
const KEPT = 24 * 3_600_000;

export interface KnownRollbacksOptions {
  /** Monotonic, in ms. */
  readonly now: () => number;
  readonly rollBackAhead: (rolloutId: string) => RollbackAhead;
  /** What the writes left. */
  readonly state: () => ControlState;
  /** The list has changed. */
  readonly onChange: () => void;
}

interface Entry {
  readonly rollback: Tombstone;
  readonly ahead: RollbackAhead;
  readonly since: number;
}

export interface KnownRollbacks {
  /** True when it was new and may still be in force. */
  learn(rollback: Tombstone): boolean;
  /** As `learn`, for a rollback that the state has and the store has forgotten: the state will have it no more. */
  revive(rollback: Tombstone): void;
  /** Lets go of those that the state has. Call it after `enact`. */
  settle(): void;
  /** Those that have been known for `age` ms and whose rollout is under way as far as the store knows. */
  owed(age: number): readonly Tombstone[];
  /** All, oldest first. */
  all(): readonly Tombstone[];
}

export function createKnownRollbacks(options: KnownRollbacksOptions): KnownRollbacks {
  const { now, rollBackAhead, state, onChange } = options;
  const entries = new Map<string, Entry>();

  /** What the store's state says of the rollout: it is under way, over, or not known there. */
  function standing({ service, rolloutId, at }: Tombstone): 'active' | 'over' | 'unknown' {
    const stored = state().documents.get(service)?.document.rollout ?? null;
    if (stored === null) return 'unknown';
    if (stored.id === rolloutId) return isActive(stored.phase) ? 'active' : 'over';
    // A later rollout began: this one is over. Both times are of this fleet's clocks, seconds apart at most.
    return Date.parse(stored.startedAt) > Date.parse(at) ? 'over' : 'unknown';
  }

  function keep(rollback: Tombstone): boolean {
    if (entries.has(rollback.rolloutId) || entries.size >= MOST) return false;
    const ahead = rollBackAhead(rollback.rolloutId);
    entries.set(rollback.rolloutId, { rollback, ahead, since: now() });
    onChange();
    return true;
  }

  return {
    learn: (rollback) => standing(rollback) !== 'over' && keep(rollback),
    revive: (rollback) => void keep(rollback),
    settle() {
      const at = now();
      let changed = false;
      for (const [id, { rollback, ahead, since }] of entries) {
        const over = standing(rollback) === 'over';
        if (!over && at - since < KEPT) continue;
        entries.delete(id);
        // The state that was enacted has it: nothing needs to be said to the workers.
        ahead.settle();
        changed = true;
      }
      if (changed) onChange();
    },
    owed(age) {
      const before = now() - age;
      return [...entries.values()].flatMap(({ rollback, since }) =>
        since <= before && standing(rollback) === 'active' ? [rollback] : [],
      );
    },
    all: () => [...entries.values()].map(({ rollback }) => rollback),
  };
}
