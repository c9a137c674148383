/**
 * Explains a decision: the decision itself, by the very code that serves requests, and what every rule says.
 *
 * It shows each condition with what it asks for and what the request has, also of rules that the decision never came
 * to. It is for people, so it may be slow; it changes nothing.
 */
import { bucketOf, identityHash } from './bucket.ts';
import type { CompiledExclude, CompiledPolicy } from './compile.ts';
import type { Condition } from './conditions/condition.ts';
import { decide, NO_BUCKET } from './decide.ts';
import { newDecision, type Decision } from './decision.ts';
import { describedFacts, type DescribedRequest } from './described.ts';
import type { Phase, Tier } from './rollout.ts';
import { givenIdentity } from './identity/find-identity.ts';
import { trace } from './trace.ts';
import { readableText } from '../schema/latin1.ts';

interface ExplainedCondition {
  readonly kind: Condition['kind'];
  /** The name of the header, cookie or query parameter; '' for other kinds. */
  readonly name: string;
  readonly expected: string;
  /** What the request has; null for nothing. */
  readonly seen: string | null;
  readonly holds: boolean;
}

interface ExplainedExclude {
  readonly name: string;
  readonly conditions: readonly ExplainedCondition[];
  /** Whether all conditions hold (of a rule without conditions, they do). */
  readonly matches: boolean;
  /** The latch remembers this rule. */
  readonly latched: boolean;
}

interface ExplainedRule extends ExplainedExclude {
  readonly percentage: number;
  /** Buckets below it are admitted. */
  readonly threshold: number;
  /** Whether the user's bucket is below the threshold. */
  readonly admitsBucket: boolean;
}

export interface Explanation {
  readonly service: string;
  readonly phase: Phase;
  readonly decision: Readonly<Decision>;
  /** Servers may read the path on different sides of a rule: the proxy answers 400 `ambiguous_path`, and nothing is decided. */
  readonly ambiguousPath: boolean;
  readonly identity: {
    /** The tier that speaks for this request, whether or not the decision needed it. */
    readonly tier: Tier;
    /** The name of its header or cookie; '' for others. */
    readonly name: string;
    /** Null where there is none, and outside of a rollout for fingerprints. */
    readonly value: string | null;
    /** The bucket of the identity itself; a latch may have fixed another. Null outside of a rollout. */
    readonly bucket: number | null;
    /** A minted id was sent that is not genuine; it counts as absent. */
    readonly forged: boolean;
  };
  /** none: no cookie; void: of another rollout or service, or not genuine. */
  readonly latch: {
    readonly state: 'none' | 'void' | 'valid';
    readonly bucket: number | null;
    readonly revision: number | null;
  };
  /** invalid: forged, expired, or for another service. Read only where the decision came to it. */
  readonly override: 'none' | 'always' | 'never' | 'invalid';
  readonly exclude: readonly ExplainedExclude[];
  /** The highest percentage first; the first that matches and admits the bucket decides. */
  readonly rules: readonly ExplainedRule[];
  /** How many rules and exclude rules are left out, because the policy has thousands. */
  readonly omitted?: number;
}

export interface ExplainOptions {
  /** As in `decide`; 3 where it is not said: both variants have a usable endpoint. */
  readonly usable?: number;
  readonly nowSeconds: number;
  /** Mints an id, as in `decide`. */
  readonly random: () => string;
}

/** Explains what a described request gets. Throws DocumentError `request_invalid` where it describes none. */
export function explain(
  policy: CompiledPolicy,
  request: DescribedRequest,
  options: ExplainOptions,
): Explanation {
  const facts = describedFacts(request, policy);
  const { usable = 3, nowSeconds, random } = options;
  const decision = decide(policy, facts, usable, nowSeconds, random, newDecision());
  const { identity: identityText, latch, latchCookie, override, forgedId } = trace;
  const tier = trace.tier < 0 ? undefined : policy.chain[trace.tier];
  const { rules } = policy;
  const ownBucket =
    identityText === '' || rules === null ? null : bucketOf(identityHash(policy.salt, identityText));
  const bucket = latch?.bucket ?? ownBucket ?? NO_BUCKET;
  const excludes = firstRules(rules?.excludes ?? [], decision.rule);
  const others = firstRules(rules?.rules ?? [], decision.rule);
  const all = (rules?.excludes.length ?? 0) + (rules?.rules.length ?? 0);
  const omitted = all - excludes.length - others.length;
  policy.view.begin(facts, givenIdentity(policy));
  const explanation: Explanation = {
    service: policy.service,
    phase: policy.phase,
    decision,
    ambiguousPath: rules?.isAmbiguous(facts.path) === true,
    identity: {
      tier: tier?.kind ?? 'none',
      name: tier?.name ?? '',
      value: identityText === '' ? null : readableText(identityText),
      bucket:
        identityText === '' || rules === null ? null : bucketOf(identityHash(policy.salt, identityText)),
      forged: forgedId,
    },
    latch: {
      state: latchCookie === undefined ? 'none' : latch === null ? 'void' : 'valid',
      bucket: latch?.bucket ?? null,
      revision: latch?.revision ?? null,
    },
    override,
    exclude: excludes.map((rule) => explainRule(rule, policy, latch?.excluded)),
    rules: others.map((rule) => ({
      ...explainRule(rule, policy, latch?.admitted),
      percentage: rule.percentage,
      threshold: rule.threshold,
      admitsBucket: bucket < rule.threshold,
    })),
    ...(omitted === 0 ? {} : { omitted }),
  };
  policy.view.end();
  return explanation;
}

/** Conditions that are explained, a rule without any counting as one: so much takes some milliseconds, and who reads more? */
const MOST_EXPLAINED = 2000;

/** The first of the rules, and the one that decided wherever it stands. */
function firstRules<T extends CompiledExclude>(rules: readonly T[], decided: string): T[] {
  let left = MOST_EXPLAINED;
  return rules.filter(({ name, conditions }) => {
    if (left <= 0) return name === decided;
    left -= Math.max(1, conditions.length);
    return true;
  });
}

function explainRule(
  { name, tag, conditions }: CompiledExclude,
  { view }: CompiledPolicy,
  latched: readonly string[] = [],
): ExplainedExclude {
  const explained = conditions.map((condition) => ({
    kind: condition.kind,
    name: condition.name,
    expected: condition.expected,
    seen: condition.seen(view),
    holds: condition.holds(view),
  }));
  return {
    name,
    conditions: explained,
    matches: explained.every(({ holds }) => holds),
    latched: latched.includes(tag),
  };
}
