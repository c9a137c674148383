/**
 * Latches at work in a decision: finds the user's latch, asks what it stands in for, writes the next one.
 *
 * The latch of a cookie counts before that of the memory, but no exclusion is forgotten. Method and path are always checked, and a rule
 * must still exist and admit the latch's bucket; so a lowered or removed rule moves exactly the users that no other admits or has
 * admitted.
 */
import type { CompiledExclude, CompiledPolicy, CompiledRule, CompiledRules } from '../compile.ts';
import type { Decision } from '../decision.ts';
import type { RequestFacts } from '../facts.ts';
import { hashOfIdentity } from '../identity/find-identity.ts';
import { merged, MOST_MARKS, strongest, withAdmissions, withExclusion, type Latch } from './latch.ts';
import { countAbove } from '../bucket.ts';
import { allHold } from '../conditions/rule-index.ts';
import { trace } from '../trace.ts';

/** The user's latch in this rollout, or null. Needs the identity to have been found. */
export function findLatch(policy: CompiledPolicy, facts: RequestFacts): Latch | null {
  const { remembered } = policy;
  const carried = trace.latchCookie === undefined ? null : carriedLatch(policy, facts, trace.latchCookie);
  if (remembered === null || remembered.isEmpty || !speaksByHeader(policy)) return carried;
  const known = remembered.find(hashOfIdentity(policy));
  if (carried === null || known === null) return carried ?? known;
  // Of what happened on another device, a cookie does not know: an exclusion there wins here, too, and an admission of the same bucket
  // counts here as it does there.
  const admitted =
    known.bucket === carried.bucket ? strongest(carried.admitted, known.admitted) : carried.admitted;
  if (known.excluded.length === 0 && admitted === carried.admitted) return carried;
  return { ...carried, admitted, excluded: merged(carried, known).excluded };
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

/** The strongest rule whose conditions the latch stands in for on this request; or null. */
export function latchedRule(policy: CompiledPolicy, rules: CompiledRules, latch: Latch): CompiledRule | null {
  const { admitted } = latch;
  let first = rules.rules.length;
  for (let index = 0; index < admitted.length; index++) {
    const rank = rules.ranks.get(admitted[index]!);
    if (rank === undefined || rank >= first) continue;
    const rule = rules.rules[rank]!;
    if (latch.bucket < rule.threshold && allHold(rule.fixed, policy.view)) first = rank;
  }
  return rules.rules[first] ?? null;
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

/**
 * Keeps the admissions of this request in the user's latch: `decided` is the rule that gave the canary, `latched` whether the latch did.
 * Other rules that admit as well are kept too, so that whoever has several loses the canary with the last of them. `limit`: the
 * rules of lower rank admit the bucket.
 */
export function rememberAdmissions(
  policy: CompiledPolicy,
  rules: CompiledRules,
  latch: Latch | null,
  decided: CompiledRule,
  latched: boolean,
  limit: number,
  secure: boolean,
  out: Decision,
): void {
  // A rule that asks for nothing about the user admits again by itself: it is marked only where that pushes out nothing.
  const needsMark = decided.changeable || latch === null || latch.admitted.length < MOST_MARKS;
  const isNew = !latched && needsMark && latch?.admitted.includes(decided.tag) !== true;
  const others =
    rules.changeable > 1 || !decided.changeable
      ? otherAdmissions(policy, rules, latch, decided, limit)
      : NONE;
  const found = isNew ? [...others, decided] : others;
  if (found.length === 0) return;
  const before: Latch = latch ?? {
    scope: policy.latchScope,
    bucket: out.bucket,
    revision: policy.revision,
    admitted: [],
    excluded: [],
  };
  const tags = found.map(({ tag }) => tag);
  const kept = latched ? '' : decided.tag;
  const next = withAdmissions(before, tags, (tag) => strengthOf(rules, tag), kept);
  const forIdentity = found.some(({ changesUnderIdentity }) => changesUnderIdentity);
  setLatch(policy, next, forIdentity, secure, out);
}

const NONE: readonly CompiledRule[] = [];

// What is looked for is said once and not at each rule; one decision at a time.
let searched: readonly CompiledRule[] = [];
let marked: readonly string[] = [];
let decidedTag = '';
const needsNoMark = (rank: number): boolean => {
  const { changeable, tag } = searched[rank]!;
  return !changeable || tag === decidedTag || marked.includes(tag);
};

/** The rules that admit on this request, whose conditions may not hold on the next, and that the latch is to hold and does not. */
function otherAdmissions(
  policy: CompiledPolicy,
  rules: CompiledRules,
  latch: Latch | null,
  decided: CompiledRule,
  limit: number,
): readonly CompiledRule[] {
  if (rules.changeable === 0) return NONE;
  searched = rules.rules;
  marked = latch === null ? NO_MARKS : latch.admitted;
  decidedTag = decided.tag;
  // Into a latch that is full goes only what is stronger than the weakest in it.
  const bound =
    marked.length < MOST_MARKS
      ? limit
      : Math.min(limit, countAbove(rules.thresholds, weakest(rules, marked)));
  let rank = rules.index.firstOther(policy.view, bound, needsNoMark);
  if (rank < 0) return NONE;
  const found: CompiledRule[] = [];
  for (
    ;
    rank >= 0 && found.length < MOST_MARKS;
    rank = rules.index.firstOther(policy.view, bound, needsNoMark)
  ) {
    const rule = rules.rules[rank]!;
    found.unshift(rule);
    marked = [...marked, rule.tag];
  }
  return found;
}

const NO_MARKS: readonly string[] = [];

function weakest(rules: CompiledRules, tags: readonly string[]): number {
  return tags.reduce((least, tag) => Math.min(least, strengthOf(rules, tag)), Infinity);
}

/**
 * How much a mark is worth: the threshold of its rule. One of a rule that is gone comes next, since the rule may come back; least is
 * one of a rule that needs no mark.
 */
function strengthOf({ rules, ranks }: CompiledRules, tag: string): number {
  const rank = ranks.get(tag);
  if (rank === undefined) return -1;
  const { changeable, threshold } = rules[rank]!;
  return changeable ? threshold : -2;
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
