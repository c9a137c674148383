/**
 * The active state: what the writes left, minus the rollouts that have a tombstone, and the snapshot of it that the workers were
 * last given.
 *
 * It promises that the workers always get a whole snapshot, and never one older than they have, and that no view and no snapshot
 * shows a rollout under way that is rolled back, whatever the store says. A write may name the moment at which the workers
 * begin to decide by it; until then only views show it.
 */
import type { ServiceView } from './service-view.ts';
import type { KeyData, ServiceSnapshot, Snapshot } from '../contract/snapshot.ts';
import { type CompiledPolicy, compileContext, compilePolicy, type PolicyContext } from '../policy/compile.ts';
import type { RememberedScopes } from '../policy/latch/latch-memory.ts';
import type { RolloutState } from '../policy/rollout.ts';
import { isActive } from '../rollout/lifecycle.ts';
import type { Tombstones } from '../rollout/tombstones.ts';
import { refused } from '../rollout/refusal.ts';
import type { Discovery } from '../discovery/discovery.ts';
import { type Activation, createActivation } from './activation.ts';
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
import type { Workers } from '../contract/workers.ts';
import { after, guarded } from '../runtime/guard.ts';

export interface ActiveStateOptions {
  readonly initial: ControlState;
  readonly tombstones: Pick<Tombstones, 'has'>;
  readonly keys: readonly KeyData[];
  readonly networks: NetworkCache;
  readonly credentials: Credentials;
  readonly discovery: Discovery;
  readonly workers: Workers;
  /** The latches that the workers hold, for what is explained; null: none. */
  readonly latches: RememberedScopes | null;
  /** Monotonic, in ms. */
  readonly monotonicNow: () => number;
}

type Views = ReadonlyMap<string, ServiceView>;

export class ActiveState {
  readonly #options: ActiveStateOptions;
  readonly #activation: Activation = createActivation();
  readonly #policies = new WeakMap<Snapshot, Map<string, CompiledPolicy>>();
  #keys: readonly KeyData[];
  #fenced = false;
  #timer: NodeJS.Timeout | undefined;
  #state: ControlState;
  #regionDatabase: SharedArrayBuffer | null = null;
  /** As the writes left it. */
  #written: Views = new Map();
  /** Minus tombstones. */
  #views: Views = new Map();
  /** What the workers decide by. */
  #decided: Views = new Map();
  #snapshot: Snapshot | null = null;
  #context: { readonly of: Snapshot; readonly compiled: PolicyContext } | null = null;

  constructor(options: ActiveStateOptions) {
    this.#options = options;
    this.#keys = options.keys;
    this.#state = options.initial;
  }

  /** As the writes left it: a rollout may be under way in it that has a tombstone. */
  get state(): ControlState {
    return this.#state;
  }

  get regionDatabase(): SharedArrayBuffer | null {
    return this.#regionDatabase;
  }

  /** The services as they are, without rollouts that are rolled back. */
  get views(): Views {
    return this.#views;
  }

  /** As `views` has it. Throws RefusedError `service_not_found`. */
  view(name: string): ServiceView {
    return need(this.#views, name);
  }

  /** As the writes left it. Throws RefusedError `service_not_found`. */
  written(name: string): ServiceView {
    return need(this.#written, name);
  }

  /** The rollouts of a service that a rollback of it is about: as written, and as the workers decide while that waits. */
  rolloutsOf(name: string): readonly RolloutState[] {
    const rollouts = [this.#written, this.#activation.views].flatMap(
      (views) => views.get(name)?.rollout ?? [],
    );
    return [...new Map(rollouts.map((one) => [one.id, one])).values()];
  }

  /** Compiles ahead what `next` needs. */
  async ready(next: ControlState): Promise<void> {
    const { networks, credentials, discovery } = this.#options;
    const services = viewServices(next);
    await networks.compile(neededNetworks(next.configuration, services.values()));
    await credentials.read(neededCredentials(next.configuration, services.values()));
    await discovery.prepare(neededVariants(services.values()));
  }

  /**
   * Hands the workers a snapshot of `next`, for which `ready` was called. `delays` has the services whose rollouts wait,
   * and until when, on the clock `now`.
   */
  enact(
    next: ControlState,
    more: {
      readonly regionDatabase?: SharedArrayBuffer | null;
      readonly delays?: ReadonlyMap<string, number>;
    } = {},
  ): void {
    const { networks, credentials, discovery, monotonicNow } = this.#options;
    this.#state = next;
    if (more.regionDatabase !== undefined) this.#regionDatabase = more.regionDatabase;
    this.#written = viewServices(next);
    this.#activation.takeViews(this.#written, more.delays ?? new Map(), monotonicNow());
    this.#apply();
    const used = [...this.#written.values(), ...this.#decided.values()];
    networks.keepOnly(neededNetworks(next.configuration, used));
    credentials.keepOnly(neededCredentials(next.configuration, used));
    discovery.keepOnly(neededVariants(used));
  }

  /**
   * Hands the workers what is active anew, after the tombstones have grown. It waits for nothing. Gives the snapshot's number; 0
   * before the first one, which has them.
   */
  enforceTombstones(): number {
    return this.#snapshot === null ? 0 : this.#apply();
  }

  /** Hands the workers what is active anew, with the endpoints of this moment. It waits for nothing, as a rollback does. */
  refreshEndpoints(): void {
    if (this.#snapshot !== null) this.#apply();
  }

  /** Signs with the key of that id from now on. */
  signWith(keyId: string): void {
    const keys = this.#keys;
    const key = keys.find(({ id }) => id === keyId);
    if (key === undefined || key === keys[0]) return;
    this.#keys = [key, ...keys.filter((one) => one !== key)];
    this.#apply();
  }

  /** The key that signs. */
  get signingKey(): string {
    return this.#keys[0]!.id;
  }

  /** While true, every user of a rollout under way gets stable. */
  fence(on: boolean): void {
    if (this.#fenced === on) return;
    this.#fenced = on;
    this.#apply();
  }

  get fenced(): boolean {
    return this.#fenced;
  }

  /** The policy that the workers decide by, or that of another rollout of the service. */
  policy(name: string, rollout?: RolloutState): CompiledPolicy {
    const view = need(this.#decided, name);
    const current = this.#snapshot;
    if (current === null) throw new Error('Nothing is active yet.');
    if (rollout !== undefined) {
      return compilePolicy(this.#snapshotOf({ ...view, rollout }), this.#contextOf(current));
    }
    let known = this.#policies.get(current);
    if (known === undefined) this.#policies.set(current, (known = new Map<string, CompiledPolicy>()));
    let policy = known.get(name);
    if (policy === undefined) {
      policy = compilePolicy(this.#snapshotOf(view), this.#contextOf(current));
      known.set(name, policy);
    }
    return policy;
  }

  #apply(): number {
    const { credentials, discovery, networks, tombstones, workers } = this.#options;
    const minusTombstones = (view: ServiceView): ServiceView =>
      view.rollout !== null && tombstones.has(view.rollout.id) ? stopped(view) : view;
    this.#views = mapped(this.#written, minusTombstones);
    this.#decided = mapped(this.#activation.views, this.#fenced ? stopped : minusTombstones);
    const { revision, configuration } = this.#state;
    this.#snapshot = buildSnapshot({
      revision: this.#activation.revision(revision),
      configuration,
      services: this.#decided.values(),
      keys: this.#keys,
      regionDatabase: this.#regionDatabase,
      credential: credentials.get,
      networks: networks.compiled,
      endpoints: discovery.endpoints,
    });
    const sequence = workers.apply(this.#snapshot);
    this.#awaitNext();
    return sequence;
  }

  #awaitNext(): void {
    clearTimeout(this.#timer);
    const next = this.#activation.next();
    if (next === null) return;
    const { monotonicNow } = this.#options;
    this.#timer = after(
      next - monotonicNow(),
      guarded('activating a write', () => {
        // A timer may be early by a part of a millisecond.
        if (this.#activation.advance(monotonicNow() + 1)) this.#apply();
        else this.#awaitNext();
      }),
    );
  }

  #snapshotOf(view: ServiceView): ServiceSnapshot {
    const { networks, credentials, discovery } = this.#options;
    const { admin } = this.#state.configuration;
    return serviceSnapshot(
      view,
      networks.compiled,
      credentials.get,
      discovery.endpoints,
      admin?.tlsDirectory,
    );
  }

  #contextOf(current: Snapshot): PolicyContext {
    if (this.#context?.of !== current) {
      const { latches } = this.#options;
      this.#context = {
        of: current,
        compiled: compileContext(current, this.#context?.compiled ?? null, latches),
      };
    }
    return this.#context.compiled;
  }
}

function need(from: Views, name: string): ServiceView {
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

function mapped(from: Views, change: (view: ServiceView) => ServiceView): Views {
  return new Map([...from].map(([name, view]) => [name, change(view)]));
}
