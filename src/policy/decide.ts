/**
 * The decision: which variant a request gets, why, and what to remember of it.
 *
 * One safety order holds for every request: phase, exclude, override, follow, latch, rules and bucket, usable
 * endpoints. It is synchronous, keeps nothing between requests but caches, and allocates next to nothing where the
 * caches are warm. `explain` runs this very code.
 */
import { bucketOf, BUCKETS, countAbove } from './bucket.ts';
import type { CompiledExclude, CompiledPolicy, CompiledRule, CompiledRules } from './compile.ts';
import { OVERRIDE_COOKIE, OVERRIDE_HEADER } from './cookies.ts';
import type { RequestFacts } from './facts.ts';
import {
  findIdentity,
  givenIdentity,
  hashOfIdentity,
  hashOfOther,
  hashOfUser,
} from './identity/find-identity.ts';
import type { Latch } from './latch/latch.ts';
import {
  findLatch,
  latchedExclude,
  latchedRule,
  rememberAdmissions,
  rememberExclusion,
} from './latch/latching.ts';
import type { Decision } from './decision.ts';
import type { Override, OverrideMode } from './override.ts';
import type { Variant } from './rollout.ts';
import { resetTrace, trace } from './trace.ts';

/** Bits of `usable`. */
export const STABLE_USABLE = 1;
export const CANARY_USABLE = 2;

/** The bucket of a request without an identity: only a rule for all users admits it. */
export const NO_BUCKET = BUCKETS - 1;

/**
 * Decides. `usable`: STABLE_USABLE and CANARY_USABLE, or-ed. `nowSeconds` since 1970. `random` mints an id of 16 to 64
 * characters of base64url; it is called only when one is minted. Fills and returns `out`.
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
  if (policy.rules === null) decideByPhase(policy, facts, usable, random, out);
  else decideByRules(policy, policy.rules, facts, usable, nowSeconds, random, out);
  // A preflight is answered for a script, not for a user; browsers keep none of its cookies.
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
  out.otherHash = 0;
  out.epoch = policy.epoch;
  out.revision = policy.revision;
  out.setCookies = '';
  out.stripCookie = facts.cookie(OVERRIDE_COOKIE) !== undefined;
  out.preflight = facts.method === 'OPTIONS' && facts.header('access-control-request-method') !== undefined;
  out.comparable = false;
  out.remember = '';
  resetTrace();
  trace.latchCookie = facts.cookie(policy.latchCookie);
}

/**
 * Step 1, where the phase alone decides. Nobody needs an identity, but returning users are to be known when the next
 * rollout starts. Nobody but a promoted rollout's users may ever reach the canary, not even by a fallback.
 */
function decideByPhase(
  policy: CompiledPolicy,
  facts: RequestFacts,
  usable: number,
  random: () => string,
  out: Decision,
): void {
  const { phase } = policy;
  const promoted = phase === 'promoted';
  out.setCookies = findIdentity(policy, facts, '', !out.preflight, random);
  if (!promoted && trace.latchCookie !== undefined) {
    out.setCookies += policy.cookies.expire(policy.latchCookie, facts.secure);
  }
  out.reason = promoted || phase === 'rolledBack' ? phase : 'idle';
  settle(policy, out, promoted ? 'canary' : 'stable', usable, promoted);
}

function decideByRules(
  policy: CompiledPolicy,
  rules: CompiledRules,
  facts: RequestFacts,
  usable: number,
  nowSeconds: number,
  random: () => string,
  out: Decision,
): void {
  const minted = findIdentity(policy, facts, policy.rolloutTag, !out.preflight, random);
  policy.view.begin(facts, givenIdentity(policy));
  const latch = findLatch(policy, facts);
  trace.latch = latch;
  decideInOrder(policy, rules, facts, latch, usable, nowSeconds, out);
  if (trace.latchCookie !== undefined && latch === null && out.setCookies === '') {
    out.setCookies = policy.cookies.expire(policy.latchCookie, facts.secure);
  }
  if (minted !== '') out.setCookies = minted + out.setCookies;
  policy.view.end();
}

/** Steps 2 to 7 of the safety order. */
function decideInOrder(
  policy: CompiledPolicy,
  rules: CompiledRules,
  facts: RequestFacts,
  latch: Latch | null,
  usable: number,
  nowSeconds: number,
  out: Decision,
): void {
  const exclude = findExclude(policy, rules, latch);
  if (exclude !== null) {
    out.reason = 'exclude';
    out.rule = exclude.name;
    if (latch !== null) rememberExclusion(policy, exclude, latch, facts.secure, out);
    settle(policy, out, 'stable', usable, false);
    return;
  }
  const override = findOverride(policy, facts, nowSeconds, out.stripCookie);
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
  out.comparable = isComparable(policy, rules, out);
  settle(policy, out, out.reason === 'noMatch' ? 'stable' : 'canary', usable, true);
}

/** Step 2: the exclude rule that holds for this request, or that the user's latch remembers. */
function findExclude(
  policy: CompiledPolicy,
  rules: CompiledRules,
  latch: Latch | null,
): CompiledExclude | null {
  const count = rules.excludes.length;
  if (count === 0) return null;
  const rank = rules.excludeIndex.first(policy.view, count);
  if (rank >= 0) return rules.excludes[rank]!;
  return latch === null || latch.excluded.length === 0 ? null : latchedExclude(policy, rules, latch);
}

/** Step 3: the wish of a valid token, in the header or else the cookie. */
function findOverride(
  policy: CompiledPolicy,
  facts: RequestFacts,
  nowSeconds: number,
  hasCookie: boolean,
): OverrideMode | null {
  const header = facts.header(OVERRIDE_HEADER);
  if (header === undefined && !hasCookie) return null;
  const { overrides } = policy.context;
  let mode = header === undefined ? null : overrides.verify(header, policy.service, nowSeconds);
  if (mode === null && hasCookie) {
    mode = overrides.verify(facts.cookie(OVERRIDE_COOKIE) ?? '', policy.service, nowSeconds);
    const others = facts.otherCookies(OVERRIDE_COOKIE);
    if (others.length > 0) mode = newestOverride(policy, facts, others, nowSeconds);
  }
  trace.override = mode ?? 'invalid';
  return mode;
}

/**
 * Of several valid tokens in cookies that which ends last, as it was made last; of such that end together that which says `never`. In
 * which order they came, which depends on the path, does not matter.
 */
function newestOverride(
  policy: CompiledPolicy,
  facts: RequestFacts,
  others: readonly string[],
  nowSeconds: number,
): OverrideMode | null {
  const { overrides } = policy.context;
  let newest: Override | null = null;
  for (const token of [facts.cookie(OVERRIDE_COOKIE) ?? '', ...others.slice(-MOST_OVERRIDES)]) {
    if (overrides.verify(token, policy.service, nowSeconds) === null) continue;
    const override = overrides.read(token)!;
    const later = newest === null ? 1 : override.expires - newest.expires;
    if (later > 0 || (later === 0 && override.mode === 'never')) newest = override;
  }
  return newest?.mode ?? null;
}

/** Each that is not known costs a signature. */
const MOST_OVERRIDES = 16;

/** Steps 5 and 6: the latch, then rules and bucket. The bucket is tested first, since it is the cheapest. */
function decideByBucket(
  policy: CompiledPolicy,
  rules: CompiledRules,
  facts: RequestFacts,
  latch: Latch | null,
  out: Decision,
): void {
  let bucket = NO_BUCKET;
  if (trace.tier >= 0) {
    out.tier = policy.chain[trace.tier]!.kind;
    out.bucket = bucket = bucketOf(hashOfIdentity(policy));
    out.identityHash = hashOfUser(policy);
    out.otherHash = hashOfOther(policy);
  }
  let rule: CompiledRule | null = null;
  if (latch !== null) {
    out.bucket = bucket = latch.bucket;
    rule = latchedRule(policy, rules, latch);
  }
  const latched = rule !== null;
  const limit = countAbove(rules.thresholds, bucket);
  if (rule === null) {
    const rank = limit === 0 ? -1 : rules.index.first(policy.view, limit);
    if (rank < 0) {
      out.reason = 'noMatch';
      return;
    }
    rule = rules.rules[rank]!;
  }
  out.reason = latched ? 'latch' : 'rule';
  out.rule = rule.name;
  rememberAdmissions(policy, rules, latch, rule, latched, limit, facts.secure, out);
}

/**
 * Rules on method or path may rightly treat two requests of one user differently. Other conditions may as well, where
 * one identity has several devices or people: then only who carries the latch along can be compared.
 */
function isComparable(policy: CompiledPolicy, rules: CompiledRules, out: Decision): boolean {
  if (rules.variesByRequest || out.preflight || out.identityHash === 0) return false;
  if (!rules.conditional || out.tier === 'minted') return true;
  return out.tier === 'header' && policy.remembered !== null;
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
  if ((usable & bitOf(assigned)) !== 0) return;
  const other = assigned === 'canary' ? 'stable' : 'canary';
  const allowed = mayFallBack && (other === 'stable' ? policy.fallbackToStable : policy.fallbackToCanary);
  if (allowed && (usable & bitOf(other)) !== 0) {
    out.variant = other;
    out.fallback = true;
  } else {
    out.unavailable = true;
  }
}

function bitOf(variant: Variant): number {
  return variant === 'canary' ? CANARY_USABLE : STABLE_USABLE;
}
