/** Conditions on the normalised path. A prefix is segment-bounded. */
import { Type, type Static } from 'typebox';
import { shownText } from '../../schema/latin1.ts';
import { isUnder, normalisePath } from '../path.ts';
import type { ConditionKind } from './condition.ts';
import type { RequestView, Slot } from './request-view.ts';
import { textKey, type LookUp, type Under } from './rule-index.ts';
import { closed, oneOf } from './texts.ts';

/** Exactly one of the fields is given. */
const PathTest = Type.Object(
  {
    equals: Type.Optional(Type.String({ pattern: '^/' })),
    oneOf: Type.Optional(Type.Array(Type.String({ pattern: '^/' }), { minItems: 1 })),
    prefix: Type.Optional(Type.String({ pattern: '^/' })),
  },
  { ...closed, minProperties: 1, maxProperties: 1 },
);
type PathTest = Static<typeof PathTest>;

type PathSlot = Slot<string>;

export const path: ConditionKind<typeof PathTest> = {
  schema: PathTest,
  cost: 2,
  about: 'request',
  neverHolds(test, pathPrefix, add) {
    const [field, paths] = pathsOf(test);
    for (const [index, each] of paths.entries())
      add(`/${field}${field === 'oneOf' ? `/${index}` : ''}`, pathFault(each, field, pathPrefix));
  },
  compile(test, { view }) {
    const slot: PathSlot = view.slot('path', (facts) => normalisePath(facts.path));
    const seen = (view: RequestView): string => shownText(view.get(slot));
    if (test.prefix !== undefined) {
      const prefix = normalisePath(escapePath(test.prefix));
      return [
        {
          key: textKey('pathPrefix', prefix === '/' ? 0 : 6, [prefix], askPrefixes(slot)),
          side: { exact: [], prefix },
          holds: (view) => isUnder(view.get(slot), prefix),
          expected: `under ${prefix}`,
          seen,
        },
      ];
    }
    const wanted = new Set(pathsOf(test)[1].map((each) => normalisePath(escapePath(each))));
    const exact = [...wanted];
    return [
      {
        key: textKey('path', 7, exact, askWhole(slot)),
        side: { exact, prefix: '' },
        holds: (view) => wanted.has(view.get(slot)),
        expected: oneOf(exact),
        seen,
      },
    ];
  },
};

function pathsOf(test: PathTest): readonly ['prefix' | 'oneOf' | 'equals', readonly string[]] {
  if (test.prefix !== undefined) return ['prefix', [test.prefix]];
  return test.oneOf !== undefined ? ['oneOf', test.oneOf] : ['equals', [test.equals ?? '/']];
}

function pathFault(given: string, field: string, pathPrefix: string): string | null {
  if (/[?#]/.test(given))
    return `a path is compared without its query, so it is never "${given}"; put the query under "query"`;
  const normal = normalisePath(given);
  const reachable =
    isUnder(normal, pathPrefix) ||
    (field === 'prefix' && isUnder(pathPrefix, normal.replace(/(.)\/$/, '$1')));
  if (reachable) return null;
  return `the service has the paths under ${pathPrefix} alone, and "${given}" is none; write the whole path`;
}

/** A path as people write it, with the escapes that a client would send; existing escapes stay. */
function escapePath(given: string): string {
  return given.replace(/[^\x21-\x7e]/gu, (character) => encodeURIComponent(character.toWellFormed()));
}

function askWhole(slot: PathSlot): (under: Under) => LookUp {
  return (under) => (view, limit) => under(view.get(slot), view, limit);
}

/** Asks for every prefix of the path that ends at a segment, the path itself, and each of them with a slash. */
function askPrefixes(slot: PathSlot): (under: Under, longest: number) => LookUp {
  return (under, longest) => (view, limit) => {
    const whole = view.get(slot);
    let best = whole.length <= longest ? under(whole, view, limit) : limit;
    // Beyond the longest prefix there is nothing to find; a deep path must not cost a look-up of all before each slash.
    for (let at = whole.indexOf('/'); at >= 0 && at <= longest; at = whole.indexOf('/', at + 1)) {
      if (at > 0) best = under(whole.slice(0, at), view, best);
      if (at < whole.length - 1) best = under(whole.slice(0, at + 1), view, best);
    }
    return best;
  };
}
