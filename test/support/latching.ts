/** Replicas as far as latches go: a keeper, and decisions that are remembered as a worker would. */
import {
  createLatchKeeper,
  type HeldLatches,
  type LatchKeeper,
  type LatchNote,
} from '../../src/latches/latch-keeper.ts';
import type { ServiceSnapshot } from '../../src/contract/snapshot.ts';
import { KeyRing, type KeyData } from '../../src/policy/keys.ts';
import { type Latch, Latches, latchScope, tagOf } from '../../src/policy/latch/latch.ts';
import { LatchMemory } from '../../src/policy/latch/latch-memory.ts';
import { LatchTable } from '../../src/policy/latch/latch-table.ts';
import { policySource } from './policy-source.ts';

const KEYS: readonly KeyData[] = [{ id: 'k1', secret: new Uint8Array(32).fill(7) }];

export interface LatchingReplica extends LatchKeeper {
  readonly held: HeldLatches;
  /** The rollouts that are under way, by id. */
  run(...rolloutIds: readonly string[]): void;
  /** A worker decides on users, and tells. */
  decide(rolloutId: string, hashes: readonly number[], more?: { readonly excluded?: boolean }): void;
  /** Whether it knows of the user, and of an exclusion. */
  knows(rolloutId: string, hash: number): 'no' | 'admitted' | 'excluded';
}

export function latchingReplica(limit = 10_000): LatchingReplica {
  const keeper = createLatchKeeper(limit, 1);
  const memory = new LatchMemory(new LatchTable(keeper.memory, 1));
  const seals = new Latches(new KeyRing(KEYS));
  const listeners: ((batch: readonly LatchNote[]) => void)[] = [];
  const source = policySource(
    [{ name: 'office', match: { segment: 'office' }, percentage: 100 }],
    [{ header: 'x-user-id' }],
    'running',
  ) as unknown as ServiceSnapshot;
  const { name: service } = source;
  return {
    ...keeper,
    get scopes() {
      return keeper.scopes;
    },
    held: {
      rollouts: () => keeper.rollouts(),
      part: (rollout, part) => keeper.part(rollout, part),
      scope: (name) => keeper.scope(name),
      takeOver: (batch) => keeper.takeOver(batch),
      onDecided: (listener) => void listeners.push(listener),
    },
    run(...rolloutIds) {
      const services = rolloutIds.map((id, index) => ({
        ...source,
        name: index === 0 ? service : `${service}-${index}`,
        rollout: { ...source.rollout!, id },
      }));
      keeper.follow({ services, keys: KEYS });
    },
    decide(rolloutId, hashes, { excluded = false } = {}) {
      const rollout = keeper.rollouts().find((one) => one.rolloutId === rolloutId)!;
      const latchOf = (hash: number): Latch => ({
        scope: latchScope(rollout.service, rolloutId),
        bucket: hash % 1_000_000,
        revision: 1,
        admitted: excluded ? [] : [tagOf('office')],
        excluded: excluded ? [tagOf('vip')] : [],
      });
      const batch = hashes.map((identityHash) => ({
        ...rollout,
        identityHash,
        value: seals.seal(latchOf(identityHash), tagOf(rolloutId)),
      }));
      keeper.settle(batch);
      if (excluded) keeper.takeOver(batch);
      for (const listener of listeners) listener(batch);
    },
    knows(rolloutId, hash) {
      const rollout = keeper.rollouts().find((one) => one.rolloutId === rolloutId);
      if (rollout === undefined) return 'no';
      const scope = latchScope(rollout.service, rolloutId);
      memory.follow(keeper.scopes);
      const latch = memory.scope(scope)?.find(hash) ?? null;
      return latch === null ? 'no' : latch.excluded.length > 0 ? 'excluded' : 'admitted';
    },
  };
}
