/**
 * Validates rollout documents: the schema, and what no schema can say.
 *
 * A document that passes compiles, in every worker. Each fault has a pointer and says what would be right; a misspelt
 * name comes with the nearest valid one. Nothing here looks at the running rollout: that is for its lifecycle.
 */
import { checkSchema } from '../schema/check.ts';
import { isRecord } from '../schema/json-value.ts';
import { nearest } from '../schema/nearest.ts';
import { list } from './conditions.ts';
import { browserFault, osFault } from './device-names.ts';
import { countryFault, subdivisionFault } from './countries.ts';
import { DocumentError, type Fault } from '../schema/faults.ts';
import { neverHolds } from './never-holds.ts';
import { parseNetwork } from '../ip/network.ts';
import { RolloutDocument, type DeviceMatch, type Match, type RegionMatch, type ValueTest } from './schema.ts';
import { rangeFault } from './version.ts';

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
  const add: Add = (pointer, detail) => {
    if (faults.length >= MOST_FAULTS) return;
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

/** A detail that takes a search is worked out only where it is told. */
type Add = (pointer: string, detail: string | (() => string)) => void;
type Known = (Omit<ValidationContext, 'segments'> & { readonly segments: ReadonlySet<string> }) | null;

/** What is wrong with a percentage from 0 to 100, as a sentence, or null: a bucket is 0.0001 %. */
export function percentageFault(percentage: number): string | null {
  if (Math.abs(percentage * 10_000 - Math.round(percentage * 10_000)) <= 1e-6) return null;
  return `${percentage} is finer than a bucket; percentages have at most four decimals`;
}

function checkPercentage(percentage: number, at: string, add: Add): void {
  const fault = percentageFault(percentage);
  if (fault !== null) add(`${at}/percentage`, fault);
}

function checkSteps(document: RolloutDocument, add: Add): void {
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

function checkMatch(match: Match, at: string, known: Known, add: Add): void {
  if (match.segment !== undefined && known !== null)
    checkSegments(list(match.segment), many(match.segment, `${at}/segment`), known.segments, add);
  if (match.cidr !== undefined) {
    const pointer = many(match.cidr, `${at}/cidr`);
    for (const [index, cidr] of list(match.cidr).entries()) {
      const network = parseNetwork(cidr);
      if (typeof network === 'string') add(pointer(index), network);
    }
  }
  if (match.device !== undefined) checkDevice(match.device, `${at}/device`, add);
  if (match.region !== undefined) checkRegion(match.region, `${at}/region`, known, add);
  for (const field of ['header', 'cookie', 'query'] as const) {
    for (const [name, test] of Object.entries(match[field] ?? {})) {
      const pointer = `${at}/${field}/${escapePointer(name)}`;
      if (field !== 'query' && !TOKEN.test(name)) add(pointer, `"${name}" cannot be the name of a ${field}`);
      checkTest(test, pointer, add);
    }
  }
  if (match.method !== undefined) {
    const pointer = many(match.method, `${at}/method`);
    for (const [index, method] of list(match.method).entries()) {
      if (!TOKEN.test(method)) add(pointer(index), `"${method}" cannot be a method`);
      else if (method !== method.toUpperCase()) {
        add(pointer(index), `methods are upper case: "${method.toUpperCase()}", not "${method}"`);
      }
    }
  }
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/;

/** Where the values of a one-or-many field are: the field itself, or its elements. */
function many(value: string | readonly string[], at: string): (index: number) => string {
  return (index) => (typeof value === 'string' ? at : `${at}/${index}`);
}

function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

function checkSegments(
  names: readonly string[],
  at: (index: number) => string,
  known: ReadonlySet<string>,
  add: Add,
): void {
  for (const [index, name] of names.entries()) {
    if (known.has(name)) continue;
    add(at(index), () => {
      const meant = nearest(name, known);
      const hint = meant === undefined ? 'define it under "segments"' : `did you mean "${meant}"?`;
      return `there is no segment "${name}"; ${hint}`;
    });
  }
}

function checkRegion(region: RegionMatch, at: string, known: Known, add: Add): void {
  if (known?.hasRegionDatabase === false) {
    add(
      at,
      'a region needs a database; name one in the configuration, as region: { database: ./GeoLite2-City.mmdb }',
    );
  }
  const { country = [], subdivision = [] } = region;
  const countryAt = many(country, `${at}/country`);
  for (const [index, code] of list(country).entries()) {
    if (!/^[A-Za-z]{2}$/.test(code)) add(countryAt(index), countryFault(code) ?? '');
  }
  const subdivisionAt = many(subdivision, `${at}/subdivision`);
  for (const [index, code] of list(subdivision).entries()) {
    const fault = subdivisionFault(code, []);
    if (fault !== null) add(subdivisionAt(index), fault);
  }
}

function checkDevice(device: DeviceMatch, at: string, add: Add): void {
  const { os, browser } = device;
  if (os !== undefined) {
    const ranged = typeof os === 'object' && !Array.isArray(os);
    const names = ranged ? os.name : os;
    const pointer = many(names, ranged ? `${at}/os/name` : `${at}/os`);
    for (const [index, name] of list(names).entries()) {
      const fault = osFault(name);
      if (fault !== null) add(pointer(index), fault);
    }
    if (ranged) checkRange(os.version, `${at}/os/version`, add);
  }
  if (browser === undefined) return;
  const pointer = many(browser, `${at}/browser`);
  for (const [index, name] of list(browser).entries()) {
    const fault = browserFault(name);
    if (fault !== null) add(pointer(index), fault);
  }
}

function checkTest(test: ValueTest, at: string, add: Add): void {
  if (test.semver !== undefined) checkRange(test.semver, `${at}/semver`, add);
  if (test.equals !== undefined) checkLength(test.equals, `${at}/equals`, add);
  if (test.prefix !== undefined) checkLength(test.prefix, `${at}/prefix`, add);
  const values = test.oneOf ?? [];
  if (values.length > MOST_VALUES)
    add(`${at}/oneOf`, `at most ${MOST_VALUES} values; this has ${values.length}`);
  for (const [index, value] of values.entries()) checkLength(value, `${at}/oneOf/${index}`, add);
}

/** No head is longer, so no request could ever match a longer text. */
const LONGEST_VALUE = 8192;
const MOST_VALUES = 10_000;

function checkLength(value: string, at: string, add: Add): void {
  if (value.length > LONGEST_VALUE) add(at, `at most ${LONGEST_VALUE} characters; this has ${value.length}`);
}

function checkRange(range: string, at: string, add: Add): void {
  const fault = rangeFault(range);
  if (fault !== null) add(at, fault);
}
