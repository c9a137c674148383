/**
 * What is in force: the state, its view, and the snapshot that the workers were last given.
 *
 * It promises that the workers always get a whole snapshot, and never one older than they have. A rollback that is on
 * its way to the store is in force here already: its rollout counts as rolled back in every view and snapshot.
 */
import type { ServiceView } from '../admin/backend.ts';
import type { KeyData, ServiceSnapshot, Snapshot } from '../data-plane/snapshot.ts';
import { type CompiledPolicy, compileContext, compilePolicy, type PolicyContext } from '../policy/compile.ts';
import type { RolloutState } from '../policy/rollout.ts';
import { refused } from '../rollout/refusal.ts';
import { buildSnapshot, neededCredentials, neededNetworks, serviceSnapshot } from './build-snapshot.ts';
import type { Credentials } from './credentials.ts';
import type { NetworkCache } from './network-cache.ts';
import { type ControlState, viewServices } from './state.ts';
import type { WorkerFleet } from './worker-fleet.ts';

export interface InForceOptions {
  readonly initial: ControlState;
  readonly keys: readonly KeyData[];
  readonly networks: NetworkCache;
  readonly credentials: Credentials;
  readonly fleet: WorkerFleet;
}

export interface RollbackAhead {
  /** What comes next is enacted by the caller. */
  settle(): void;
  /** The rollout is again as the writes left it. */
  undo(): void;
}

export interface InForce {
  /** As the writes left it, without rollbacks that are still on their way to the store. */
  readonly state: ControlState;
  readonly regionDatabase: SharedArrayBuffer | null;
  readonly views: ReadonlyMap<string, ServiceView>;
  /** As `views` has it. Throws RefusedError `service_not_found`. */
  view(name: string): ServiceView;
  /** As the writes left it. Throws RefusedError `service_not_found`. */
  written(name: string): ServiceView;
  /** Compiles ahead what `next` needs. */
  ready(next: ControlState): Promise<void>;
  /** Hands the workers a snapshot of `next`, for which `ready` was called. */
  enact(next: ControlState, regionDatabase?: SharedArrayBuffer | null): void;
  /** Treats the rollout as rolled back from now on. */
  rollBackAhead(rolloutId: string): RollbackAhead;
  /** The policy that the workers decide by, or that of another rollout of the service. */
  policy(name: string, rollout?: RolloutState): CompiledPolicy;
}

export function createInForce(options: InForceOptions): InForce {
  const { initial, keys, networks, credentials, fleet } = options;
  let state = initial;
  let regionDatabase: SharedArrayBuffer | null = null;
  let written: ReadonlyMap<string, ServiceView> = new Map();
  let views: ReadonlyMap<string, ServiceView> = new Map();
  let snapshot: Snapshot | null = null;
  let context: { readonly of: Snapshot; readonly compiled: PolicyContext } | null = null;
  const policies = new WeakMap<Snapshot, Map<string, CompiledPolicy>>();
  /** How many rollbacks of a rollout are on their way to the store, by its id. */
  const ahead = new Map<string, number>();

  function apply(): void {
    written = viewServices(state);
    views = new Map([...written].map(([name, view]) => [name, rolledBackAhead(view)]));
    const { revision, configuration } = state;
    snapshot = buildSnapshot({
      revision,
      configuration,
      services: views.values(),
      keys,
      regionDatabase,
      credential: credentials.get,
      networks: networks.compiled,
    });
    fleet.apply(snapshot);
  }

  function rolledBackAhead(view: ServiceView): ServiceView {
    const { rollout } = view;
    if (rollout === null || !ahead.has(rollout.id)) return view;
    return { ...view, rollout: { ...rollout, phase: 'rolledBack' } };
  }

  function snapshotOf(view: ServiceView): ServiceSnapshot {
    return serviceSnapshot(view, networks.compiled, credentials.get);
  }

  function contextOf(current: Snapshot): PolicyContext {
    if (context?.of !== current) {
      context = { of: current, compiled: compileContext(current, context?.compiled ?? null) };
    }
    return context.compiled;
  }

  return {
    get state() {
      return state;
    },
    get regionDatabase() {
      return regionDatabase;
    },
    get views() {
      return views;
    },
    view: (name) => need(views, name),
    written: (name) => need(written, name),
    async ready(next) {
      const services = viewServices(next);
      await networks.compile(neededNetworks(next.configuration, services.values()));
      await credentials.read(neededCredentials(next.configuration, services.values()));
    },
    enact(next, database = regionDatabase) {
      state = next;
      regionDatabase = database;
      apply();
      networks.keepOnly(neededNetworks(state.configuration, written.values()));
      credentials.keepOnly(neededCredentials(state.configuration, written.values()));
    },
    rollBackAhead(rolloutId) {
      const others = ahead.get(rolloutId) ?? 0;
      ahead.set(rolloutId, others + 1);
      if (others === 0) apply();
      let over = false;
      /** True when it was the last one. */
      const end = (): boolean => {
        if (over) return false;
        over = true;
        const left = (ahead.get(rolloutId) ?? 1) - 1;
        if (left > 0) ahead.set(rolloutId, left);
        else ahead.delete(rolloutId);
        return left === 0;
      };
      return {
        settle: () => void end(),
        undo() {
          if (end()) apply();
        },
      };
    },
    policy(name, rollout) {
      const view = need(views, name);
      const current = snapshot;
      if (current === null) throw new Error('Nothing is in force yet.');
      if (rollout !== undefined) {
        return compilePolicy(snapshotOf({ ...view, rollout }), contextOf(current));
      }
      let known = policies.get(current);
      if (known === undefined) policies.set(current, (known = new Map<string, CompiledPolicy>()));
      let policy = known.get(name);
      if (policy === undefined) {
        policy = compilePolicy(snapshotOf(view), contextOf(current));
        known.set(name, policy);
      }
      return policy;
    },
  };
}

function need(from: ReadonlyMap<string, ServiceView>, name: string): ServiceView {
  const view = from.get(name);
  if (view === undefined) throw refused('service_not_found', `There is no service "${name}".`);
  return view;
}
