/**
 * A rule's `match`: conditions of any kind, all of which must hold.
 *
 * What is said here holds for all kinds; what is special about one is in its file. Pointers begin at `at`, that of the match.
 */
import { isDeepStrictEqual } from 'node:util';
import { Type, type Static, type TOptional } from 'typebox';
import type { Fault } from '../../schema/faults.ts';
import type {
  AddFault,
  Condition,
  ConditionContext,
  ConditionKind,
  Known,
  ServiceTraits,
} from './condition.ts';
import { KINDS } from './kinds.ts';
import { closed } from './texts.ts';

type Kinds = typeof KINDS;
type Fields = { [Name in keyof Kinds]: TOptional<Kinds[Name]['schema']> };

const kinds: readonly (readonly [name: keyof Kinds, kind: ConditionKind])[] = Object.entries(
  KINDS as Readonly<Record<string, ConditionKind>>,
).map(([name, kind]) => [name as keyof Kinds, kind]);

const byCost = kinds.toSorted(([, a], [, b]) => a.cost - b.cost);

/** Conditions; all that are given must hold. */
export const Match = Type.Object(
  Object.fromEntries(kinds.map(([name, { schema }]) => [name, Type.Optional(schema)])) as Fields,
  { ...closed, minProperties: 1 },
);
export type Match = Static<typeof Match>;

/** Compiles a match; the cheapest condition comes first. `rule` names the rule in faults. */
export function compileMatch(match: Match | undefined, rule: string, context: ConditionContext): Condition[] {
  const conditions: Condition[] = [];
  if (match === undefined) return conditions;
  for (const [field, kind] of byCost) {
    const given = match[field];
    if (given === undefined) continue;
    const { about } = kind;
    for (const { name = '', key, side = null, expected, holds, seen } of kind.compile(given, context, rule))
      conditions.push({ kind: field, about, name, key, side, expected, holds, seen });
  }
  return conditions;
}

/** What is wrong with a match and no schema can say. */
export function checkMatch(match: Match, at: string, known: Known | null, add: AddFault): void {
  for (const [name, kind] of kinds) {
    const given = match[name];
    if (given !== undefined)
      kind.check?.(given, known, (pointer, detail) => add(`${at}/${name}${pointer}`, detail));
  }
}

/**
 * Conditions that no request can ever meet, by what they ask for: a rule that has one silently admits nobody, and an exclude
 * rule excludes nobody. `pathPrefix` is that of the service, '/' where it is not known.
 */
export function neverHolds(match: Match, at: string, pathPrefix: string): Fault[] {
  const faults: Fault[] = [];
  for (const [name, kind] of kinds) {
    const given = match[name];
    if (given === undefined) continue;
    kind.neverHolds?.(given, pathPrefix, (pointer, detail) => {
      const told = typeof detail === 'function' ? detail() : detail;
      if (told !== null) faults.push({ pointer: `${at}/${name}${pointer}`, detail: told });
    });
  }
  return faults;
}

/** Conditions that are right by their form and may well not do what their author thinks: a sentence each. */
export function doubtsOfMatch(match: Match, service: ServiceTraits): string[] {
  return kinds.flatMap(([name, kind]) => {
    const given = match[name];
    return given === undefined ? [] : (kind.doubts?.(given, service) ?? []);
  });
}

/**
 * Whether everyone who meets `before` surely meets `after` too: each condition of `after` is one of `before`, or a wider one.
 * Undefined conditions are met by everyone.
 */
export function widens(before: Match | undefined, after: Match | undefined): boolean {
  if (after === undefined || before === after) return true;
  if (before === undefined) return false;
  return kinds.every(([name, kind]) => {
    const [old, wanted] = [before[name], after[name]];
    if (wanted === undefined) return true;
    if (old === undefined) return false;
    return kind.widens === undefined ? isDeepStrictEqual(old, wanted) : kind.widens(old, wanted);
  });
}

/** Lower-case names of the headers that the conditions read, some perhaps more than once. */
export function headersOfMatch(match: Match | undefined): string[] {
  if (match === undefined) return [];
  return kinds.flatMap(([name, kind]) => {
    const given = match[name];
    return given === undefined ? [] : (kind.headers?.(given) ?? []);
  });
}
