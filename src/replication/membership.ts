/**
 * Who is in the fleet, how each replica is, and what follows from that: which changes are applied, whether raises are
 * safe, which keys may sign. Pure: it is told records and asks a clock.
 *
 * A replica is known by its name, which outlives a restart; a new boot takes the place of the former one. A former boot
 * that goes on talking shows that two processes share one name: then both count, and that is reported. Somebody who
 * plays recorded records again makes no replica younger; one that nobody remembers may look live again, as far as the
 * recording goes, and holds up changes for so long, nothing else.
 */
import { type Acknowledgement, acknowledge } from './acknowledgement.ts';
import { agreedKeys, type Pinned, disagreementsOf } from './agreement.ts';
import type { Target } from '../rollout/reach.ts';
import type { Digests, ReplicaRecord } from './replica-record.ts';

/** An unreachable replica is forgotten after so long, in ms. */
const FORGET_TIME = 24 * 3_600_000;
/** How much later than agreed a replica may have fenced itself, in ms. */
const FENCE_MARGIN = 5000;
/** How often a former boot must have said something new before it counts as alive: one may have been under way. */
const SIGNS_OF_LIFE = 2;
/** Former boots that are remembered. */
const MOST_FORMER = 1000;

export interface MembershipOptions {
  /** This replica: its name, and the boot of this process. */
  readonly self: { readonly name: string; readonly boot: string };
  /** How long a replica counts as live without a word from it, in ms. */
  readonly lease: number;
  /** After how long without the store a replica gives stable to everybody, in ms. */
  readonly maxStaleness: number;
  /** An awake clock, in ms: while this replica slept it heard nobody, which makes nobody silent. */
  readonly monotonicNow: () => number;
}

export interface Member {
  readonly record: ReplicaRecord;
  readonly state: 'live' | 'unreachable';
  /** Since it was last heard of, in ms. */
  readonly age: number;
}

export interface Membership {
  /**
   * A record, said `age` ms ago: 0 from its replica itself, more from the store. Also this replica's own records are
   * heard, so that it counts like the others.
   */
  hear(record: ReplicaRecord, age: number): void;
  /**
   * The whole register as one sync with the store gave it: hears all of it, and notes that the store was reached. This
   * replica itself need not be in it.
   */
  synced(register: readonly { readonly record: ReplicaRecord; readonly age: number }[]): void;
  /** The replica said that it stops, or left the register; with a boot, only that process. If it goes on talking, it is back. */
  left(name: string, boot?: string): void;
  /** In order of their names. */
  replicas(): readonly Member[];
  /** How far a change has got. */
  acknowledgement(target: Target): Acknowledgement;
  /**
   * What live replicas have otherwise than this one, in sentences; also that two of them share a name. While there is
   * any, nobody may be moved to the canary. `pinned` is what running rollouts need every replica to know.
   */
  disagreements(own: Digests, pinned?: Pinned): readonly string[];
  /** Ids of the keys that every live replica has, the same under the same id. */
  commonKeys(own: Digests): ReadonlySet<string>;
}

interface Known {
  record: ReplicaRecord;
  /** By `now`. */
  heardAt: number;
  /** When the store last had word of it, or since when it has had the chance to give it. */
  storedAt: number;
}

export function createMembership({ self, lease, maxStaleness, monotonicNow }: MembershipOptions): Membership {
  /** By boot. */
  const members = new Map<string, Known>();
  /** Boots that another one replaced or that left, with what they have said since. */
  const former = new Map<string, { sequence: number; signs: number }>();
  let syncedAt = -Infinity;

  function hear(record: ReplicaRecord, age: number): void {
    const heardAt = monotonicNow() - Math.max(0, age);
    const { boot, sequence } = record;
    const known = members.get(boot);
    if (known !== undefined) {
      // What was said before makes nobody younger when it is said again; only the store knows when it was said.
      if (sequence < known.record.sequence || (sequence === known.record.sequence && age <= 0)) return;
      known.record = record;
      // Back from where nobody heard of it: it has a lease to show in the store again.
      if (heardAt - known.heardAt > lease) known.storedAt = Math.max(known.storedAt, heardAt);
      known.heardAt = Math.max(known.heardAt, heardAt);
      return;
    }
    const others = [...members].filter(([, { record: other }]) => other.name === record.name);
    const last = former.get(boot);
    if (last !== undefined) {
      if (sequence <= last.sequence) return;
      last.sequence = sequence;
      last.signs++;
      if (last.signs < SIGNS_OF_LIFE) return;
      former.delete(boot);
      members.set(boot, { record, heardAt, storedAt: heardAt });
      return;
    }
    // Only this process itself knows for sure that it is alive.
    if (others.some(([other, { heardAt: at }]) => other === self.boot || at > heardAt)) {
      retire(boot, sequence);
      return;
    }
    for (const [other, { record: replaced }] of others) {
      members.delete(other);
      retire(other, replaced.sequence);
    }
    members.set(boot, { record, heardAt, storedAt: heardAt });
  }

  function retire(boot: string, sequence: number): void {
    former.delete(boot);
    former.set(boot, { sequence, signs: 0 });
    if (former.size > MOST_FORMER) former.delete(former.keys().next().value!);
  }

  function replicas(): (Member & Pick<Known, 'heardAt' | 'storedAt'>)[] {
    const time = monotonicNow();
    for (const [boot, { heardAt }] of members) {
      if (time - heardAt > FORGET_TIME) members.delete(boot);
    }
    const all = [...members.values()].map(({ record, heardAt, storedAt }) => {
      const age = time - heardAt;
      return {
        record,
        heardAt,
        storedAt,
        age,
        state: age > lease ? ('unreachable' as const) : ('live' as const),
      };
    });
    // Of two with one name that both lived, one that is silent now was stopped.
    return all
      .filter(
        (one) => one.state === 'live' || !all.some((other) => isTwin(one, other) && other.age < one.age),
      )
      .toSorted((a, b) => compare(a.record.name, b.record.name) || compare(a.record.boot, b.record.boot));
  }

  /**
   * It was heard of for a whole lease after the store last had word of it, so it is not silent altogether. Only who looks into
   * the store can tell; this replica itself never is, as far as others can be judged by it.
   */
  function isCutOff({ record: { boot }, heardAt, storedAt }: Known): boolean {
    const looking = monotonicNow() - syncedAt <= lease;
    return boot !== self.boot && looking && Math.min(heardAt, syncedAt) - storedAt > lease;
  }

  const live = (): readonly ReplicaRecord[] =>
    replicas()
      .filter(({ state }) => state === 'live')
      .map(({ record }) => record);

  return {
    hear,
    synced(register) {
      syncedAt = monotonicNow();
      for (const { record, age } of register) {
        hear(record, age);
        const known = members.get(record.boot);
        if (known !== undefined) known.storedAt = Math.max(known.storedAt, syncedAt - age);
      }
    },
    left(name, boot) {
      for (const [one, { record }] of members) {
        if (record.name !== name || one === self.boot || (boot !== undefined && boot !== one)) continue;
        members.delete(one);
        retire(one, record.sequence);
      }
    },
    replicas,
    acknowledgement: (target) =>
      acknowledge(
        target,
        replicas().map(({ record, state, heardAt, storedAt }) => ({
          record,
          live: state === 'live',
          cutOff: state === 'live' && isCutOff({ record, heardAt, storedAt }),
          // By the last look into the store, not by now: while nobody can look, the replica may still reach the store.
          hasFenced: record.fenced || syncedAt - heardAt > maxStaleness + FENCE_MARGIN,
        })),
      ),
    disagreements: (own, pinned) =>
      disagreementsOf(
        own,
        self,
        live().filter(({ boot }) => boot !== self.boot),
        pinned,
      ),
    commonKeys: (own) =>
      agreedKeys(
        own,
        live().filter(({ boot }) => boot !== self.boot),
      ),
  };
}

function isTwin(a: Member, b: Member): boolean {
  return a.record.name === b.record.name && a.record.boot !== b.record.boot;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
