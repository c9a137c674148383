/**
 * Latches at work in a decision: finds the user's latch, asks what it stands in for, writes the next one.
 *
 * The latch of a cookie counts before that of the memory, but no exclusion is forgotten. Method and path are always checked, and a rule must still
 * exist and admit the latch's bucket; so a lowered or removed rule moves exactly the users it should.
 */
import type { CompiledExclude, CompiledPolicy, CompiledRule, CompiledRules } from '../compile.ts';
import type { Decision } from '../decision.ts';
import type { RequestFacts } from '../facts.ts';
import { hashOfIdentity } from '../identity/find-identity.ts';
import { merged, withAdmission, withExclusion, type Latch } from './latch.ts';
import { allHold } from '../conditions/rule-index.ts';
import { trace } from '../trace.ts';

/** The user's latch in this rollout, or null. Needs the identity to have been found. */
export function findLatch(policy: CompiledPolicy, facts: RequestFacts): Latch | null {
  const { remembered } = policy;
  const carried = trace.latchCookie === undefined ? null : carriedLatch(policy, facts, trace.latchCookie);
  if (remembered === null || remembered.isEmpty || !speaksByHeader(policy)) return carried;
  const known = remembered.find(hashOfIdentity(policy));
  if (carried === null || known === null) return carried ?? known;
  if (known.excluded.length === 0) return carried;
  // Of what happened on another device, a cookie does not know; an exclusion there wins here, too.
  return { ...carried, excluded: merged(carried, known).excluded };
}

/** Latch cookies that are looked at: each that is not known costs a signature. */
const MOST_LOOKED_AT = 16;

/** What all genuine latches among the cookies say together: which of them a path has, and in which order, must not matter. */
function carriedLatch(policy: CompiledPolicy, facts: RequestFacts, first: string): Latch | null {
  const { latchScope, rolloutTag, latchCookie, context } = policy;
  const others = facts.otherCookies(latchCookie);
  if (others.length === 0) return context.latches.open(latchScope, rolloutTag, first);
  let all: Latch | null = null;
  for (const value of [first, ...others.slice(-MOST_LOOKED_AT)].toSorted()) {
    const latch = context.latches.open(latchScope, rolloutTag, value);
    if (latch !== null && latch !== all) all = all === null ? latch : merged(all, latch);
  }
  return all;
}

function speaksByHeader(policy: CompiledPolicy): boolean {
  return trace.tier >= 0 && policy.chain[trace.tier]!.kind === 'header';
}

/** The rule whose conditions the latch stands in for on this request, the latest admission first; or null. */
export function latchedRule(policy: CompiledPolicy, rules: CompiledRules, latch: Latch): CompiledRule | null {
  for (let index = latch.admitted.length - 1; index >= 0; index--) {
    const rank = rules.ranks.get(latch.admitted[index]!);
    if (rank === undefined) continue;
    const rule = rules.rules[rank]!;
    if (latch.bucket < rule.threshold && allHold(rule.fixed, policy.view)) return rule;
  }
  return null;
}

/** The exclude rule that the latch remembers and that holds for this request's method and path; or null. */
export function latchedExclude(
  policy: CompiledPolicy,
  rules: CompiledRules,
  latch: Latch,
): CompiledExclude | null {
  for (const tag of latch.excluded) {
    const rank = rules.excludeRanks.get(tag);
    if (rank === undefined) continue;
    const exclude = rules.excludes[rank]!;
    if (allHold(exclude.fixed, policy.view)) return exclude;
  }
  return null;
}

/** Sets the latch of an admission. A user who has one for another rule keeps its bucket and both rules. */
export function rememberAdmission(
  policy: CompiledPolicy,
  rule: CompiledRule,
  before: Latch | null,
  bucket: number,
  secure: boolean,
  out: Decision,
): void {
  const latch = before ?? {
    scope: policy.latchScope,
    bucket,
    revision: policy.revision,
    admitted: [],
    excluded: [],
  };
  setLatch(policy, withAdmission(latch, rule.tag), rule.changesUnderIdentity, secure, out);
}

/**
 * An exclude that hits a latched user wins for good: the latch now remembers it instead of the admission. One that asks
 * for method or path alone says nothing of the user; one that asks for them as well leaves the other requests be.
 */
export function rememberExclusion(
  policy: CompiledPolicy,
  exclude: CompiledExclude,
  latch: Latch,
  secure: boolean,
  out: Decision,
): void {
  if (latch.admitted.length === 0 || latch.excluded.includes(exclude.tag) || !exclude.changeable) return;
  setLatch(policy, withExclusion(latch, exclude.tag, exclude.fixed.length === 0), true, secure, out);
}

/** `forIdentity`: it says something that the identity alone does not. */
function setLatch(
  policy: CompiledPolicy,
  latch: Latch,
  forIdentity: boolean,
  secure: boolean,
  out: Decision,
): void {
  const value = policy.context.latches.seal(latch, policy.rolloutTag);
  out.setCookies += policy.cookies.set(policy.latchCookie, value, secure);
  // Clients with an identity header may keep no cookies. Where nothing can change under them, their hash repeats.
  const { remembered } = policy;
  if (remembered === null || !forIdentity || !speaksByHeader(policy)) return;
  out.remember = value;
  out.identityHash = hashOfIdentity(policy);
  remembered.keep(out.identityHash, latch);
}
