/**
 * Tests on one text that a request has: a header, a cookie, a query parameter, the identity.
 *
 * Expected texts become wire texts when they are compiled, so that matching compares raw bytes.
 */
import { isDeepStrictEqual } from 'node:util';
import { Type, type Static } from 'typebox';
import { joinPointer } from '../../schema/json-value.ts';
import { shownText, wireText } from '../../schema/latin1.ts';
import { compileRange, emptyRangeFault, rangeFault, versionTest } from '../version.ts';
import type { AddFault, ConditionParts } from './condition.ts';
import type { Slot } from './request-view.ts';
import type { IndexKey } from './rule-index.ts';
import { closed, oneOf, quote, TOKEN } from './texts.ts';

/** Exactly one of the fields is given. */
export const TextTest = Type.Object(
  {
    present: Type.Optional(Type.Boolean({ description: 'true: it is there, false: it is absent' })),
    equals: Type.Optional(Type.String()),
    oneOf: Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
    prefix: Type.Optional(Type.String({ minLength: 1 })),
    semver: Type.Optional(Type.String({ minLength: 1, description: 'a semver range such as ">=8.2.0"' })),
  },
  { ...closed, minProperties: 1, maxProperties: 1 },
);
export type TextTest = Static<typeof TextTest>;

export const textTests = (description: string) =>
  Type.Record(Type.String({ minLength: 1 }), TextTest, { minProperties: 1, maxProperties: 100, description });

/** No head is longer, so no request could ever match a longer text. */
const LONGEST_VALUE = 8192;
const MOST_VALUES = 10_000;

export function checkTextTest(test: TextTest, at: string, add: AddFault): void {
  if (test.semver !== undefined) add(`${at}/semver`, rangeFault(test.semver));
  if (test.equals !== undefined) add(`${at}/equals`, lengthFault(test.equals));
  if (test.prefix !== undefined) add(`${at}/prefix`, lengthFault(test.prefix));
  const values = test.oneOf ?? [];
  if (values.length > MOST_VALUES)
    add(`${at}/oneOf`, `at most ${MOST_VALUES} values; this has ${values.length}`);
  for (const [index, value] of values.entries()) add(`${at}/oneOf/${index}`, lengthFault(value));
}

/** The same for tests by the names of fields of a kind. */
export function checkFieldTests(
  kind: 'header' | 'cookie',
  tests: Readonly<Record<string, TextTest>>,
  add: AddFault,
): void {
  for (const [name, test] of Object.entries(tests)) {
    const at = joinPointer('', name);
    if (!TOKEN.test(name)) add(at, `"${name}" cannot be the name of a ${kind}`);
    checkTextTest(test, at, add);
  }
}

function lengthFault(value: string): string | null {
  if (value.length <= LONGEST_VALUE) return null;
  return `at most ${LONGEST_VALUE} characters; this has ${value.length}`;
}

/** The values that alone meet the test; null where others may. */
export function valuesOf({ equals, oneOf }: TextTest): readonly string[] | null {
  return oneOf ?? (equals === undefined ? null : [equals]);
}

/** Whether each test of `after` is one of `before`: each named field is a condition of its own. */
export function sameTests(
  before: Readonly<Record<string, TextTest>>,
  after: Readonly<Record<string, TextTest>>,
): boolean {
  return Object.entries(after).every(([name, test]) => isDeepStrictEqual(test, before[name]));
}

/** What no text of that kind can ever be; `fault` says it of a whole text, or of the beginning of one. */
export function neverHoldsText(
  test: TextTest,
  at: string,
  fault: (text: string, whole: boolean) => string | null,
  add: AddFault,
): void {
  if (test.semver !== undefined) add(`${at}/semver`, emptyRangeFault(test.semver));
  if (test.equals !== undefined) add(`${at}/equals`, fault(test.equals, true));
  if (test.prefix !== undefined) add(`${at}/prefix`, fault(test.prefix, false));
  for (const [index, value] of (test.oneOf ?? []).entries()) add(`${at}/oneOf/${index}`, fault(value, true));
}

/** What keeps a header or a cookie (`what`) from being, or beginning with, the text; null for nothing. */
export function fieldTextFault(what: string, text: string, whole: boolean): string | null {
  const shown = JSON.stringify(text);
  if (/^[ \t]/.test(text) || (whole && /[ \t]$/.test(text)))
    return `the value of ${what} comes without blanks around it, so it is never ${shown}; leave them out`;
  // oxlint-disable-next-line no-control-regex -- these are what is looked for
  if (/[\0-\x08\x0a-\x1f\x7f]/.test(text))
    return `${what} holds no control characters, so it is never ${shown}`;
  return null;
}

/** Where the text of a request is; undefined where it has none. */
type TextSlot = Slot<string | undefined>;

/** Compiles the test. `shelf` names what is read, so that rules on the same are filed together. */
export function compileTextTest(shelf: string, test: TextTest, slot: TextSlot): ConditionParts {
  return {
    ...compileTest(shelf, test, slot),
    seen: (view) => {
      const value = view.get(slot);
      return value === undefined ? null : shownText(value);
    },
  };
}

/** Rules that ask for a value are filed under it, those that ask for any under this. */
const ANY = Symbol('any');

/** `texts` is null where any value will do: more requests have that. */
function valueKey(shelf: string, texts: readonly string[] | null, slot: TextSlot): IndexKey {
  return {
    shelf,
    tells: texts === null ? 3 : 9,
    under: texts ?? [ANY],
    open(filed, first) {
      const any = filed.get(ANY);
      return (view, limit) => {
        const value = view.get(slot);
        if (value === undefined) return limit;
        const ranks = filed.get(value);
        const best = ranks === undefined ? limit : first(ranks, view, limit);
        return any === undefined ? best : first(any, view, best);
      };
    },
  };
}

function compileTest(shelf: string, test: TextTest, slot: TextSlot): Omit<ConditionParts, 'seen'> {
  const whenPresent = valueKey(shelf, null, slot);
  if (test.equals !== undefined || test.oneOf !== undefined) {
    const texts = test.oneOf ?? [test.equals ?? ''];
    const wanted = new Set(texts.map(wireText));
    const [only] = wanted;
    return {
      key: valueKey(shelf, [...wanted], slot),
      holds:
        wanted.size === 1
          ? (view) => view.get(slot) === only
          : (view) => {
              const value = view.get(slot);
              return value !== undefined && wanted.has(value);
            },
      expected: oneOf(texts),
    };
  }
  if (test.prefix !== undefined) {
    const prefix = wireText(test.prefix);
    return {
      key: whenPresent,
      holds: (view) => view.get(slot)?.startsWith(prefix) === true,
      expected: `begins with ${quote(test.prefix)}`,
    };
  }
  if (test.semver !== undefined) {
    const satisfies = versionTest(compileRange(test.semver));
    return {
      key: whenPresent,
      holds: (view) => {
        const value = view.get(slot);
        return value !== undefined && satisfies(value);
      },
      expected: `a version ${test.semver}`,
    };
  }
  if (test.present === false)
    return { key: null, holds: (view) => view.get(slot) === undefined, expected: 'absent' };
  return { key: whenPresent, holds: (view) => view.get(slot) !== undefined, expected: 'present' };
}
