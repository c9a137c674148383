/**
 * What is in force: the state, its view, and the snapshot that the workers were last given.
 *
 * It promises that the workers always get a whole snapshot, and never one older than they have. A rollback that is on
 * its way to the store is in force here already: its rollout counts as rolled back in every view and snapshot. A write
 * may name the moment at which the workers begin to decide by it; until then only views show it.
 */
import type { ServiceView } from './service-view.ts';
import type { KeyData, ServiceSnapshot, Snapshot } from '../contract/snapshot.ts';
import { type CompiledPolicy, compileContext, compilePolicy, type PolicyContext } from '../policy/compile.ts';
import type { RememberedScopes } from '../policy/latch/latch-memory.ts';
import type { RolloutState } from '../policy/rollout.ts';
import { isActive } from '../rollout/lifecycle.ts';
import { refused } from '../rollout/refusal.ts';
import type { Discovery } from '../discovery/discovery.ts';
import { createActivation } from './activation.ts';
import {
  buildSnapshot,
  neededCredentials,
  neededNetworks,
  neededVariants,
  serviceSnapshot,
} from './build-snapshot.ts';
import type { Credentials } from '../credentials/credentials.ts';
import type { NetworkCache } from './network-cache.ts';
import { type ControlState, viewServices } from './state.ts';
import type { WorkerFleet } from '../contract/workers.ts';
import { after, guarded } from '../runtime/guard.ts';

export interface ActiveStateOptions {
  readonly initial: ControlState;
  readonly keys: readonly KeyData[];
  readonly networks: NetworkCache;
  readonly credentials: Credentials;
  readonly discovery: Discovery;
  readonly fleet: WorkerFleet;
  /** The latches that the workers hold, for what is explained; null: none. */
  readonly latches: RememberedScopes | null;
  /** Monotonic, in ms. */
  readonly now: () => number;
}

export interface RollbackAhead {
  /** What comes next is enacted by the caller. */
  settle(): void;
  /** The rollout is again as the writes left it. */
  undo(): void;
}

export interface ActiveState {
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
  /**
   * Hands the workers a snapshot of `next`, for which `ready` was called. `delays` has the services whose rollouts wait,
   * and until when, on the clock `now`.
   */
  enact(
    next: ControlState,
    more?: {
      readonly regionDatabase?: SharedArrayBuffer | null;
      readonly delays?: ReadonlyMap<string, number>;
    },
  ): void;
  /** Signs with the key of that id from now on. */
  signWith(keyId: string): void;
  /** The key that signs. */
  readonly signingKey: string;
  /** While true, every user of a rollout under way gets stable. */
  fence(on: boolean): void;
  readonly fenced: boolean;
  /** Ids of the rollouts that count as rolled back ahead of the store and that all workers treat so. */
  rolledBackByAll(): readonly string[];
  /** Hands the workers what is in force anew, with the endpoints of this moment. It waits for nothing, as a rollback does. */
  refreshEndpoints(): void;
  /** Treats the rollout as rolled back from now on. */
  rollBackAhead(rolloutId: string): RollbackAhead;
  /** The policy that the workers decide by, or that of another rollout of the service. */
  policy(name: string, rollout?: RolloutState): CompiledPolicy;
}

export function createActiveState(options: ActiveStateOptions): ActiveState {
  const { initial, networks, credentials, discovery, fleet, now } = options;
  let { keys } = options;
  let fenced = false;
  const activation = createActivation();
  let timer: NodeJS.Timeout | undefined;
  let state = initial;
  let regionDatabase: SharedArrayBuffer | null = null;
  let written: ReadonlyMap<string, ServiceView> = new Map();
  let views: ReadonlyMap<string, ServiceView> = new Map();
  let decided: ReadonlyMap<string, ServiceView> = new Map();
  let snapshot: Snapshot | null = null;
  let context: { readonly of: Snapshot; readonly compiled: PolicyContext } | null = null;
  const policies = new WeakMap<Snapshot, Map<string, CompiledPolicy>>();
  /** The rollbacks of a rollout that are on their way to the store, by its id: how many, and the first snapshot that has them. */
  const ahead = new Map<string, { count: number; sequence: number }>();

  function apply(): void {
    views = mapped(written, rolledBackAhead);
    decided = mapped(activation.views, (view) => (fenced ? stopped(view) : rolledBackAhead(view)));
    const { revision, configuration } = state;
    snapshot = buildSnapshot({
      revision: activation.revision(revision),
      configuration,
      services: decided.values(),
      keys,
      regionDatabase,
      credential: credentials.get,
      networks: networks.compiled,
      endpoints: discovery.endpoints,
    });
    const sequence = fleet.apply(snapshot);
    for (const one of ahead.values()) if (one.sequence === 0) one.sequence = sequence;
    awaitNext();
  }

  function awaitNext(): void {
    clearTimeout(timer);
    const next = activation.next();
    if (next !== null) timer = after(next - now(), guarded('activating a write', activate));
  }

  function activate(): void {
    // A timer may be early by a part of a millisecond.
    if (activation.advance(now() + 1)) apply();
    else awaitNext();
  }

  function rolledBackAhead(view: ServiceView): ServiceView {
    return view.rollout !== null && ahead.has(view.rollout.id) ? stopped(view) : view;
  }

  function snapshotOf(view: ServiceView): ServiceSnapshot {
    const { admin } = state.configuration;
    return serviceSnapshot(
      view,
      networks.compiled,
      credentials.get,
      discovery.endpoints,
      admin?.tlsDirectory,
    );
  }

  function contextOf(current: Snapshot): PolicyContext {
    if (context?.of !== current) {
      context = {
        of: current,
        compiled: compileContext(current, context?.compiled ?? null, options.latches),
      };
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
      await discovery.prepare(neededVariants(services.values()));
    },
    enact(next, { regionDatabase: database = regionDatabase, delays = new Map() } = {}) {
      state = next;
      regionDatabase = database;
      written = viewServices(state);
      activation.take(written, delays, now());
      apply();
      const used = [...written.values(), ...decided.values()];
      networks.keepOnly(neededNetworks(state.configuration, used));
      credentials.keepOnly(neededCredentials(state.configuration, used));
      discovery.keepOnly(neededVariants(used));
    },
    signWith(keyId) {
      const key = keys.find(({ id }) => id === keyId);
      if (key === undefined || key === keys[0]) return;
      keys = [key, ...keys.filter((one) => one !== key)];
      apply();
    },
    get signingKey() {
      return keys[0]!.id;
    },
    fence(on) {
      if (fenced === on) return;
      fenced = on;
      apply();
    },
    get fenced() {
      return fenced;
    },
    rolledBackByAll() {
      const sequence = Math.min(...fleet.appliedRevision().map((worker) => worker.sequence));
      return [...ahead].flatMap(([id, one]) => (one.sequence <= sequence ? [id] : []));
    },
    refreshEndpoints() {
      if (snapshot !== null) apply();
    },
    rollBackAhead(rolloutId) {
      const others = ahead.get(rolloutId);
      if (others === undefined) {
        ahead.set(rolloutId, { count: 1, sequence: 0 });
        apply();
      } else others.count += 1;
      let over = false;
      /** True when it was the last one. */
      const end = (): boolean => {
        if (over) return false;
        over = true;
        const one = ahead.get(rolloutId);
        if (one === undefined) return false;
        one.count -= 1;
        if (one.count === 0) ahead.delete(rolloutId);
        return one.count === 0;
      };
      return {
        settle: () => void end(),
        undo() {
          if (end()) apply();
        },
      };
    },
    policy(name, rollout) {
      const view = need(decided, name);
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

/** As if its rollout, if one is under way, were rolled back. */
function stopped(view: ServiceView): ServiceView {
  const { rollout } = view;
  if (rollout === null || !isActive(rollout.phase)) return view;
  return { ...view, rollout: { ...rollout, phase: 'rolledBack' } };
}

function mapped(
  from: ReadonlyMap<string, ServiceView>,
  change: (view: ServiceView) => ServiceView,
): ReadonlyMap<string, ServiceView> {
  return new Map([...from].map(([name, view]) => [name, change(view)]));
}
