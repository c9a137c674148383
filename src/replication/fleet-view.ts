/** The fleet as `GET /v1/fleet` shows it. */
import packageJson from '../../package.json' with { type: 'json' };
import type { StoreCondition } from '../telemetry/store-counters.ts';
import type { ReplicaRecord } from './replica-record.ts';
import type { Member } from './membership.ts';
import type { SharedStore } from '../store/shared-store.ts';

export interface FleetView {
  /** The newest revision that this replica knows, which all workers are to decide by. */
  readonly revision: number;
  readonly store: {
    readonly condition: StoreCondition;
    /** What was wrong last, for people; null while it is available. */
    readonly trouble: string | null;
  };
  /** What replicas do not have alike, in sentences: while there is any, nobody is moved to the canary. */
  readonly disagreements: readonly string[];
  /** In order of their names. */
  readonly replicas: readonly ReplicaView[];
}

/** What a replica said of itself; `boot` and `address` are `''` where it is alone. */
export interface ReplicaView extends Pick<
  ReplicaRecord,
  'name' | 'boot' | 'version' | 'address' | 'startedAt' | 'workers' | 'rolledBack' | 'faults' | 'fenced'
> {
  readonly state: 'live' | 'unreachable';
  readonly leader: boolean;
  /** The lowest revision of its workers, -1 while one decides by none. */
  readonly revision: number;
  /** Since it was last heard of, in ms. */
  readonly ageMs: number;
}

/** The fleet of a replica that is alone: itself, always live, always leading. */
export function viewAlone(of: {
  readonly name: string;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly revision: number;
  readonly workers: readonly { readonly index: number; readonly revision: number }[];
  readonly storeAvailable: boolean;
}): FleetView {
  const { name, startedAt, revision, storeAvailable } = of;
  const workers = of.workers.map((worker) => ({ index: worker.index, revision: worker.revision }));
  return {
    revision,
    store: storeAvailable
      ? { condition: 'available', trouble: null }
      : { condition: 'unreachable', trouble: 'the last write did not reach the store' },
    disagreements: [],
    replicas: [
      {
        name,
        boot: '',
        version: packageJson.version,
        address: '',
        startedAt,
        state: 'live',
        leader: true,
        revision: Math.min(revision, ...workers.map((worker) => worker.revision)),
        workers,
        rolledBack: [],
        faults: [],
        fenced: false,
        ageMs: 0,
      },
    ],
  };
}

/** The fleet as a replica among others knows it. */
export function viewOfFleet(of: {
  readonly revision: number;
  readonly store: Pick<SharedStore, 'condition' | 'trouble'>;
  readonly disagreements: readonly string[];
  readonly members: readonly Member[];
  /** Whether the store has yet to hear that the rollout is rolled back. */
  readonly isAheadOfStore: (rolloutId: string) => boolean;
  /** The name of the replica that leads. */
  readonly leader: string | null;
}): FleetView {
  const { revision, store, disagreements, members, isAheadOfStore, leader } = of;
  return {
    revision,
    store: { condition: store.condition, trouble: store.trouble },
    disagreements,
    replicas: members.map(({ record, state, age }) => {
      const { name, boot, version, address, startedAt, workers, rolledBack, faults, fenced } = record;
      return {
        name,
        boot,
        version,
        address,
        startedAt,
        state,
        leader: leader === name,
        revision: Math.min(record.revision, ...workers.map((worker) => worker.revision)),
        workers,
        rolledBack: rolledBack.filter(isAheadOfStore),
        faults,
        fenced,
        ageMs: Math.round(age),
      };
    }),
  };
}
