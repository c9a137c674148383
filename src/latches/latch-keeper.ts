/**
 * The main thread's side of the latches of header identities: which rollouts have any, and what comes from elsewhere.
 *
 * Promise: only genuine latches of rollouts under way are taken over. Those of a rollout that is over stay for a minute, in which
 * a worker may still decide by a former snapshot, and then go by and by, never so many at once that the thread is held up.
 */
import { KeyRing, type KeyData } from '../policy/keys.ts';
import { latchTableMemory, SCOPES } from '../policy/latch/latch-layout.ts';
import { type LatchScope, type RememberedLatches, ScopeLatches } from '../policy/latch/latch-memory.ts';
import { LatchTable } from '../policy/latch/latch-table.ts';
import { Latches, latchScope, tagOf } from '../policy/latch/latch.ts';
import type { RolloutDocument } from '../policy/schema.ts';
import type { LatchFigures } from '../telemetry/metrics-source.ts';
import type { ServiceSnapshot, Snapshot } from '../contract/snapshot.ts';

/** A latch that a decision made, as it travels between threads, replicas and the store. */
export interface LatchNote {
  readonly service: string;
  readonly rolloutId: string;
  readonly identityHash: number;
  /** Sealed, as in the cookie. */
  readonly value: string;
}

export type LatchRollout = Pick<LatchNote, 'service' | 'rolloutId'>;

/** What became of a batch. `lost`: it was genuine, but its place was not free in time; it may be given once more. */
export interface TakenOver {
  readonly taken: number;
  readonly refused: number;
  readonly lost: number;
}

/** Latch scopes by name, as workers need them. */
export type LatchScopes = Readonly<Record<string, LatchScope>>;

/** What other replicas and the store need of the latches of this one. */
export interface HeldLatches extends Pick<LatchKeeper, 'rollouts' | 'part' | 'takeOver' | 'scope'> {
  /** Calls `listener` with what workers decided: others have to know of it. */
  onDecided(listener: (batch: readonly LatchNote[]) => void): void;
}

export interface LatchKeeper {
  readonly memory: SharedArrayBuffer;
  /** Opens and ends scopes as the snapshot wants it; before workers get it. */
  follow(snapshot: Pick<Snapshot, 'services' | 'keys'>): void;
  readonly scopes: LatchScopes;
  takeOver(batch: readonly LatchNote[]): TakenOver;
  /** Keeps what a worker of this replica decided on and could not keep itself, because others wrote at that moment. */
  settle(batch: readonly LatchNote[]): void;
  /** The rollouts under way that may have latches. */
  rollouts(): readonly LatchRollout[];
  /** The latches of a rollout in one of some thousand parts, sealed anew; null after the last. */
  part(rollout: LatchRollout, part: number): readonly LatchNote[] | null;
  /** The latches of a scope for a decision that is only explained: it finds them and keeps none. */
  scope(name: string): RememberedLatches | null;
  /** A worker has ended: what it held is free. */
  workerEnded(index: number): void;
  /** Clears some of what is over. Call it every second or so; `now` in ms. */
  tidy(now: number): void;
  figures(): LatchFigures;
}

interface Opened {
  readonly rollout: LatchRollout;
  readonly latches: ScopeLatches;
  readonly rolloutTag: string;
  /** Whose rules have their numbers. */
  document: RolloutDocument | null;
  /** When it was first seen to be over; null while it is under way. */
  endedAt: number | null;
}

/** How long the latches of a rollout that is over stay, in ms. */
const STAY = 60_000;

/** Regions that one `tidy` clears; 10 to 20 µs each. */
const REGIONS_AT_ONCE = 128;

/** The owner number of a worker's table; the main thread's comes after them. */
export function latchOwner(worker: number): number {
  return worker + 1;
}

export function createLatchKeeper(limit: number, workers: number): LatchKeeper {
  const memory = latchTableMemory(limit);
  const table = new LatchTable(memory, latchOwner(workers));
  const opened = new Map<string, Opened>();
  const free = Array.from({ length: SCOPES }, (_, index) => SCOPES - 1 - index);
  /** Scopes whose latches go now, and the region that is next. */
  let going: readonly number[] = [];
  let nextRegion = 0;
  let serial = 0;
  let takenOver = 0;
  let refused = 0;
  let keys: readonly KeyData[] = [];
  let ring: KeyRing | null = null;
  let seals: Latches | null = null;

  function open(name: string, rollout: LatchRollout): Opened | null {
    const index = free.pop();
    if (index === undefined) return null;
    serial += 1;
    table.openScope(index, serial, serial);
    const latches = new ScopeLatches(name, { index, serial, tags: [] }, table, true);
    const scope = { rollout, latches, rolloutTag: tagOf(rollout.rolloutId), endedAt: null, document: null };
    opened.set(name, scope);
    return scope;
  }

  function takeOne({ service, rolloutId, identityHash, value }: LatchNote): 'taken' | 'refused' | 'lost' {
    const name = latchScope(service, rolloutId);
    const scope = opened.get(name);
    if (seals === null || scope === undefined || scope.endedAt !== null) return 'refused';
    if (!Number.isSafeInteger(identityHash) || identityHash < 0) return 'refused';
    const latch = seals.open(name, scope.rolloutTag, value);
    if (latch === null) return 'refused';
    const kept = scope.latches.keep(identityHash, latch);
    return kept === 'busy' ? 'lost' : kept === 'refused' ? 'refused' : 'taken';
  }

  return {
    memory,

    follow({ services, keys: nextKeys }) {
      if (seals === null || nextKeys !== keys) {
        keys = nextKeys;
        if (ring === null || !ring.isMadeOf(keys)) {
          ring = new KeyRing(keys);
          seals = new Latches(ring, KNOWN_SEALS);
        }
      }
      const wanted = new Set<string>();
      for (const service of services) {
        const { rollout } = service;
        if (rollout === null || !remembers(service)) continue;
        const name = latchScope(service.name, rollout.id);
        wanted.add(name);
        const scope = opened.get(name) ?? open(name, { service: service.name, rolloutId: rollout.id });
        if (scope === null) continue;
        if (scope.endedAt !== null) {
          scope.endedAt = null;
          table.setAge(scope.latches.scope.index, scope.latches.serial);
        }
        if (scope.document === rollout.document) continue;
        scope.document = rollout.document;
        for (const name of changeableRules(rollout.document)) scope.latches.numberRule(tagOf(name));
      }
      for (const [name, scope] of opened) {
        if (wanted.has(name) || scope.endedAt !== null) continue;
        scope.endedAt = Number.POSITIVE_INFINITY;
        table.setAge(scope.latches.scope.index, 0);
      }
    },

    get scopes() {
      return Object.fromEntries(Array.from(opened, ([name, { latches }]) => [name, latches.scope]));
    },

    takeOver(batch) {
      const counts = { taken: 0, refused: 0, lost: 0 };
      for (const note of batch) counts[takeOne(note)] += 1;
      takenOver += counts.taken;
      refused += counts.refused;
      return counts;
    },

    settle(batch) {
      for (const note of batch) {
        const scope = opened.get(latchScope(note.service, note.rolloutId));
        if (scope === undefined || scope.latches.find(note.identityHash) !== null) continue;
        if (takeOne(note) === 'lost') table.countLost(1);
      }
    },

    rollouts: () =>
      Array.from(opened.values())
        .filter(({ endedAt }) => endedAt === null)
        .map(({ rollout }) => rollout),

    part(rollout, part) {
      const scope = opened.get(latchScope(rollout.service, rollout.rolloutId));
      if (scope === undefined || seals === null || part >= table.regions) return null;
      const { latches, rolloutTag } = scope;
      const sealing = seals;
      return latches
        .list(part)
        .filter(({ latch }) => latch.admitted.length + latch.excluded.length > 0)
        .map(({ identityHash, latch }) => ({
          ...rollout,
          identityHash,
          value: sealing.seal(latch, rolloutTag),
        }));
    },

    scope(name) {
      const latches = opened.get(name)?.latches;
      if (latches === undefined) return null;
      return {
        get isEmpty() {
          return latches.isEmpty;
        },
        find: (identityHash) => latches.find(identityHash),
        keep: () => 'unchanged',
      };
    },

    workerEnded: (index) => table.release(latchOwner(index)),

    tidy(now) {
      if (going.length === 0) {
        const over: number[] = [];
        for (const [name, scope] of opened) {
          if (scope.endedAt === null) continue;
          scope.endedAt = Math.min(scope.endedAt, now);
          if (now - scope.endedAt < STAY) continue;
          const { index } = scope.latches.scope;
          table.freeScope(index);
          opened.delete(name);
          over.push(index);
        }
        going = over;
        nextRegion = 0;
      }
      if (going.length === 0) return;
      const gone = new Set(going);
      for (let count = 0; count < REGIONS_AT_ONCE && nextRegion < table.regions; count++) {
        if (table.clear(nextRegion, (scope) => gone.has(scope)) < 0) return;
        nextRegion += 1;
      }
      if (nextRegion < table.regions) return;
      free.push(...going);
      going = [];
    },

    figures: () => ({
      held: table.count,
      limit,
      bytes: table.bytes,
      takenOver,
      refused,
      evicted: table.evicted,
      lost: table.lost,
    }),
  };
}

/** Each comes once or twice; a larger memory of them would be of no use. */
const KNOWN_SEALS = 16;

/** Whether users of the service's rollout may have latches that no cookie of theirs carries. */
function remembers({ identity, rollout }: ServiceSnapshot): boolean {
  const decides = rollout?.phase === 'running' || rollout?.phase === 'paused';
  return decides && identity.some((tier) => 'header' in tier);
}

/** Rules that ask for more than method and path: only these are stood in for by a latch. */
function changeableRules({ rules, exclude = [] }: RolloutDocument): string[] {
  return [...rules, ...exclude]
    .filter(({ match = {} }) => Object.keys(match).some((kind) => kind !== 'method' && kind !== 'path'))
    .map(({ name }) => name);
}
