/**
 * Validates rollout documents: the schema, and what no schema can say.
 *
 * A document that passes compiles, in every worker. Each fault has a pointer and says what would be right; a misspelt
 * name comes with the nearest valid one. Nothing here looks at the running rollout: that is for its lifecycle.
 */
import { checkSchema } from '../schema/check.ts';
import { isRecord } from '../schema/json-value.ts';
import { nearest } from '../schema/nearest.ts';
import type { AddFault } from './conditions/condition.ts';
import { checkMatch, neverHolds } from './conditions/match.ts';
import { DocumentError, type Fault } from '../schema/faults.ts';
import { RolloutDocument } from './schema.ts';

export interface ValidationContext {
  /** Names of the configured segments. */
  readonly segments: Iterable<string>;
  readonly hasRegionDatabase: boolean;
  /** The service's, where it is known. */
  readonly pathPrefix?: string;
  /** The document was accepted before: conditions that can never hold are left alone. */
  readonly stored?: boolean;
}

const check = checkSchema(RolloutDocument);

/**
 * The document, typed. Throws DocumentError `rollout_invalid` with every fault, at most a few dozen. Where `context` is null,
 * what depends on the configuration is not looked at.
 */
export function validateRollout(value: unknown, context: ValidationContext | null): RolloutDocument {
  const slim = withoutKnown(value);
  const faults = check(slim);
  if (faults.length === 0) {
    faults.push(...findFaults(slim as RolloutDocument, context));
    if (faults.length === 0) {
      const document = value as RolloutDocument;
      rememberNetworks(document);
      return document;
    }
  }
  throw new DocumentError(
    'rollout_invalid',
    'The rollout document is not valid.',
    faults.slice(0, MOST_FAULTS),
  );
}

/** Lists of networks that were found valid. Documents share them from one revision to the next, and nobody changes one. */
const valid = new WeakSet();
const LARGE_LIST = 256;

/** The document is valid, as another thread has found: its long lists of networks need not be looked at again. */
export function rememberNetworks({ rules, exclude = [] }: RolloutDocument): void {
  for (const { match } of [...rules, ...exclude])
    if (Array.isArray(match?.cidr) && match.cidr.length >= LARGE_LIST) valid.add(match.cidr);
}

/** What stands for such a list: it is as valid. */
const SHORT_LIST = ['192.0.2.0/24'];

/** The document with its known lists made short: to look at 100,000 networks again takes longer than a rollback may. */
function withoutKnown(value: unknown): unknown {
  if (!isRecord(value)) return value;
  const shortened = (rules: unknown): unknown =>
    Array.isArray(rules)
      ? rules.map((rule: unknown) => {
          const match = isRecord(rule) ? rule['match'] : undefined;
          const cidr = isRecord(match) ? match['cidr'] : undefined;
          if (!isRecord(rule) || !isRecord(match) || !Array.isArray(cidr) || !valid.has(cidr)) return rule;
          return { ...rule, match: { ...match, cidr: SHORT_LIST } };
        })
      : rules;
  const { rules, exclude } = value;
  return {
    ...value,
    ...(rules === undefined ? {} : { rules: shortened(rules) }),
    ...(exclude === undefined ? {} : { exclude: shortened(exclude) }),
  };
}

/**
 * Rules and excludes of one document. Every thread that decides or explains by it compiles all of them at once, some 20 µs each, and
 * serves nobody meanwhile.
 */
const MOST_RULES = 2000;

/** More faults than anybody corrects in one go. */
const MOST_FAULTS = 50;

function findFaults(document: RolloutDocument, context: ValidationContext | null): Fault[] {
  const known = context && { ...context, segments: new Set(context.segments) };
  const faults: Fault[] = [];
  const add: AddFault = (pointer, detail) => {
    if (faults.length >= MOST_FAULTS || detail === null) return;
    faults.push({ pointer, detail: typeof detail === 'string' ? detail : detail() });
  };
  const names = new Map<string, string>();
  const rules = [
    ...document.rules.map((rule, index) => ({ ...rule, at: `/rules/${index}` })),
    ...(document.exclude ?? []).map((rule, index) => ({ ...rule, at: `/exclude/${index}` })),
  ];
  if (rules.length > MOST_RULES && known?.stored !== true) {
    add('/rules', `${rules.length} rules and excludes; expected at most ${MOST_RULES} together`);
    return faults;
  }
  for (const { name, match, at } of rules) {
    const first = names.get(name);
    if (first === undefined) names.set(name, at);
    else add(`${at}/name`, `the name "${name}" is taken by ${first}; every rule has a name of its own`);
    if (match === undefined) continue;
    const before = faults.length;
    checkMatch(match, `${at}/match`, known, add);
    if (known === null || known.stored === true || faults.length > before) continue;
    for (const { pointer, detail } of neverHolds(match, `${at}/match`, known.pathPrefix ?? '/'))
      add(pointer, detail);
  }
  for (const [index, { percentage }] of document.rules.entries())
    checkPercentage(percentage, `/rules/${index}`, add);
  checkSteps(document, add);
  return faults;
}

/** What is wrong with a percentage from 0 to 100, as a sentence, or null: a bucket is 0.0001 %. */
export function percentageFault(percentage: number): string | null {
  if (Math.abs(percentage * 10_000 - Math.round(percentage * 10_000)) <= 1e-6) return null;
  return `${percentage} is finer than a bucket; percentages have at most four decimals`;
}

function checkPercentage(percentage: number, at: string, add: AddFault): void {
  add(`${at}/percentage`, percentageFault(percentage));
}

function checkSteps(document: RolloutDocument, add: AddFault): void {
  const rules = new Set(document.rules.map(({ name }) => name));
  const reached = new Map<string, number>();
  for (const [index, { rule = 'everyone', percentage }] of (document.steps ?? []).entries()) {
    const at = `/steps/${index}`;
    checkPercentage(percentage, at, add);
    if (!rules.has(rule)) {
      add(`${at}/rule`, () => {
        const meant = nearest(rule, rules);
        return `there is no rule "${rule}"${meant === undefined ? '' : `; did you mean "${meant}"?`}`;
      });
      continue;
    }
    const before = reached.get(rule) ?? 0;
    if (percentage < before) {
      add(
        `${at}/percentage`,
        `steps never lower: "${rule}" is at ${before} before this step, not above ${percentage}`,
      );
    }
    reached.set(rule, Math.max(before, percentage));
  }
}
