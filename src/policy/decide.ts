/**
 * The decision: which variant a request gets, why, and what to remember of it.
 *
 * One safety order holds for every request: phase, exclude, override, follow, latch, rules and bucket, usable
 * endpoints. It is synchronous, keeps nothing between requests but caches, and allocates next to nothing where the
 * caches are warm. `explain` runs this very code.
 */
import { bucketOf, BUCKETS, identityHash } from './bucket.ts';
import type { CompiledExclude, CompiledPolicy, CompiledRules } from './compile.ts';
import { OVERRIDE_COOKIE, OVERRIDE_HEADER } from './cookies.ts';
import type { RequestFacts } from './facts.ts';
import { fingerprint, type MintedId } from './identity.ts';
import { withAdmission, withExclusion, type Latch } from './latch.ts';
import { REASONS, TIERS, type Reason, type Tier, type Variant } from './rollout.ts';
import { allHold } from './rule-index.ts';

/** Reusable and mutable, so that a connection needs one for all its requests. */
export interface Decision {
  variant: Variant;
  /** The variant before a fallback; analysis books outcomes on it. */
  assigned: Variant;
  fallback: boolean;
  /** Nothing may serve this request: answer 503. */
  unavailable: boolean;
  reason: Reason;
  /** The rule or exclude rule that decided; '' for none. */
  rule: string;
  /** -1 where none was needed or the request has no identity. */
  bucket: number;
  tier: Tier;
  /** 53 bits that stand for the user in this rollout; 0 where no identity was needed. */
  identityHash: number;
  epoch: number;
  revision: number;
  /** Complete `Set-Cookie` lines with CRLF, or ''. */
  setCookies: string;
  /** The request carries an override cookie, to be removed before it is forwarded. */
  stripCookie: boolean;
  /** A CORS preflight: it carries no cookies, so it may differ from the request it announces. */
  preflight: boolean;
  /** Another decision for this user must be the same while the revision is: flips are looked for. */
  comparable: boolean;
}

export const REASON_INDEX = indexOf(REASONS);
export const TIER_INDEX = indexOf(TIERS);

function indexOf<T extends string>(names: readonly T[]): { readonly [name in T]: number } {
  return Object.fromEntries(names.map((name, index) => [name, index])) as Record<T, number>;
}

/** Bits of `usable`. */
export const STABLE_USABLE = 1;
export const CANARY_USABLE = 2;

export function newDecision(): Decision {
  return {
    variant: 'stable',
    assigned: 'stable',
    fallback: false,
    unavailable: false,
    reason: 'idle',
    rule: '',
    bucket: -1,
    tier: 'none',
    identityHash: 0,
    epoch: 0,
    revision: 0,
    setCookies: '',
    stripCookie: false,
    preflight: false,
    comparable: false,
  };
}

/** What deciding found on its way, for `explain`. Valid until the next decision. */
export interface Trace {
  /** The tier that spoke; -1 for none. */
  tier: number;
  /** What stands for the user: a wire text; '' for none. */
  identity: string;
  minted: MintedId | null;
  /** A cookie that looks like a minted id did not verify. */
  forgedId: boolean;
  latch: Latch | null;
  /** The latch cookie's value, whatever it is worth. */
  latchCookie: string | undefined;
  override: 'none' | 'always' | 'never' | 'invalid';
}

export const trace: Trace = {
  tier: -1,
  identity: '',
  minted: null,
  forgedId: false,
  latch: null,
  latchCookie: undefined,
  override: 'none',
};

/** The bucket of a request without an identity: only a rule for all users admits it. */
export const NO_BUCKET = BUCKETS - 1;

/**
 * Decides. `usable`: bit 1 stable has a usable endpoint, bit 2 canary has. `nowSeconds` since 1970. `random` mints an
 * id of 16 to 64 characters of base64url; it is called only when one is minted. Fills and returns `out`.
 */
export function decide(
  policy: CompiledPolicy,
  facts: RequestFacts,
  usable: number,
  nowSeconds: number,
  random: () => string,
  out: Decision,
): Decision {
  begin(policy, facts, out);
  const { phase } = policy;
  if (phase === 'running' || phase === 'paused') {
    policy.view.begin(facts);
    decideByRules(policy, policy.rules!, facts, usable, nowSeconds, random, out);
    policy.view.end();
  } else {
    // Outside of a rollout nobody needs an identity, but returning users are to be known when the next one starts.
    findIdentity(policy, facts, '', random, out);
    if (trace.latchCookie !== undefined && phase !== 'promoted') {
      out.setCookies += policy.cookies.expire(policy.latchCookie, facts.secure);
    }
    out.reason = phase;
    settle(policy, out, phase === 'promoted' ? 'canary' : 'stable', usable, phase === 'promoted');
  }
  if (out.preflight) out.setCookies = '';
  return out;
}

function begin(policy: CompiledPolicy, facts: RequestFacts, out: Decision): void {
  out.fallback = false;
  out.unavailable = false;
  out.rule = '';
  out.bucket = -1;
  out.tier = 'none';
  out.identityHash = 0;
  out.epoch = policy.epoch;
  out.revision = policy.revision;
  out.setCookies = '';
  out.comparable = false;
  out.stripCookie = facts.cookie(OVERRIDE_COOKIE) !== undefined;
  out.preflight = facts.method === 'OPTIONS' && facts.header('access-control-request-method') !== undefined;
  trace.tier = -1;
  trace.identity = '';
  trace.minted = null;
  trace.forgedId = false;
  trace.latch = null;
  trace.latchCookie = facts.cookie(policy.latchCookie);
  trace.override = 'none';
}

/** Steps 2 to 6 of the safety order. */
function decideByRules(
  policy: CompiledPolicy,
  rules: CompiledRules,
  facts: RequestFacts,
  usable: number,
  nowSeconds: number,
  random: () => string,
  out: Decision,
): void {
  findIdentity(policy, facts, policy.rolloutTag, random, out);
  const { latchCookie } = trace;
  const latch =
    latchCookie === undefined
      ? null
      : policy.context.latches.open(policy.latchScope, policy.rolloutTag, latchCookie);
  trace.latch = latch;
  if (latchCookie !== undefined && latch === null) {
    // Overwritten below where this request is admitted: the later line of one name counts.
    out.setCookies += policy.cookies.expire(policy.latchCookie, facts.secure);
  }

  const exclude = findExclude(policy, rules, latch);
  if (exclude !== null) {
    out.reason = 'exclude';
    out.rule = exclude.name;
    if (latch !== null) rememberExclusion(policy, exclude, latch, facts, out);
    settle(policy, out, 'stable', usable, false);
    return;
  }

  const override = findOverride(policy, facts, nowSeconds, out);
  if (override !== null) {
    out.reason = 'override';
    // As asked or not at all: a test of the canary must never silently test stable.
    settle(policy, out, override === 'always' ? 'canary' : 'stable', usable, false);
    return;
  }

  if (policy.follows && policy.context.followPeers.contains(facts.peer)) {
    const followed = facts.header('x-canary');
    if (followed === 'canary' || followed === 'stable') {
      out.reason = 'follow';
      settle(policy, out, followed, usable, true);
      return;
    }
  }

  decideByBucket(policy, rules, facts, latch, out);
  out.comparable = isComparable(rules, out);
  settle(policy, out, out.reason === 'noMatch' ? 'stable' : 'canary', usable, true);
}

/**
 * Rules on method or path may rightly treat two requests of one user differently. Several people may share a
 * fingerprint; where rules look at more than it, so may their requests be.
 */
function isComparable(rules: CompiledRules, out: Decision): boolean {
  if (rules.variesByRequest || out.preflight || out.identityHash === 0) return false;
  return out.tier !== 'fingerprint' || !rules.conditional;
}

/** Steps 5 and 6: latch, rules and bucket. */
function decideByBucket(
  policy: CompiledPolicy,
  rules: CompiledRules,
  facts: RequestFacts,
  latch: Latch | null,
  out: Decision,
): void {
  const { view } = policy;
  const tier = trace.tier < 0 ? undefined : policy.chain[trace.tier];
  let bucket = NO_BUCKET;
  if (tier !== undefined) {
    out.tier = tier.kind;
    out.bucket = bucket = bucketOf(hashOfUser(policy, out));
  }
  if (latch !== null) {
    out.bucket = bucket = latch.bucket;
    for (let index = latch.admitted.length - 1; index >= 0; index--) {
      const rank = rules.ranks.get(latch.admitted[index]!);
      if (rank === undefined) continue;
      const rule = rules.rules[rank]!;
      if (bucket < rule.threshold && allHold(rule.fixed, view)) {
        out.reason = 'latch';
        out.rule = rule.name;
        return;
      }
    }
  }
  const limit = countAbove(rules.thresholds, bucket);
  const rank = limit === 0 ? -1 : rules.index.first(view, limit);
  if (rank < 0) {
    out.reason = 'noMatch';
    return;
  }
  const rule = rules.rules[rank]!;
  out.reason = 'rule';
  out.rule = rule.name;
  const before = latch ?? {
    scope: policy.latchScope,
    bucket,
    revision: policy.revision,
    admitted: [],
    excluded: [],
  };
  setLatch(policy, withAdmission(before, rule.tag), facts, out);
}

/** How many of the descending thresholds are above the bucket: these rules may admit it, no other. */
function countAbove(thresholds: Float64Array, bucket: number): number {
  let low = 0;
  let high = thresholds.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (thresholds[middle]! > bucket) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The hash that the bucket comes from; also notes the hash that tells this user from others. */
function hashOfUser(policy: CompiledPolicy, out: Decision): number {
  const { minted, identity } = trace;
  if (minted === null) return (out.identityHash = identityHash(policy.salt, identity));
  if (minted.hashSalt !== policy.salt) {
    minted.hash = identityHash(policy.salt, identity);
    minted.userHash = identity === minted.id ? minted.hash : identityHash(policy.salt, minted.id);
    minted.hashSalt = policy.salt;
  }
  out.identityHash = minted.userHash;
  return minted.hash;
}

/**
 * Walks the identity chain, and mints an id where the chain asks for one. `rolloutTag` is '' between rollouts; in a
 * rollout the new id carries the fingerprint that this request is decided by.
 */
function findIdentity(
  policy: CompiledPolicy,
  facts: RequestFacts,
  rolloutTag: string,
  random: () => string,
  out: Decision,
): void {
  const { chain, context } = policy;
  let minting = -1;
  for (let index = 0; index < chain.length; index++) {
    const tier = chain[index]!;
    if (tier.kind === 'header' || tier.kind === 'cookie') {
      const value = tier.kind === 'header' ? facts.header(tier.name) : facts.cookie(tier.name);
      // An empty value is nobody's: it would lump all who send it together.
      if (value === undefined || value === '') continue;
      trace.tier = index;
      trace.identity = value;
      return;
    }
    if (tier.kind === 'minted') {
      const value = facts.cookie(tier.name);
      const minted = value === undefined ? null : context.mintedIds.open(policy.service, value);
      if (minted !== null) {
        trace.tier = index;
        trace.minted = minted;
        trace.identity =
          rolloutTag !== '' && minted.rolloutTag === rolloutTag ? minted.fingerprint : minted.id;
        return;
      }
      if (value !== undefined) trace.forgedId = true;
      if (tier.mints && minting < 0) minting = index;
      continue;
    }
    trace.tier = index;
    if (rolloutTag !== '') trace.identity = fingerprint(facts, context.keys, policy.fingerprintKey);
    break;
  }
  // A preflight carries no cookies and keeps none.
  if (minting < 0 || out.preflight) return;
  const { name } = chain[minting]!;
  const id = random();
  const bound = rolloutTag !== '' && trace.tier >= 0;
  const value = context.mintedIds.seal(
    policy.service,
    id,
    bound ? rolloutTag : '',
    bound ? trace.identity : '',
  );
  out.setCookies += policy.cookies.set(name, value, facts.secure);
  if (trace.tier < 0) {
    trace.tier = minting;
    trace.identity = id;
  }
}

/** The exclude rule that holds for this request, or that a latch remembers and whose method and path hold. */
function findExclude(
  policy: CompiledPolicy,
  rules: CompiledRules,
  latch: Latch | null,
): CompiledExclude | null {
  if (rules.excludes.length === 0) return null;
  const rank = rules.excludeIndex.first(policy.view, rules.excludes.length);
  if (rank >= 0) return rules.excludes[rank]!;
  if (latch === null) return null;
  for (const tag of latch.excluded) {
    const remembered = rules.excludeRanks.get(tag);
    if (remembered === undefined) continue;
    const exclude = rules.excludes[remembered]!;
    if (allHold(exclude.fixed, policy.view)) return exclude;
  }
  return null;
}

/**
 * An exclude that hits a latched user wins for good: the latch now remembers it instead of the admission. One that asks
 * for method or path alone says nothing of the user, and one that asks for them as well leaves the other requests be.
 */
function rememberExclusion(
  policy: CompiledPolicy,
  exclude: CompiledExclude,
  latch: Latch,
  facts: RequestFacts,
  out: Decision,
): void {
  if (latch.admitted.length === 0 || latch.excluded.includes(exclude.tag)) return;
  if (exclude.fixed.length === exclude.conditions.length) return;
  setLatch(policy, withExclusion(latch, exclude.tag, exclude.fixed.length === 0), facts, out);
}

function setLatch(policy: CompiledPolicy, latch: Latch, facts: RequestFacts, out: Decision): void {
  const value = policy.context.latches.seal(latch, policy.rolloutTag);
  out.setCookies += policy.cookies.set(policy.latchCookie, value, facts.secure);
}

function findOverride(
  policy: CompiledPolicy,
  facts: RequestFacts,
  nowSeconds: number,
  out: Decision,
): 'always' | 'never' | null {
  const header = facts.header(OVERRIDE_HEADER);
  if (header === undefined && !out.stripCookie) return null;
  const { overrides } = policy.context;
  let mode = header === undefined ? null : overrides.verify(header, policy.service, nowSeconds);
  if (mode === null && out.stripCookie) {
    mode = overrides.verify(facts.cookie(OVERRIDE_COOKIE) ?? '', policy.service, nowSeconds);
  }
  trace.override = mode ?? 'invalid';
  return mode;
}

/** Step 7: the variant that serves. A fallback to canary needs the operator's leave, and a cause that allows it. */
function settle(
  policy: CompiledPolicy,
  out: Decision,
  assigned: Variant,
  usable: number,
  mayFallBack: boolean,
): void {
  out.assigned = assigned;
  out.variant = assigned;
  if ((usable & (assigned === 'canary' ? CANARY_USABLE : STABLE_USABLE)) !== 0) return;
  const other = assigned === 'canary' ? 'stable' : 'canary';
  const allowed = mayFallBack && (other === 'stable' ? policy.fallbackToStable : policy.fallbackToCanary);
  if (allowed && (usable & (other === 'canary' ? CANARY_USABLE : STABLE_USABLE)) !== 0) {
    out.variant = other;
    out.fallback = true;
  } else {
    out.unavailable = true;
  }
}
