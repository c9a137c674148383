/**
 * Conditions: one per field of a rule's `match`, compiled once per policy.
 *
 * A condition looks at a request only through its view and never changes anything. Expected texts become wire texts
 * here, so that matching compares raw bytes. What cannot be compiled is a DocumentError; a request never sees it.
 */
import { DocumentError } from '../schema/faults.ts';
import type { NetworkSet } from '../ip/network.ts';
import { isUnder, normalisePath } from './path.ts';
import type { PathSide } from './path-sides.ts';
import type { RequestView, ValueKind } from './request-view.ts';
import type { DeviceMatch, Match, PathTest, RegionMatch, ValueTest } from './schema.ts';
import { normaliseBrowser, normaliseOs } from './device-names.ts';
import { compileRange, versionTest } from './version.ts';
import { shownText, wireText } from '../schema/latin1.ts';

/** How a rule can be found without testing it: by a key that a request must have for the condition to hold. */
export type IndexKey =
  | { readonly by: 'value'; readonly slot: number; readonly exact: readonly string[] | null }
  | { readonly by: 'network'; readonly sets: readonly NetworkSet[] }
  | { readonly by: 'path'; readonly exact: readonly string[] }
  | { readonly by: 'pathPrefix'; readonly prefix: string }
  | { readonly by: 'method'; readonly exact: readonly string[] }
  | { readonly by: 'device'; readonly facet: DeviceFacet; readonly exact: readonly string[] }
  | { readonly by: 'region'; readonly level: RegionLevel; readonly exact: readonly string[] };

type DeviceFacet = 'type' | 'os' | 'model' | 'browser';
type RegionLevel = 'country' | 'subdivision' | 'city';

export interface Condition {
  readonly kind: keyof Match;
  /** The name of the header, cookie or query parameter; '' for other kinds. */
  readonly name: string;
  /** method and path: checked on every request, never stood in for by a latch. */
  readonly fixed: boolean;
  /** Null where every request has to be tested. */
  readonly key: IndexKey | null;
  /** What a condition on the path names; null for other kinds. */
  readonly side: PathSide | null;
  holds(view: RequestView): boolean;
  /** What the condition asks for, for people. */
  readonly expected: string;
  /** What the request has, for people; null where it has nothing. */
  seen(view: RequestView): string | null;
}

/** What conditions are compiled against. */
export interface ConditionContext {
  readonly view: RequestView;
  readonly segments: ReadonlyMap<string, NetworkSet>;
  readonly hasRegion: boolean;
  /** The compiled networks of a `cidr` list. */
  networks(cidrs: readonly string[]): NetworkSet;
}

/** Compiles a match; the cheapest condition comes first. `rule` names the rule in faults. */
export function compileMatch(match: Match | undefined, rule: string, context: ConditionContext): Condition[] {
  if (match === undefined) return [];
  const { view } = context;
  const conditions: Condition[] = [];
  if (match.method !== undefined) conditions.push(methodCondition(list(match.method)));
  if (match.path !== undefined) conditions.push(pathCondition(match.path));
  for (const [name, test] of Object.entries(match.header ?? {})) {
    conditions.push(valueCondition('header', name.toLowerCase(), test, view));
  }
  for (const [name, test] of Object.entries(match.cookie ?? {})) {
    conditions.push(valueCondition('cookie', name, test, view));
  }
  for (const [name, test] of Object.entries(match.query ?? {})) {
    conditions.push(valueCondition('query', name, test, view));
  }
  if (match.segment !== undefined) conditions.push(segmentCondition(list(match.segment), rule, context));
  if (match.cidr !== undefined) conditions.push(cidrCondition(list(match.cidr), context));
  if (match.device !== undefined) conditions.push(deviceCondition(match.device));
  if (match.region !== undefined) {
    if (!context.hasRegion) throw regionMissing(rule);
    conditions.push(regionCondition(match.region));
  }
  return conditions;
}

export function list(oneOrMany: string | readonly string[]): readonly string[] {
  return typeof oneOrMany === 'string' ? [oneOrMany] : oneOrMany;
}

function regionMissing(rule: string): DocumentError {
  const detail = `the rule "${rule}" asks for a region; name a database under "region: { database: … }" first`;
  return new DocumentError('region_database_missing', 'There is no region database.', [
    { pointer: '', detail },
  ]);
}

const FREE = { name: '', fixed: false, side: null } as const;
const FIXED = { name: '', fixed: true, side: null } as const;

function methodCondition(methods: readonly string[]): Condition {
  const wanted = new Set(methods);
  return {
    ...FIXED,
    kind: 'method',
    key: { by: 'method', exact: methods },
    holds: (view) => wanted.has(view.facts.method),
    expected: oneOf(methods),
    seen: (view) => view.facts.method,
  };
}

function seenPath(view: RequestView): string {
  return shownText(view.path());
}

function pathCondition(test: PathTest): Condition {
  if (test.prefix !== undefined) {
    const prefix = normalisePath(escapePath(test.prefix));
    return {
      ...FIXED,
      kind: 'path',
      key: { by: 'pathPrefix', prefix },
      side: { exact: [], prefix },
      expected: `under ${prefix}`,
      seen: seenPath,
      holds: (view) => isUnder(view.path(), prefix),
    };
  }
  const wanted = new Set((test.oneOf ?? [test.equals ?? '']).map((path) => normalisePath(escapePath(path))));
  return {
    ...FIXED,
    kind: 'path',
    key: { by: 'path', exact: [...wanted] },
    side: { exact: [...wanted], prefix: '' },
    expected: oneOf([...wanted]),
    seen: seenPath,
    holds: (view) => wanted.has(view.path()),
  };
}

/** A path as people write it, with the escapes that a client would send; existing escapes stay. */
function escapePath(path: string): string {
  return path.replace(/[^\x21-\x7e]/gu, (character) => encodeURIComponent(character.toWellFormed()));
}

function valueCondition(kind: ValueKind, name: string, test: ValueTest, view: RequestView): Condition {
  const slot = view.slot(kind, wireText(name));
  const { key, holds, expected } = valueTest(slot, test);
  return {
    kind,
    name,
    fixed: false,
    side: null,
    key,
    holds,
    expected,
    seen: (view) => {
      const value = view.value(slot);
      return value === undefined ? null : shownText(value);
    },
  };
}

function valueTest(slot: number, test: ValueTest): Pick<Condition, 'key' | 'holds' | 'expected'> {
  const whenPresent: IndexKey = { by: 'value', slot, exact: null };
  if (test.equals !== undefined || test.oneOf !== undefined) {
    const texts = test.oneOf ?? [test.equals ?? ''];
    const wanted = new Set(texts.map(wireText));
    const [only] = wanted;
    return {
      key: { by: 'value', slot, exact: [...wanted] },
      holds:
        wanted.size === 1
          ? (view) => view.value(slot) === only
          : (view) => {
              const value = view.value(slot);
              return value !== undefined && wanted.has(value);
            },
      expected: oneOf(texts),
    };
  }
  if (test.prefix !== undefined) {
    const prefix = wireText(test.prefix);
    return {
      key: whenPresent,
      holds: (view) => view.value(slot)?.startsWith(prefix) === true,
      expected: `begins with ${quote(test.prefix)}`,
    };
  }
  if (test.semver !== undefined) {
    const satisfies = versionTest(compileRange(test.semver));
    return {
      key: whenPresent,
      holds: (view) => {
        const value = view.value(slot);
        return value !== undefined && satisfies(value);
      },
      expected: `a version ${test.semver}`,
    };
  }
  if (test.present === false) {
    return { key: null, holds: (view) => view.value(slot) === undefined, expected: 'absent' };
  }
  return { key: whenPresent, holds: (view) => view.value(slot) !== undefined, expected: 'present' };
}

function segmentCondition(names: readonly string[], rule: string, context: ConditionContext): Condition {
  const sets = names.map((name) => {
    const set = context.segments.get(name);
    if (set !== undefined) return set;
    const detail = `the rule "${rule}" names the segment "${name}", which the configuration does not define`;
    throw new DocumentError('segment_unknown', 'A segment is missing.', [{ pointer: '', detail }]);
  });
  return { ...networkCondition(sets), kind: 'segment', expected: `in ${oneOf(names)}` };
}

function cidrCondition(cidrs: readonly string[], context: ConditionContext): Condition {
  const shown = cidrs.length <= 10 ? oneOf(cidrs) : `one of ${cidrs.length} networks`;
  return { ...networkCondition([context.networks(cidrs)]), kind: 'cidr', expected: `in ${shown}` };
}

function networkCondition(sets: readonly NetworkSet[]): Omit<Condition, 'kind' | 'expected'> {
  const [only] = sets;
  return {
    ...FREE,
    key: { by: 'network', sets },
    holds:
      sets.length === 1
        ? (view) => only!.contains(view.facts.client)
        : (view) => sets.some((set) => set.contains(view.facts.client)),
    seen: (view) => view.facts.client.text || null,
  };
}

function deviceCondition(match: DeviceMatch): Condition {
  const types = match.type === undefined ? null : new Set<string>(list(match.type));
  const models = match.model === undefined ? null : lowerSet(list(match.model));
  const browsers = match.browser === undefined ? null : new Set(list(match.browser).map(normaliseBrowser));
  const { names, version } = osMatch(match);
  const systems = names === null ? null : new Set(names.map(normaliseOs));
  const range = version === null ? null : compileRange(version);
  const expected: string[] = [];
  if (types !== null) expected.push(`type ${oneOf([...types])}`);
  if (names !== null) expected.push(`os ${oneOf(names)}${version === null ? '' : ` ${version}`}`);
  if (match.model !== undefined) expected.push(`model ${oneOf(list(match.model))}`);
  if (match.browser !== undefined) expected.push(`browser ${oneOf(list(match.browser))}`);
  return {
    ...FREE,
    kind: 'device',
    key: deviceKey(models, systems, browsers, types),
    expected: expected.join(', '),
    holds: (view) => {
      const device = view.device();
      if (types !== null && !types.has(device.type)) return false;
      if (systems !== null && !systems.has(device.os) && !systems.has(device.osFamily)) return false;
      if (range !== null && (device.osVersion === null || !range.test(device.osVersion))) return false;
      if (models !== null && !models.has(device.model)) return false;
      return browsers === null || browsers.has(device.browser) || browsers.has(device.browserFamily);
    },
    seen: (view) => {
      const { type, os, osVersion, model, browser } = view.device();
      const facets = [
        type && `type ${type}`,
        os && `os ${os}${osVersion === null ? '' : ` ${osVersion.version}`}`,
      ];
      facets.push(model && `model ${model}`, browser && `browser ${browser}`);
      return facets.filter((facet) => facet !== '').join(', ') || null;
    },
  };
}

function osMatch(match: DeviceMatch): { names: readonly string[] | null; version: string | null } {
  if (match.os === undefined) return { names: null, version: null };
  if (typeof match.os === 'string' || Array.isArray(match.os))
    return { names: list(match.os), version: null };
  return { names: [match.os.name], version: match.os.version };
}

function deviceKey(
  models: ReadonlySet<string> | null,
  systems: ReadonlySet<string> | null,
  browsers: ReadonlySet<string> | null,
  types: ReadonlySet<string> | null,
): IndexKey | null {
  if (models !== null) return { by: 'device', facet: 'model', exact: [...models] };
  if (browsers !== null) return { by: 'device', facet: 'browser', exact: [...browsers] };
  if (systems !== null) return { by: 'device', facet: 'os', exact: [...systems] };
  return types === null ? null : { by: 'device', facet: 'type', exact: [...types] };
}

function lowerSet(texts: readonly string[]): Set<string> {
  return new Set(texts.map((text) => text.toLowerCase()));
}

function regionCondition(match: RegionMatch): Condition {
  const countries = match.country === undefined ? null : upperSet(list(match.country));
  const subdivisions = match.subdivision === undefined ? null : upperSet(list(match.subdivision));
  const cities = match.city === undefined ? null : lowerSet(list(match.city));
  const expected: string[] = [];
  if (match.country !== undefined) expected.push(`country ${oneOf(list(match.country))}`);
  if (match.subdivision !== undefined) expected.push(`subdivision ${oneOf(list(match.subdivision))}`);
  if (match.city !== undefined) expected.push(`city ${oneOf(list(match.city))}`);
  return {
    ...FREE,
    kind: 'region',
    key: regionKey(cities, subdivisions, countries),
    expected: expected.join(', '),
    holds: (view) => {
      const region = view.region();
      if (countries !== null && !countries.has(region.country)) return false;
      if (cities !== null && !cities.has(region.city)) return false;
      return subdivisions === null || region.subdivisions.some((code) => subdivisions.has(code));
    },
    seen: (view) => {
      const { country, subdivisions, city } = view.region();
      return [country, ...subdivisions, city].filter((part) => part !== '').join(', ') || null;
    },
  };
}

function regionKey(
  cities: ReadonlySet<string> | null,
  subdivisions: ReadonlySet<string> | null,
  countries: ReadonlySet<string> | null,
): IndexKey | null {
  if (cities !== null) return { by: 'region', level: 'city', exact: [...cities] };
  if (subdivisions !== null) return { by: 'region', level: 'subdivision', exact: [...subdivisions] };
  return countries === null ? null : { by: 'region', level: 'country', exact: [...countries] };
}

function upperSet(texts: readonly string[]): Set<string> {
  return new Set(texts.map((text) => text.toUpperCase()));
}

/** Of a long text the beginning: a policy has ten thousand values of eight thousand characters. */
function quote(text: string): string {
  return JSON.stringify(text.length <= 200 ? text : `${text.slice(0, 200)}…`);
}

/** A short list for people. */
function oneOf(texts: readonly string[]): string {
  if (texts.length === 1) return quote(texts[0]!);
  const shown = texts.slice(0, 10).map(quote).join(', ');
  return `one of ${shown}${texts.length > 10 ? ` and ${texts.length - 10} more` : ''}`;
}
