/**
 * Compiles what decisions need: a context per snapshot, a policy per service.
 *
 * All work that can be done once per revision is done here, so that a decision only looks things up. Compiled policies
 * are immutable but for caches. What cannot be compiled throws a DocumentError; the caller keeps what it had.
 */
import {
  boundRollouts,
  decidesByFingerprint,
  UNBOUND,
  type BindableService,
  type BoundRollouts,
} from './identity/bound-rollouts.ts';
import { rolloutSalt, threshold } from './bucket.ts';
import type { Condition, ConditionContext } from './conditions/condition.ts';
import { compileMatch, type Match } from './conditions/match.ts';
import { compilePathSides } from './conditions/path-sides.ts';
import { RequestView } from './conditions/request-view.ts';
import { RuleIndex } from './conditions/rule-index.ts';
import { cookieWriter, latchCookie, type CookieOptions, type CookieWriter } from './cookies.ts';
import { DeviceCache } from './device.ts';
import { compileChain, MintedIds, type CompiledTier } from './identity/identity-chain.ts';
import { KeyRing, type KeyData } from './keys.ts';
import { KnownHashes } from './identity/known-hashes.ts';
import { latchScope, Latches, tagOf } from './latch/latch.ts';
import type { RememberedLatches, RememberedScopes } from './latch/latch-memory.ts';
import { compileNetworks, NetworkSet, type NetworkSetData } from '../ip/network.ts';
import { networksKey } from './network-lists.ts';
import { Overrides } from './override.ts';
import { openRegion, type Region } from './region.ts';
import type { IdentityTier } from './identity/identity-tier.ts';
import type { Phase, RolloutState } from './rollout.ts';
import type { RolloutDocument } from './schema.ts';

/** What a context is compiled from; a snapshot is one. */
export interface ContextSource {
  readonly segments: { readonly [name: string]: NetworkSetData };
  readonly followPeers: NetworkSetData;
  readonly regionDatabase: SharedArrayBuffer | null;
  readonly keys: readonly KeyData[];
  /** All services, where ids are minted for more than one of them. */
  readonly services?: readonly BindableService[];
}

/** What a policy is compiled from; a service of a snapshot is one. */
export interface PolicySource {
  readonly name: string;
  readonly pathPrefix: string;
  readonly identity: readonly IdentityTier[];
  readonly cookies: CookieOptions;
  readonly follow: readonly string[];
  readonly settings: { readonly fallbackToStable: boolean; readonly fallbackToCanary: boolean };
  readonly rollout: RolloutState | null;
  readonly revision: number;
  /** Networks compiled ahead, by the key that `ruleNetworks` gives them. */
  readonly networks: { readonly [key: string]: NetworkSetData };
}

/** What the policies of one snapshot share. */
export interface PolicyContext {
  readonly segments: ReadonlyMap<string, NetworkSet>;
  readonly followPeers: NetworkSet;
  readonly region: Region | null;
  readonly keys: KeyRing;
  readonly mintedIds: MintedIds;
  readonly latches: Latches;
  /** Null where workers do not share a memory of latches: that of one alone would split a user between them. */
  readonly latchMemory: RememberedScopes | null;
  readonly overrides: Overrides;
  readonly devices: DeviceCache;
  readonly hashes: KnownHashes;
  /** By service. */
  readonly bound: ReadonlyMap<string, BoundRollouts>;
}

/**
 * Compiles the context. Keys, region database and caches are taken over from `previous` where they are the same, so
 * that a new revision does not begin cold. With a `latchMemory`, whoever decides passes each decision's `remember` on to
 * the other replicas. Throws RegionError where the database is none.
 */
export function compileContext(
  source: ContextSource,
  previous: PolicyContext | null = null,
  latchMemory: PolicyContext['latchMemory'] = previous?.latchMemory ?? null,
): PolicyContext {
  const segments = new Map(
    Object.entries(source.segments).map(([name, data]) => [name, new NetworkSet(data)]),
  );
  const followPeers = new NetworkSet(source.followPeers);
  const region = compileRegion(source.regionDatabase, previous);
  const devices = previous?.devices ?? new DeviceCache();
  const hashes = previous?.hashes ?? new KnownHashes();
  const bound = boundRollouts(source.services ?? []);
  if (previous !== null && previous.keys.isMadeOf(source.keys)) {
    const { keys, mintedIds, latches, overrides } = previous;
    return {
      segments,
      followPeers,
      region,
      keys,
      mintedIds,
      latches,
      latchMemory,
      overrides,
      devices,
      hashes,
      bound,
    };
  }
  const keys = new KeyRing(source.keys);
  return {
    segments,
    followPeers,
    region,
    keys,
    devices,
    hashes,
    bound,
    latchMemory,
    mintedIds: new MintedIds(keys),
    latches: new Latches(keys),
    overrides: new Overrides(keys),
  };
}

function compileRegion(database: SharedArrayBuffer | null, previous: PolicyContext | null): Region | null {
  if (database === null) return null;
  const before = previous?.region ?? null;
  return before !== null && before.isOf(database) ? before : openRegion(database);
}

/** A rule that may admit. Its place in the list is its rank: the higher its percentage, the lower the rank. */
export interface CompiledRule {
  readonly name: string;
  readonly tag: string;
  readonly percentage: number;
  /** Buckets below it are admitted. */
  readonly threshold: number;
  readonly conditions: readonly Condition[];
  /** Those of method and path, which no latch stands in for. */
  readonly fixed: readonly Condition[];
  /** Whether there are others: something that can change under a user, be it the identity. */
  readonly changeable: boolean;
  /** Whether something can change while the identity stays the same. */
  readonly changesUnderIdentity: boolean;
}

export type CompiledExclude = Omit<CompiledRule, 'percentage' | 'threshold'>;

/** The rules of a running rollout. */
export interface CompiledRules {
  readonly rules: readonly CompiledRule[];
  /** The thresholds of `rules`, descending. */
  readonly thresholds: Float64Array;
  readonly index: RuleIndex;
  readonly ranks: ReadonlyMap<string, number>;
  readonly excludes: readonly CompiledExclude[];
  readonly excludeIndex: RuleIndex;
  readonly excludeRanks: ReadonlyMap<string, number>;
  /** Whether a rule asks for method or path, so that one user's requests may rightly differ. */
  readonly variesByRequest: boolean;
  /** How many rules have conditions that can change under a user. */
  readonly changeable: number;
  /** Whether a rule or an exclude has any condition. */
  readonly conditional: boolean;
  /** Whether servers may read a path on different sides of a condition; it costs nothing where no rule asks for paths. */
  isAmbiguous(path: string): boolean;
}

export interface CompiledPolicy {
  readonly service: string;
  readonly revision: number;
  readonly context: PolicyContext;
  readonly phase: Phase;
  readonly epoch: number;
  /** '' where there is no rollout. */
  readonly rolloutId: string;
  readonly rolloutTag: string;
  readonly fingerprintKey: string;
  readonly salt: string;
  readonly latchScope: string;
  readonly latchCookie: string;
  /** The latches of users who are known by a header; null where there can be none. */
  readonly remembered: RememberedLatches | null;
  readonly cookies: CookieWriter;
  /** Whether the service has all paths of its hosts that no longer prefix takes. */
  readonly atRoot: boolean;
  /** What newly minted ids are bound to. */
  readonly bound: BoundRollouts;
  readonly chain: readonly CompiledTier[];
  readonly follows: boolean;
  readonly fallbackToStable: boolean;
  readonly fallbackToCanary: boolean;
  /** Null unless the rollout is running or paused. */
  readonly rules: CompiledRules | null;
  readonly view: RequestView;
}

/** Compiles a service's policy. Throws DocumentError where a rule names what the context does not have. */
export function compilePolicy(service: PolicySource, context: PolicyContext): CompiledPolicy {
  const { rollout, settings } = service;
  const view = new RequestView();
  const decides = rollout !== null && (rollout.phase === 'running' || rollout.phase === 'paused');
  const scope = latchScope(service.name, rollout?.id ?? '');
  const remembers = decides && service.identity.some((tier) => 'header' in tier);
  return {
    service: service.name,
    revision: service.revision,
    context,
    phase: rollout?.phase ?? 'idle',
    epoch: rollout?.epoch ?? 0,
    rolloutId: rollout?.id ?? '',
    rolloutTag: rollout === null ? '' : tagOf(rollout.id),
    fingerprintKey: rollout?.fingerprintKey ?? context.keys.currentId,
    salt: rollout === null ? '' : rolloutSalt(service.name, rollout.epoch, rollout.seed),
    latchScope: scope,
    latchCookie: latchCookie(service.name),
    remembered: remembers ? (context.latchMemory?.scope(scope) ?? null) : null,
    cookies: cookieWriter(service.pathPrefix, service.cookies),
    atRoot: service.pathPrefix === '/',
    bound: context.bound.get(service.name) ?? boundAlone(service),
    chain: compileChain(service.identity),
    follows: service.follow.length > 0,
    fallbackToStable: settings.fallbackToStable,
    fallbackToCanary: settings.fallbackToCanary,
    rules: decides ? compileRules(rollout.document, service, context, view) : null,
    view,
  };
}

/** Of a service that nobody said what shares its hosts. */
function boundAlone({ identity, rollout }: PolicySource): BoundRollouts {
  if (rollout === null || !decidesByFingerprint({ identity, rollout })) return UNBOUND;
  return { tags: tagOf(rollout.id), fingerprintKey: rollout.fingerprintKey };
}

function compileRules(
  document: RolloutDocument,
  service: PolicySource,
  context: PolicyContext,
  view: RequestView,
): CompiledRules {
  const sets = new Map<string, NetworkSet>();
  const conditionContext: ConditionContext = {
    view,
    segments: context.segments,
    devices: context.devices,
    region: context.region,
    networks(cidrs) {
      const key = networksKey(cidrs);
      let set = sets.get(key);
      if (set === undefined) {
        const ahead = Object.hasOwn(service.networks, key) ? service.networks[key] : undefined;
        sets.set(key, (set = new NetworkSet(ahead ?? compileNetworks(cidrs))));
      }
      return set;
    },
  };
  const compile = (name: string, match: Match | undefined): CompiledExclude => {
    const conditions = compileMatch(match, name, conditionContext);
    const fixed = conditions.filter(({ about }) => about === 'request');
    return {
      name,
      tag: tagOf(name),
      conditions,
      fixed,
      changeable: fixed.length < conditions.length,
      changesUnderIdentity: conditions.some(({ about }) => about === 'user'),
    };
  };
  const rules = document.rules.map(({ name, match, percentage }) => ({
    ...compile(name, match),
    percentage,
    threshold: threshold(percentage),
  }));
  // By threshold, then by name: the order in the document must not matter, not even for what a decision names.
  rules.sort((a, b) => b.threshold - a.threshold || compareNames(a, b));
  const excludes = (document.exclude ?? []).map(({ name, match }) => compile(name, match)).sort(compareNames);
  const all = [...rules, ...excludes];
  return {
    rules,
    thresholds: Float64Array.from(rules, (rule) => rule.threshold),
    index: new RuleIndex(rules),
    ranks: new Map(rules.map(({ tag }, rank) => [tag, rank])),
    excludes,
    excludeIndex: new RuleIndex(excludes),
    excludeRanks: new Map(excludes.map(({ tag }, rank) => [tag, rank])),
    changeable: rules.filter(({ changeable }) => changeable).length,
    variesByRequest: all.some(({ fixed }) => fixed.length > 0),
    conditional: all.some(({ conditions }) => conditions.length > 0),
    isAmbiguous: compilePathSides(
      all.flatMap(({ conditions }) => conditions.flatMap(({ side }) => (side === null ? [] : [side]))),
    ),
  };
}

function compareNames(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
